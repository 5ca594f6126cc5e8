// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <vector>

#include "base/result.hpp"
#include "daemon/lists_keeper.hpp"

namespace tallygate::daemon {

/// Whom no list and no limit may ever hold: loopback, the addresses of this machine, and its
/// gateways. As things are now; without what the kernel would not tell, which is logged.
std::vector<ListsKeeper::Protected> protected_addresses();

} // namespace tallygate::daemon
