// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/address.hpp"
#include "core/proven.hpp"
#include "core/seams.hpp"

namespace tallygate::kernel {

enum class Attach : std::uint8_t { automatic, native, generic, tc };
using core::Mode;

/// Sizes that are fixed once the maps are made.
struct TableSizes {
    std::uint32_t sources_max = 1U << 20;
    std::uint32_t claims_max = 1U << 20; ///< a power of two
    std::uint32_t rates_max = 1U << 18;  ///< a power of two
    std::uint32_t lists_max = 1U << 20;
    std::uint32_t ipv6_prefixes_max = 1U << 18; ///< a power of two
    std::uint32_t flows_max = 1U << 20;
    std::uint32_t pending_max = 1U << 22; ///< a power of two
    std::uint32_t networks_max = 1U << 16;
    unsigned ipv6_source_bits = 64; ///< 64 to 128
};

struct ServiceOption {
    std::string name;
    std::vector<std::uint16_t> ports;
    std::vector<Endpoint> listeners;
};

struct NetworkOption {
    std::string name;
    Block block;
};

/// SYNs that conform: one each interval, and `burst` at once after a quiet time.
struct LimitRate {
    std::chrono::nanoseconds interval{0}; ///< at least 1 ns
    std::uint32_t burst = 1;              ///< at least 1
};

/// Either `per` or `networks`, and `rate` or `live_max` or both. The configuration has checked
/// what is allowed together; only what depends on the tables is refused later.
struct LimitOption {
    enum class Who : std::uint8_t { all, claimed, proven };
    enum class Action : std::uint8_t { drop, count };

    std::string name;
    std::vector<std::string> services; ///< none: all
    std::vector<Block> per;            ///< 0.0.0.0/24: each /24; at most one of a family
    std::vector<std::string> networks; ///< each block of theirs is a holder of its own
    Who who = Who::all;
    std::optional<LimitRate> rate;
    std::optional<std::uint32_t> live_max;
    Action action = Action::drop;
};

/// How flows that no packet closes come to their end.
struct ReconcileOptions {
    std::optional<std::chrono::seconds> interval{30}; ///< between rounds; none: off
    /// Of flows that nothing says end on this host.
    std::chrono::seconds idle_open{3600};
    std::chrono::seconds idle_half_closed{120}; ///< one FIN was seen
    std::chrono::seconds idle_closing{60};      ///< both, and not both acknowledged
};

/// What the gate is asked to be. The daemon makes it from its configuration.
struct GateOptions {
    std::string pin_dir;
    TableSizes sizes;
    std::vector<std::string> interfaces;
    std::vector<std::string> inside; ///< of a gateway: the cards on the servers' side
    Attach attach = Attach::automatic;
    Mode mode = Mode::observe;
    /// A gate that is new, or that dropped nothing so far, drops nothing before set_mode(): whoever
    /// starts it has lists to bring first.
    bool begin_observing = false;
    bool strict = false;
    std::chrono::seconds lease{60};
    ReconcileOptions reconcile;
    std::vector<Block> tunnels_from; ///< senders whose tunnels are looked into
    std::vector<ServiceOption> services;
    std::vector<NetworkOption> networks;
    std::vector<LimitOption> limits;
    core::ProvenSources proven_before; ///< taken for proven if the tables are new
};

} // namespace tallygate::kernel
