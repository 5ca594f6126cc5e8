// SPDX-License-Identifier: BSD-2-Clause
#include "client/channel.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "client/http_response.hpp"

namespace tallygate::client {
namespace {

using namespace std::chrono_literals;
using Clock = Channel::Clock;

Error failure(Failure kind, std::string message)
{
    return {std::move(message), static_cast<int>(kind)};
}

Error unreachable(const std::string &path, const std::string &reason)
{
    return failure(Failure::unreachable,
                   "no daemon at " + path + ": " + reason + "; is tallygated running?");
}

Error silent(const std::string &path)
{
    return failure(Failure::unreachable, "the daemon at " + path + " does not answer");
}

Error broken(const std::string &path, const std::string &reason)
{
    return failure(Failure::protocol, "the daemon at " + path + " broke off its answer: " + reason);
}

std::chrono::milliseconds left_until(Clock::time_point deadline)
{
    return std::max(std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()), 0ms);
}

/// Waits until the socket is ready for `events`, or hung up; false at the deadline.
bool wait_for(const Fd &socket, short events, Clock::time_point deadline)
{
    while (true) {
        const auto left = left_until(deadline);
        pollfd ready{.fd = socket.get(), .events = events, .revents = 0};
        const int count = ::poll(&ready, 1, static_cast<int>(std::min(left, 60'000ms).count()));
        if (count > 0)
            return true;
        if (left == 0ms || (count < 0 && errno != EINTR))
            return false;
    }
}

/// How an exchange on one connection went.
struct Outcome {
    enum class Kind { reply, silent, ended, not_http };

    Kind kind = Kind::ended;
    bool was_taken_in = true; ///< may be: false if the daemon surely has not read the request
    bool keeps_alive = false;
    Reply reply = {};
    std::string reason = {};
};

/// 0, or the errno for which the connection is over; ETIMEDOUT at the deadline.
int send_all(const Fd &socket, std::string_view bytes, Clock::time_point deadline)
{
    while (!bytes.empty()) {
        const ssize_t sent =
            ::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent > 0)
            bytes.remove_prefix(static_cast<std::size_t>(sent));
        else if (errno == EAGAIN && !wait_for(socket, POLLOUT, deadline))
            return ETIMEDOUT;
        else if (errno != EAGAIN && errno != EINTR)
            return errno;
    }
    return 0;
}

Outcome receive(const Fd &socket, Clock::time_point deadline)
{
    std::array<char, 16 * 1024> piece;
    ResponseReader reader;
    bool is_begun = false;

    while (true) {
        const ssize_t count = ::recv(socket.get(), piece.data(), piece.size(), MSG_DONTWAIT);
        if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
            if (!wait_for(socket, POLLIN, deadline))
                return {.kind = Outcome::Kind::silent};
            continue;
        }
        if (count < 0) // what was sent lay unread when the daemon hung up
            return {.was_taken_in = is_begun || errno != ECONNRESET,
                    .reason = std::strerror(errno)};
        if (count == 0)
            return {.reason = "end of file"};
        is_begun = true;
        const auto progress = reader.take({piece.data(), static_cast<std::size_t>(count)});
        if (progress == ResponseReader::Progress::broken)
            return {.kind = Outcome::Kind::not_http, .reason = "it is not HTTP"};
        if (progress == ResponseReader::Progress::done)
            return {.kind = Outcome::Kind::reply,
                    .keeps_alive = reader.keeps_alive(),
                    .reply = {reader.status(), reader.take_body()}};
    }
}

Outcome exchange(const Fd &socket, std::string_view request, Clock::time_point deadline)
{
    const int sending = send_all(socket, request, deadline);
    if (sending == ETIMEDOUT)
        return {.kind = Outcome::Kind::silent};
    // A daemon may answer and hang up before it has read everything: the answer counts.
    auto outcome = receive(socket, deadline);
    if (sending != 0 && outcome.kind == Outcome::Kind::ended)
        outcome.was_taken_in = false;
    return outcome;
}

std::string request_text(std::string_view method, std::string_view target)
{
    std::string text{method};
    text.append(" ").append(target).append(" HTTP/1.1\r\nHost: tallygate\r\n");
    if (method != "GET")
        text.append("Content-Length: 0\r\n");
    return text.append("\r\n");
}

} // namespace

Channel::Channel(std::string path) : path_(std::move(path)) {}

void Channel::hang_up()
{
    socket_ = Fd{};
}

/// Whether the connection of the last question still stands. Nothing may have come on it: a
/// daemon that ended has hung up, and bytes that nobody asked for belong to no question.
bool Channel::is_kept()
{
    char byte = 0;

    if (!socket_ || owner_ != ::getpid())
        return false;
    const ssize_t count = ::recv(socket_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return count < 0 && errno == EAGAIN;
}

Result<void> Channel::connect(Clock::time_point deadline)
{
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    hang_up();
    if (path_.empty() || path_.size() >= sizeof(address.sun_path))
        return unreachable(path_, std::strerror(ENAMETOOLONG));
    std::memcpy(address.sun_path, path_.data(), path_.size());

    Fd socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    if (!socket)
        return unreachable(path_, std::strerror(errno));
    // connect(2) waits as long as send(2) may, while the daemon's queue is full; 0 is for ever.
    const auto left = std::max(left_until(deadline), 1ms).count();
    const timeval patience{.tv_sec = left / 1000, .tv_usec = left % 1000 * 1000};
    ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    while (::connect(socket.get(), reinterpret_cast<const sockaddr *>(&address), sizeof(address)) !=
           0) {
        if (errno == EINTR && left_until(deadline) > 0ms)
            continue;
        if (errno == EAGAIN || errno == EINTR)
            return silent(path_);
        if (errno == EACCES || errno == EPERM)
            return failure(Failure::not_permitted,
                           "connect to " + path_ + ": " + std::strerror(errno) +
                               "; ask as root, or as a member of the socket's group");
        return unreachable(path_, std::strerror(errno));
    }
    socket_ = std::move(socket);
    owner_ = ::getpid();
    return {};
}

Result<Reply> Channel::ask(std::string_view method, std::string_view target, Again again,
                           Clock::time_point deadline)
{
    const auto request = request_text(method, target);

    while (true) {
        const bool was_kept = is_kept();
        if (!was_kept) {
            if (const auto connected = connect(deadline); !connected)
                return connected.error();
        }
        auto outcome = exchange(socket_, request, deadline);
        if (!outcome.keeps_alive)
            hang_up();
        if (outcome.kind == Outcome::Kind::reply)
            return std::move(outcome.reply);
        if (outcome.kind == Outcome::Kind::silent)
            return silent(path_);
        const bool may_repeat = again == Again::harmless || !outcome.was_taken_in;
        if (outcome.kind == Outcome::Kind::ended && was_kept && may_repeat)
            continue; // its daemon is gone, and another may be there
        return broken(path_, outcome.reason);
    }
}

} // namespace tallygate::client
