// SPDX-License-Identifier: BSD-2-Clause
#include "cli/screen.hpp"

#include <sstream>

namespace tallygate::cli {

std::string on_screen(const std::string &text, ScreenSize size)
{
    constexpr auto home = "\x1b[H";
    constexpr auto clear_rest_of_line = "\x1b[K";
    constexpr auto clear_below = "\x1b[J";
    std::istringstream lines{text};
    std::string shown = home;
    std::string line;

    // The last row is the cursor's.
    for (std::size_t row = 1; row < size.rows && std::getline(lines, line); row++)
        shown += line.substr(0, size.columns) + clear_rest_of_line + "\n";
    return shown + clear_below;
}

} // namespace tallygate::cli
