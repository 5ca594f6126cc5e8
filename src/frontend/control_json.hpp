// SPDX-License-Identifier: BSD-2-Clause
//
// The HTTP interface's way out: answers become one line of JSON, as docs/control.md has it.
// Pure functions.
#pragma once

#include <string>
#include <vector>

#include "core/question.hpp"
#include "frontend/control_codec.hpp"
#include "frontend/daemon_facts.hpp"

namespace tallygate::frontend {

/// The gate's totals for one service.
struct ServiceTallies {
    std::string name;
    core::Tally ipv4;
    core::Tally ipv6;

    core::Tally sum() const;
};

/// All that `/v1/status`, the page and the metrics tell, taken at one moment.
struct StatusReport {
    DaemonFacts daemon;
    core::GateStatus gate;
    core::UnixTime now;
    std::vector<ServiceTallies> services;
    std::vector<core::VerdictCount> verdicts;
    std::vector<core::NetworkCounts> networks;
    std::vector<core::LimitCounts> limits;
    std::vector<core::Monitor> monitors;
    core::ReportedWindows::Counts reported = {};
    std::size_t series_count = 0;
    std::uint64_t series_refused_total = 0;

    /// The gate's and the daemon's, together.
    std::vector<std::string> warnings() const;
};

std::string live_json(const LiveRequest &request, const core::Answer &answer);
std::string count_json(const CountRequest &request, const core::Answer &answer);
std::string event_json(const EventRequest &request);
std::string check_json(const CheckRequest &request, const core::CheckDecision &decision,
                       core::UnixTime as_of);

/// What `top` was asked, with the defaults filled in.
struct TopContext {
    std::string monitor;
    unsigned ipv6_source_bits = 64;
    core::UnixTime as_of;
};

std::string top_json(const TopRequest &request, const TopContext &context,
                     const std::vector<core::SourceRow> &rows);
std::string networks_json(const std::vector<core::NetworkCounts> &networks, core::UnixTime as_of);
std::string status_json(const StatusReport &report);
std::string reloaded_json(const std::string &config_file);
std::string error_json(const std::string &message, const std::vector<std::string> &known);

} // namespace tallygate::frontend
