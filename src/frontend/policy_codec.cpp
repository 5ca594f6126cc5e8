// SPDX-License-Identifier: BSD-2-Clause
#include "frontend/policy_codec.hpp"

#include <algorithm>

namespace tallygate::frontend {
namespace {

struct Attribute {
    std::string_view name;
    std::string PolicyRequest::*value;
};

constexpr Attribute attributes[] = {
    {"request", &PolicyRequest::request},
    {"protocol_state", &PolicyRequest::state},
    {"client_address", &PolicyRequest::client_address},
    {"server_address", &PolicyRequest::server_address},
    {"server_port", &PolicyRequest::server_port},
    {"sender", &PolicyRequest::sender},
    {"recipient", &PolicyRequest::recipient},
    {"recipient_count", &PolicyRequest::recipient_count},
    {"instance", &PolicyRequest::instance},
    {"sasl_username", &PolicyRequest::user},
    {"policy_context", &PolicyRequest::context},
};

/// Answers whether it is an attribute, known or not.
bool take_attribute(std::string_view line, PolicyRequest &request)
{
    const auto equals = line.find('=');

    if (equals == 0 || equals == std::string_view::npos || line.find('\0') != line.npos)
        return false;
    const auto known = std::ranges::find(attributes, line.substr(0, equals), &Attribute::name);
    if (known != std::end(attributes))
        request.*known->value = line.substr(equals + 1);
    return true;
}

/// So that a request that comes byte by byte is not read anew each time.
bool has_empty_line(std::string_view input)
{
    return input.starts_with('\n') || input.starts_with("\r\n") ||
           input.find("\n\n") != std::string_view::npos ||
           input.find("\n\r\n") != std::string_view::npos;
}

} // namespace

PolicyInput parse_policy(std::string_view input)
{
    if (!has_empty_line(input))
        return {};
    PolicyInput parsed;
    bool has_attributes = false;

    for (auto rest = input;;) {
        const auto length = rest.find('\n');
        if (length == std::string_view::npos)
            return {};
        auto line = rest.substr(0, length);
        rest.remove_prefix(length + 1);
        if (line.ends_with('\r'))
            line.remove_suffix(1);
        if (line.empty()) {
            parsed.kind = has_attributes ? PolicyInput::Kind::request : PolicyInput::Kind::broken;
            parsed.taken = input.size() - rest.size();
            return parsed;
        }
        if (!take_attribute(line, parsed.request))
            return {.kind = PolicyInput::Kind::broken};
        has_attributes = true;
    }
}

std::string policy_reply(const core::CheckFinding &finding)
{
    const auto action = [&]() -> std::string {
        switch (finding.action) {
        case core::CheckAction::pass:
            break;
        case core::CheckAction::warn:
            return "WARN " + finding.text;
        case core::CheckAction::mark:
            return "PREPEND X-Tallygate: " + finding.check + " " + finding.text;
        case core::CheckAction::defer:
            return "DEFER_IF_PERMIT 4.7.1 " + finding.text;
        case core::CheckAction::disconnect:
            return "421 4.7.0 " + finding.text;
        }
        return "DUNNO";
    };
    return "action=" + action() + "\n\n";
}

} // namespace tallygate::frontend
