// SPDX-License-Identifier: BSD-2-Clause
#include "net/stream_server.hpp"

#include <fcntl.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>

#include <array>
#include <utility>

#include "base/fd.hpp"
#include "net/sockets.hpp"

namespace tallygate::net {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

/// How much one client is served before the others have their turn.
constexpr std::size_t requests_a_turn = 32;
constexpr std::size_t read_bytes_max = 64 * 1024;
/// What a client whose requests are done with may keep for the next.
constexpr std::size_t kept_bytes_max = 4096;

Fd spare_descriptor()
{
    return Fd{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
}

/// One client, kept by its coroutine and, to close it, by the server.
struct Connection {
    explicit Connection(Socket accepted)
        : socket(std::move(accepted)), deadline(socket.get_executor()), pause(socket.get_executor())
    {
    }

    Socket socket;
    asio::steady_timer deadline;
    asio::steady_timer pause; ///< of an answer that is held back
    std::unique_ptr<Conversation> conversation;
    std::string input; ///< what came and was not taken: a silent client costs nothing
    bool input_ended = false;
    std::uint64_t deadlines_total = 0; ///< tells the deadline in force from one that is over
    std::optional<Connections<Connection>::Place> place; ///< until it is removed

    bool closed() const { return !socket.is_open(); }

    void cancel_deadline()
    {
        deadlines_total++;
        deadline.cancel();
    }

    void close()
    {
        error_code ignored;
        cancel_deadline();
        pause.cancel();
        socket.close(ignored);
        conversation.reset();
    }
};

} // namespace

struct StreamServer::State : Entrance, std::enable_shared_from_this<StreamServer::State> {
    State(Loop &loop, Listener from, Open open_conversation, StreamLimits with)
        : Entrance(loop, std::move(from)), open(std::move(open_conversation)), limits(with),
          spare(spare_descriptor())
    {
    }

    Open open;
    StreamLimits limits;
    StreamCounts counts;
    Fd spare; ///< given up for a moment, so that who comes when there are none left is told
    Connections<Connection> connections{counts.connection_count}; ///< heard of: has sent something
    std::array<char, read_bytes_max> scratch; ///< filled and emptied between two waits

    void close()
    {
        Entrance::close();
        for (const auto &connection : connections.all())
            connection->close();
    }

    /// Closes the connection that will be missed least. Answers whether there was one.
    bool make_room()
    {
        if (limits.when_full == WhenFull::refuse || connections.all().empty())
            return false;
        const auto connection = connections.all().front();
        connection->close();
        connections.remove(*connection);
        counts.evicted_total++;
        return true;
    }

    /// Closes the connection in a while, unless the deadline is set anew or cancelled before.
    void close_after(const std::shared_ptr<Connection> &connection, std::chrono::milliseconds time)
    {
        const auto number = ++connection->deadlines_total;
        connection->deadline.expires_after(time);
        connection->deadline.async_wait(
            [weak = weak_from_this(), connection, number](const error_code &error) {
                const auto server = weak.lock();
                // One that is cancelled when it has fired already still comes here.
                if (error || !server || connection->deadlines_total != number)
                    return;
                server->counts.timed_out_total++;
                connection->close();
            });
    }
};

namespace {

using Server = StreamServer::State;

struct Outlook {
    enum class Next : std::uint8_t { more, wait, over };

    Next next = Next::more;
    std::chrono::milliseconds delay{0};
};

Outlook::Next say_farewell(Connection &connection, std::string &output)
{
    output += connection.conversation->farewell();
    return Outlook::Next::over;
}

/// Serves some of what came. No error of a client is ours: what is said is in `output`.
Outlook take_turn(Server &server, Connection &connection, std::string &output)
{
    using Next = Outlook::Next;
    Outlook outlook;
    std::size_t taken = 0;
    const auto rest = [&] { return std::string_view{connection.input}.substr(taken); };
    // One byte more, for the end of a request as long as may be. What is longer is too long also
    // where it came in one piece.
    const auto bytes_max = server.limits.input_bytes_max + 1;

    for (std::size_t served = 0; outlook.next == Next::more && served < requests_a_turn; served++) {
        if (output.size() >= server.limits.output_bytes_max || outlook.delay.count() > 0)
            break;
        if (rest().empty()) {
            outlook.next = connection.input_ended ? say_farewell(connection, output) : Next::wait;
            break;
        }
        const bool is_last = connection.input_ended && rest().size() <= bytes_max;
        const auto shown = rest().substr(0, bytes_max);
        const auto step = connection.conversation->receive(shown, is_last, output);
        if (step.taken > 0)
            server.counts.requests_total++;
        taken += step.taken;
        outlook.delay = step.delay;
        if (step.close)
            outlook.next = Next::over;
        else if (step.taken == 0)
            outlook.next = is_last ? say_farewell(connection, output) : Next::wait;
    }
    connection.input.erase(0, taken);
    if (outlook.next == Next::wait && connection.input.size() > server.limits.input_bytes_max) {
        server.counts.oversized_total++;
        output += connection.conversation->oversized();
        outlook.next = Next::over;
    }
    if (connection.input.empty() && connection.input.capacity() > kept_bytes_max)
        connection.input.shrink_to_fit();
    return outlook;
}

/// Answers whether the client took it all in time.
asio::awaitable<bool> send(Server &server, std::shared_ptr<Connection> connection,
                           const std::string &output)
{
    error_code error;
    const auto sent = connection->socket.write_some(asio::buffer(output), error);
    if (!error && sent == output.size())
        co_return true;
    if (error && error != asio::error::would_block)
        co_return false;
    server.close_after(connection, server.limits.send_timeout);
    const auto [failed, bytes] = co_await asio::async_write(
        connection->socket, asio::buffer(output) + (error ? 0 : sent), as_result);
    connection->cancel_deadline();
    co_return !failed && !connection->closed();
}

/// Waits for the client to send something. Answers whether there is a client still.
asio::awaitable<bool> receive(Server &server, std::shared_ptr<Connection> connection)
{
    if (server.limits.idle_timeout.count() > 0)
        server.close_after(connection, server.limits.idle_timeout);
    const auto [waited] = co_await connection->socket.async_wait(Socket::wait_read, as_result);
    if (waited || connection->closed())
        co_return false;
    connection->cancel_deadline();

    error_code error;
    const auto bytes = connection->socket.read_some(asio::buffer(server.scratch), error);
    if (error == asio::error::would_block)
        co_return true;
    if (error && error != asio::error::eof)
        co_return false;
    connection->input_ended = error == asio::error::eof;
    connection->input.append(server.scratch.data(), bytes);
    server.connections.heard(*connection);
    co_return true;
}

/// One turn, and what the client is told after it. Answers whether the connection goes on.
asio::awaitable<bool> serve_turn(std::shared_ptr<Server> server,
                                 std::shared_ptr<Connection> connection, std::string output)
{
    const auto outlook = take_turn(*server, *connection, output);
    if (outlook.delay.count() > 0) {
        connection->pause.expires_after(outlook.delay);
        co_await connection->pause.async_wait(as_result);
        if (connection->closed())
            co_return false;
    }
    bool sent = true;
    if (!output.empty())
        sent = co_await send(*server, connection, output);
    if (!sent || connection->closed())
        co_return false;
    if (outlook.next == Outlook::Next::over) {
        connection->conversation.reset();
        server->close_after(connection, server->limits.send_timeout);
        if (!connection->input_ended)
            co_await drain(connection->socket);
        connection->cancel_deadline();
        co_return false;
    }
    if (outlook.next == Outlook::Next::more) {
        co_await asio::post(server->context, asio::use_awaitable);
        co_return !connection->closed();
    }
    const bool heard = co_await receive(*server, connection);
    co_return heard;
}

/// Waits a moment for a client who may not expect a greeting. Answers whether he spoke.
asio::awaitable<bool> speaks_first(Server &server, std::shared_ptr<Connection> connection)
{
    const auto number = ++connection->deadlines_total;
    connection->deadline.expires_after(server.limits.greeting_wait);
    connection->deadline.async_wait([connection, number](const error_code &error) {
        if (error || connection->closed() || connection->deadlines_total != number)
            return;
        error_code ignored;
        connection->socket.cancel(ignored);
    });
    const auto [waited] = co_await connection->socket.async_wait(Socket::wait_read, as_result);
    connection->cancel_deadline();
    co_return !waited;
}

asio::awaitable<void> serve(std::shared_ptr<Server> server, std::shared_ptr<Connection> connection)
{
    // g++ 12 compiles `while (co_await ...)` into a trap: a condition is a variable here.
    bool has_spoken = false;
    if (!connection->closed() && server->limits.greeting_wait.count() > 0)
        has_spoken = co_await speaks_first(*server, connection);
    bool goes_on = !connection->closed();
    if (goes_on) {
        const auto greeting = has_spoken ? std::string() : connection->conversation->greeting();
        goes_on = co_await serve_turn(server, connection, greeting);
    }
    while (goes_on)
        goes_on = co_await serve_turn(server, connection, {});
    connection->close();
    server->connections.remove(*connection);
}

/// Accepts in the place of the spare descriptor, only to hang up. Answers whether that worked.
bool refuse_one(Server &server)
{
    Socket socket{server.context};
    error_code error;

    server.spare = Fd{};
    server.acceptor.accept(socket, error);
    const bool accepted = !error;
    socket.close(error);
    server.spare = spare_descriptor();
    if (accepted)
        server.counts.refused_total++;
    return accepted;
}

void welcome(const std::shared_ptr<Server> &server, Socket socket)
{
    const auto full = [&] {
        return server->connections.all().size() >= server->limits.connections_max;
    };
    if (full())
        server->make_room();
    auto connection = std::make_shared<Connection>(std::move(socket));
    connection->socket.non_blocking(true);
    if (!full())
        connection->conversation = server->open(peer_of(connection->socket));
    if (!connection->conversation) {
        server->counts.refused_total++;
        return;
    }
    server->counts.accepted_total++;
    server->connections.add(connection);
    asio::co_spawn(server->context, serve(server, std::move(connection)), end_coroutine);
}

} // namespace

StreamServer::StreamServer(Loop &loop, Listener listener, Open open, StreamLimits limits)
    : state_(std::make_shared<State>(loop, std::move(listener), std::move(open), limits))
{
    asio::co_spawn(state_->context,
                   accept_clients(
                       state_,
                       [state = state_](Socket socket) { welcome(state, std::move(socket)); },
                       [state = state_] { return state->make_room() || refuse_one(*state); }),
                   end_coroutine);
}

StreamServer::~StreamServer()
{
    state_->close();
}

const std::string &StreamServer::name() const
{
    return state_->name;
}

const StreamCounts &StreamServer::counts() const
{
    return state_->counts;
}

} // namespace tallygate::net
