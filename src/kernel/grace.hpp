// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/result.hpp"

namespace tallygate::kernel {

/// Returns when every program that was running has ended: the kernel waits for the same grace
/// period as for its own tables.
Result<void> wait_for_programs();

} // namespace tallygate::kernel
