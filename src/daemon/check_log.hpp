// SPDX-License-Identifier: BSD-2-Clause
//
// What checks find, in the log: some lines a while, and how many more there were.
#pragma once

#include <cstdint>

#include "core/checks.hpp"
#include "core/seams.hpp"

namespace tallygate::daemon {

class CheckLog {
public:
    static constexpr std::chrono::seconds span{10};
    static constexpr std::uint64_t lines_max = 50; ///< in each span

    explicit CheckLog(const core::Clock &clock) : clock_(clock) {}

    void found(const core::CheckSubject &subject, const core::CheckFinding &finding,
               bool is_reported_only);

private:
    bool has_room();

    const core::Clock &clock_;
    core::UnixTime began_;
    std::uint64_t lines_ = 0;
    std::uint64_t left_out_ = 0;
};

} // namespace tallygate::daemon
