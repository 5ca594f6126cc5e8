// SPDX-License-Identifier: BSD-2-Clause
//
// One [[check]]: what is counted of a client, up to what, and what mail policy is told beyond
// that. The line protocol's `check` and Postfix's policy requests go by the same checks.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.hpp"
#include "core/monitor.hpp"
#include "core/question.hpp"

namespace tallygate::core {

/// What whoever asks is advised to do. None of them is for good: a count is no proof of guilt.
enum class CheckAction : std::uint8_t {
    pass,       ///< with a delay: the tarpit
    warn,       ///< log it, and go on
    mark,       ///< add a header, and go on
    defer,      ///< refuse for now, and go on with the session
    disconnect, ///< refuse for now, and end the session
};
inline constexpr std::size_t check_action_count = 5;

/// "pass", "warn", "mark", "defer", "disconnect".
std::string_view check_action_name(CheckAction action);
/// What SMTP tells a client who meets it: 250 where mail goes on, 451, 421.
unsigned smtp_code(CheckAction action);

constexpr bool refuses(CheckAction action)
{
    return action == CheckAction::defer || action == CheckAction::disconnect;
}

/// What a check counts by.
enum class CheckKey : std::uint8_t {
    address,   ///< the block of `per` that the client is in
    sender,    ///< the envelope sender, each message once
    recipient, ///< each recipient, each time
    user,      ///< who has logged in, each message once
};

/// "address", "sender", "recipient", "user".
std::string_view check_key_name(CheckKey key);

struct Check {
    std::string name;                       ///< as a service's; of no other check
    std::vector<std::string> services = {}; ///< empty: whatever the client came to
    std::vector<std::string> states = {};   ///< of SMTP, in capitals: "RCPT"; empty: any
    CheckKey key = CheckKey::address;
    std::vector<Block> per = {};       ///< of each family at most one, as the length of a block
    std::optional<Counted> event = {}; ///< none, of an address: the connections open now
    std::string series = {};           ///< of other keys: where they are counted
    Monitor monitor = {};              ///< unless it is about what is open
    std::uint32_t start = 0;           ///< newest window, 0 is now
    std::uint32_t end = 0;
    std::uint64_t max = 0; ///< the count beyond which it acts
    CheckAction action = CheckAction::warn;
    std::chrono::seconds delay{0};
    std::string text = {};     ///< printable ASCII; what the client is told first
    bool even_allowed = false; ///< also clients on the allow list
    bool report_only = false;  ///< nobody is told; it is counted and logged

    bool is_live() const { return key == CheckKey::address && !event; }
};

} // namespace tallygate::core
