// SPDX-License-Identifier: BSD-2-Clause
//
// A verb's talk with the daemon: requests, and what to say and exit with when one fails.
#pragma once

#include <boost/json.hpp>

#include <string>
#include <string_view>
#include <variant>

#include "cli/command_line.hpp"
#include "client/channel.hpp"

namespace tallygate::cli {

Outcome failure(ExitCode code, const std::string &message);
/// With a hint at the help of `verb`, or of the whole if that is empty.
Outcome usage(const std::string &message, const std::string &verb);

/// One connection, kept for as many requests as a verb has.
class Talk {
public:
    /// `verb` is for hints.
    Talk(std::string socket_path, std::string verb);

    /// An answer, and its text as it came; or how the verb ends.
    struct Answer {
        boost::json::object object;
        std::string text;
    };
    using Reply = std::variant<Answer, Outcome>;

    /// `target` is percent-encoded.
    Reply ask(std::string_view method, std::string_view target);

    const std::string &socket_path() const { return channel_.path(); }
    const std::string &verb() const { return verb_; }

private:
    client::Channel channel_;
    std::string verb_;
};

} // namespace tallygate::cli
