// SPDX-License-Identifier: BSD-2-Clause
//
// What docs/state.md promises: the windows outlive the daemon, also when it is killed.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "base/result.hpp"
#include "core/ledger.hpp"
#include "core/question.hpp"
#include "core/seams.hpp"
#include "core/snapshot.hpp"
#include "daemon/background_file.hpp"
#include "kernel/gate.hpp"

namespace tallygate::daemon {

/// Saves the ledger and how far the gate's totals went into it, and takes them up again.
///
/// Nothing here is fatal: without a snapshot the windows begin anew, and live counts come from
/// the gate's tables in any case.
class SnapshotKeeper {
public:
    /// Borrows ledger and clock.
    SnapshotKeeper(const std::string &dir, core::Ledger &ledger, const core::Clock &clock);

    /// Before the first walk.
    void restore(kernel::KernelGate &gate, core::Questions &questions);

    /// Saves before it returns.
    void save(kernel::KernelGate &gate);

    /// Copies what is to be saved, and leaves the rest to a thread, unless the last one is still
    /// at it, or has cost so much that the next is not due yet. The copy costs little: it shares
    /// what is large, and whoever changes a piece of that copies the piece first. The thread takes
    /// what encode_snapshot() says, and the disk's time.
    void save_aside(kernel::KernelGate &gate);

    /// Why the last save that has ended failed, if it did: a sentence for the operator.
    const std::optional<std::string> &warning() const { return file_.warning(); }

private:
    std::optional<core::Snapshot> load() const;
    void restore_windows(core::Snapshot &snapshot, const kernel::KernelGate &gate,
                         bool same_tables);
    void begin_prefixes(const kernel::KernelGate &gate);
    void begin_at_present(kernel::KernelGate &gate, const kernel::LiveSink &sink);
    core::Snapshot take(const kernel::KernelGate &gate) const;

    BackgroundFile file_;
    core::Ledger &ledger_;
    const core::Clock &clock_;
    core::UnixTime windows_since_;
    std::chrono::steady_clock::time_point due_;
};

} // namespace tallygate::daemon
