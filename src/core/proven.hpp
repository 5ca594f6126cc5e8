// SPDX-License-Identifier: BSD-2-Clause
//
// Who has proven himself, for tables that are made anew: as one value and as bytes.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.hpp"
#include "base/result.hpp"
#include "core/seams.hpp"

namespace tallygate::core {

/// A source that completed a handshake, and when a connection of it was seen last.
struct ProvenSource {
    Address source;
    std::chrono::sys_seconds seen;

    auto operator<=>(const ProvenSource &) const = default;
};

/// By the name of the service.
using ProvenSources = std::map<std::string, std::vector<ProvenSource>>;

/// Those seen at `oldest` or later, and of them the `sources_max` that were seen last.
ProvenSources latest(ProvenSources sources, std::chrono::sys_seconds oldest,
                     std::size_t sources_max);

/// Header and body; of a service, the sources in order of their addresses.
std::string encode_proven(ProvenSources sources);

/// Puts the header before a body, with its length and checksum.
std::string seal_proven(std::string_view body);

/// Takes what encode_proven() made. Anything else is an error that says what is wrong with it.
Result<ProvenSources> decode_proven(std::string_view bytes);

} // namespace tallygate::core
