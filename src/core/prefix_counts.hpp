// SPDX-License-Identifier: BSD-2-Clause
//
// Counts under small whole numbers, for the prefixes of IPv4: few of them as a rule, and every
// one there is while somebody forges random sources.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <vector>

#include "core/sorted_runs.hpp"

namespace tallygate::core {

/// Amounts of 256 neighbours, of which most may be 0, as every window takes them.
struct PrefixPage {
    static constexpr unsigned numbers = 256;

    /// Of the numbers from `page` * 256 on.
    PrefixPage(std::uint32_t page, std::span<const std::uint32_t, numbers> amounts);

    std::uint32_t number;      ///< `page`
    std::uint32_t changes = 0; ///< how many are not 0
    std::uint64_t sum = 0;
    bool fit_bytes; ///< each is in `bytes`
    std::array<std::uint8_t, numbers> bytes;
    std::array<std::uint32_t, numbers> amounts;
};

/// A count for each number below 2^bits that has one.
///
/// While there are few they are SortedRuns, 12 bytes each. From one in 32 on, each number has a
/// byte whether it has a count or not, and what goes beyond 255 is kept in pages of 256: all
/// 2^24 /24s take 17 MiB while they are hit a hundred times each, where runs would take 200.
/// No hash: an attacker chooses the numbers, and a known hash would let him choose the cost.
class PrefixCounts {
public:
    using Number = std::uint32_t;

    /// `bits` is 8 to 24.
    explicit PrefixCounts(unsigned bits) : bits_(bits) {}

    void add(Number number, std::uint64_t amount);
    /// As add() of each, at a small part of the cost while it is dense.
    void add(const PrefixPage &page);

    /// The counts of `first` to `last`, inclusive, together. At most O(2^bits / 256).
    std::uint64_t sum(Number first, Number last) const;

    /// How many numbers have a count, or some more.
    std::size_t entries() const;
    /// Calls `visit` with each number that has a count, in order.
    void for_each(const std::function<void(Number, std::uint64_t)> &visit) const;

    /// Whether each number has its place.
    bool is_dense() const { return !low_.empty(); }
    /// For a window that has closed.
    void compact() { sparse_.compact(); }
    /// Of heap memory in use.
    std::size_t bytes() const;

private:
    static constexpr unsigned page_numbers = PrefixPage::numbers;
    // A walk brings hundreds of thousands at once; a sum scans this in some 2 µs.
    using Sparse = SortedRuns<Number, 4096>;
    using Page = std::array<std::uint16_t, page_numbers>;

    Number numbers() const { return Number{1} << bits_; }
    void make_dense();
    void add_dense(Number number, std::uint64_t amount);
    void add_bytes(const PrefixPage &page);
    void carry(Number number, std::uint64_t amount);
    std::uint64_t dense_at(Number number) const;
    std::uint64_t sum_dense(Number first, Number last) const;

    unsigned bits_;
    Sparse sparse_;
    std::vector<std::uint8_t> low_;         ///< by number; empty while it is sparse
    std::vector<std::uint64_t> page_sums_;  ///< by number / 256
    std::map<Number, Page> middle_;         ///< by number / 256: in units of 2^8
    std::map<Number, std::uint64_t> above_; ///< by number: in units of 2^24
};

} // namespace tallygate::core
