// SPDX-License-Identifier: BSD-2-Clause
//
// `tallygate`, all of it but the process: arguments in, texts and an exit code out.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "cli/exit_code.hpp"

namespace tallygate::cli {

struct Outcome {
    ExitCode exit_code = ExitCode::ok;
    std::string out; ///< for the standard output
    std::string err; ///< for the standard error
    /// Of a verb that goes on: what comes after `pause`. Nothing for all others.
    std::function<Outcome()> next{};
    std::chrono::milliseconds pause{0};
    /// Whether `out` takes the place of the one before on a terminal.
    bool is_view = false;
};

/// `arguments` are without the program's name. $TALLYGATE_SOCKET and $SSH_CONNECTION are read from
/// the environment.
Outcome run(const std::vector<std::string> &arguments);

} // namespace tallygate::cli
