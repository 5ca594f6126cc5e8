// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>

#include "base/result.hpp"
#include "config/config.hpp"

namespace tallygate::daemon {

struct ReplayRequest {
    std::string capture; ///< the file's path
    bool as_json = false;
    bool by_source = false;
};

/// Runs a capture through the gate's programs and writes what they counted to `out`, also when
/// the file turns out to be damaged or SIGINT comes: the error says so, and where. Nothing is
/// written if there is nothing to count.
Result<void> replay_capture(const config::Config &config, const ReplayRequest &request,
                            std::ostream &out);

} // namespace tallygate::daemon
