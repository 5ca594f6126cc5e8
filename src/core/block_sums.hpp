// SPDX-License-Identifier: BSD-2-Clause
//
// The one data structure behind every answer: amounts added at addresses, summed over blocks.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "base/address.hpp"
#include "core/sorted_runs.hpp"

namespace tallygate::core {

/// Amounts by address, with the sum over any block of either family.
///
/// A block is a range of neighbouring addresses, so SortedRuns answers for it: two binary
/// searches a run, whatever the block's length. Adding costs O(log n) amortised, with a merge
/// of everything now and then. Amounts may be negative; an address whose amounts cancel leaves
/// at the next merge. Each family has runs of its own: an IPv4 address takes 12 bytes in a run
/// instead of 24, and no IPv6 block can reach it. A copy costs little: see SortedRuns.
class BlockSums {
public:
    struct Amount {
        Address address;
        std::int64_t amount = 0;
    };

    void add(const Address &address, std::int64_t amount);
    /// Adds what `other` holds in `block`. Linear in that.
    void add_all(const BlockSums &other, const Block &block);

    /// Adds amounts of one family that are in order of their addresses, each address once.
    /// Linear.
    void add_sorted(Family family, const std::vector<Amount> &amounts);

    /// The sum over the addresses of `block`. O(log² n), plus the tail.
    std::int64_t sum(const Block &block) const;

    /// How many distinct addresses of `block` hold a sum other than 0. Linear in their number.
    std::size_t addresses(const Block &block) const;

    /// Calls `visit` with each address of `block` and its sum (other than 0), in order.
    void for_each(const Block &block,
                  const std::function<void(const Address &, std::int64_t)> &visit) const;

    /// Merges everything into one run. For a window that has closed.
    void compact();

    /// Whether nothing was added, or all of it cancelled and was merged since.
    bool empty() const { return ipv4_.empty() && ipv6_.empty(); }
    /// Of heap memory in use.
    std::size_t bytes() const { return ipv4_.bytes() + ipv6_.bytes(); }

private:
    struct Ipv6Key {
        std::uint64_t high = 0;
        std::uint64_t low = 0;

        auto operator<=>(const Ipv6Key &) const = default;
    };

    static std::uint32_t ipv4_key(const Address &address);
    static Ipv6Key ipv6_key(const Address &address);
    static Address address_of(const Ipv6Key &key);

    SortedRuns<std::uint32_t> ipv4_;
    SortedRuns<Ipv6Key> ipv6_;
};

} // namespace tallygate::core
