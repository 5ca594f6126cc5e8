// SPDX-License-Identifier: BSD-2-Clause
//
// From all that a ledger holds about a block to the bounds of its count. What a source did, the
// gate may forget before anybody looked at it; totals by prefix, network and family it may not.
#pragma once

#include <cstdint>
#include <optional>

#include "base/address.hpp"
#include "core/ledger.hpp"

namespace tallygate::core {

/// A question without its words: `block` is of whole sources, and `start` to `end` are windows of
/// `monitor`, which the ledger has.
struct Asked {
    Block block = Block::all(Family::ipv4);
    std::optional<ServiceId> service = {};
    Event event = Event::connections;
    Monitor monitor;
    std::uint32_t start = 0;
    std::uint32_t end = 0;
    UnixTime now;
    UnixTime since; ///< when anybody began to count
    /// Of a whole family, what the gate has counted up to now and the ledger does not have yet.
    std::int64_t owed = 0;

    bool is_whole_family() const { return block == Block::all(block.family()); }
};

/// What is known of a count: it is at least `lower`, and at most `upper`, which is not less. The
/// lower one is also the best single number. The rest says which records it rests on, and so
/// how old it is.
struct Bounds {
    std::int64_t lower = 0;
    std::int64_t upper = 0;
    bool by_sources = false; ///< and what reconcile() charged to families
    bool by_prefixes = false;
    bool by_networks = false; ///< of which no question reads what is new
};

/// Bounds hold as of the time up to which all records it rests on are complete. Between the
/// walks of sources, claims and prefixes, one record can be ahead of another by what came
/// meanwhile: no difference of two is taken for less than 0, so the bounds stay in order.
Bounds bound_count(const Ledger &ledger, const Asked &asked);

} // namespace tallygate::core
