// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/result.hpp"
#include "kernel/program.hpp"

namespace tallygate::kernel {

/// Makes the filter of the proven sources, and the hints before it, say who has a slot now, and no
/// longer who had one. On any thread but the loop's, while programs run: it waits for them. A
/// source that proves itself meanwhile may count as claimed until this returns.
Result<void> rebuild_proven_filter(const Program &program);

} // namespace tallygate::kernel
