// SPDX-License-Identifier: BSD-2-Clause
#include "config/toml_guard.hpp"

#include <utility>

namespace tallygate::config {
namespace {

constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";

/// Follows one line from its beginning. Strings on several lines are refused, so a line needs
/// to know nothing of the one before.
class Line {
public:
    /// Why the parser must not see `c`, with `next` behind it; nothing if it may.
    std::optional<std::string> refuse(char c, char next)
    {
        if (place_ == Place::comment)
            return std::nullopt;
        if (static_cast<unsigned char>(c) >= 0x80)
            return "a character beyond ASCII: expected its code in quotes, such as \"\\u00E9\"";
        return place_ == Place::quotes ? refuse_in_quotes(c, next) : refuse_outside(c);
    }

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

} // namespace

std::optional<Refusal> find_refusal(std::string_view text)
{
    SourcePosition position;
    Line line;

    if (text.starts_with(byte_order_mark))
        text.remove_prefix(byte_order_mark.size());
    for (std::size_t i = 0; i < text.size(); i++) {
        if (text[i] == '\n') {
            position = {position.line + 1, 1};
            line = Line{};
            continue;
        }
        if (text[i] == '\0')
            return Refusal{position, "the file is binary: expected TOML"};
        if (auto reason = line.refuse(text[i], i + 1 < text.size() ? text[i + 1] : '\0'))
            return Refusal{position, std::move(*reason)};
        if (i + 1 < text.size() && !continues_character(text[i + 1]))
            position.column++;
    }
    return std::nullopt;
}

} // namespace tallygate::config
