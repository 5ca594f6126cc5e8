// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/check_log.hpp"

#include "base/log.hpp"

namespace tallygate::daemon {

void CheckLog::found(const core::CheckSubject &subject, const core::CheckFinding &finding,
                     bool is_reported_only)
{
    if (!has_room())
        return;
    spdlog::info("check {} {} {}: {}", finding.check, is_reported_only ? "would answer" : "answers",
                 core::check_action_name(finding.action),
                 subject.address.text() + " " + finding.text);
}

bool CheckLog::has_room()
{
    const auto now = clock_.now();

    if (now - began_ >= span || now < began_) {
        if (left_out_ > 0)
            spdlog::info("checks found {} more that are not in the log", left_out_);
        began_ = now;
        lines_ = 0;
        left_out_ = 0;
    }
    if (lines_ >= lines_max) {
        left_out_++;
        return false;
    }
    lines_++;
    return true;
}

} // namespace tallygate::daemon
