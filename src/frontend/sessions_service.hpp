// SPDX-License-Identifier: BSD-2-Clause
//
// The sessions socket: mail servers tell which sessions are open, and ask how many there are and
// how often something happened. docs/sessions.md is its contract.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "core/question.hpp"
#include "core/reports.hpp"
#include "core/seams.hpp"
#include "frontend/daemon_facts.hpp"
#include "frontend/rates.hpp"
#include "frontend/sessions_codec.hpp"
#include "frontend/sessions_table.hpp"
#include "net/stream_server.hpp"

namespace tallygate::frontend {

/// Where the number of an address's sessions comes from.
enum class CountFrom : std::uint8_t { sessions, gate };

/// "sessions" or "gate".
std::string_view count_from_name(CountFrom count_from);

struct SessionsOptions {
    CountFrom count_from = CountFrom::sessions;
    std::vector<std::string> services = {}; ///< of the gate, to count at; empty: all
    std::string report_service = "smtp";    ///< of reports that name none
    std::string version = {};               ///< of the daemon, for the greeting
    SessionsTable::Bounds bounds = {};
    std::size_t rates_bytes_max = Rates::bytes_max_default;
};

struct SessionsCounts {
    std::uint64_t requests_total = 0;
    std::uint64_t refused_total = 0;     ///< requests that got an error
    std::uint64_t full_total = 0;        ///< of those: no room for another session
    std::uint64_t gate_failed_total = 0; ///< counts that the gate could not give
};

/// Borrows all that it is given. Not for several threads.
class SessionsService {
public:
    using IsAllowed = std::function<bool(const Address &)>; ///< by the operator's lists

    SessionsService(core::Questions &questions, core::Reporter &reporter, IsAllowed is_allowed,
                    SessionsOptions options);
    SessionsService(const SessionsService &) = delete;
    SessionsService &operator=(const SessionsService &) = delete;

    /// For a stream server. Borrows this. What a connection has told goes when it ends.
    net::StreamServer::Open opener();
    /// What a server needs to know of these streams.
    static net::StreamLimits limits();

    /// To be called every few seconds: what is past is forgotten.
    void tick();

    const SessionsTable &table() const { return table_; }
    const Rates &rates() const { return rates_; }
    /// What encode() of the rates once gave.
    Result<void> restore_rates(std::string_view bytes) { return rates_.restore(bytes); }
    const SessionsCounts &counts() const { return counts_; }
    SessionsFacts facts() const;

private:
    class Stream;
    using Client = SessionsTable::Client;

    std::string answer(Client client, const SessionsRequest &request);
    std::string serve(Client client, const RequestId &id, const HelloRequest &hello);
    std::string serve(Client client, const RequestId &id, const OpenRequest &open);
    std::string serve(Client client, const RequestId &id, const DeliverRequest &deliver);
    std::string serve(Client client, const RequestId &id, const CloseRequest &close);
    std::string serve(Client client, const RequestId &id, const BlocksRequest &asked);
    std::string serve(Client client, const RequestId &id, const RateRequest &rate);
    std::string serve(Client client, const RequestId &id, const ReportRequest &report);
    std::string refuse(const SessionsRefusal &refusal);
    SessionsLive live(const std::vector<Block> &blocks);
    std::uint64_t live_at_gate(const Block &block);

    core::Questions &questions_;
    core::Reporter &reporter_;
    IsAllowed is_allowed_;
    SessionsOptions options_;
    SessionsTable table_;
    Rates rates_;
    SessionsCounts counts_;
};

} // namespace tallygate::frontend
