// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "daemon/audit_log.hpp"
#include "daemon/lists_keeper.hpp"
#include "daemon/mode_keeper.hpp"
#include "frontend/actions.hpp"
#include "frontend/daemon_facts.hpp"

namespace tallygate::daemon {

/// What front-ends may ask for, given to those who keep it. Before anything else is decided the
/// operator's own connection is protected. Borrows everything.
class ControlActions : public frontend::Actions {
public:
    struct Hooks {
        std::function<Result<void>(const core::Requester &)> reload;
        std::function<void()> changed;      ///< it takes effect, and DaemonFacts tell of it
        const frontend::DaemonFacts &facts; ///< for what a reload has changed; borrowed
    };

    ControlActions(ListsKeeper &lists, ModeKeeper &mode, AuditLog &audit, Hooks hooks);

    Result<core::ListEntry> add(const frontend::WantedEntry &wanted,
                                const frontend::Asker &asker) override;
    Result<core::ListEntry> remove(core::ListKind kind, const Block &block,
                                   const frontend::Asker &asker) override;
    Result<void> set_mode(core::Mode mode, std::optional<std::chrono::seconds> confirm,
                          const frontend::Asker &asker) override;
    Result<void> reload(const frontend::Asker &asker) override;
    const core::Lists &lists() const override { return lists_.lists(); }

    /// With its line in the audit log, whoever asks.
    Result<void> reload_for(const core::Requester &who);

private:
    core::Requester welcome(const frontend::Asker &asker);

    ListsKeeper &lists_;
    ModeKeeper &mode_;
    AuditLog &audit_;
    Hooks hooks_;
};

/// The limits of a configuration for the audit log: "per-source drop 10/s burst 20 live 50".
std::string limits_text(const std::vector<frontend::LimitFacts> &limits);

} // namespace tallygate::daemon
