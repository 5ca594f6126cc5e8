// SPDX-License-Identifier: BSD-2-Clause
//
// The answers about lists, limits and the mode. Pure functions; docs/control.md has them.
#pragma once

#include <boost/json/fwd.hpp>

#include <cstddef>
#include <string>
#include <vector>

#include "core/lists.hpp"
#include "core/question.hpp"
#include "core/seams.hpp"
#include "frontend/control_codec.hpp"
#include "frontend/daemon_facts.hpp"

namespace tallygate::frontend {

/// Parts of the status.
boost::json::object mode_object(const ModeFacts &mode);
boost::json::object lists_object(const ListFacts &lists);

/// "done" is "added" or "removed".
std::string entry_json(const char *done, const AskedBlock &asked, const core::ListEntry &entry);
/// `total`: how many there are besides the rows that are shown.
std::string entries_json(const ListsRequest &request, const std::vector<core::ListEntry> &rows,
                         std::size_t total, core::UnixTime as_of);
std::string limits_json(core::Mode mode, const std::vector<LimitFacts> &limits,
                        const std::vector<core::LimitCounts> &counts, core::UnixTime as_of);
std::string mode_json(const ModeFacts &mode, core::UnixTime as_of);

/// What one service says to an address.
struct ExplainedService {
    std::string service;
    core::Explanation gate;
    std::string monitor; ///< the first one, all of whose windows are counted
    core::Answer live;
    core::Answer connections;
    core::Answer syn;
};

struct ExplainReport {
    Block source = Block::all(Family::ipv4); ///< what counts as the address's source
    core::Mode mode = core::Mode::observe;
    core::UnixTime as_of;
    std::vector<core::ListEntry> entries; ///< that hold the address, the longest first
    std::vector<ExplainedService> services;
    std::vector<LimitFacts> limits; ///< of the configuration
};

std::string explain_json(const ExplainRequest &request, const ExplainReport &report);

} // namespace tallygate::frontend
