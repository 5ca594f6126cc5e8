// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <algorithm>
#include <chrono>

namespace tallygate::daemon {

/// How long work that comes again and again rests after it: `factor` times what it took, so that it
/// takes one part in `factor` + 1 of the time, but `max` at most.
struct Rest {
    using Duration = std::chrono::steady_clock::duration;

    int factor;
    Duration max;

    Duration after(Duration took) const { return std::min(factor * took, max); }
};

} // namespace tallygate::daemon
