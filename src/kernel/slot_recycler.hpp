// SPDX-License-Identifier: BSD-2-Clause
//
// Slots of proven sources that stopped coming are given to others. Without it a table would be
// full for good one day, and nobody new could prove himself.
#pragma once

#include <tallygate/abi.h>

#include <chrono>
#include <cstdint>
#include <future>
#include <vector>

#include "base/result.hpp"
#include "kernel/constants.hpp"
#include "kernel/program.hpp"
#include "kernel/walk.hpp"

namespace tallygate::kernel {

/// A slot is on one of these lists at a time, and goes from each to the next:
///
///     leaving   out of the index: no packet finds it any more, but one may still hold it
///     released  nobody holds it, and it is empty; a snapshot may still say whose it was
///     saving    the same, and a snapshot that knows better is being written
///
/// From there it goes to freed_slots, for the next who proves himself. Who comes again while his
/// slot is leaving gets another one; the one that he had stays while it has open flows.
class SlotRecycler {
public:
    /// From seven eighths of the table on so many slots are kept ready, if enough sources are idle.
    /// No more, because every walk looks whether one of them is in use.
    static constexpr std::uint32_t released_wanted = 4096;
    /// Looked at in one step, so that it takes less than a millisecond.
    static constexpr std::uint32_t looked_at_max = 65'536;

    /// Borrows the program.
    explicit SlotRecycler(const Program &program);

    /// Finds the slots that a daemon had emptied and not given back when it ended: they are
    /// released, as if by step(). For tables that were there before, before the first step.
    Result<void> reclaim(SourceWalk &walk);

    /// Goes on by a step: takes sources out that have been idle for longer than `idle`, if slots
    /// are wanted, or releases those that nobody holds any more. Never waits.
    Result<void> step(SourceWalk &walk, std::chrono::seconds idle);

    /// A snapshot of the walk's told() is being written, and later: it is on the disk. Until then
    /// a slot is given to nobody: a daemon that went on from an older snapshot would take the next
    /// owner's counts for the last one's.
    void note_saving();
    void note_saved();

    /// Sources whose slots were given to freed_slots.
    std::uint64_t left_total() const { return left_total_; }

private:
    using Slots = std::vector<std::uint32_t>;

    static bool is_wanted(const SourceWalk &walk);
    Result<void> take_out(const SourceWalk &walk, const Slots &slots);
    void add_leaving(const Slots &slots);
    void release(SourceWalk &walk);
    Result<void> give_back(const Slots &slots);
    Result<Slots> drain();
    void clean_filter();

    const Program &program_;
    Slots leaving_;
    Slots released_;
    Slots saving_;
    std::future<Result<void>> grace_;  ///< until nobody holds what is leaving
    std::future<Result<void>> filter_; ///< being made anew
    std::uint64_t left_total_ = 0;
    std::uint64_t filter_made_at_ = 0; ///< left_total_ then
};

} // namespace tallygate::kernel
