// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/result.hpp"
#include "config/config.hpp"
#include "core/policy.hpp"
#include "core/seams.hpp"
#include "daemon/lists_keeper.hpp"

namespace tallygate::daemon {

core::ListPolicy list_policy(const config::Config &config);

/// The lists of a configuration, with all files that it names. Of a configuration with a mistake
/// in any of them nothing is taken: the error has the form of the parser's, and its code is
/// bad_configuration.
Result<ListsKeeper::Groups> load_list_groups(const config::Config &config,
                                             const core::ListPolicy &policy, core::UnixTime now);

} // namespace tallygate::daemon
