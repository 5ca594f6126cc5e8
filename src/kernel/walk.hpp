// SPDX-License-Identifier: BSD-2-Clause
//
// Walks: what the gate has counted since the last look becomes changes for the ledger. This one is
// over the sources that are proven; claims_walk.hpp and prefix_walk.hpp have the others.
#pragma once

#include <tallygate/abi.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "base/address.hpp"
#include "base/result.hpp"
#include "core/ledger.hpp"
#include "core/snapshot.hpp"
#include "kernel/dirty_bits.hpp"
#include "kernel/map_view.hpp"
#include "kernel/program.hpp"
#include "kernel/repeats.hpp"

namespace tallygate::kernel {

using ChangeSink = std::function<void(const core::SourceChange &)>;
/// Told of the flows of a source that are open already.
using LiveSink =
    std::function<void(const Address &source, core::ServiceId service, std::int64_t live)>;

/// A proven source as its slot stands.
struct ProvenSlot {
    Address source;
    core::ServiceId service = 0;
    core::Tally tally;
};
using ProvenVisitor = std::function<void(std::uint32_t slot, const ProvenSlot &)>;

/// The proven sources' slots, which are mapped: no system call.
class SourceWalk {
public:
    static Result<SourceWalk> open(const Program &program);

    /// Goes on where another walk over these slots was when its told() was `told`: the next walk
    /// tells what came since. Before the first walk.
    void resume(const core::SharedArray<core::Tally> &told, const RepeatsReader &repeats,
                const LiveSink &sink);
    /// Takes the totals as they stand for told: nobody hears of what happened before, but of
    /// what is open. Before the first walk.
    void skip_to_present(const LiveSink &sink);
    /// What has been told so far, by slot.
    const core::SharedArray<core::Tally> &told() const { return told_; }

    /// Looks at every slot that has changed since the last walk; in the first, at each.
    void walk(const ChangeSink &sink);

    /// Looks at the slots of a block's sources, if there are at most `sources_max` of them.
    bool walk_block(const Block &block, std::size_t sources_max, const ChangeSink &sink);

    /// Looks at the slots of sources that the CPUs hold counts of, with those counts.
    void walk_repeats(const RepeatsReader &repeats, const ChangeSink &sink);

    /// Calls with each slot that a walk has met, in order.
    void visit(const ProvenVisitor &visitor) const;

    /// Of a slot that is in use, as it stands.
    core::Tally tally(std::uint32_t slot) const;

    /// Handed out at some time.
    std::uint32_t slots_used() const;
    std::uint32_t slots_max() const { return slots_.entries_max(); }
    /// Of those that were handed out, what was released, and not in use again when last looked at.
    std::uint32_t slots_unused() const { return static_cast<std::uint32_t>(unlisted_.size()); }
    /// Of nobody: never used, or released.
    std::uint32_t slots_free() const { return slots_max() - slots_used() + slots_unused(); }
    bool is_used(std::uint32_t slot) const { return slots_[slot].used != 0; }
    tg_source_key key_of(std::uint32_t slot) const;

    /// The time, on any clock, of what is told from now on.
    void set_time(std::chrono::seconds time) { time_ = time; }
    /// Slots with nothing open of which nothing was told for longer than `idle`, at most `rows_max`
    /// of the next `looked_at_max`.
    std::vector<std::uint32_t> find_idle(std::chrono::seconds idle, std::uint32_t looked_at_max,
                                         std::size_t rows_max);
    /// Nothing is open, and all was told.
    bool is_over(std::uint32_t slot) const;
    /// From now on only the index leads to this slot, or who is at it already.
    void mark_leaving(std::uint32_t slot) const;
    /// Empties the slot, which no program holds any more: it is nobody's.
    void release(std::uint32_t slot);

private:
    bool is_of(const Residual &residual, std::uint32_t slot) const;
    std::map<std::uint32_t, core::Tally> sums_with(const RepeatsReader &repeats) const;
    struct Entry {
        Address source;
        std::uint32_t slot;

        auto operator<=>(const Entry &) const = default;
    };

    SourceWalk(MappedArray<tg_source> slots, MappedArray<tg_progress> progress, DirtyBits dirty)
        : slots_(std::move(slots)), progress_(std::move(progress)), dirty_(std::move(dirty))
    {
    }

    void begin_at(std::uint32_t slot, const core::Tally &told, const LiveSink &sink);
    void look_at(std::uint32_t slot, const ChangeSink &sink);
    void tell(std::uint32_t slot, const core::Tally &tally, const ChangeSink &sink);
    void find_new_slots();
    void drop_released();
    void sort_recent();
    void list_slot(std::uint32_t slot);

    MappedArray<tg_source> slots_;
    MappedArray<tg_progress> progress_;
    DirtyBits dirty_;                     ///< by slot
    core::SharedArray<core::Tally> told_; ///< by slot
    std::vector<bool> is_listed_;         ///< by slot
    std::vector<std::uint32_t> told_at_;  ///< by slot, in seconds
    std::vector<std::uint32_t> unlisted_; ///< handed out, and not in use when last looked at
    std::vector<Entry> sorted_;
    std::vector<Entry> recent_;           ///< not in order yet
    std::vector<std::uint32_t> released_; ///< since drop_released()
    std::uint32_t idle_cursor_ = 0;
    std::chrono::seconds time_{0};
};

} // namespace tallygate::kernel
