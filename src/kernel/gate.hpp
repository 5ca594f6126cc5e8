// SPDX-License-Identifier: BSD-2-Clause
//
// The gate as the daemon holds it: programs, attachments, tables and walks behind the seam that
// the rest of the daemon knows (core::Gate).
#pragma once

#include <tallygate/abi.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "core/seams.hpp"
#include "kernel/attachment.hpp"
#include "kernel/claims_walk.hpp"
#include "kernel/explain.hpp"
#include "kernel/limits.hpp"
#include "kernel/lists.hpp"
#include "kernel/map_view.hpp"
#include "kernel/networks.hpp"
#include "kernel/options.hpp"
#include "kernel/pins.hpp"
#include "kernel/prefix_walk.hpp"
#include "kernel/program.hpp"
#include "kernel/reconcile.hpp"
#include "kernel/repeats.hpp"
#include "kernel/services.hpp"
#include "kernel/slot_recycler.hpp"
#include "kernel/totals.hpp"
#include "kernel/walk.hpp"

namespace tallygate::kernel {

/// Something that happened to a table, beside the verdicts: "claim_evicted".
struct TableEventCount {
    std::string event;
    std::uint64_t count = 0;
};

/// Which of those are recent.
class EventHistory {
public:
    static constexpr std::chrono::seconds span{60};

    /// Reads them once in a span.
    void note(std::chrono::nanoseconds now,
              const std::function<std::vector<TableEventCount>()> &read);
    /// How much one has grown over the last span, or up to two.
    std::uint64_t growth(const std::vector<TableEventCount> &now, std::size_t event) const;

private:
    std::optional<std::chrono::nanoseconds> noted_at_;
    std::vector<TableEventCount> before_;
    std::vector<TableEventCount> latest_;
};

/// Told of changes of sources, some hundreds at a time.
using ChangesSink = std::function<void(std::span<const core::SourceChange>)>;

class KernelGate : public core::Gate {
public:
    /// Loads, adopts or makes the tables, and attaches. Until the first walk nothing is told
    /// to `sink`, which must outlive the gate.
    static Result<std::unique_ptr<KernelGate>> start(const GateOptions &options, ChangesSink sink);

    /// Takes other options without losing a count or a flow. After an error nothing that
    /// counts has changed. The pin directory and the table sizes stay what they were.
    Result<void> reconfigure(const GateOptions &options);

    /// Says that the daemon still stands behind what is dropped. To be called several times in the
    /// shortest lease, which is a second.
    void renew_lease();
    /// Tells the sink of all proven sources, and of those that send most.
    void walk();
    /// Tells the sink of about `entries` more claimed sources, and says whether they were the
    /// last of a round.
    bool walk_claims(std::uint32_t entries);
    /// Tells of the prefixes in the next slice, of about a millisecond, and says whether it was the
    /// last of a round.
    bool walk_prefixes(const PrefixSink &sink);
    /// Tells of the prefixes of a block, or of the one around it, if they are few; says whether.
    bool refresh_prefixes(const Block &block, const PrefixSink &sink);
    /// For tables that another daemon filled, before the first walk: goes on where `told`, which
    /// is of these tables, ends.
    void resume(const core::Told &told, const LiveSink &sink);
    /// The same, when nobody knows what was told: everything counts as told. Of prefixes nobody
    /// ever knows.
    void skip_to_present(const LiveSink &sink);
    /// What the sink was told so far, which a later daemon may resume.
    core::Told told() const { return {parts_.sources.told(), parts_.claims.told()}; }

    /// Begins a round of comparing flows with sockets, if that is configured and can be had;
    /// says whether it did.
    Result<bool> begin_reconcile();
    /// Goes on with it by a few hundred entries, and says whether it is complete.
    Result<bool> step_reconcile();
    /// Whether the last round has found what a second one may mend.
    bool reconcile_doubts() const { return parts_.reconcile && parts_.reconcile->doubts() != 0; }
    /// For tables that were made just now: a flow for every connection that is open already.
    Result<void> adopt_connections();

    /// Gives slots of sources that were idle for longer than `idle` to others, if the table is
    /// nearly full. Call each second or so: each call takes a step.
    void recycle_sources(std::chrono::seconds idle);
    /// What told() gave is being written down, and later: it is on the disk.
    void told_is_being_saved() { recycler_.note_saving(); }
    void told_is_saved() { recycler_.note_saved(); }

    /// Calls with each proven source that a walk has met.
    void visit_proven(const ProvenVisitor &visitor) const { parts_.sources.visit(visitor); }

    bool maps_adopted() const { return parts_.program->maps_adopted(); }
    const std::map<std::string, core::ServiceId> &service_ids() const
    {
        return parts_.services.ids();
    }
    /// Also of services that were configured once: their counts are still in the tables.
    const std::map<std::string, core::ServiceId> &known_service_ids() const
    {
        return parts_.services.known_ids();
    }

    /// Attaches again what is lost.
    void repair_attachments(Attachments::Occasion occasion) { attachments_->repair(occasion); }
    /// Whether packets are forwarded here: then no flow has a socket on this machine.
    bool is_gateway() const { return configured_ && !configured_->inside.empty(); }

    /// Puts these lists, of ListTable::build(), in the place of all that are in force.
    Result<void> replace_lists(BuiltLists built);
    /// For ListTable::build().
    std::uint32_t lists_max() const { return parts_.lists.entries_max(); }

    std::vector<TableEventCount> table_events() const;

    core::Mode mode() const override;
    void set_mode(core::Mode mode, std::optional<std::chrono::nanoseconds> at_most) override;
    Result<void> change_lists(const std::vector<core::ListNode> &put,
                              const std::vector<Block> &removed) override;
    std::vector<core::LimitCounts> limits() const override { return parts_.limits.counts(); }
    Result<core::Explanation> explain(const Address &address, core::ServiceId service) override;

    bool refresh(const Block &block) override;
    Result<std::uint64_t> count_flows(const Block &block, const std::optional<Endpoint> &listener,
                                      std::optional<core::ServiceId> service) const override;
    core::Tally service_tally(core::ServiceId service, Family family) const override;
    std::vector<core::VerdictCount> verdicts() const override;
    std::vector<core::NetworkCounts> networks() const override { return parts_.networks.counts(); }
    core::GateStatus status() const override;
    core::UnixTime counting_since() const override;
    unsigned ipv6_source_bits() const override { return parts_.settings[0].ipv6_source_bits; }

private:
    /// Everything that start() makes in turn. Tables borrow the program, attachments the pins
    /// as well: those two stay where they are.
    struct Parts {
        std::unique_ptr<PinDir> pins;
        std::unique_ptr<Program> program;
        Result<Reconcile> reconcile; ///< or why there is none: the gate counts without it
        Result<Explainer> explainer; ///< the same
        ServiceTable services;
        NetworkTable networks;
        SourceWalk sources;
        ClaimsWalk claims;
        PrefixWalk prefixes;
        RepeatsReader repeats;
        Totals totals;
        LimitTable limits;
        ListTable lists;
        MappedArray<tg_settings> settings;
    };

    static Result<Parts> make_parts(const GateOptions &options);
    KernelGate(Parts parts, ChangesSink sink);

    Result<void> apply(const GateOptions &options);
    void remember(const core::ProvenSources &sources);
    void apply_settings(const GateOptions &options);
    void end_rejections();
    void note_recycled(const Result<void> &done);
    void put_lease(std::chrono::nanoseconds now);
    void note_lists();
    void add_held_back(core::Explanation &told, core::ServiceId service) const;
    std::vector<core::TableUse> table_uses() const;
    std::vector<std::string> warnings(const std::vector<core::TableUse> &tables) const;
    std::uint64_t live_total() const;
    Result<void> begin_round(Reconcile::Adopt adopt);
    core::ReconcileStatus reconcile_status() const;
    void add_eviction_warnings(std::vector<std::string> &sentences) const;
    void add_reconcile_warnings(std::vector<std::string> &sentences) const;

    Parts parts_;
    std::optional<Attachments> attachments_;
    std::optional<GateOptions> configured_; ///< what was last taken whole
    ChangesSink sink_;
    std::chrono::seconds lease_{60};
    std::optional<std::chrono::nanoseconds> enforcing_until_; ///< CLOCK_MONOTONIC
    EventHistory events_;
    SlotRecycler recycler_;
    std::string recycle_failure_; ///< as the log has it already
};

} // namespace tallygate::kernel
