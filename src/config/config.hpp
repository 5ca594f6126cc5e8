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
#include "core/check.hpp"
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
    std::uint32_t claims_max = 1U << 20; ///< a power of two
    std::uint32_t rates_max = 1U << 18;  ///< a power of two
    std::uint32_t lists_max = 1U << 20;  ///< entries of block and allow lists together
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
    /// How long a source that has proven itself is known without coming again; none: not at all.
    std::optional<std::chrono::seconds> remember_proven{std::chrono::days{30}};
};

struct Control {
    std::string socket = "/run/tallygate/control.sock";
};

struct Http {
    std::optional<Endpoint> listen; ///< off unless given
};

/// A Unix socket that a front-end answers on: off unless it has a path.
struct FrontEndSocket {
    std::optional<std::string> path;
    std::uint32_t mode = 0660; ///< of the file

    auto operator<=>(const FrontEndSocket &) const = default;
};

/// The control socket's HTTP for those who count, and neither list nor drop: docs/control.md.
struct Asking {
    FrontEndSocket socket;
};

/// One line asks, one line answers: docs/line.md.
struct LineProtocol {
    FrontEndSocket socket;
};

/// Mail servers with many sessions on one connection: docs/sessions.md.
struct Sessions {
    enum class CountFrom : std::uint8_t { sessions, gate };

    FrontEndSocket socket;
    CountFrom count_from = CountFrom::sessions;
    std::vector<std::string> services; ///< where the gate counts; empty: at all
};

/// anvil(8) for Postfix: docs/anvil.md.
struct Anvil {
    enum class CountFrom : std::uint8_t { reported, gate };

    FrontEndSocket socket{.path = {},
                          .mode = 0666}; ///< as Postfix's own, behind a closed directory
    std::chrono::seconds time_unit{60};
    CountFrom count_from = CountFrom::reported;
    bool before_3_6 = false; ///< clients may not expect a greeting
    std::chrono::seconds statistics_interval{600};
    std::uint32_t streams_max = 4096;
    std::uint32_t idents_max = 1U << 21;
};

/// What Postfix asks about each client or message: docs/policy.md.
struct PolicyProtocol {
    FrontEndSocket socket;
    bool report_only = false; ///< every answer is that nothing is wrong
    bool report = false;      ///< what it tells at the end of a message goes into the ledger
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

/// What the gate holds whom to. Exactly one of `per` and `networks` is not empty.
struct Limit {
    enum class Who : std::uint8_t { all, claimed, proven };
    enum class Action : std::uint8_t { drop, count };

    /// So many in each span.
    struct Rate {
        std::uint32_t count = 1;
        std::chrono::seconds span{1};
    };

    std::string name; ///< as a service's
    SourcePosition position;
    std::vector<std::string> services; ///< empty: all
    /// At most one of each family, as the prefix length of a holder: 0.0.0.0/24 is each /24, and
    /// 0.0.0.0/0 all of IPv4 together.
    std::vector<Block> per;
    std::vector<std::string> networks;
    Who who = Who::all;
    std::optional<Rate> syn_rate;
    std::uint32_t syn_burst = 1;           ///< resolved: given, or what a second of syn_rate brings
    std::optional<std::uint32_t> live_max; ///< only where `per` is whole sources, or of networks
    Action action = Action::drop;
};

/// One [[block]] or [[allow]]: blocks written there, a file of them, or both.
struct ListSource {
    SourcePosition position;
    std::vector<Block> cidrs;
    std::optional<std::string> file;
    SourcePosition file_position{};                ///< of its name
    std::string reason;                            ///< printable, at most 200 bytes
    std::optional<std::chrono::sys_seconds> until; ///< none: for good. It may be past.
};

/// What holds for all blocks.
struct Lists {
    unsigned widest_ipv4 = 8;        ///< no block may be shorter; 0 to 32
    unsigned widest_ipv6 = 16;       ///< 0 to 128
    std::uint32_t blocks_max = 1000; ///< blocks in force that the control socket has set

    [[nodiscard]] bool is_too_wide(const Block &block) const
    {
        return block.text_length_bits() <
               (block.family() == Family::ipv4 ? widest_ipv4 : widest_ipv6);
    }
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
    Asking ask;
    LineProtocol line;
    Sessions sessions;
    Anvil anvil;
    PolicyProtocol policy;
    std::vector<Service> services;
    Windows windows;
    std::vector<Network> networks;
    std::vector<Limit> limits;
    std::vector<core::Check> checks;
    Lists lists;
    std::vector<ListSource> blocks;
    std::vector<ListSource> allows;

    /// "FILE:LINE:COLUMN: " before a sentence about what stands there, for mistakes that only
    /// the machine can tell, such as an interface that does not exist.
    [[nodiscard]] std::string where(SourcePosition position) const
    {
        return file + ":" + position.text() + ": ";
    }
};

} // namespace tallygate::config
