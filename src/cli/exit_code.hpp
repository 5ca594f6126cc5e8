// SPDX-License-Identifier: BSD-2-Clause
#pragma once

namespace tallygate::cli {

/// What scripts may rely on; the list may only grow.
enum class ExitCode : int {
    ok = 0,
    failed = 1,
    usage = 2,
    unreachable = 3, ///< no daemon on the socket, or one that does not answer
    not_permitted = 4,
    not_found = 5, ///< a service, a monitor or an event that nobody knows
    refused = 6,   ///< by protection
    bad_configuration = 78,
};

} // namespace tallygate::cli
