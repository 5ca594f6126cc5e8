// SPDX-License-Identifier: BSD-2-Clause
//
// Asks a daemon on its control socket, and waits for the answer.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "client/channel.hpp"
#include "client/query.hpp"

namespace tallygate::client {

inline constexpr const char *default_socket_path = "/run/tallygate/control.sock";

/// One connection for each request. A reply that is not there whole after `timeout` is given up.
class Client {
public:
    explicit Client(std::string socket_path,
                    std::chrono::milliseconds timeout = std::chrono::seconds{5});

    const std::string &socket_path() const { return socket_path_; }

    /// `target` is a path and its query, percent-encoded: "/v1/live?cidr=192.0.2.0/24".
    Result<Reply> get(std::string_view target) const { return ask("GET", target); }
    Result<Reply> post(std::string_view target) const { return ask("POST", target); }
    /// With any method of HTTP, in capitals.
    Result<Reply> ask(std::string_view method, std::string_view target) const;

private:
    std::string socket_path_;
    std::chrono::milliseconds timeout_;
};

} // namespace tallygate::client
