// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/reports.hpp"
#include "net/loop.hpp"

namespace tallygate::daemon {

/// Hands reports of another thread to the main loop, equal ones as one.
class ReportQueue : public core::Reporter {
public:
    /// Different ones that wait. More than this comes only while the loop does not run.
    static constexpr std::size_t waiting_max = 1 << 16;

    /// Borrows both; `reporter` lives on the loop.
    ReportQueue(net::Loop &loop, core::Reporter &reporter);

    void report(const core::Report &report) override;

    /// All that waits, at once: when the loop runs no more.
    void finish();

    /// Events for which there was no room.
    std::uint64_t lost_total() const;

private:
    struct State;

    std::shared_ptr<State> state_; ///< shared with the loop's work
};

} // namespace tallygate::daemon
