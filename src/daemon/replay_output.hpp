// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <boost/json/fwd.hpp>

#include <string>

#include "kernel/replay.hpp"

namespace tallygate::daemon {

struct ReplaySummary {
    kernel::ReplayReport report;
    core::Mode mode = core::Mode::observe;
    std::string program_tag;
    std::string egress_program_tag;
    unsigned ipv6_source_bits = 64;
    bool by_source = false;
    std::string error; ///< why the capture was not read to its end; empty: it was
};

boost::json::object replay_json(const ReplaySummary &summary);
std::string replay_text(const ReplaySummary &summary);

} // namespace tallygate::daemon
