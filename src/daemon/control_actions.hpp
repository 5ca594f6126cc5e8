// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <functional>

#include "daemon/audit_log.hpp"
#include "daemon/lists_keeper.hpp"
#include "daemon/mode_keeper.hpp"
#include "frontend/actions.hpp"

namespace tallygate::daemon {

/// What front-ends may ask for, given to those who keep it. Before anything else is decided the
/// operator's own connection is protected. Borrows everything.
class ControlActions : public frontend::Actions {
public:
    struct Hooks {
        std::function<Result<void>(const core::Requester &)> reload;
        std::function<void()> changed; ///< something that DaemonFacts tell
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

} // namespace tallygate::daemon
