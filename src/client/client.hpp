// SPDX-License-Identifier: BSD-2-Clause
//
// Asks a daemon on its control socket, and waits for the answer.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace tallygate::client {

inline constexpr const char *default_socket_path = "/run/tallygate/control.sock";

/// Why there is no reply: the code of every Error from here.
enum class Failure : int {
    unreachable = 1, ///< no daemon on the socket, or one that does not answer
    not_permitted,   ///< the socket is there, and not for this user
    protocol,        ///< something answered, and it was not HTTP
};

struct Reply {
    unsigned status = 0; ///< of HTTP: 200, 404, ...
    std::string body;
};

/// One connection for each request. A daemon that stays silent for `timeout` is given up.
class Client {
public:
    explicit Client(std::string socket_path,
                    std::chrono::milliseconds timeout = std::chrono::seconds{5});

    const std::string &socket_path() const { return socket_path_; }

    /// `target` is a path and its query, percent-encoded: "/v1/live?cidr=192.0.2.0/24".
    Result<Reply> get(std::string_view target) const;
    Result<Reply> post(std::string_view target) const;

private:
    std::string socket_path_;
    std::chrono::milliseconds timeout_;
};

/// For the value of a query parameter: everything but letters, digits and ".-_~:/,[]".
std::string percent_encoded(std::string_view text);

} // namespace tallygate::client
