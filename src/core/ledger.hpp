// SPDX-License-Identifier: BSD-2-Clause
//
// The daemon's windows over what the gate counts. Pure: it is told what happened and when.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/address.hpp"
#include "base/result.hpp"
#include "core/block_sums.hpp"
#include "core/monitor.hpp"
#include "core/network_windows.hpp"
#include "core/prefix_windows.hpp"
#include "core/reported_windows.hpp"
#include "core/seams.hpp"
#include "core/source_set.hpp"
#include "core/window.hpp"

namespace tallygate::core {

enum class Event : std::uint8_t { connections, syn, dropped };
inline constexpr std::size_t event_count = 3;

std::string_view event_name(Event event);
/// "connections", "syn" or "dropped"; else an error that names them.
Result<Event> parse_event(std::string_view text);

/// What one source did at one service since it was last looked at.
struct SourceChange {
    Address source; ///< an IPv6 source is the first address of its block
    ServiceId service = 0;
    std::uint64_t syn = 0;
    std::uint64_t opened = 0;
    std::uint64_t closed = 0;
    std::uint64_t dropped = 0;
    /// The source proved nothing and may be forged: each window takes in so many of those
    /// (SourceSet), and counts for nobody what the others did.
    bool claimed = false;
};

/// One line of `top`.
struct SourceRow {
    Address source;
    std::int64_t live = 0;
    std::int64_t connections = 0;
    std::int64_t syn = 0;

    auto operator<=>(const SourceRow &) const = default;
};

enum class TopBy : std::uint8_t { live, connections, syn };

/// Whether `row` comes before `other` in a list by `by`: more first, then by address.
bool comes_before(const SourceRow &row, const SourceRow &other, TopBy by);

/// All that a ledger knows of one event at one service. What is attributed is under its source;
/// what is not, under its family's first address. The totals are what was recorded of the
/// gate's totals, by family: they say what reconcile() owes.
struct EventBook {
    WindowsBySize attributed;
    WindowsBySize unattributed;
    std::array<std::uint64_t, 2> attributed_total{};
    std::array<std::int64_t, 2> unattributed_total{};

    std::int64_t missing(Family family, std::uint64_t total) const;
    void forget_totals();
};
using EventBooks = std::array<EventBook, event_count>;

class Ledger {
public:
    explicit Ledger(std::vector<Monitor> monitors);

    const std::vector<Monitor> &monitors() const { return monitors_; }
    /// Takes another list of monitors. Windows of a monitor that stays are kept; a monitor
    /// with the same window size and another number keeps what fits.
    void set_monitors(std::vector<Monitor> monitors, UnixTime now);

    /// Since when the windows of `monitor`, one of monitors(), are kept; 1970 for those that were
    /// there from the beginning.
    UnixTime kept_since(const Monitor &monitor) const;
    const KeptBySize &kept() const { return kept_; }
    /// Of windows that are restored: how many were kept, and since when. Others begin now.
    void restore_kept(const KeptBySize &kept, UnixTime now);

    void record(const SourceChange &change, UnixTime now) { record(std::span{&change, 1}, now); }
    /// Of a flood of claimed sources hundreds of thousands change a second: many at once cost
    /// a small part of what they cost one by one.
    void record(std::span<const SourceChange> changes, UnixTime now);

    /// SYNs to all services of a /24 of IPv4 or a /48 of IPv6. Record a round of the sources
    /// and claims first, then one of these: what is known of a prefix is then never less than
    /// what is known of its sources. prefixes().set_since() says from when on they are believed.
    void record_prefix(const Block &prefix, std::uint64_t syn, UnixTime now)
    {
        prefixes_.add(prefix, syn, now);
    }
    /// The same of neighbouring /24s, from the one with number `first` (its first 24 bits) on.
    void record_ipv4_prefixes(std::uint32_t first, std::span<const std::uint32_t> syn, UnixTime now)
    {
        prefixes_.add_ipv4(first, syn, now);
    }
    /// What the gate counted of one of the operator's networks, its nested ones included.
    void record_network(const Block &network, const Tally &difference, UnixTime now)
    {
        networks_.record(network, difference, now);
    }
    /// For the windows of prefixes.
    void set_syn_memory(std::size_t bytes) { prefixes_.set_memory(bytes); }
    const PrefixWindows &prefixes() const { return prefixes_; }
    PrefixWindows &prefixes() { return prefixes_; }
    const NetworkWindows &networks() const { return networks_; }
    NetworkWindows &networks() { return networks_; }
    /// What front-ends report.
    const ReportedWindows &reported() const { return reported_; }
    ReportedWindows &reported() { return reported_; }

    /// Tells the true totals of a service and family, after what is known of their sources was
    /// recorded. A claimed source may be forgotten before anybody looked at it: the SYNs and
    /// drops by which the truth exceeds the records are charged to the windows of `now`, to the
    /// family as a whole, and taken back if their source turns up after all.
    void reconcile(ServiceId service, Family family, const Tally &total, UnixTime now);

    /// How many SYNs or drops of `total` were neither recorded nor charged yet; less than 0 if
    /// sources turned up of what was charged to nobody.
    std::int64_t owed(ServiceId service, Family family, Event event, const Tally &total) const;

    /// Whether every SYN and drop in `total` was recorded or charged by reconcile().
    bool is_reconciled(ServiceId service, Family family, const Tally &total) const;

    /// Flows open now in `block`; without a service, at all of them.
    std::int64_t live(const Block &block, std::optional<ServiceId> service) const;

    /// Events of `block` in the windows `start` (the newer) to `end` (the older), inclusive.
    /// `monitor` must be one of monitors(), and start <= end < its windows.
    std::int64_t count(const Block &block, std::optional<ServiceId> service, Event event,
                       const Monitor &monitor, std::uint32_t start, std::uint32_t end,
                       UnixTime now) const;

    /// Events in the same windows that some address of `family` caused, and nobody knows which:
    /// any block's true count may be higher by as much, and that of the whole family is.
    std::int64_t unattributed(Family family, std::optional<ServiceId> service, Event event,
                              const Monitor &monitor, std::uint32_t start, std::uint32_t end,
                              UnixTime now) const;

    /// The sources of `block` with the most of `by`, most first, at most `rows_max`; none that
    /// has 0 of it. Connections and SYNs are those of all windows that `monitor` keeps.
    std::vector<SourceRow> top(const Block &block, std::optional<ServiceId> service, TopBy by,
                               const Monitor &monitor, std::size_t rows_max, UnixTime now) const;

    /// What outlives this process, by service: everything but the live counts. A copy that
    /// costs little (see SortedRuns), and that another thread may read.
    std::map<ServiceId, EventBooks> books() const;
    /// Takes such books for a service; of the windows, those that a monitor keeps.
    void restore(ServiceId service, EventBooks books);
    /// Says how many flows of a source are open, of which nothing was recorded here.
    void restore_live(const Address &source, ServiceId service, std::int64_t live);
    /// Takes the totals of a service and family for recorded: reconcile() owes nothing of them.
    void take_for_recorded(ServiceId service, Family family, const Tally &total);

    /// Forgets windows that no monitor keeps any more, neither now nor when this was last asked.
    /// Call now and then.
    ///
    /// What a clock that jumps does: events stay in the window of the time that the clock showed
    /// when they were recorded, and a question counts back from what it shows now. Nothing is
    /// counted twice, and no total or live count asks the clock. Set forward, or after a suspend,
    /// what came before is as old as the clock says. Set back, it waits for its time to come if
    /// that is no further than a monitor reaches, and is forgotten otherwise.
    void forget_old(UnixTime now);

    std::size_t bytes() const;

private:
    class Recording;

    struct ServiceBook {
        /// The claimed sources that the newest window of a size took in.
        struct Claimed {
            std::int64_t index = 0;
            SourceSet sources;
        };

        BlockSums live;
        EventBooks events;
        std::map<std::uint32_t, Claimed> claimed;

        EventBook &of(Event event) { return events[static_cast<std::size_t>(event)]; }
        const EventBook &of(Event event) const { return events[static_cast<std::size_t>(event)]; }
    };

    ServiceBook &book_of(ServiceId service);
    std::vector<const ServiceBook *> books_of(std::optional<ServiceId> service) const;
    void fit_windows(ServiceBook &book) const;
    void take_monitors(std::vector<Monitor> monitors);

    std::vector<Monitor> monitors_;
    std::map<std::uint32_t, std::uint32_t> windows_by_size_; ///< the most that a monitor keeps
    KeptBySize kept_;
    std::map<ServiceId, ServiceBook> books_;
    PrefixWindows prefixes_;
    NetworkWindows networks_;
    ReportedWindows reported_;
    std::optional<UnixTime> forgot_at_;
};

} // namespace tallygate::core
