// SPDX-License-Identifier: BSD-2-Clause
//
// The idents of anvil as bytes, for the file that outlives the daemon.
#pragma once

#include <deque>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "frontend/anvil_table.hpp"

namespace tallygate::frontend {

std::string encode_anvil_saved(const std::deque<AnvilSaved> &idents);

/// Takes what encode_anvil_saved() made. Anything else is an error that says what is wrong with it.
Result<std::deque<AnvilSaved>> decode_anvil_saved(std::string_view bytes);

} // namespace tallygate::frontend
