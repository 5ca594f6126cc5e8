// SPDX-License-Identifier: BSD-2-Clause
//
// What the core and the front-ends ask of the world, so that tests can stand in for it: the
// time, and the gate in the kernel.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.hpp"
#include "base/result.hpp"

namespace tallygate::core {

using UnixTime = std::chrono::sys_time<std::chrono::nanoseconds>;

class Clock {
public:
    virtual ~Clock() = default;
    virtual UnixTime now() const = 0;
};

/// A service by its number in the kernel's tables, 1 to 255. 0 is none.
using ServiceId = std::uint16_t;

/// Totals that only grow, as the kernel keeps them.
struct Tally {
    std::uint64_t syn = 0;
    std::uint64_t opened = 0;
    std::uint64_t closed = 0;
    std::uint64_t dropped = 0;
    std::uint64_t would_drop = 0;

    auto operator<=>(const Tally &) const = default;
    Tally &operator+=(const Tally &other);
    /// Flows open now. A count read between its halves never shows below 0.
    std::uint64_t live() const { return opened > closed ? opened - closed : 0; }
};

/// One of the networks that the operator names, with what its nested networks counted.
struct NetworkCounts {
    std::string name;
    Block block = Block::all(Family::ipv4);
    Tally tally;
};

enum class Mode : std::uint8_t { observe, enforce };

/// "observe" or "enforce", as configuration and CLI have it.
constexpr std::string_view mode_name(Mode mode)
{
    return mode == Mode::enforce ? "enforce" : "observe";
}

/// What the lists say of the addresses whose longest entry is `block`: until when they are
/// allowed, and until when blocked. Wider entries are laid in already. never and for_good at the
/// ends; allow beats block.
struct ListNode {
    static constexpr UnixTime never = UnixTime::min();
    static constexpr UnixTime for_good = UnixTime::max();

    Block block = Block::all(Family::ipv4);
    UnixTime allow_until = never;
    UnixTime block_until = never;

    auto operator<=>(const ListNode &) const = default;
};

/// What a limit has rejected since it was made.
struct LimitCounts {
    std::string name;
    std::uint64_t dropped = 0;
    std::uint64_t would_drop = 0;

    auto operator<=>(const LimitCounts &) const = default;
};

/// What one limit says to the next SYN of a source.
struct ExplainedLimit {
    std::string limit;
    std::string scope;        ///< "source", "prefix", "network" or "service" (all together)
    std::string holder;       ///< whose state it is: "192.0.2.0/24", a network's name, or "" of all
    bool applies = true;      ///< false: it is for claimed sources and this is proven, or so
    std::string verdict;      ///< "source_rate", ..., if it rejects; else ""
    bool counts_only = false; ///< action = "count"
    std::uint64_t syns_left = 0;             ///< that would conform now, one after the other
    std::chrono::nanoseconds conforms_in{0}; ///< until one does; 0: now
    std::optional<std::uint64_t> live;       ///< what it holds open, if the limit asks
    std::optional<std::uint64_t> live_max;
};

/// What would happen to the next SYN of an address at a service, and why.
struct Explanation {
    Address source; ///< as the gate counts it: IPv6 cut to its block
    bool is_proven = false;
    std::optional<Tally> tally;    ///< of a proven source
    std::uint64_t claimed_syn = 0; ///< of one that has a claim
    std::uint64_t claimed_dropped = 0;
    std::string network; ///< the longest that holds it; "" if none
    UnixTime allow_until = ListNode::never;
    UnixTime block_until = ListNode::never;
    std::vector<ExplainedLimit> limits; ///< in the order in which they are asked
    std::string verdict; ///< the label of include/tallygate/verdicts.h, as things are now
};

struct VerdictCount {
    std::string hook;    ///< "ingress" or "egress"
    std::string verdict; ///< the label of include/tallygate/verdicts.h
    std::uint64_t packets = 0;
};

/// A table of the gate: how full it is. An `entries` that costs a walk is left out.
struct TableUse {
    std::string name;
    std::uint64_t entries_max = 0;
    std::optional<std::uint64_t> entries;
};

struct AttachmentStatus {
    std::string interface;
    std::string direction; ///< "ingress" or "egress"
    std::string how;       ///< "native", "generic", "tcx" or "clsact"
    std::string note;      ///< why not better; empty if it is the best there is
    bool adopted = false;  ///< found in place at start, and its program replaced
    bool in_place = true;  ///< false once it was taken off, or its interface is gone
};

/// What became of differences between the flows and the kernel's sockets.
struct ReconcileStatus {
    std::string how;               ///< "sockets", "idle" (a gateway has no sockets), or "off"
    std::uint64_t adopted = 0;     ///< flows made for connections that had none
    std::uint64_t closed = 0;      ///< flows closed because their socket is gone
    std::uint64_t idle_closed = 0; ///< flows closed because nothing passed for long
    std::uint64_t rounds = 0; ///< since the daemon started; the others: since the tables' making
    std::uint64_t half_closed = 0; ///< flows with one FIN, when the last round looked
};

struct GateStatus {
    std::string mode; ///< "observe" or "enforce"
    bool strict = false;
    std::string pin_dir; ///< with the layout's directory
    unsigned layout = 0;
    std::string program_tag; ///< of the ingress program, as bpftool prints it
    UnixTime counting_since; ///< when the maps were made
    std::vector<AttachmentStatus> attachments;
    std::vector<TableUse> tables;
    ReconcileStatus reconcile;
    std::vector<std::string> warnings; ///< sentences for the operator
};

/// The programs in the kernel, as the rest of the daemon knows them.
class Gate {
public:
    virtual ~Gate() = default;

    /// Brings the ledger up to this moment for the sources of `block`, if they are few enough
    /// (1,024) to be read while somebody waits. Answers whether it did.
    virtual bool refresh(const Block &block) = 0;

    /// Flows open now from `block` to one address and port, or to any when there is none, and
    /// of one service, or of any. Walks the flows: exact, and slower than the ledger's sums.
    virtual Result<std::uint64_t> count_flows(const Block &block,
                                              const std::optional<Endpoint> &listener,
                                              std::optional<ServiceId> service) const = 0;

    /// The gate's totals for one service and family: exact under any flood.
    virtual Tally service_tally(ServiceId service, Family family) const = 0;

    virtual std::vector<VerdictCount> verdicts() const = 0;
    virtual std::vector<NetworkCounts> networks() const = 0;
    virtual GateStatus status() const = 0;
    /// When the maps were made: status().counting_since, for those who ask often. A gate that
    /// can tell it without the rest of its status should.
    virtual UnixTime counting_since() const { return status().counting_since; }

    virtual Mode mode() const = 0;
    /// Drops or not from now on. With `at_most`, dropping ends after so long unless this is
    /// called again, whatever becomes of the daemon.
    virtual void set_mode(Mode mode, std::optional<std::chrono::nanoseconds> at_most) = 0;
    /// Changes entries of the lists in place: each packet sees each before or after.
    virtual Result<void> change_lists(const std::vector<ListNode> &put,
                                      const std::vector<Block> &removed) = 0;
    /// In the order of the configuration.
    virtual std::vector<LimitCounts> limits() const = 0;
    virtual Result<Explanation> explain(const Address &address, ServiceId service) = 0;

    /// The prefix length that makes a source of an IPv6 address: 64, or as configured.
    virtual unsigned ipv6_source_bits() const = 0;
};

} // namespace tallygate::core
