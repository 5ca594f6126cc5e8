// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "core/audit.hpp"
#include "frontend/actions.hpp"

namespace tallygate::daemon {

/// With the name that /etc/passwd has for the number. Directories on the network are not asked:
/// everybody would wait for them.
core::Requester requester_of(const frontend::Asker &asker);

} // namespace tallygate::daemon
