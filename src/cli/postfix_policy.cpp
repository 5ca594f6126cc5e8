// SPDX-License-Identifier: BSD-2-Clause
#include "cli/postfix_policy.hpp"

#include <string_view>

namespace tallygate::cli {
namespace {

// Without default_action Postfix refuses everybody while nobody answers.
constexpr std::string_view question =
    "check_policy_service { unix:tallygate/policy, timeout=5s, try_limit=1, default_action=DUNNO }";
constexpr std::string_view first = "permit_mynetworks";

bool is_separator(char each)
{
    return each == ' ' || each == ',' || each == '\t' || each == '\n';
}

std::string trimmed(std::string text)
{
    while (!text.empty() && is_separator(text.back()))
        text.pop_back();
    while (!text.empty() && is_separator(text.front()))
        text.erase(0, 1);
    return text;
}

} // namespace

std::string restrictions_at(const std::string &when)
{
    return when == "rcpt" ? "smtpd_recipient_restrictions" : "smtpd_client_restrictions";
}

bool asks_policy(const std::string &restrictions)
{
    return restrictions.find(question) != std::string::npos;
}

std::string with_policy(const std::string &restrictions)
{
    const auto before = trimmed(restrictions);

    if (asks_policy(before))
        return before;
    return (before.empty() ? std::string(first) : before) + ", " + std::string(question);
}

std::string without_policy(const std::string &restrictions)
{
    const auto at = restrictions.find(question);

    if (at == std::string::npos)
        return restrictions;
    const auto before = trimmed(restrictions.substr(0, at));
    const auto after = trimmed(restrictions.substr(at + question.size()));
    if (after.empty())
        return before == first ? "" : before;
    return before.empty() ? after : before + ", " + after;
}

} // namespace tallygate::cli
