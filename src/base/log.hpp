// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <spdlog/spdlog.h>

namespace tallygate {

/// Sends log lines to stderr, in the form that the reader of stderr wants: with the syslog
/// level in front when that is the journal, else with the time. Call once, in main.
void set_up_log(bool verbose);

} // namespace tallygate
