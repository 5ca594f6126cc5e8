// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <vector>

#include "config/config.hpp"
#include "core/seams.hpp"
#include "frontend/daemon_facts.hpp"
#include "kernel/options.hpp"

namespace tallygate::daemon {

/// What the configuration says, in the words of the kernel room, which does not know it.
kernel::GateOptions make_gate_options(const config::Config &config);
core::Mode configured_mode(const config::Config &config);

/// The limits in the configuration's own words, for those who ask.
std::vector<frontend::LimitFacts> limit_facts(const config::Config &config);

} // namespace tallygate::daemon
