// SPDX-License-Identifier: BSD-2-Clause
//
// Wiring: the gate, the ledger and the front-ends on one loop. Decides nothing.
#pragma once

#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "config/config.hpp"
#include "core/ledger.hpp"
#include "core/question.hpp"
#include "core/seams.hpp"
#include "daemon/audit_log.hpp"
#include "daemon/control_actions.hpp"
#include "daemon/front_ends.hpp"
#include "daemon/lists_keeper.hpp"
#include "daemon/mode_keeper.hpp"
#include "daemon/proven_keeper.hpp"
#include "daemon/reconcile_rounds.hpp"
#include "daemon/series_keeper.hpp"
#include "daemon/snapshot_keeper.hpp"
#include "daemon/walks.hpp"
#include "daemon/watchdog.hpp"
#include "frontend/control_service.hpp"
#include "frontend/daemon_facts.hpp"
#include "kernel/gate.hpp"
#include "kernel/interface_news.hpp"
#include "net/http_server.hpp"
#include "net/loop.hpp"

namespace tallygate::daemon {

class SystemClock : public core::Clock {
public:
    core::UnixTime now() const override { return std::chrono::system_clock::now(); }
};

class Daemon {
public:
    /// Starts everything that `config` asks for. Until run() nothing is answered.
    static Result<std::unique_ptr<Daemon>> start(config::Config config);

    /// Until SIGTERM or SIGINT. The gate goes on counting after that.
    void run();

private:
    explicit Daemon(config::Config config);

    Result<void> start_gate(ListsKeeper::Groups groups);
    Result<void> start_lists(ListsKeeper::Groups groups);
    void start_servers(net::Listener control, std::optional<net::Listener> http);
    void schedule();
    void listen_to_interfaces();
    void keep_safe();
    void end_wait_for_lists();
    void refresh_protection();
    void show_facts();
    std::chrono::seconds longest_span() const;
    Result<void> reload(const core::Requester &who);

    config::Config config_; ///< as it was at start: what a reload cannot change is compared to it
    SystemClock clock_;
    net::Loop loop_;
    core::Ledger ledger_;
    core::AuditSeries series_;
    std::unique_ptr<kernel::KernelGate> gate_;
    std::unique_ptr<core::Questions> questions_;
    std::unique_ptr<core::ReportedEvents> reports_;
    SnapshotKeeper snapshots_;
    SeriesKeeper series_keeper_;
    ProvenKeeper proven_;
    AuditLog audit_;
    ModeKeeper mode_;
    ListsKeeper lists_;
    ControlActions actions_;
    std::future<std::vector<ListsKeeper::Protected>> protection_; ///< being asked for
    std::unique_ptr<ReconcileRounds> reconcile_rounds_;
    std::unique_ptr<Walks> walks_;
    frontend::DaemonFacts facts_;
    std::vector<std::string> restart_only_; ///< what the last reload could not change
    bool mode_waits_for_lists_ = false;     ///< the gate observes until the new ones are in force
    std::optional<kernel::InterfaceNews> interface_news_;
    std::unique_ptr<frontend::ControlService> control_;
    std::unique_ptr<net::HttpServer> control_server_;
    std::unique_ptr<net::HttpServer> http_server_; ///< read-only, on TCP, if configured
    Watchdog watchdog_;
    FrontEnds front_ends_;
};

} // namespace tallygate::daemon
