// SPDX-License-Identifier: BSD-2-Clause
//
// tc filters on clsact: the way onto a card before tcx (6.6), which has links. A filter belongs
// to its interface: it stays until it is removed by netlink, in the interface's own namespace.
#pragma once

#include <cstdint>

#include "base/result.hpp"
#include "kernel/pins.hpp"

namespace tallygate::kernel {

/// Adds or replaces our filter. `kind` of the name is "clsact_ingress" or "clsact_egress".
/// An interface may have an ingress qdisc instead of clsact: ingress goes there, and egress is
/// EBUSY. Precondition: this thread is in the name's network namespace.
Result<void> put_clsact(const LinkName &name, int program_fd);

/// The id of our filter's program; 0 if there is no such filter. Precondition: as above.
std::uint32_t clsact_program(const LinkName &name);

/// Removes our filter, from whatever namespace the interface lives in. One that is gone with
/// its interface or its namespace is no error. The clsact queue itself stays: it may be
/// somebody else's by now.
Result<void> remove_clsact(const LinkName &name);

} // namespace tallygate::kernel
