// SPDX-License-Identifier: BSD-2-Clause
//
// The one data structure behind every answer: amounts added at addresses, summed over blocks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/address.hpp"

namespace tallygate::core {

/// Amounts by address, with the sum over any block of either family.
///
/// Sorted runs whose sizes double (the logarithmic method): an amount joins a small unsorted
/// tail; a full tail becomes a run, and runs of like size merge. Each run carries prefix sums,
/// so a block costs two binary searches a run, whatever its length. Adding costs O(log n)
/// amortised, with a merge of everything now and then. Amounts may be negative; an address
/// whose amounts cancel leaves at the next merge.
class BlockSums {
public:
    void add(const Address &address, std::int64_t amount);

    /// The sum over the addresses of `block`. O(log² n), plus the tail.
    std::int64_t sum(const Block &block) const;

    /// How many distinct addresses of `block` hold a sum other than 0. Linear in their number.
    std::size_t addresses(const Block &block) const;

    /// Calls `visit` with each address of `block` and its sum (other than 0), in order.
    void for_each(const Block &block,
                  const std::function<void(const Address &, std::int64_t)> &visit) const;

    /// Merges everything into one run. For a window that has closed.
    void compact();

    bool empty() const;
    std::size_t bytes() const;
};

} // namespace tallygate::core
