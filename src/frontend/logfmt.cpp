// SPDX-License-Identifier: BSD-2-Clause
#include "frontend/logfmt.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace tallygate::frontend {
namespace {

bool is_bare(char byte)
{
    return byte > 0x20 && byte < 0x7f && byte != '"' && byte != '\\' && byte != '=';
}

std::string quoted(std::string_view value)
{
    std::string text = "\"";

    for (const char byte : value) {
        if (byte == '"' || byte == '\\')
            text += '\\';
        text += byte >= 0x20 && byte < 0x7f ? byte : '?';
    }
    return text + "\"";
}

} // namespace

Logfmt &Logfmt::add_bare(std::string_view key, std::string_view value)
{
    text_ += text_.empty() ? "" : " ";
    text_ += key;
    text_ += '=';
    text_ += value;
    return *this;
}

Logfmt &Logfmt::add(std::string_view key, std::string_view value)
{
    if (!value.empty() && std::ranges::all_of(value, is_bare))
        return add_bare(key, value);
    return add_bare(key, quoted(value));
}

Logfmt &Logfmt::add(std::string_view key, std::int64_t value)
{
    return add_bare(key, std::to_string(value));
}

Logfmt &Logfmt::add(std::string_view key, std::uint64_t value)
{
    return add_bare(key, std::to_string(value));
}

Logfmt &Logfmt::add(std::string_view key, double value)
{
    std::array<char, 512> buffer;
    const auto [end, error] =
        std::to_chars(buffer.data(), buffer.data() + buffer.size(),
                      std::isfinite(value) ? value : 0.0, std::chars_format::fixed);
    return add_bare(key, {buffer.data(), end});
}

Logfmt &Logfmt::add(std::string_view key, bool value)
{
    return add_bare(key, value ? "true" : "false");
}

} // namespace tallygate::frontend
