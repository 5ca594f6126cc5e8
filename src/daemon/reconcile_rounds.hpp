// SPDX-License-Identifier: BSD-2-Clause
//
// When rounds of reconcile run: each interval, soon after a start and a reload, and in slices on
// the loop, so that no answer waits for one.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "kernel/gate.hpp"
#include "net/loop.hpp"

namespace tallygate::daemon {

/// A round that was the first to find a difference is soon followed by another.
/// Borrows the loop and the gate.
class ReconcileRounds {
public:
    ReconcileRounds(net::Loop &loop, kernel::KernelGate &gate);

    /// Takes this time between rounds, and looks for differences at once: a start or a reload may
    /// have brought services with connections that are open. Nothing: no rounds.
    void begin(std::optional<std::chrono::seconds> interval);

private:
    void look();
    void slice();
    void end(const std::string &problem);

    net::Loop &loop_;
    kernel::KernelGate &gate_;
    std::chrono::seconds interval_{0};
    std::chrono::steady_clock::time_point begun_; ///< the last one
    std::chrono::steady_clock::time_point due_;
    int soon_ = 0;                ///< rounds that follow each other closely
    bool is_second_look_ = false; ///< the round that is next, or under way
    bool is_under_way_ = false;
    std::string problem_; ///< as it was logged
};

} // namespace tallygate::daemon
