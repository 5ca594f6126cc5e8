// SPDX-License-Identifier: BSD-2-Clause
//
// Named series as bytes, for the file that outlives the daemon. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "core/series.hpp"

namespace tallygate::core {

/// All definitions, and the counts of those that persist.
std::string encode_series(const AuditSeries::All &series, UnixTime now);

/// Puts the header before a body, with its length and checksum.
std::string seal_series(std::string_view body);

/// Takes what encode_series() made; anything else is an error that says what is wrong with it: "its
/// checksum is wrong". What does not persist has no counts, and began at `now`.
Result<std::vector<Series>> decode_series(std::string_view bytes, UnixTime now);

} // namespace tallygate::core
