// SPDX-License-Identifier: BSD-2-Clause
//
// The parts of probe(), each in a file of its own. Only probe*.cpp and their tests include this.
#pragma once

#include <string>
#include <vector>

#include "kernel/probe.hpp"

namespace tallygate::kernel {

/// The line that says whether the programs take frames of several buffers.
inline constexpr auto large_frames = "programs for large frames";

/// Instructions, tables and helpers, each by a program or map of a few entries.
std::vector<ProbeLine> probe_features();

/// The gate's own programs, loaded with tables of a few entries, and every way onto an interface
/// that they can take, tried on a pair of interfaces that nobody else sees.
std::vector<ProbeLine> probe_programs();

/// `interfaces`, or all that are up but the loopback, in the network namespace of this thread.
std::vector<ProbeLine> probe_interfaces(const std::vector<std::string> &interfaces,
                                        bool takes_fragments);

} // namespace tallygate::kernel
