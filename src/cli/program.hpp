// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"

namespace tallygate::cli {

struct ProgramEnd {
    int exit_code = 0; ///< 128 and its number for a signal, as a shell has it
    std::string out;
    std::string err;
};

/// Runs a program of the path, which takes in /usr/sbin, to its end, without a shell and with
/// nothing to read. An error is that it could not be begun.
Result<ProgramEnd> run_program(const std::vector<std::string> &words);

} // namespace tallygate::cli
