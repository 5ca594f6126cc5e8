// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tallygate::core {

/// Letters of ASCII alone.
std::string lower_case(std::string_view text);

/// "one, two, three"
std::string listed(const std::vector<std::string> &names);

/// "\"60,10\", \"900,4\"": of what has commas itself.
std::string listed_in_quotes(const std::vector<std::string> &names);

/// 0x20 to 0x7e.
bool is_printable(std::string_view text);

} // namespace tallygate::core
