// SPDX-License-Identifier: BSD-2-Clause
//
// Postfix' policy delegation (SMTPD_POLICY_README): name=value lines and an empty line ask, one
// action= and an empty line answer. Pure functions; docs/policy.md is their contract.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/check.hpp"
#include "core/checks.hpp"

namespace tallygate::frontend {

/// What of a request matters here. Attributes may come in any order; of one that is repeated,
/// the last counts; those that nobody knows are left out, for every Postfix adds some.
struct PolicyRequest {
    std::string request = {}; ///< "smtpd_access_policy"; else it is not for us
    std::string state = {};   ///< "RCPT"
    std::string client_address = {};
    std::string server_address = {};
    std::string server_port = {};
    std::string sender = {};
    std::string recipient = {};
    std::string recipient_count = {};
    std::string instance = {};
    std::string user = {};
    std::string context = {}; ///< of check_policy_service { ..., policy_context=... }
};

/// What stands at the front of an input.
struct PolicyInput {
    enum class Kind : std::uint8_t { incomplete, request, broken };

    Kind kind = Kind::incomplete;
    std::size_t taken = 0; ///< of a request: with its empty line
    PolicyRequest request = {};
};

/// Broken is what has a line without '=', a zero byte, or no attribute at all. Postfix must get
/// no answer to it: it then does what its default_action says.
PolicyInput parse_policy(std::string_view input);

/// "action=421 4.7.0 too many connections (...)\n\n".
std::string policy_reply(const core::CheckFinding &finding);

} // namespace tallygate::frontend
