// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "core/lists.hpp"

namespace tallygate::daemon {

/// What control has set, as state.dir/lists.json keeps it: JSON with one entry a line. Pure.
std::string encode_entries(const std::vector<core::ListEntry> &entries);

/// All or none: a file with a mistake is not ours, and whom it blocks nobody can tell.
Result<std::vector<core::ListEntry>> decode_entries(std::string_view bytes);

} // namespace tallygate::daemon
