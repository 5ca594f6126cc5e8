// SPDX-License-Identifier: BSD-2-Clause
//
// The HTTP interface: asks the core what control_codec read, and answers what control_json,
// control_metrics and control_page write. docs/control.md is its contract.
#pragma once

#include <functional>
#include <vector>

#include "core/question.hpp"
#include "frontend/control_codec.hpp"
#include "frontend/control_json.hpp"
#include "frontend/daemon_facts.hpp"
#include "net/http.hpp"
#include "net/http_server.hpp"

namespace tallygate::frontend {

/// What a listener's clients may do.
enum class Access { full, read_only };

/// Borrows `questions` and `facts`. Not for several threads.
class ControlService {
public:
    /// Takes the configuration anew, or says why not: code 0 is a mistake in the file, which has
    /// changed nothing; any other is the machine's errno.
    using Reload = std::function<Result<void>()>;

    ControlService(core::Questions &questions, const DaemonFacts &facts, Reload reload);

    net::Response handle(const net::Request &request, Access access);
    /// handle(), for a server. Borrows this.
    net::Handler handler(Access access);

    /// Shows the counts of `server` in the metrics. Borrows it: it must live as long.
    void show_server(const net::HttpServer &server) { servers_.push_back(&server); }

private:
    net::Response answer(const LiveRequest &request);
    net::Response answer(const CountRequest &request);
    net::Response answer(const TopRequest &request);
    net::Response answer(const NetworksRequest &request);
    net::Response answer(const StatusRequest &request);
    net::Response answer(const MetricsRequest &request);
    net::Response answer(const PageRequest &request);
    net::Response answer(const ReloadRequest &request);

    net::Response wrong_question(const Error &error, const std::optional<std::string> &service);
    std::vector<std::string> known_services() const;
    std::vector<std::string> known_monitors() const;
    std::vector<ServiceTallies> service_tallies();
    StatusReport report();

    core::Questions &questions_;
    const DaemonFacts &facts_;
    Reload reload_;
    std::vector<const net::HttpServer *> servers_;
};

} // namespace tallygate::frontend
