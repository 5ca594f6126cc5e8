// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "config/config.hpp"
#include "kernel/options.hpp"

namespace tallygate::daemon {

/// What the configuration says, in the words of the kernel room, which does not know it.
kernel::GateOptions make_gate_options(const config::Config &config);

} // namespace tallygate::daemon
