// SPDX-License-Identifier: BSD-2-Clause
//
// From the gate's tables into the ledger: what is walked, in which order, and how often.
#pragma once

#include <chrono>
#include <optional>

#include "core/ledger.hpp"
#include "core/question.hpp"
#include "core/seams.hpp"
#include "frontend/daemon_facts.hpp"
#include "kernel/gate.hpp"
#include "net/loop.hpp"

namespace tallygate::daemon {

/// The proven sources that have changed are walked four times a second, or less often where they
/// are so many that it would take more than a fiftieth of the time. Claims, prefixes and networks
/// follow each other in rounds, a slice at a time so that nobody waits for them, and take another
/// fiftieth. Neither rests for more than 3 s, as rounds do while everything is forged. The order
/// within a round is what the ledger's bounds rest on: a SYN is seen with its source before it is
/// seen with its prefix.
///
/// Borrows everything.
class Walks {
public:
    using Steady = std::chrono::steady_clock;

    Walks(net::Loop &loop, kernel::KernelGate &gate, core::Ledger &ledger,
          core::Questions &questions, const core::Clock &clock, frontend::DaemonFacts &facts);

    /// Walks once, and goes on from then on.
    void begin();
    /// All proven sources, now.
    void walk_sources();
    /// All that the ledger keeps over a restart, so that nothing of it is news to the next daemon.
    void finish();
    /// The configured networks, after a start or a reload: those that are new begin at what the
    /// gate has counted of them so far.
    void take_networks();

private:
    void begin_round();
    void walk_claims();
    void end_claims();
    void walk_prefixes();
    kernel::PrefixSink prefix_sink();
    void walk_networks();
    void end_round();

    net::Loop &loop_;
    kernel::KernelGate &gate_;
    core::Ledger &ledger_;
    core::Questions &questions_;
    const core::Clock &clock_;
    frontend::DaemonFacts &facts_;
    std::optional<Steady::time_point> round_begun_; ///< if one is under way
    core::UnixTime prefixes_begun_at_;
    Steady::time_point round_due_;
    Steady::time_point sources_due_;
};

} // namespace tallygate::daemon
