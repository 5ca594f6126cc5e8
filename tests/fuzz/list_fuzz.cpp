// SPDX-License-Identifier: BSD-2-Clause
//
// Any bytes as a file of a list: blocks that a second reading gives again, or one line with its
// place.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "config/list_file.hpp"

namespace {

using namespace tallygate;

void require(bool holds)
{
    if (!holds)
        std::abort();
}

void check_list(const config::ListFile &list)
{
    std::string text;

    for (const auto &block : list.blocks)
        text += block.text() + "\n";
    const auto again = config::parse_list(text, "t.txt");
    require(static_cast<bool>(again));
    require(again->blocks == list.blocks && again->folded == 0);

    auto sorted = list.blocks;
    std::sort(sorted.begin(), sorted.end());
    require(std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end());
}

/// "t.txt:LINE: expected ...", fit for a terminal and not long.
void check_message(const std::string &message)
{
    constexpr std::string_view prefix = "t.txt:";
    const auto end = message.find_first_not_of("0123456789", prefix.size());

    require(message.starts_with(prefix) && end > prefix.size());
    require(message.compare(end, 11, ": expected ") == 0 && message.size() < 400);
    for (const char c : message)
        require(static_cast<unsigned char>(c) >= 0x20 && static_cast<unsigned char>(c) < 0x7f);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size)
{
    const std::string_view text{reinterpret_cast<const char *>(data), size};
    const auto parsed = config::parse_list(text, "t.txt");

    if (parsed)
        check_list(*parsed);
    else
        check_message(parsed.error().message);
    return 0;
}
