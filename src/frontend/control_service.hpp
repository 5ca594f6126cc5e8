// SPDX-License-Identifier: BSD-2-Clause
//
// The HTTP interface: asks the core what control_codec read, and answers what control_json,
// control_metrics and control_page write. docs/control.md is its contract.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/checks.hpp"
#include "core/question.hpp"
#include "frontend/actions.hpp"
#include "frontend/control_codec.hpp"
#include "frontend/control_json.hpp"
#include "frontend/daemon_facts.hpp"
#include "frontend/metric_rows.hpp"
#include "frontend/safety_json.hpp"
#include "frontend/series_service.hpp"
#include "net/http.hpp"
#include "net/http_server.hpp"
#include "net/stream_server.hpp"

namespace tallygate::frontend {

/// What a listener's clients may do.
enum class Access {
    full,
    policy,    ///< as is_for_policy()
    read_only, ///< as is_for_everybody()
};

/// Borrows all that it is given. Not for several threads.
class ControlService {
public:
    ControlService(core::Questions &questions, const DaemonFacts &facts, Actions &actions,
                   core::Reporter &reporter, core::AuditSeries &series);

    /// What `/v1/check` goes by; without it, no check is exceeded. Borrows it.
    void set_checks(core::Checks &checks) { checks_ = &checks; }

    net::Response handle(const net::Request &request, Access access);
    /// handle(), for a server. Borrows this.
    net::Handler handler(Access access);

    /// Shows the counts of `server` in the metrics. Borrows it: it must live as long.
    void show_server(const net::HttpServer &server) { servers_.push_back(&server); }
    /// The same, for a front-end of another protocol.
    void show_server(std::string protocol, const net::StreamServer &server)
    {
        stream_servers_.emplace_back(std::move(protocol), &server);
    }
    /// Shows metrics that a front-end has of its own.
    void show_metrics(MetricRows rows) { rows_.push_back(std::move(rows)); }

private:
    using Peer = std::optional<net::Peer>; ///< who asks

    net::Response answer(const LiveRequest &request, const Peer &);
    net::Response answer(const CountRequest &request, const Peer &);
    net::Response answer(const TopRequest &request, const Peer &);
    net::Response answer(const NetworksRequest &request, const Peer &);
    net::Response answer(const StatusRequest &request, const Peer &);
    net::Response answer(const MetricsRequest &request, const Peer &);
    net::Response answer(const PageRequest &request, const Peer &);
    net::Response answer(const ReloadRequest &request, const Peer &peer);
    net::Response answer(const ListAddRequest &request, const Peer &peer);
    net::Response answer(const ListRemoveRequest &request, const Peer &peer);
    net::Response answer(const ListsRequest &request, const Peer &);
    net::Response answer(const LimitsRequest &request, const Peer &);
    net::Response answer(const ExplainRequest &request, const Peer &);
    net::Response answer(const ModeRequest &request, const Peer &peer);
    net::Response answer(const EventRequest &request, const Peer &);
    net::Response answer(const CheckRequest &request, const Peer &);
    net::Response answer(const SeriesRequest &request, const Peer &);

    Result<ExplainedService> explain(const Address &address, const Block &source,
                                     const std::string &service, core::ServiceId id);
    net::Response wrong_question(const Error &error, const std::optional<std::string> &service,
                                 core::Counted event = core::Event::connections);
    std::vector<std::string> known_monitors() const;
    std::vector<ServiceTallies> service_tallies();
    StatusReport report();

    core::Questions &questions_;
    const DaemonFacts &facts_;
    Actions &actions_;
    core::Reporter &reporter_;
    SeriesService series_;
    core::Checks *checks_ = nullptr;
    std::vector<MetricRows> rows_;
    std::vector<const net::HttpServer *> servers_;
    std::vector<std::pair<std::string, const net::StreamServer *>> stream_servers_;
};

} // namespace tallygate::frontend
