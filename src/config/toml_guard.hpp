// SPDX-License-Identifier: BSD-2-Clause
//
// Keeps from toml++ 3.3 what it cannot read safely. None of it belongs in a configuration.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "config/config.hpp"

namespace tallygate::config {

struct Refusal {
    SourcePosition position;
    std::string reason;
};

/// A chain of dotted keys makes a table of each, and a table is freed by recursion. With this and
/// TOML_MAX_NESTED_VALUES the depth is bounded, whatever the file's size.
inline constexpr std::size_t line_dots_max = 100;

/// The first of: a zero byte; a character beyond ASCII that is not in a comment (outside quotes
/// toml++ runs into its own "unreachable" there, and where quotes begin in a broken line only
/// the parser knows); a string on several lines, where the same can happen; more than
/// `line_dots_max` dots outside quotes in one line.
std::optional<Refusal> find_refusal(std::string_view text);

} // namespace tallygate::config
