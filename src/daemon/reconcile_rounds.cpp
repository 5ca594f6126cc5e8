// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/reconcile_rounds.hpp"

#include <algorithm>

#include "base/log.hpp"

namespace tallygate::daemon {
namespace {

using namespace std::chrono_literals;

// A round begins at the tick that comes after it is due.
constexpr auto tick = 1s;
// Two rounds find a difference and mend it.
constexpr int rounds_soon = 2;

} // namespace

ReconcileRounds::ReconcileRounds(net::Loop &loop, kernel::KernelGate &gate)
    : loop_(loop), gate_(gate)
{
    loop_.every(tick, [this] { look(); });
}

void ReconcileRounds::begin(std::optional<std::chrono::seconds> interval)
{
    interval_ = interval.value_or(tick);
    soon_ = rounds_soon;
    due_ = {};
}

void ReconcileRounds::look()
{
    if (is_under_way_ || std::chrono::steady_clock::now() < due_)
        return;
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
    due_ = std::chrono::steady_clock::now() + (soon_ > 0 ? tick : interval_);
    soon_ = std::max(0, soon_ - 1);
    if (!problem.empty() && problem != problem_)
        spdlog::error("compare flows with sockets: {}", problem);
    problem_ = problem;
}

} // namespace tallygate::daemon
