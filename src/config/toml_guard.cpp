// SPDX-License-Identifier: BSD-2-Clause
#include "config/toml_guard.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <iterator>
#include <optional>
#include <utility>

#include "base/utf8.hpp"

namespace tallygate::config {
namespace {

constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";

bool is_beyond_ascii(char c)
{
    return static_cast<unsigned char>(c) >= 0x80;
}

/// Follows one line from its beginning. Strings on several lines are refused, so a line needs
/// to know nothing of the one before.
class Line {
public:
    /// Why the parser must not see `c`, with `next` behind it; nothing if it may.
    std::optional<std::string> refuse(char c, char next)
    {
        if (place_ == Place::comment)
            return std::nullopt;
        if (is_beyond_ascii(c))
            return "a character beyond ASCII: expected it in a text between double quotes";
        return place_ == Place::quotes ? refuse_in_quotes(c, next) : refuse_outside(c);
    }

    /// Whether an escape means what it says here: behind a backslash it would not.
    [[nodiscard]] bool takes_escape() const
    {
        return place_ == Place::quotes && quote_ == '"' && !is_escaped_;
    }
    void pass_character() { is_empty_ = false; }

private:
    enum class Place { outside, quotes, comment };

    std::optional<std::string> refuse_outside(char c)
    {
        if (c == '.' && ++dots_ > line_dots_max)
            return "more than " + std::to_string(line_dots_max) +
                   " dots outside quotes: expected [SECTION] or KEY = VALUE";
        if (c == '#')
            place_ = Place::comment;
        if (c == '"' || c == '\'') {
            place_ = Place::quotes;
            quote_ = c;
            is_empty_ = true;
            is_escaped_ = false;
        }
        return std::nullopt;
    }

    std::optional<std::string> refuse_in_quotes(char c, char next)
    {
        if (is_escaped_) {
            is_escaped_ = false;
        } else if (c == '\\' && quote_ == '"') {
            is_escaped_ = true;
        } else if (c == quote_) {
            if (is_empty_ && next == quote_)
                return "a string on several lines: expected it on one";
            place_ = Place::outside;
        }
        is_empty_ = false;
        return std::nullopt;
    }

    Place place_ = Place::outside;
    char quote_ = '"';
    bool is_empty_ = false; ///< nothing since the opening quote
    bool is_escaped_ = false;
    std::size_t dots_ = 0;
};

bool continues_character(char c)
{
    return (static_cast<unsigned char>(c) & 0xc0U) == 0x80;
}

/// The bytes of the character that `text` begins with; empty if they are no UTF-8, or control.
std::string_view first_character(std::string_view text)
{
    std::size_t length = 1;
    while (length < text.size() && continues_character(text[length]))
        length++;
    const auto bytes = text.substr(0, length);
    return is_plain_text(bytes) ? bytes : std::string_view{};
}

/// "\u00E9"
std::string escape_of(std::string_view character)
{
    const unsigned lead_bits = character.size() == 2 ? 0x1fU : character.size() == 3 ? 0xfU : 0x7U;
    std::uint32_t code = static_cast<unsigned char>(character.front()) & lead_bits;
    for (const char c : character.substr(1))
        code = code << 6U | (static_cast<unsigned char>(c) & 0x3fU);

    std::array<char, sizeof "\\U00000000"> escape{};
    std::snprintf(escape.data(), escape.size(), code > 0xffff ? "\\U%08X" : "\\u%04X", code);
    return escape.data();
}

} // namespace

void Columns::add(SourcePosition seen, std::uint32_t length)
{
    const bool continues = !escapes_.empty() && escapes_.back().seen.line == seen.line;
    const auto before = continues ? escapes_.back().excess : 0;
    escapes_.push_back({seen, length, before + length - 1});
}

SourcePosition Columns::in_file(SourcePosition seen) const
{
    const auto behind = std::ranges::upper_bound(escapes_, seen, {}, &Escape::seen);
    if (behind == escapes_.begin() || std::prev(behind)->seen.line != seen.line)
        return seen;
    const auto &last = *std::prev(behind);
    if (seen.column >= last.seen.column + last.length)
        return {seen.line, seen.column - last.excess};
    return {seen.line, last.seen.column - (last.excess - (last.length - 1))};
}

std::variant<Guarded, Refusal> guard(std::string_view text)
{
    Guarded guarded;
    SourcePosition position; // in the file
    SourcePosition seen;     // by the parser
    Line line;
    const std::size_t mark = text.starts_with(byte_order_mark) ? byte_order_mark.size() : 0;

    guarded.text.reserve(text.size());
    guarded.text += text.substr(0, mark);
    for (std::size_t i = mark; i < text.size();) {
        const char next = i + 1 < text.size() ? text[i + 1] : '\0';
        if (text[i] == '\0')
            return Refusal{position, "the file is binary: expected TOML"};
        if (is_beyond_ascii(text[i]) && line.takes_escape()) {
            const auto character = first_character(text.substr(i));
            if (character.empty())
                return Refusal{position, "a byte that is no UTF-8, or no character for a text"};
            const auto escape = escape_of(character);
            guarded.text += escape;
            guarded.columns.add(seen, static_cast<std::uint32_t>(escape.size()));
            line.pass_character();
            position.column++;
            seen.column += static_cast<std::uint32_t>(escape.size());
            i += character.size();
            continue;
        }
        if (auto reason = line.refuse(text[i], next))
            return Refusal{position, std::move(*reason)};
        guarded.text += text[i];
        if (text[i] == '\n') {
            position = seen = {position.line + 1, 1};
            line = Line{};
        } else if (!continues_character(next)) {
            position.column++;
            seen.column++;
        }
        i++;
    }
    return guarded;
}

} // namespace tallygate::config
