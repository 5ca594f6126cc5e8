// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cstring>
#include <string>
#include <string_view>

#include "base/fd.hpp"

namespace tallygate::test {

/// A client that sends exactly the bytes it is told, and none of them kindly.
class RawClient {
public:
    /// How long a test waits before it fails; nothing that passes waits so long.
    static constexpr int patience_ms = 10'000;

    explicit RawClient(const std::string &path) : socket_(::socket(AF_UNIX, SOCK_STREAM, 0))
    {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, path.data(), path.size());
        connected_ = ::connect(socket_.get(), reinterpret_cast<const sockaddr *>(&address),
                               sizeof(address)) == 0;
    }

    bool connected() const { return connected_; }

    void send(std::string_view bytes)
    {
        while (!bytes.empty()) {
            const ssize_t sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (sent <= 0)
                return;
            bytes.remove_prefix(static_cast<std::size_t>(sent));
        }
    }

    void send_no_more() { ::shutdown(socket_.get(), SHUT_WR); }

    /// Reads until `text` has come `times` times; what came so far if the server hangs up.
    std::string read_until(std::string_view text, std::size_t times = 1)
    {
        while (occurrences(text) < times && read_some()) {
        }
        return received_;
    }

    /// Whether anything comes, or the server hangs up, within the time.
    bool hears_something(int milliseconds)
    {
        pollfd ready{.fd = socket_.get(), .events = POLLIN, .revents = 0};
        return ::poll(&ready, 1, milliseconds) == 1;
    }

    /// Reads until the server hangs up.
    std::string read_all()
    {
        while (read_some()) {
        }
        return received_;
    }

    /// Whether the server hung up; waits for it.
    bool is_closed()
    {
        read_all();
        return closed_;
    }

    std::size_t occurrences(std::string_view text) const
    {
        std::size_t count = 0;
        for (auto at = received_.find(text); at != std::string::npos;
             at = received_.find(text, at + text.size()))
            count++;
        return count;
    }

private:
    bool read_some()
    {
        std::array<char, 4096> bytes;
        if (!hears_something(patience_ms)) {
            ADD_FAILURE() << "the server neither answers nor hangs up";
            return false;
        }
        const ssize_t count = ::recv(socket_.get(), bytes.data(), bytes.size(), 0);
        closed_ = count <= 0;
        if (count > 0)
            received_.append(bytes.data(), static_cast<std::size_t>(count));
        return !closed_;
    }

    Fd socket_;
    bool connected_ = false;
    bool closed_ = false;
    std::string received_;
};

} // namespace tallygate::test
