// SPDX-License-Identifier: BSD-2-Clause
//
// The gate for measuring: loaded with the default sizes, attached to nothing, enforcing, its
// tables filled as asked. Three ports are guarded: 25 under a limit for each source and one for all
// that are only claimed; 26 under the limit for each source alone; 27 under no limit.
#pragma once

#include <bpf/libbpf.h>
#include <tallygate/abi.h>

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.hpp"
#include "bench/distribution.h"
#include "gate_bench.skel.h"
#include "kernel/packet.hpp"

namespace tallygate::bench {

inline constexpr std::uint16_t limited_port = 25;
inline constexpr std::uint16_t source_limited_port = 26;
inline constexpr std::uint16_t unlimited_port = 27;

/// How many strangers are in each table before the first packet.
struct Fill {
    std::string name;
    std::uint32_t claims = 0; ///< new sources that come; the last of them are in the table
    std::uint32_t proven = 0;
    std::uint32_t flows = 0;
    std::uint32_t networks = 0;
    std::uint32_t listed = 0;
};

/// The nanoseconds of one run, and whether its packets left as they were meant to.
struct Run {
    double nanoseconds = 0;
    bool as_intended = true;
};

/// What a run consists of.
struct Load {
    const bpf_program *program;
    const test::Packet *packet;
    std::uint32_t senders = DISTRIBUTION_COUNT; ///< enum distribution, or the packet's own
    tg_verdict verdict = TG_UNDECIDED;          ///< that it is meant for; undecided: any
};

class BenchGate {
public:
    /// Loads the programs into the kernel and fills the tables. Needs root.
    static Result<BenchGate> load(const Fill &fill);

    [[nodiscard]] const gate_bench &skeleton() const { return *skeleton_; }

    /// Opens a flow by its handshake, so that its source is proven.
    Result<void> open_flow(const std::string &client);
    /// As intended if 98 of 100 packets had the verdict: limits let some through by design.
    Result<Run> run(const Load &load, std::uint32_t repeat);
    /// Ways of claims that are taken, of 100.
    Result<double> claims_percent() const;

private:
    struct Destroy {
        void operator()(gate_bench *skeleton) const { gate_bench::destroy(skeleton); }
    };
    explicit BenchGate(gate_bench *skeleton) : skeleton_(skeleton) {}

    Result<void> configure(const Fill &fill);
    Result<void> guard_ports();
    Result<void> set_limits();
    Result<void> fill_lists(std::uint32_t count);
    Result<void> fill_networks(std::uint32_t count);
    Result<void> fill_flows(std::uint32_t count);
    Result<void> fill_by_packets(const Fill &fill);
    Result<void> hint(tg_hint trie, std::uint32_t ipv4);
    std::uint64_t count_of(tg_verdict verdict);

    std::unique_ptr<gate_bench, Destroy> skeleton_;
};

} // namespace tallygate::bench
