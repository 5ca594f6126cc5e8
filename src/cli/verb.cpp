// SPDX-License-Identifier: BSD-2-Clause
#include "cli/verb.hpp"

#include <algorithm>
#include <array>

#include "base/address.hpp"

namespace tallygate::cli {

std::span<const Verb *const> all_verbs()
{
    static constexpr std::array verbs = {&status_verb,
                                         &live_verb,
                                         &count_verb,
                                         &event_verb,
                                         &top_verb,
                                         &watch_verb,
                                         &networks_verb,
                                         &limits_verb,
                                         &explain_verb,
                                         &block_add_verb,
                                         &block_remove_verb,
                                         &block_list_verb,
                                         &allow_add_verb,
                                         &allow_remove_verb,
                                         &allow_list_verb,
                                         &audit_show_verb,
                                         &audit_count_verb,
                                         &audit_add_verb,
                                         &audit_subtract_verb,
                                         &audit_delete_verb,
                                         &audit_define_verb,
                                         &audit_undefine_verb,
                                         &audit_load_verb,
                                         &mode_verb,
                                         &reload_verb,
                                         &postfix_enable_anvil_verb,
                                         &postfix_disable_anvil_verb,
                                         &postfix_status_verb,
                                         &postfix_enable_policy_verb,
                                         &postfix_disable_policy_verb};
    return verbs;
}

std::string Verb::full_name() const
{
    return (group != nullptr ? std::string(group->name) + " " : std::string()) + name;
}

std::string check_block(const std::string &text)
{
    const auto block = Block::parse(text);
    return block ? "" : block.error().message;
}

std::string check_listener(const std::string &text)
{
    const auto endpoint = Endpoint::parse(text);
    return endpoint ? "" : endpoint.error().message;
}

std::string check_number(const std::string &text)
{
    const bool digits_only = text.find_first_not_of("0123456789") == std::string::npos;

    if (!text.empty() && digits_only)
        return "";
    return "'" + text + "' is not a number: expected 0 or more";
}

std::string check_address(const std::string &text)
{
    const auto address = Address::parse(text);
    return address ? "" : address.error().message;
}

std::string check_span(const std::string &text)
{
    const auto unit = text.find_first_not_of("0123456789");
    const bool has_known_unit =
        unit == std::string::npos ||
        (unit + 1 == text.size() && std::string("smhd").find(text[unit]) != std::string::npos);

    if (!text.empty() && unit != 0 && has_known_unit)
        return "";
    return "'" + text + "' is not a span of time: expected 90s, 10m, 1h or 7d";
}

std::string check_mode(const std::string &text)
{
    return text == "observe" || text == "enforce"
               ? ""
               : "there is no mode '" + text + "': expected observe or enforce";
}

std::string check_reason(const std::string &text)
{
    constexpr std::size_t bytes_max = 200;

    if (!std::ranges::all_of(text, [](char each) { return each >= 0x20 && each < 0x7f; }))
        return "a reason is printable ASCII";
    if (text.size() > bytes_max)
        return "a reason has at most " + std::to_string(bytes_max) + " bytes, and not " +
               std::to_string(text.size());
    return "";
}

} // namespace tallygate::cli
