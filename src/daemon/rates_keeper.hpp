// SPDX-License-Identifier: BSD-2-Clause
//
// The rates of the sessions socket outlive the daemon: docs/sessions.md.
#pragma once

#include <optional>
#include <string>

#include "daemon/background_file.hpp"
#include "frontend/sessions_service.hpp"

namespace tallygate::daemon {

/// Nothing here is fatal: without the file rates begin anew.
class RatesKeeper {
public:
    /// Borrows the service.
    RatesKeeper(const std::string &dir, frontend::SessionsService &sessions);

    /// Takes up what was saved.
    void restore();
    /// Leaves the disk to a thread, unless the last one is still at it, and does nothing if
    /// nothing was counted since. The copy takes some milliseconds for each 100,000 counters.
    void save_aside();
    /// Saves before it returns.
    void save();

    const std::optional<std::string> &warning() const { return file_.warning(); }

private:
    BackgroundFile file_;
    frontend::SessionsService &sessions_;
    std::uint64_t saved_total_ = 0;
};

} // namespace tallygate::daemon
