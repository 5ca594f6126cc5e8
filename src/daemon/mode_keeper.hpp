// SPDX-License-Identifier: BSD-2-Clause
//
// Which mode the gate is in, and who says so: the configuration, or control until it is taken
// back, runs out without being confirmed, or the configuration's own mode changes.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "core/audit.hpp"
#include "core/seams.hpp"
#include "daemon/audit_log.hpp"
#include "daemon/state_file.hpp"
#include "frontend/daemon_facts.hpp"

namespace tallygate::daemon {

class ModeKeeper {
public:
    /// Borrows clock and audit log.
    ModeKeeper(const std::string &dir, const core::Clock &clock, AuditLog &audit);

    /// What a daemon before this one was told, if the configuration still says what it said
    /// then. Before mode() is asked for.
    void restore(core::Mode configured);
    /// Borrows the gate, and sets its mode.
    void take_gate(core::Gate &gate);
    /// The gate is told nothing until it is taken again.
    void leave_gate() { gate_ = nullptr; }

    core::Mode mode() const;

    /// With `confirm` the mode before comes back after so long. Errors are core::Refused.
    Result<void> set(core::Mode mode, std::optional<std::chrono::seconds> confirm,
                     const core::Requester &who);
    /// At a reload: another mode in the configuration takes the place of what control has set.
    void configure(core::Mode configured, const core::Requester &who);
    /// To be called several times in a second.
    void tick();
    /// Before the daemon ends.
    void finish() { file_.finish(); }

    frontend::ModeFacts facts() const;
    std::vector<std::string> warnings() const;

private:
    /// What control has set.
    struct Override {
        core::Mode mode = core::Mode::observe;
        std::string user = {};
        std::optional<core::UnixTime> until = {};
        core::Mode after = core::Mode::observe; ///< what follows at `until`
    };

    void change(std::optional<Override> to, core::AuditRecord record);
    void revert();
    void tell_gate();
    void save();
    std::optional<Override> load();
    std::string text() const;

    StateFile file_;
    const core::Clock &clock_;
    AuditLog &audit_;
    core::Gate *gate_ = nullptr; ///< borrowed
    core::Mode configured_ = core::Mode::observe;
    std::optional<Override> override_;
};

} // namespace tallygate::daemon
