// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/seams.hpp"

namespace tallygate::frontend {

/// Which mode the gate is to have, and who says so.
struct ModeFacts {
    core::Mode mode = core::Mode::observe;
    core::Mode configured = core::Mode::observe;
    bool is_by_control = false;
    std::string set_by = {};                  ///< by control: who
    std::optional<core::UnixTime> until = {}; ///< when it ends, unless it is confirmed
    core::Mode after = core::Mode::observe;   ///< what follows then
};

/// How the lists are; their entries are Actions' to tell.
struct ListFacts {
    std::size_t allow = 0;
    std::size_t block = 0;
    std::size_t control_blocks = 0;
    std::size_t blocks_max = 0; ///< of control's
    bool is_breaker_open = false;
    std::size_t entries_max = 0;
    std::optional<core::UnixTime> swapped_at = {}; ///< when the gate last got them all anew
    std::chrono::nanoseconds swap_last{0};         ///< how long that took, outside the loop
    bool is_swap_under_way = false;
};

/// A limit as the configuration has it, in its own words.
struct LimitFacts {
    std::string name;
    std::string place = {}; ///< "tallygate.toml:31"
    std::vector<std::string> services = {};
    std::vector<std::string> per = {};
    std::vector<std::string> networks = {};
    std::string who = {};
    std::string syn_rate = {}; ///< "10/s"; empty: none
    std::optional<std::uint64_t> syn_burst = {};
    std::optional<std::uint64_t> live_max = {};
    std::string action = {};
};

/// Something that happened to a table, and how often: "claim_evicted".
struct EventCount {
    std::string event;
    std::uint64_t count = 0;
};

/// anvil(8) of Postfix, as it is served.
struct AnvilFacts {
    std::string socket = {};    ///< its path
    bool socket_is_ours = true; ///< false: another program answers in our place
    std::size_t streams = 0;    ///< of Postfix's processes, open now
    std::size_t idents = 0;
    std::vector<EventCount> events = {};
};

/// The sessions socket of mail servers, as it is served.
struct SessionsFacts {
    std::size_t clients = 0;  ///< processes of mail servers that are connected
    std::size_t sessions = 0; ///< that they say are open, deliveries included
    std::size_t rates = 0;    ///< counters that are kept
    std::size_t rate_bytes = 0;
    std::vector<EventCount> events = {};
};

/// What front-ends tell about the daemon itself. The daemon owns it and keeps it true.
struct DaemonFacts {
    std::string version; ///< "0.1.0"
    int pid = 0;
    core::UnixTime started;
    std::string config_file;
    std::chrono::nanoseconds walk_last{0}; ///< how long the last walk of the tallies took
    std::vector<std::string> warnings;     ///< sentences for the operator, besides the gate's
    ModeFacts mode = {};
    ListFacts lists = {};
    std::vector<LimitFacts> limits = {}; ///< in the order of the configuration
    std::vector<EventCount> table_events = {};
    std::optional<AnvilFacts> anvil = {};
    std::optional<SessionsFacts> sessions = {};
    std::uint64_t audit_failures = 0; ///< records that could not be written
};

} // namespace tallygate::frontend
