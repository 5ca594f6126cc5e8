// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string_view>

namespace tallygate {

/// Whole characters in UTF-8, in their shortest form, none of them for control.
bool is_plain_text(std::string_view text);

} // namespace tallygate
