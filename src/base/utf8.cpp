// SPDX-License-Identifier: BSD-2-Clause
#include "base/utf8.hpp"

#include <cstddef>
#include <cstdint>

namespace tallygate {
namespace {

/// How many bytes of `text` are its first character; 0 if that is none. RFC 3629.
std::size_t character_bytes(std::string_view text)
{
    const auto first = static_cast<std::uint8_t>(text.front());
    if (first < 0x80)
        return first >= 0x20 && first != 0x7f ? 1 : 0;
    const std::size_t bytes = first < 0xc2   ? 0
                              : first < 0xe0 ? 2
                              : first < 0xf0 ? 3
                              : first < 0xf5 ? 4
                                             : 0;
    if (bytes == 0 || text.size() < bytes)
        return 0;
    std::uint32_t number = first & (0xffU >> (bytes + 1));
    for (std::size_t i = 1; i < bytes; i++) {
        const auto next = static_cast<std::uint8_t>(text[i]);
        if ((next & 0xc0) != 0x80)
            return 0;
        number = number << 6 | (next & 0x3f);
    }
    const bool is_shortest = bytes == 2 || number >= (bytes == 3 ? 0x800U : 0x10000U);
    const bool is_surrogate = number >= 0xd800 && number <= 0xdfff;
    const bool is_control = number < 0xa0;
    return is_shortest && !is_surrogate && !is_control && number <= 0x10ffff ? bytes : 0;
}

} // namespace

bool is_plain_text(std::string_view text)
{
    while (!text.empty()) {
        const auto bytes = character_bytes(text);
        if (bytes == 0)
            return false;
        text.remove_prefix(bytes);
    }
    return true;
}

} // namespace tallygate
