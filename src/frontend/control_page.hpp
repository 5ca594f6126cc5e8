// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>

#include "frontend/control_json.hpp"

namespace tallygate::frontend {

/// `/`: what this is and how it is, for a person with a browser. Asks nobody for anything.
std::string page_html(const StatusReport &report);

} // namespace tallygate::frontend
