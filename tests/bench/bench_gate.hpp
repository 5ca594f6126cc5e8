// SPDX-License-Identifier: BSD-2-Clause
//
// The gate for measuring: loaded with the default sizes, attached to nothing, its tables
// filled as asked.
#pragma once

#include <bpf/libbpf.h>
#include <tallygate/abi.h>

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.hpp"
#include "gate_bench.skel.h"
#include "kernel/packet.hpp"

namespace tallygate::bench {

/// How many strangers are in each table before the first packet.
struct Fill {
    std::string name;
    std::uint32_t claims = 0;
    std::uint32_t proven = 0;
    std::uint32_t flows = 0;
    std::uint32_t networks = 0;
};

/// The nanoseconds of one run, and whether every packet left as it was meant to.
struct Run {
    double nanoseconds = 0;
    bool as_intended = true;
};

class BenchGate {
public:
    /// Loads the programs into the kernel and fills the tables. Needs root.
    static Result<BenchGate> load(const Fill &fill);

    [[nodiscard]] const gate_bench &skeleton() const { return *skeleton_; }

    /// Opens a flow by its handshake, so that its source is proven.
    Result<void> open_flow(const std::string &client);
    /// Lets one packet through a program, whatever becomes of it.
    Result<void> send(const bpf_program *program, const test::Packet &packet);
    /// Runs a packet `repeat` times. With a verdict, each run must have ended in it.
    Result<Run> run(const bpf_program *program, const test::Packet &packet, std::uint32_t repeat,
                    tg_verdict verdict);

private:
    struct Destroy {
        void operator()(gate_bench *skeleton) const { gate_bench::destroy(skeleton); }
    };
    explicit BenchGate(gate_bench *skeleton) : skeleton_(skeleton) {}

    Result<void> fill_tables(const Fill &fill);
    Result<void> fill_flows(std::uint32_t count);
    std::uint64_t count_of(tg_verdict verdict);

    std::unique_ptr<gate_bench, Destroy> skeleton_;
};

} // namespace tallygate::bench
