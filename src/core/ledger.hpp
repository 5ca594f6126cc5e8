// SPDX-License-Identifier: BSD-2-Clause
//
// The daemon's windows over what the gate counts. Pure: it is told what happened and when.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include "base/address.hpp"
#include "base/result.hpp"
#include "core/block_sums.hpp"
#include "core/monitor.hpp"
#include "core/seams.hpp"
#include "core/window.hpp"

namespace tallygate::core {

enum class Event : std::uint8_t { connections, syn, dropped };

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
};

/// One line of `top`.
struct SourceRow {
    Address source;
    std::int64_t live = 0;
    std::int64_t connections = 0;
    std::int64_t syn = 0;
};

enum class TopBy : std::uint8_t { live, connections, syn };

class Ledger {
public:
    explicit Ledger(std::vector<Monitor> monitors);

    const std::vector<Monitor> &monitors() const { return monitors_; }
    /// Takes another list of monitors. Windows of a monitor that stays are kept; a monitor
    /// with the same window size and another number keeps what fits.
    void set_monitors(std::vector<Monitor> monitors);

    void record(const SourceChange &change, UnixTime now);

    /// Flows open now in `block`; without a service, at all of them.
    std::int64_t live(const Block &block, std::optional<ServiceId> service) const;

    /// Events of `block` in the windows `start` (the newer) to `end` (the older), inclusive.
    /// `monitor` must be one of monitors(), and start <= end < its windows.
    std::int64_t count(const Block &block, std::optional<ServiceId> service, Event event,
                       const Monitor &monitor, std::uint32_t start, std::uint32_t end,
                       UnixTime now) const;

    /// The sources of `block` with the most of `by`, most first, at most `rows_max`.
    /// Connections and SYNs are those of all windows that `monitor` keeps.
    std::vector<SourceRow> top(const Block &block, std::optional<ServiceId> service, TopBy by,
                               const Monitor &monitor, std::size_t rows_max, UnixTime now) const;

    /// Forgets windows that no monitor keeps any more. Call now and then.
    void forget_old(UnixTime now);

    std::size_t bytes() const;

private:
    std::vector<Monitor> monitors_;
    // For the implementer: live BlockSums by service, Windows by (service, event, monitor).
};

} // namespace tallygate::core
