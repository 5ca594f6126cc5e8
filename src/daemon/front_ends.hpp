// SPDX-License-Identifier: BSD-2-Clause
//
// The front-ends that are off unless configured, each with its service and its server. To add
// one: a member for its listener, its service and its server, and two lines each in open() and
// start().
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "config/config.hpp"
#include "core/checks.hpp"
#include "core/question.hpp"
#include "core/reports.hpp"
#include "core/seams.hpp"
#include "core/series.hpp"
#include "daemon/anvil_front.hpp"
#include "daemon/check_log.hpp"
#include "daemon/rates_keeper.hpp"
#include "daemon/watchdog.hpp"
#include "frontend/control_service.hpp"
#include "frontend/line_service.hpp"
#include "frontend/policy_service.hpp"
#include "frontend/sessions_service.hpp"
#include "net/http_server.hpp"
#include "net/listener.hpp"
#include "net/loop.hpp"
#include "net/stream_server.hpp"

namespace tallygate::daemon {

class FrontEnds {
public:
    /// What services need. All of it is borrowed, and lives as long as they do.
    struct Parts {
        net::Loop &loop;
        core::Questions &questions;
        core::Reporter &reporter;
        core::AuditSeries &series;
        const core::Clock &clock;
        Watchdog &watchdog;
        frontend::ControlService &control; ///< shows the servers' counts; asks the checks
        const config::Config &config;
        std::function<bool(const Address &)> is_allowed; ///< by the lists
    };

    /// Listens on every socket that is configured. Before the gate is started: a socket that
    /// answers is another daemon's.
    Result<void> open(const config::Config &config);
    /// Answers on what was opened.
    void start(const Parts &parts);
    /// A reload.
    void configure(const config::Config &config);
    /// When the loop has stopped: ends what has a thread of its own, which may still report, and
    /// saves what is to outlive the daemon.
    void finish();
    /// Sentences for the operator.
    std::vector<std::string> warnings() const;

    /// Of the sessions socket, if it is on.
    const frontend::SessionsService *sessions() const { return sessions_.get(); }
    /// Of anvil, if it is on.
    const AnvilFront *anvil() const { return anvil_.get(); }

private:
    /// A front-end between open() and start().
    using Opened = std::optional<net::Listener>;

    std::unique_ptr<net::StreamServer> serve(const Parts &parts, const char *name, Opened &opened,
                                             net::StreamServer::Open open,
                                             const net::StreamLimits &limits);

    void start_checks(const Parts &parts);
    void configure_checks(const config::Config &config);
    void start_sessions(const Parts &parts);

    Opened ask_listener_;
    std::unique_ptr<net::HttpServer> ask_server_;
    Opened anvil_listener_;
    std::unique_ptr<AnvilFront> anvil_;
    std::unique_ptr<CheckLog> check_log_;
    std::unique_ptr<core::Checks> checks_; ///< of control, of the line protocol and of policy
    Opened line_listener_;
    std::unique_ptr<frontend::LineService> line_;
    std::unique_ptr<net::StreamServer> line_server_;
    Opened policy_listener_;
    std::unique_ptr<frontend::PolicyService> policy_;
    std::unique_ptr<net::StreamServer> policy_server_;
    Opened sessions_listener_;
    std::unique_ptr<frontend::SessionsService> sessions_;
    std::unique_ptr<RatesKeeper> rates_;
    std::unique_ptr<net::StreamServer> sessions_server_;
};

} // namespace tallygate::daemon
