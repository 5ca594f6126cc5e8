// SPDX-License-Identifier: BSD-2-Clause
//
// One connection to a daemon's control socket, kept from question to question and made anew when
// it is gone.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <string_view>

#include "base/fd.hpp"
#include "base/result.hpp"

namespace tallygate::client {

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

/// Whether a question may be asked twice. A kept connection may end just when a question is on
/// its way, and nobody can tell then whether the daemon still took it in.
enum class Again {
    harmless,   ///< it reads, or sets what is set already
    would_count ///< it adds
};

/// For one thread at a time. A child process that inherits one makes a connection of its own.
class Channel {
public:
    using Clock = std::chrono::steady_clock;

    explicit Channel(std::string path);

    const std::string &path() const { return path_; }

    /// `target` is a path and its query, percent-encoded: "/v1/live?cidr=192.0.2.0/24". All of
    /// it, connecting included, is over by `deadline`.
    Result<Reply> ask(std::string_view method, std::string_view target, Again again,
                      Clock::time_point deadline);
    /// Ends the connection. The next question makes one.
    void hang_up();

private:
    bool is_kept();
    Result<void> connect(Clock::time_point deadline);

    std::string path_;
    Fd socket_;
    pid_t owner_ = 0; ///< the process that made the connection
};

} // namespace tallygate::client
