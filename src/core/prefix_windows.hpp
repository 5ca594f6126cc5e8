// SPDX-License-Identifier: BSD-2-Clause
//
// Windows of SYNs by prefix, all services together: what stays known of a block when every
// source in it is forged.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "base/address.hpp"
#include "core/monitor.hpp"
#include "core/prefix_counts.hpp"
#include "core/seams.hpp"
#include "core/sorted_runs.hpp"

namespace tallygate::core {

/// How finely a window tells prefixes apart: not at all, /16 (IPv6: /32), or /24 (/48) too.
enum class Detail : std::uint8_t { none, coarse, fine };

/// The length of such a prefix, in bits of the 16-byte form. Not of Detail::none.
unsigned prefix_bits(Family family, Detail detail);

/// `block` itself, or the prefix of that detail around it if it is longer.
Block widened(const Block &block, Detail detail);

/// The windows of each size that a monitor keeps. The coarse level stays as long as its window;
/// the fine one as long as all fits the memory: the oldest windows lose it first, and of those
/// that are still open the longest. What a window lost, it does not get back.
class PrefixWindows {
public:
    static constexpr std::size_t memory_default = std::size_t{128} << 20;
    /// More /32s of IPv6 than that in one window are not told apart: nobody but a forger has
    /// them, and their SYNs are in the family's total.
    static constexpr std::size_t ipv6_coarse_max = std::size_t{1} << 16;
    /// The fine level takes up to 12 bytes for each in a snapshot; windows past that go coarse.
    static constexpr std::size_t snapshot_fine_max = std::size_t{1} << 18;

    /// One window. `has_fine` and `fine` are by family.
    struct Window {
        bool is_whole = true; ///< false: some SYNs of its time were not recorded here
        std::array<bool, 2> has_fine{true, true};
        PrefixCounts coarse_ipv4{16};
        PrefixCounts fine_ipv4{24};
        SortedRuns<std::uint64_t> coarse_ipv6; ///< by the first 32 bits
        SortedRuns<std::uint64_t> fine_ipv6;   ///< by the first 48 bits

        std::size_t fine_bytes(Family family) const;
        std::size_t bytes() const;
        void drop_fine(Family family);
        void compact();
    };
    using ByIndex = std::map<std::int64_t, Window>;
    using BySize = std::map<std::uint32_t, ByIndex>;

    /// Neighbouring windows of one detail, by absolute index, both included.
    struct Span {
        Detail detail = Detail::none;
        std::int64_t oldest = 0;
        std::int64_t newest = 0;
    };

    /// Keeps so many windows of each size.
    void set_windows(const std::map<std::uint32_t, std::uint32_t> &windows_by_size);
    /// For everything in here. A table that grows may exceed it until the next few thousand
    /// records.
    void set_memory(std::size_t bytes) { memory_ = bytes; }

    /// Says from when on every SYN is recorded here; until then nothing in here is believed.
    void set_since(UnixTime since) { since_ = since; }
    std::optional<UnixTime> since() const { return since_; }
    /// Says that SYNs were not recorded which else had been now, as when a daemon starts that
    /// does not know how far another one had come: the windows of now are not believed.
    void lose(UnixTime now);

    /// `prefix` is a /24 of IPv4 or a /48 of IPv6, or is cut to one.
    void add(const Block &prefix, std::uint64_t syn, UnixTime now);
    /// The same of neighbouring /24s of IPv4, from number `first` on, of which most may have none:
    /// a flood of forged sources changes millions of them a second. Whole /16s cost least.
    void add_ipv4(std::uint32_t first, std::span<const std::uint32_t> syn, UnixTime now);

    /// What is known of a family in the windows `oldest` to `newest`, the oldest span first.
    /// A window with nothing in it is known finely. `counting_since` is when anybody began to
    /// count: of what was before, there is nothing to know.
    std::vector<Span> spans(Family family, std::uint32_t window_seconds, std::int64_t oldest,
                            std::int64_t newest, UnixTime counting_since) const;

    /// The SYNs of `block` in the windows of `span`, which has the detail that the block's
    /// length needs.
    std::int64_t sum(const Block &block, std::uint32_t window_seconds, const Span &span) const;

    /// As Windows::forget_old().
    void forget_old(UnixTime now, UnixTime before);

    const BySize &by_size() const { return by_size_; }
    /// Puts back a window that by_size() showed.
    void restore(std::uint32_t window_seconds, std::int64_t index, Window window);
    /// Takes all windows of a snapshot, in place of those in here; of them, those that a
    /// monitor keeps.
    void restore(PrefixWindows saved);
    /// A copy for another thread, without what is too large for a snapshot.
    PrefixWindows for_snapshot() const;

    std::size_t bytes() const;

private:
    struct Place {
        std::uint32_t window_seconds;
        std::int64_t index;
    };

    std::vector<Window *> open_windows(UnixTime now);
    void note_added(std::size_t adds, bool became_dense, UnixTime now);
    void fit_memory(UnixTime now);
    std::optional<Place> next_to_coarsen(UnixTime now) const;

    std::map<std::uint32_t, std::uint32_t> windows_by_size_;
    BySize by_size_;
    std::size_t memory_ = memory_default;
    std::optional<UnixTime> since_;
    std::size_t added_since_fit_ = 0;
};

} // namespace tallygate::core
