// SPDX-License-Identifier: BSD-2-Clause
//
// What docs/state.md promises: definitions of series outlive the daemon, and so do the counts of
// those that persist.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/seams.hpp"
#include "core/series.hpp"
#include "daemon/background_file.hpp"

namespace tallygate::daemon {

/// Borrows series and clock. Nothing here is fatal: without the file no series is defined.
class SeriesKeeper {
public:
    SeriesKeeper(const std::string &dir, core::AuditSeries &series, const core::Clock &clock);

    void restore();
    /// Saves before it returns.
    void save();
    /// Leaves it to a thread, unless the last one is still at it. The copy costs little.
    void save_aside();
    /// save_aside(), if definitions have changed.
    void save_definitions();

    /// Why the last save that has ended failed, if it did: a sentence for the operator.
    const std::optional<std::string> &warning() const { return file_.warning(); }

private:
    BackgroundFile file_;
    core::AuditSeries &series_;
    const core::Clock &clock_;
    std::uint64_t generation_ = 0; ///< of the definitions that were saved last
    bool is_there_ = false;        ///< whether there is a file, or was anything to put in one
};

} // namespace tallygate::daemon
