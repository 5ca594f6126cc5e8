// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "core/seams.hpp"

namespace tallygate::frontend {

/// What front-ends tell about the daemon itself. The daemon owns it and keeps it true.
struct DaemonFacts {
    std::string version; ///< "0.1.0"
    int pid = 0;
    core::UnixTime started;
    std::string config_file;
    std::chrono::nanoseconds walk_last{0}; ///< how long the last walk of the tallies took
    std::vector<std::string> warnings;     ///< sentences for the operator, besides the gate's
};

} // namespace tallygate::frontend
