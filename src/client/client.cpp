// SPDX-License-Identifier: BSD-2-Clause
#include "client/client.hpp"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <boost/asio/buffer.hpp>
#include <boost/beast/core/buffers_range.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include <cstring>
#include <utility>

#include "base/fd.hpp"

namespace tallygate::client {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;

constexpr std::uint64_t body_bytes_max = 64 << 20;

/// A blocking socket as Beast wants to see it. Asio's own would wait in poll(2), where
/// SO_RCVTIMEO counts for nothing.
class BlockingStream {
public:
    explicit BlockingStream(const Fd &socket) : socket_(socket.get()) {}

    template <typename Buffers>
    std::size_t read_some(const Buffers &buffers, error_code &error)
    {
        for (const asio::mutable_buffer each : beast::buffers_range_ref(buffers)) {
            if (each.size() != 0)
                return moved(::recv(socket_, each.data(), each.size(), 0), error, asio::error::eof);
        }
        error = {};
        return 0;
    }

    template <typename Buffers>
    std::size_t write_some(const Buffers &buffers, error_code &error)
    {
        for (const asio::const_buffer each : beast::buffers_range_ref(buffers)) {
            if (each.size() != 0)
                return moved(::send(socket_, each.data(), each.size(), MSG_NOSIGNAL), error, {});
        }
        error = {};
        return 0;
    }

    template <typename Buffers>
    std::size_t read_some(const Buffers &buffers)
    {
        error_code error;
        return read_some(buffers, error);
    }

    template <typename Buffers>
    std::size_t write_some(const Buffers &buffers)
    {
        error_code error;
        return write_some(buffers, error);
    }

private:
    static std::size_t moved(ssize_t bytes, error_code &error, error_code at_end)
    {
        error = bytes < 0    ? error_code{errno, boost::system::system_category()}
                : bytes == 0 ? at_end
                             : error_code{};
        return bytes < 0 ? 0 : static_cast<std::size_t>(bytes);
    }

    int socket_;
};

Error failure(Failure kind, std::string message)
{
    return {std::move(message), static_cast<int>(kind)};
}

Error unreachable(const std::string &path, const std::string &reason)
{
    return failure(Failure::unreachable,
                   "no daemon at " + path + ": " + reason + "; is tallygated running?");
}

void set_timeout(const Fd &socket, std::chrono::milliseconds timeout)
{
    const auto milliseconds = timeout.count();
    const timeval time{.tv_sec = milliseconds / 1000, .tv_usec = milliseconds % 1000 * 1000};

    ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time));
    ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &time, sizeof(time));
}

Result<Fd> connect_to(const std::string &path, std::chrono::milliseconds timeout)
{
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof(address.sun_path))
        return unreachable(path, std::strerror(ENAMETOOLONG));
    std::memcpy(address.sun_path, path.data(), path.size());

    Fd socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    if (!socket)
        return unreachable(path, std::strerror(errno));
    set_timeout(socket, timeout);
    if (::connect(socket.get(), reinterpret_cast<const sockaddr *>(&address), sizeof(address)) == 0)
        return socket;
    if (errno == EACCES || errno == EPERM)
        return failure(Failure::not_permitted,
                       "connect to " + path + ": " + std::strerror(errno) +
                           "; ask as root, or as a member of the socket's group");
    return unreachable(path, std::strerror(errno));
}

Error exchange_failure(const std::string &path, const error_code &error)
{
    if (error == boost::system::errc::resource_unavailable_try_again)
        return failure(Failure::unreachable, "the daemon at " + path + " does not answer");
    return failure(Failure::protocol,
                   "the daemon at " + path + " broke off its answer: " + error.message());
}

Result<Reply> exchange(const std::string &path, std::chrono::milliseconds timeout,
                       http::verb method, std::string_view target)
{
    const auto socket = connect_to(path, timeout);
    if (!socket)
        return socket.error();
    BlockingStream stream{*socket};
    error_code error;

    http::request<http::empty_body> request{method, target, 11};
    request.set(http::field::host, "tallygate");
    request.keep_alive(false);
    request.prepare_payload();
    // A daemon may answer and hang up before it has read everything: the answer counts.
    http::write(stream, request, error);

    beast::flat_buffer buffer;
    http::response_parser<http::string_body> parser;
    parser.body_limit(body_bytes_max);
    error_code read_error;
    http::read(stream, buffer, parser, read_error);
    if (read_error)
        return exchange_failure(path, read_error);
    auto response = parser.release();
    return Reply{response.result_int(), std::move(response.body())};
}

} // namespace

Client::Client(std::string socket_path, std::chrono::milliseconds timeout)
    : socket_path_(std::move(socket_path)), timeout_(timeout)
{
}

Result<Reply> Client::get(std::string_view target) const
{
    return exchange(socket_path_, timeout_, http::verb::get, target);
}

Result<Reply> Client::post(std::string_view target) const
{
    return exchange(socket_path_, timeout_, http::verb::post, target);
}

std::string percent_encoded(std::string_view text)
{
    constexpr std::string_view kept = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                      "0123456789.-_~:/,[]";
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string encoded;

    for (const char each : text) {
        const auto byte = static_cast<unsigned char>(each);
        if (kept.find(each) != std::string_view::npos)
            encoded += each;
        else
            encoded += {'%', digits[byte >> 4], digits[byte & 0xf]};
    }
    return encoded;
}

} // namespace tallygate::client
