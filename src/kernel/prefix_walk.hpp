// SPDX-License-Identifier: BSD-2-Clause
//
// SYNs by prefix: the mapped counters of each IPv4 /24, and of as many IPv6 /48 as fit.
#pragma once

#include <tallygate/abi.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "base/address.hpp"
#include "base/result.hpp"
#include "kernel/map_view.hpp"
#include "kernel/program.hpp"
#include "kernel/repeats.hpp"
#include "kernel/zeroed_array.hpp"

namespace tallygate::kernel {

/// Told of SYNs that came since it was told last.
struct PrefixSink {
    /// Of neighbouring /24s, from the one with number `first` (its first 24 bits) on: a whole
    /// page of them, of which most may have none, or a single one.
    std::function<void(std::uint32_t first, std::span<const std::uint32_t> syn)> ipv4;
    /// Of a /48.
    std::function<void(const Block &prefix, std::uint64_t syn)> ipv6;
};

class PrefixWalk {
public:
    /// A slice, which takes about a millisecond: so many pairs are looked at, or as many as it
    /// takes to find so many pages or /24s that have changed, or so many ways of IPv6.
    static constexpr std::uint32_t slice_pairs = TG_PREFIX_PAIRS / 16;
    static constexpr std::uint32_t slice_pages = 256;
    static constexpr std::uint32_t slice_changes = 8192;
    static constexpr std::uint32_t slice_ways = 8192;

    static Result<PrefixWalk> open(const Program &program);

    /// Looks at the next slice, and at the prefixes that the CPUs hold counts of, with those
    /// counts; says whether it was the last slice of a round.
    bool walk_some(const RepeatsReader &repeats, const PrefixSink &sink);

    /// Looks at the prefixes of a block, or the one around it, with the counts that the CPUs hold,
    /// if there are at most `prefixes_max` of them; says whether it did. For a block of IPv6
    /// that is its own /48 alone.
    bool walk_block(const Block &block, std::uint32_t prefixes_max, const RepeatsReader &repeats,
                    const PrefixSink &sink);

    /// Takes what is counted for told, with what the CPUs hold back, which would be news when it
    /// moves. Before the first walk. There is no going on where another walk was: what it was told
    /// is as large as the table.
    void skip_to_present(const RepeatsReader &repeats);

private:
    /// A way of the IPv6 table as it was told last.
    struct Told {
        std::uint64_t prefix; ///< 0: none
        std::uint64_t syn;
        bool is_settled; ///< its count is its own: see look_at_ipv6()
    };

    PrefixWalk(MappedArray<tg_prefix_pair> ipv4, MappedArray<tg_ipv6_prefixes> ipv6,
               const TableConstants &constants)
        : ipv4_(std::move(ipv4)), ipv6_(std::move(ipv6)), constants_(constants),
          told_ipv4_(ipv4_.entries_max()),
          told_ipv6_(std::size_t{ipv6_.entries_max()} * TG_BUCKET_WAYS)
    {
    }

    /// Of a prefix, what a table has and CPUs hold back.
    struct Sum {
        std::uint64_t prefix; ///< as in Residual
        std::uint64_t syn;
    };

    bool walk_slice(const PrefixSink &sink);
    void walk_ipv4(const PrefixSink &sink);
    std::vector<Sum> table_sums(const std::vector<Residual> &residuals) const;
    void tell_held_back(const std::vector<Residual> &before, const RepeatsReader &repeats,
                        const PrefixSink &sink);
    void look_at_ipv4(std::uint32_t first, std::uint32_t count, const PrefixSink &sink);
    void look_at_ipv6(std::uint32_t place, const PrefixSink &sink);
    std::uint32_t tell_page(std::uint32_t first, const PrefixSink &sink);
    void tell_ipv4(std::uint32_t number, std::uint32_t syn, const PrefixSink &sink);
    void tell_ipv6(std::uint32_t place, std::uint64_t syn, const PrefixSink &sink);
    std::uint32_t &told_of(std::uint32_t number);
    std::uint32_t counted_of(std::uint32_t number) const;
    std::optional<std::uint32_t> find_ipv6(std::uint64_t prefix) const;

    MappedArray<tg_prefix_pair> ipv4_;
    MappedArray<tg_ipv6_prefixes> ipv6_;
    TableConstants constants_;
    ZeroedArray<tg_prefix_pair> told_ipv4_;
    ZeroedArray<Told> told_ipv6_; ///< by bucket * TG_BUCKET_WAYS + way
    std::uint32_t next_pair_ = 0;
    std::uint32_t next_way_ = 0; ///< when the pairs are over
};

} // namespace tallygate::kernel
