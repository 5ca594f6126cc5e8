// SPDX-License-Identifier: BSD-2-Clause
//
// Files of CIDR blocks, as block and allow lists name them, in the formats of public drop lists.
//
// One entry a line; each line shows its own format:
//   - blank, or a comment after "#", ";" or "//"
//   - a CIDR block or address, and behind a blank, ";" or "#" anything: Spamhaus drop.txt,
//     FireHOL's netsets, ET's fwip rules, blocklist.de
//   - FIRST-LAST, blanks around the "-" or none: it becomes the fewest blocks that make it up
//   - tab-separated first address, last address, prefix length, anything: DShield's block.txt,
//     with its line of headings, which begins with "Start"
//   - a JSON object with a "cidr": Spamhaus drop_v4.json; one with "type": "metadata" is none
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.hpp"
#include "base/result.hpp"

namespace tallygate::config {

inline constexpr std::size_t list_bytes_max = 256U << 20;
inline constexpr std::size_t list_lines_max = 5'000'000;
inline constexpr std::size_t list_blocks_max = 5'000'000; ///< what ranges become, too

struct ListFile {
    std::vector<Block> blocks; ///< in the file's order, each once; of any width
    std::size_t folded = 0;    ///< entries whose host bits were cleared
};

/// What is asked of a list beside its format.
struct ListRules {
    /// Where reading ends. Repeated ones count each time.
    std::size_t blocks_max = list_blocks_max;
    std::string blocks_setting = {};                       ///< what says so, for the message
    std::function<Result<void>(const Block &)> check = {}; ///< whether a block may be in it
};

/// Reads a whole file's `text`. `file` is its name, for messages alone. Of a list with a wrong
/// line nothing is taken: the error is "FILE:LINE: expected a CIDR block, not '...'" for the
/// first such line, fit for a terminal whatever the line has.
Result<ListFile> parse_list(std::string_view text, const std::string &file,
                            const ListRules &rules = {});

/// Reads the regular file at `path`. One that cannot be read is "read PATH: the reason".
Result<ListFile> load_list(const std::string &path, const ListRules &rules = {});

} // namespace tallygate::config
