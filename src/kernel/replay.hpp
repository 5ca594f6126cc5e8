// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <tallygate/verdicts.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/address.hpp"
#include "base/result.hpp"
#include "core/seams.hpp"
#include "kernel/capture.hpp"
#include "kernel/options.hpp"

// The generated skeleton; only this room and its tests include it.
struct gate;

namespace tallygate::kernel {

/// What to replay a capture against.
struct ReplayOptions {
    std::vector<ServiceOption> services;
    std::string any_port_service; ///< the one service whose ports are all ports; then no others
    std::vector<NetworkOption> networks; ///< that limits speak of
    std::vector<Block> tunnels_from;
    std::vector<LimitOption> limits;
    std::vector<core::ListNode> lists; ///< ends are times of the capture
    Mode mode = Mode::observe;         ///< enforce: what would be dropped is dropped
    unsigned ipv6_source_bits = 64;    ///< 64 to 128
    bool by_source = false;            ///< count by source as well, which takes memory for each
    std::uint64_t packets_bound = 0;   ///< no more packets will come; 0: unknown
    /// Other programs than the gate's own: a test breaks a rule to see that it is these that run.
    std::span<const std::byte> object;
};

/// What passed, by the gate's verdicts.
struct ReplayCounts {
    std::uint64_t syn = 0;
    std::uint64_t opened = 0;
    std::uint64_t closed_fin = 0;
    std::uint64_t closed_rst = 0;
    std::uint64_t closed_other = 0; ///< by a new connection between the same ends
    std::uint64_t dropped = 0;      ///< SYNs that lists or limits dropped
    std::uint64_t would_drop = 0;   ///< and those that they would have

    std::uint64_t closed() const { return closed_fin + closed_rst + closed_other; }
    std::uint64_t live() const { return opened - closed(); }
    /// `is_syn`: of a packet that asks for a connection.
    void add(tg_verdict verdict, bool is_syn);
};

struct ReplaySource {
    std::string service;
    Address address; ///< the first of the source's, IPv6 cut to its bits
    auto operator<=>(const ReplaySource &) const = default;
};

struct ReplayReport {
    std::uint64_t packets = 0;    ///< the verdicts add up to packets - skipped
    std::uint64_t skipped = 0;    ///< cut by the capture before we could know what they are
    std::uint64_t dropped = 0;    ///< by lists and limits: also packets that are no SYNs
    std::uint64_t would_drop = 0; ///< which strict enforcement drops: what lists and limits only
                                  ///< counted, and malformed and bogus packets
    ReplayCounts total;
    std::array<std::uint64_t, TG_VERDICT_COUNT> verdicts{}; ///< of both hooks together
    std::map<std::string, ReplayCounts> services;           ///< all that are configured
    std::map<ReplaySource, ReplayCounts> sources;           ///< empty unless asked for
    std::vector<core::LimitCounts> limits;                  ///< in the order of the options
};

/// A capture through the programs that guard a card: the same instructions, run by
/// BPF_PROG_TEST_RUN with the capture's clock over small tables of their own. Nothing is pinned
/// or attached. Packets to a service meet the ingress program, packets from one the egress
/// program; malformed ones are judged as in observe mode.
class Replay {
public:
    static Result<Replay> load(const ReplayOptions &options);

    Replay(Replay &&) noexcept;
    Replay &operator=(Replay &&) = delete;
    ~Replay();

    Result<void> feed(const Frame &frame);

    const ReplayReport &report() const;
    /// Of the programs for the two hooks, 16 hexadecimal digits as bpftool prints them.
    std::string program_tag() const;
    std::string egress_program_tag() const;

    /// For tests: the tables that the programs have counted in.
    gate &skeleton() const;

private:
    class Parts;

    explicit Replay(std::unique_ptr<Parts> parts);

    std::unique_ptr<Parts> parts_;
};

} // namespace tallygate::kernel
