// SPDX-License-Identifier: BSD-2-Clause
//
// Walks: what the gate has counted since the last look becomes changes for the ledger.
#pragma once

#include <tallygate/abi.h>

#include <cstdint>
#include <functional>
#include <unordered_map>
#include <vector>

#include "base/address.hpp"
#include "base/result.hpp"
#include "core/ledger.hpp"
#include "core/snapshot.hpp"
#include "kernel/map_view.hpp"
#include "kernel/program.hpp"

namespace tallygate::kernel {

using ChangeSink = std::function<void(const core::SourceChange &)>;
/// Told of the flows of a source that are open already.
using LiveSink =
    std::function<void(const Address &source, core::ServiceId service, std::int64_t live)>;

/// The proven sources' slots, which are mapped: no system call.
class SourceWalk {
public:
    static Result<SourceWalk> open(const Program &program);

    /// Goes on where another walk over these slots was when its told() was `told`: the next walk
    /// tells what came since. Before the first walk.
    void resume(const std::vector<core::Tally> &told, const LiveSink &sink);
    /// Takes the totals as they stand for told: nobody hears of what happened before, but of
    /// what is open. Before the first walk.
    void skip_to_present(const LiveSink &sink);
    /// What has been told so far, by slot.
    const std::vector<core::Tally> &told() const { return told_; }

    /// Looks at every slot.
    void walk(const ChangeSink &sink);

    /// Looks at the slots of a block's sources, if there are at most `sources_max` of them.
    bool walk_block(const Block &block, std::size_t sources_max, const ChangeSink &sink);

    std::uint32_t slots_used() const;
    std::uint32_t slots_max() const { return slots_.entries_max(); }

private:
    struct Entry {
        Address source;
        std::uint32_t slot;

        auto operator<=>(const Entry &) const = default;
    };

    SourceWalk(MappedArray<tg_source> slots, MappedArray<tg_progress> progress)
        : slots_(std::move(slots)), progress_(std::move(progress))
    {
    }

    tg_source_key key_of(std::uint32_t slot) const;
    void begin_at(std::uint32_t slot, const core::Tally &told, const LiveSink &sink);
    void look_at(std::uint32_t slot, const ChangeSink &sink);
    void find_new_slots();
    void sort_recent();

    MappedArray<tg_source> slots_;
    MappedArray<tg_progress> progress_;
    std::vector<core::Tally> told_;       ///< by slot
    std::vector<bool> is_listed_;         ///< by slot
    std::vector<std::uint32_t> unlisted_; ///< handed out, and not in use when last looked at
    std::vector<Entry> sorted_;
    std::vector<Entry> recent_; ///< not in order yet
};

/// The claimed sources' table, a slice at a time: it is read by system calls.
class ClaimsWalk {
public:
    static Result<ClaimsWalk> open(const Program &program);

    /// Looks at about `entries` more claims, and says whether they were the last of a round.
    Result<bool> walk_some(std::uint32_t entries, const ChangeSink &sink);
    /// Goes on where another walk over these claims was when its told() was `told`.
    void resume(const std::vector<core::Told::Claim> &told);
    Result<void> skip_to_present();
    /// What has been told so far, in no order.
    std::vector<core::Told::Claim> told() const;

private:
    using View = MapView<tg_source_key, tg_claim>;

    struct KeyHash {
        std::size_t operator()(const tg_source_key &key) const;
    };
    struct KeyEqual {
        bool operator()(const tg_source_key &one, const tg_source_key &other) const;
    };
    struct Told {
        tg_claim claim;
        std::uint32_t round;
    };

    explicit ClaimsWalk(View view) : view_(std::move(view)) {}

    View view_;
    View::Position position_;
    std::uint32_t round_ = 0;
    std::unordered_map<tg_source_key, Told, KeyHash, KeyEqual> told_;
};

} // namespace tallygate::kernel
