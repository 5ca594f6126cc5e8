// SPDX-License-Identifier: BSD-2-Clause
#include "core/text.hpp"

#include <algorithm>

namespace tallygate::core {

std::string lower_case(std::string_view text)
{
    std::string lower{text};

    for (char &letter : lower)
        if (letter >= 'A' && letter <= 'Z')
            letter = static_cast<char>(letter - 'A' + 'a');
    return lower;
}

std::string listed(const std::vector<std::string> &names)
{
    std::string list;

    for (const auto &name : names)
        list += (list.empty() ? "" : ", ") + name;
    return list;
}

std::string listed_in_quotes(const std::vector<std::string> &names)
{
    std::string list;

    for (const auto &name : names)
        list += (list.empty() ? "\"" : ", \"") + name + "\"";
    return list;
}

bool is_printable(std::string_view text)
{
    return std::ranges::all_of(text, [](char each) { return each >= 0x20 && each < 0x7f; });
}

} // namespace tallygate::core
