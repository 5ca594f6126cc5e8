// SPDX-License-Identifier: BSD-2-Clause
//
// How a test steers a process of the churn: a line with a word and a number on standard input,
// one line of JSON on standard output when that is done. The end of the input ends the process.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace churn {

struct Command {
    std::string word;
    std::uint64_t number = 0;
};

/// The next line, waited for; nothing at the end of the input.
std::optional<Command> read_command();

void answer(std::initializer_list<std::pair<std::string_view, std::uint64_t>> numbers);

} // namespace churn
