// SPDX-License-Identifier: BSD-2-Clause
#include "net/http_server.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http.hpp>

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "net/sockets.hpp"

namespace tallygate::net {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using Steady = std::chrono::steady_clock;
using boost::system::error_code;

/// One client, kept by its coroutine and, to make room, by the server.
struct Connection : std::enable_shared_from_this<Connection> {
    Connection(Socket accepted, std::size_t buffer_bytes_max)
        : socket(std::move(accepted)), deadline(socket.get_executor()), buffer(buffer_bytes_max)
    {
    }

    enum class Phase { idle, receiving, sending };

    Socket socket;
    asio::steady_timer deadline;
    boost::beast::flat_buffer buffer; ///< holds what a pipelining client sent ahead
    Phase phase = Phase::receiving;
    bool timed_out = false;
    std::optional<Connections<Connection>::Place> place; ///< until it is removed

    void enter(Phase next, std::chrono::milliseconds time)
    {
        phase = next;
        timed_out = false;
        deadline.expires_after(time);
        deadline.async_wait([weak = weak_from_this()](const error_code &error) {
            if (const auto connection = weak.lock(); connection && !error)
                connection->check_deadline();
        });
    }

    void close()
    {
        error_code ignored;
        deadline.cancel();
        socket.close(ignored);
    }

private:
    void check_deadline()
    {
        // A timer may fire and be set anew before its handler runs.
        if (deadline.expiry() > Steady::now())
            return;
        timed_out = true;
        // Shutting down, unlike cancelling, also ends a read that is yet to begin, and leaves
        // the way open for a 408.
        error_code ignored;
        if (phase == Phase::receiving)
            socket.shutdown(Socket::shutdown_receive, ignored);
        else
            socket.close(ignored);
    }
};

} // namespace

struct HttpServer::State : Entrance {
    State(Loop &loop, Listener from, Handler handle, HttpLimits with)
        : Entrance(loop, std::move(from)), handler(std::move(handle)), limits(with)
    {
    }

    Handler handler;
    HttpLimits limits;
    HttpCounts counts;
    Connections<Connection> connections{counts.connection_count}; ///< heard of: served

    void close()
    {
        Entrance::close();
        for (const auto &connection : connections.all())
            connection->close();
    }

    /// Closes the connection that will be missed least. Answers whether there was one.
    bool make_room()
    {
        const auto &all = connections.all();
        auto victim = std::find_if(all.begin(), all.end(), [](const auto &connection) {
            return connection->phase == Connection::Phase::idle;
        });
        if (victim == all.end())
            victim = all.begin();
        if (victim == all.end())
            return false;
        const auto connection = *victim;
        connection->close();
        connections.remove(*connection);
        counts.evicted_total++;
        return true;
    }
};

namespace {

using RequestParser = http::request_parser<http::string_body>;

/// What to tell a client whose request could not be read; 0 if there is nobody to tell.
unsigned rejection(const Connection &connection, const error_code &error)
{
    if (connection.timed_out)
        return 408;
    if (error == http::error::end_of_stream || error == http::error::partial_message)
        return 0;
    if (error == http::error::header_limit || error == http::error::buffer_overflow)
        return 431;
    if (error == http::error::body_limit)
        return 413;
    if (error.category() == make_error_code(http::error::bad_method).category())
        return 400;
    return 0;
}

Response rejection_response(unsigned status)
{
    const char *reason = status == 408   ? "the request took too long to arrive"
                         : status == 413 ? "the body of the request is too long"
                         : status == 431 ? "the head of the request is too long"
                                         : "this is not an HTTP request";
    return {.status = status, .body = std::string(R"({"schema":1,"error":")") + reason + "\"}\n"};
}

/// The path and query of a target, which may stand behind a host as proxies are sent it
/// ("http://host/path": RFC 9112, 3.2.2, has every server take it).
std::string without_host(std::string_view target)
{
    constexpr std::string_view scheme = "http://";
    if (!boost::beast::iequals(target.substr(0, scheme.size()), scheme))
        return std::string(target);
    const auto end = std::min(target.find_first_of("/?", scheme.size()), target.size());
    const auto rest = target.substr(end);
    return (rest.starts_with('/') ? "" : "/") + std::string(rest);
}

template <typename Body>
http::response<Body> response_head(const Response &response, unsigned version, bool keep_alive)
{
    http::response<Body> message{static_cast<http::status>(response.status), version};

    message.set(http::field::server, "tallygate");
    message.set(http::field::content_type, response.content_type);
    message.set(http::field::cache_control, "no-store");
    message.set("X-Content-Type-Options", "nosniff");
    if (!response.allow.empty())
        message.set(http::field::allow, response.allow);
    message.keep_alive(keep_alive);
    return message;
}

struct Framing {
    unsigned version = 11;
    bool keep_alive = false;
    bool head_only = false;
};

/// Answers whether the client took it all.
asio::awaitable<bool> send(Connection &connection, Response response, Framing framing)
{
    if (framing.head_only) {
        auto head = response_head<http::empty_body>(response, framing.version, framing.keep_alive);
        head.content_length(response.body.size());
        const auto [error, bytes] = co_await http::async_write(connection.socket, head, as_result);
        co_return !error;
    }
    auto message = response_head<http::string_body>(response, framing.version, framing.keep_alive);
    message.body() = std::move(response.body);
    message.prepare_payload();
    const auto [error, bytes] = co_await http::async_write(connection.socket, message, as_result);
    co_return !error;
}

/// One request and its response. Answers whether the connection goes on.
asio::awaitable<bool> serve_one(HttpServer::State &server, Connection &connection)
{
    const auto &limits = server.limits;
    if (connection.buffer.size() == 0) {
        connection.enter(Connection::Phase::idle, limits.idle_timeout);
        const auto [error] = co_await connection.socket.async_wait(Socket::wait_read, as_result);
        if (error || connection.timed_out)
            co_return false;
    }

    RequestParser parser;
    parser.header_limit(static_cast<std::uint32_t>(limits.header_bytes_max));
    parser.body_limit(limits.body_bytes_max);
    connection.enter(Connection::Phase::receiving, limits.receive_timeout);
    const auto [error, bytes] =
        co_await http::async_read(connection.socket, connection.buffer, parser, as_result);
    if (server.closed())
        co_return false;
    if (error) {
        const unsigned status = rejection(connection, error);
        if (status == 0)
            co_return false;
        server.counts.rejected_total++;
        connection.enter(Connection::Phase::sending, limits.send_timeout);
        const bool sent = co_await send(connection, rejection_response(status), {});
        if (sent)
            co_await drain(connection.socket);
        co_return false;
    }

    auto message = parser.release();
    const Framing framing{message.version(), message.keep_alive(),
                          message.method() == http::verb::head};
    const Request request{framing.head_only ? "GET" : std::string(message.method_string()),
                          without_host(message.target()), std::move(message.body()),
                          peer_of(connection.socket)};
    server.counts.requests_total++;
    server.connections.heard(connection);
    auto response = server.handler(request);
    connection.enter(Connection::Phase::sending, limits.send_timeout);
    const bool sent = co_await send(connection, std::move(response), framing);
    co_return sent &&framing.keep_alive;
}

asio::awaitable<void> serve(std::shared_ptr<HttpServer::State> server,
                            std::shared_ptr<Connection> connection)
{
    // g++ 12 compiles `while (co_await ...)` into a trap: a condition is a variable here.
    for (bool goes_on = true; goes_on;)
        goes_on = co_await serve_one(*server, *connection);
    connection->close();
    server->connections.remove(*connection);
}

void welcome(const std::shared_ptr<HttpServer::State> &server, Socket socket)
{
    if (server->connections.all().size() >= server->limits.connections_max)
        server->make_room();
    // Twice the head: a long one, and the beginning of whatever follows it.
    auto connection =
        std::make_shared<Connection>(std::move(socket), server->limits.header_bytes_max * 2);
    server->connections.add(connection);
    asio::co_spawn(server->context, serve(server, std::move(connection)), end_coroutine);
}

} // namespace

HttpServer::HttpServer(Loop &loop, Listener listener, Handler handler, HttpLimits limits)
    : state_(std::make_shared<State>(loop, std::move(listener), std::move(handler), limits))
{
    asio::co_spawn(state_->context,
                   accept_clients(
                       state_,
                       [state = state_](Socket socket) { welcome(state, std::move(socket)); },
                       [state = state_] { return state->make_room(); }),
                   end_coroutine);
}

HttpServer::~HttpServer()
{
    state_->close();
}

const std::string &HttpServer::name() const
{
    return state_->name;
}

const HttpCounts &HttpServer::counts() const
{
    return state_->counts;
}

} // namespace tallygate::net
