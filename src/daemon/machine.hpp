// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "config/config.hpp"

namespace tallygate::daemon {

/// What in a configuration only this machine can refuse: an interface that does not exist. The
/// message has the form of the parser's: FILE:LINE:COLUMN. Its code is bad_configuration.
Result<void> check_machine(const config::Config &config);

/// The code of an Error that is the configuration's fault; no errno has it.
inline constexpr int bad_configuration = 10'078;

/// A sentence for each setting of `now` that a reload cannot put in force over `running`.
std::vector<std::string> list_restart_only(const config::Config &running,
                                           const config::Config &now);

} // namespace tallygate::daemon
