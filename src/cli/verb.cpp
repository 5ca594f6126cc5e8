// SPDX-License-Identifier: BSD-2-Clause
#include "cli/verb.hpp"

#include <array>

#include "base/address.hpp"

namespace tallygate::cli {

std::span<const Verb *const> all_verbs()
{
    static constexpr std::array verbs = {&status_verb, &live_verb,     &count_verb,
                                         &top_verb,    &networks_verb, &reload_verb};
    return verbs;
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
    constexpr std::size_t digits_max = 9;
    const bool digits_only = text.find_first_not_of("0123456789") == std::string::npos;

    if (!text.empty() && digits_only && text.size() <= digits_max)
        return "";
    return "'" + text + "' is not a number: expected 0 or more";
}

} // namespace tallygate::cli
