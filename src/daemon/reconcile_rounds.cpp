// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/reconcile_rounds.hpp"

#include <algorithm>

#include "base/log.hpp"

namespace tallygate::daemon {
namespace {

using namespace std::chrono_literals;

// A round begins at the tick that comes after it is due.
constexpr auto tick = 100ms;
// Two rounds find a difference and mend it; the second need not wait for long.
constexpr std::chrono::seconds soon = 1s;
constexpr int rounds_soon = 2;

} // namespace

ReconcileRounds::ReconcileRounds(net::Loop &loop, kernel::KernelGate &gate)
    : loop_(loop), gate_(gate)
{
    loop_.every(tick, [this] { look(); });
}

void ReconcileRounds::begin(std::optional<std::chrono::seconds> interval)
{
    interval_ = interval.value_or(soon);
    soon_ = rounds_soon;
    due_ = {};
}

void ReconcileRounds::look()
{
    if (is_under_way_ || std::chrono::steady_clock::now() < due_)
        return;
    begun_ = std::chrono::steady_clock::now();
    const auto begun = gate_.begin_reconcile();
    if (!begun)
        end(begun.error().message);
    else if (*begun)
        slice();
}

void ReconcileRounds::slice()
{
    const auto done = gate_.step_reconcile();
    is_under_way_ = done && !*done;
    if (is_under_way_)
        loop_.post([this] { slice(); });
    else
        end(done ? "" : done.error().message);
}

/// A problem goes to the log once, however often it comes.
void ReconcileRounds::end(const std::string &problem)
{
    // Connections that never pass the gate are doubts too: one more round, and then a rest.
    const bool is_second_look = !is_second_look_ && gate_.reconcile_doubts();
    due_ = begun_ + (soon_ > 0 || is_second_look ? std::min(soon, interval_) : interval_);
    soon_ = std::max(0, soon_ - 1);
    is_second_look_ = is_second_look;
    if (!problem.empty() && problem != problem_)
        spdlog::error("compare flows with sockets: {}", problem);
    problem_ = problem;
}

} // namespace tallygate::daemon
