// SPDX-License-Identifier: BSD-2-Clause
//
// Keeps from toml++ 3.3 what it cannot read safely.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/config.hpp"

namespace tallygate::config {

struct Refusal {
    SourcePosition position;
    std::string reason;
};

/// A chain of dotted keys makes a table of each, and a table is freed by recursion. With this and
/// TOML_MAX_NESTED_VALUES the depth is bounded, whatever the file's size.
inline constexpr std::size_t line_dots_max = 100;

/// Where in the file stands what the parser has seen further to the right, behind escapes.
class Columns {
public:
    /// A character stands at `seen` as an escape of `length` columns. In the order of the text.
    void add(SourcePosition seen, std::uint32_t length);
    [[nodiscard]] SourcePosition in_file(SourcePosition seen) const;

private:
    struct Escape {
        SourcePosition seen;
        std::uint32_t length;
        std::uint32_t excess; ///< columns that its line has too many behind it
    };
    std::vector<Escape> escapes_;
};

struct Guarded {
    std::string text; ///< for the parser
    Columns columns;
};

/// `text` with each character beyond ASCII between double quotes as its escape; or the first of
/// what the parser must not see: a zero byte; another character beyond ASCII that is not in a
/// comment (outside quotes toml++ runs into its own "unreachable" there, and where quotes begin in
/// a broken line only the parser knows); a string on several lines, where the same can happen; more
/// than `line_dots_max` dots outside quotes in one line.
std::variant<Guarded, Refusal> guard(std::string_view text);

} // namespace tallygate::config
