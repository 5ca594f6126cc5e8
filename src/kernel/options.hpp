// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/address.hpp"

namespace tallygate::kernel {

enum class Attach : std::uint8_t { automatic, native, generic, tc };
enum class Mode : std::uint8_t { observe, enforce };

/// Sizes that are fixed once the maps are made.
struct TableSizes {
    std::uint32_t sources_max = 1U << 20;
    std::uint32_t claims_max = 1U << 18;
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
    bool strict = false;
    std::chrono::seconds lease{60};
    ReconcileOptions reconcile;
    std::vector<Block> tunnels_from; ///< senders whose tunnels are looked into
    std::vector<ServiceOption> services;
    std::vector<NetworkOption> networks;
};

} // namespace tallygate::kernel
