// SPDX-License-Identifier: BSD-2-Clause
#include "churn/commands.hpp"

#include <unistd.h>

#include <cstdio>
#include <sstream>

namespace churn {

/// A byte a time: what is read ahead would not be seen by who waits for the descriptor.
std::optional<Command> read_command()
{
    std::string line;
    char byte = 0;

    while (::read(STDIN_FILENO, &byte, 1) == 1) {
        if (byte == '\n') {
            std::istringstream words(line);
            Command command;
            words >> command.word >> command.number;
            return command;
        }
        line += byte;
    }
    return std::nullopt;
}

void answer(std::initializer_list<std::pair<std::string_view, std::uint64_t>> numbers)
{
    std::string line;

    for (const auto &[name, number] : numbers)
        line +=
            (line.empty() ? "{\"" : ", \"") + std::string(name) + "\": " + std::to_string(number);
    std::printf("%s}\n", line.c_str());
    std::fflush(stdout);
}

} // namespace churn
