// SPDX-License-Identifier: BSD-2-Clause
//
// Everything that can be configured, as plain structs whose initial values are the defaults.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/address.hpp"
#include "core/monitor.hpp"

namespace tallygate::config {

enum class Attach : std::uint8_t { automatic, native, generic, tc };
enum class Mode : std::uint8_t { observe, enforce };

/// Where something stands in the file, both counted from 1.
struct SourcePosition {
    std::uint32_t line = 1;
    std::uint32_t column = 1;

    auto operator<=>(const SourcePosition &) const = default;

    /// "LINE:COLUMN".
    [[nodiscard]] std::string text() const
    {
        return std::to_string(line) + ":" + std::to_string(column);
    }
};

struct Gate {
    std::vector<std::string> interfaces;
    std::vector<SourcePosition> interface_positions; ///< one for each of `interfaces`
    std::vector<std::string> inside;                 ///< not empty: this is a gateway
    std::vector<SourcePosition> inside_positions;    ///< one for each of `inside`
    std::vector<Block> tunnels_from;                 ///< whose tunnels are looked into
    Attach attach = Attach::automatic;
    Mode mode = Mode::observe;
    bool strict = false;
    std::chrono::seconds lease{60};
    std::string pin_dir = "/sys/fs/bpf/tallygate";
    unsigned ipv6_source_bits = 64; ///< 64 to 128
    std::uint32_t sources_max = 1U << 20;
    std::uint32_t claims_max = 1U << 18;
    std::uint32_t flows_max = 1U << 20;
    std::uint32_t pending_max = 1U << 22; ///< a power of two
    std::uint32_t networks_max = 1U << 16;
};

struct Reconcile {
    std::optional<std::chrono::seconds> interval{30}; ///< none: off
    std::chrono::seconds idle_open{3600};
    std::chrono::seconds idle_half_closed{120};
    std::chrono::seconds idle_closing{60};
};

struct State {
    std::string dir = "/var/lib/tallygate";
};

struct Control {
    std::string socket = "/run/tallygate/control.sock";
};

struct Http {
    std::optional<Endpoint> listen; ///< off unless given
};

struct Service {
    std::string name;                 ///< 1 to 63 of a-z 0-9 - _ .
    std::vector<std::uint16_t> ports; ///< on any local address
    bool any_port = false;            ///< all ports of all addresses: for replay alone
    std::vector<Endpoint> listeners;  ///< or these alone
};

struct Network {
    std::string name;
    std::vector<Block> cidrs;
};

struct Windows {
    std::vector<core::Monitor> monitors{{60, 10}, {900, 4}, {3600, 24}};
};

struct Config {
    std::string file; ///< where it was read from; for messages
    Gate gate;
    Reconcile reconcile;
    State state;
    Control control;
    Http http;
    std::vector<Service> services;
    Windows windows;
    std::vector<Network> networks;

    /// "FILE:LINE:COLUMN: " before a sentence about what stands there, for mistakes that only
    /// the machine can tell, such as an interface that does not exist.
    [[nodiscard]] std::string where(SourcePosition position) const
    {
        return file + ":" + position.text() + ": ";
    }
};

} // namespace tallygate::config
