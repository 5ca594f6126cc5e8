// SPDX-License-Identifier: BSD-2-Clause
//
// What would have been right: the names that a refusal lists, the same for every protocol.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/question.hpp"

namespace tallygate::frontend {

/// For an error of core::Questions with Wrong::unknown; empty for any other. `service` and
/// `event` are those of the question.
std::vector<std::string> known_names(const core::Questions &questions, const Error &error,
                                     const std::optional<std::string> &service,
                                     core::Counted event = core::Event::connections);

/// Why no report of the service would be taken; nothing if one would.
std::optional<std::string> service_refusal(const core::Questions &questions,
                                           const std::string &service);

} // namespace tallygate::frontend
