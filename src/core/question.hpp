// SPDX-License-Identifier: BSD-2-Clause
//
// Questions that front-ends ask, and the answers that they print. A front-end turns its
// protocol into a question; nothing in here knows a protocol.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/address.hpp"
#include "base/result.hpp"
#include "core/count_bounds.hpp"
#include "core/ledger.hpp"
#include "core/reports.hpp"
#include "core/seams.hpp"
#include "core/wrong.hpp"

namespace tallygate::core {

/// What can be counted: what the gate sees, and what front-ends report.
using Counted = std::variant<Event, Reported>;

std::string_view counted_name(Counted event);
std::vector<std::string> counted_names();
/// One of counted_names(); else an error that names them.
Result<Counted> parse_counted(std::string_view text);

struct LiveQuestion {
    Block block = Block::all(Family::ipv4);
    std::optional<std::string> service = {};
    std::optional<Endpoint> listener = {}; ///< excludes `service`
};

struct CountQuestion {
    Block block = Block::all(Family::ipv4);
    std::string monitor = {};                        ///< "60,10", one of the configured ones
    std::optional<std::uint32_t> monitor_index = {}; ///< in place of that: 0 is the first one
    std::uint32_t start = 0;
    std::optional<std::uint32_t> end = {}; ///< start, if it is not given
    Counted event = Event::connections;
    std::optional<std::string> service = {}; ///< of a report, also one that is not guarded
    /// The current window, and of the one before as much as this one has still to come: current +
    /// previous x (1 - elapsed / size), rounded. Excludes start and end.
    bool smooth = false;
};

struct TopQuestion {
    std::optional<Block> block = {}; ///< both families, if it is not given
    std::optional<std::string> service = {};
    TopBy by = TopBy::connections;
    std::optional<std::string> monitor = {}; ///< the first configured one, if it is not given
    std::size_t rows_max = 10;               ///< 1 to 1,000
};

/// A value with its bounds and its time.
struct Answer {
    std::int64_t value = 0;
    bool exact = true;
    std::int64_t lower = 0; ///< lower <= value <= upper; all equal when exact
    std::int64_t upper = 0;
    /// Value over the span elapsed: whole windows, but of window 0 only what is over, and never
    /// less than a second. 0 for live.
    double rate_per_second = 0;
    UnixTime as_of; ///< all that the gate had counted until then is included
    UnixTime since; ///< what was before this, nobody counted
};

/// Answers questions from the ledger, after asking the gate for what it has just counted.
/// Errors carry a Wrong as their code and name what is known; code 0 is the gate's failure, and
/// nobody's who asked. Borrows everything.
///
/// Connections are exact. SYNs and drops of sources that the gate forgot before it was read, or
/// that no window took in, are known by number only: they are in the value for a whole family,
/// which stays exact and is counted up to now, and in the upper bound for any other block. The
/// totals of prefixes and networks say more about SYNs: see bound_count(). An IPv6 block longer
/// than what the gate takes for one source gets that source's count as its upper bound.
class Questions {
public:
    static constexpr std::size_t rows_max = 1'000;

    Questions(Ledger &ledger, Gate &gate, const Clock &clock);

    /// The configured services. Replaced at a reload.
    void set_services(std::map<std::string, ServiceId> services);
    const std::map<std::string, ServiceId> &services() const { return services_; }
    /// The names that a question about `event` may have: the configured ones, and of reports
    /// those that were reported.
    std::vector<std::string> services_of(Counted event) const;

    Result<Answer> live(const LiveQuestion &question);
    Result<Answer> count(const CountQuestion &question);
    Result<std::vector<SourceRow>> top(const TopQuestion &question);

    const Ledger &ledger() const { return ledger_; }
    Gate &gate() { return gate_; }
    const Clock &clock() const { return clock_; }
    /// Told after each walk of the proven sources, when all its changes are recorded: how old
    /// an answer about a large block may be.
    void set_walked_at(UnixTime walked_at) { walked_at_ = walked_at; }
    UnixTime walked_at() const { return walked_at_; }
    /// Told after each walk of the prefixes and networks, when all of it is recorded.
    void set_prefixes_walked_at(UnixTime walked_at) { prefixes_walked_at_ = walked_at; }
    /// Records what the gate has just counted of the prefixes of a block, or of the one around
    /// it, if they are few enough to be read while somebody waits, and answers whether it did.
    /// Called after Gate::refresh(), so that no source is ahead of its prefix. Without it, SYNs
    /// are as old as the walk; those of a network are so with it as well.
    using RefreshPrefixes = std::function<bool(const Block &)>;
    void set_refresh_prefixes(RefreshPrefixes refresh) { refresh_prefixes_ = std::move(refresh); }
    /// Told around each round over the claimed sources, which takes several slices: what the
    /// gate had counted when the round began, and no source showed by its end, is charged to
    /// the family as a whole.
    void begin_claims_round();
    void end_claims_round();
    /// When the ledger's windows began: when this was made, unless they were restored.
    void set_windows_since(UnixTime since) { windows_since_ = since; }

private:
    Result<std::optional<ServiceId>> find_service(const std::optional<std::string> &name) const;
    Result<Monitor> find_monitor(const std::string &text) const;
    Result<Monitor> find_monitor(const CountQuestion &question) const;
    Result<void> check_service(const CountQuestion &question) const;
    Answer count_windows(const CountQuestion &question, const Monitor &monitor,
                         const WindowRange &range);
    Answer count_seen(const CountQuestion &question, Event event, const Monitor &monitor,
                      const WindowRange &range);
    UnixTime kept_since(const Monitor &monitor, UnixTime begun) const;
    Answer count_reported(const CountQuestion &question, Reported event, const Monitor &monitor,
                          const WindowRange &range) const;
    Answer count_smoothly(const CountQuestion &question, const Monitor &monitor);
    Result<std::int64_t> count_live(const LiveQuestion &question, std::optional<ServiceId> service,
                                    bool refreshed) const;
    bool is_part_of_source(const Block &block) const;
    Block whole_sources(const Block &block) const;
    bool is_reconciled(Family family, std::optional<ServiceId> service) const;
    std::int64_t owed(Family family, std::optional<ServiceId> service, Event event) const;
    UnixTime time_of(const Asked &asked, const Bounds &bounds, bool sources_read,
                     bool prefixes_read) const;

    Ledger &ledger_;
    Gate &gate_;
    const Clock &clock_;
    std::map<std::string, ServiceId> services_;
    RefreshPrefixes refresh_prefixes_;
    UnixTime walked_at_;
    UnixTime prefixes_walked_at_;
    UnixTime claims_round_at_; ///< when the last complete round began
    UnixTime claims_begun_at_; ///< when the round that is under way began
    std::map<std::pair<ServiceId, Family>, Tally> totals_at_begin_;
    UnixTime windows_since_;
};

} // namespace tallygate::core
