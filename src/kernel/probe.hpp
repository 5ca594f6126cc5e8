// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>
#include <vector>

namespace tallygate::kernel {

enum class Finding : unsigned char { ok, warn, fail };

/// One thing that tallygate needs or can use, and whether it is here.
struct ProbeLine {
    Finding finding = Finding::ok;
    std::string what;
    std::string detail;
    std::string mend; ///< what to do about it; empty if there is nothing to do
};

/// Tries what this machine can do, by loading the very programs, and looks at `interfaces`
/// (all that are up, if none are named). Attaches nothing and leaves nothing behind.
std::vector<ProbeLine> probe(const std::vector<std::string> &interfaces);

} // namespace tallygate::kernel
