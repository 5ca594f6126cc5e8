// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <future>
#include <optional>
#include <string>

#include "base/result.hpp"
#include "daemon/snapshot_file.hpp"

namespace tallygate::daemon {

/// A small file of the state directory, written by a thread, so that nobody waits for a disk.
/// Until the disk has it, a draft beside it does: that is made before write() returns, and outlives
/// a daemon that is killed right after it, though not the machine.
/// Nothing here is fatal: what cannot be written is a warning, and is gone with the daemon.
class StateFile {
public:
    /// `what` begins a sentence: "what control has set".
    StateFile(const std::string &dir, std::string name, std::string what)
        : file_(dir, std::move(name)), what_(std::move(what))
    {
    }
    ~StateFile() { finish(); }
    StateFile(const StateFile &) = delete;
    StateFile &operator=(const StateFile &) = delete;

    const std::string path() const { return file_.path(); }
    std::string draft_path() const { return path() + ".draft"; }

    /// What was written last; nothing if there is none, or if it cannot be read, which is logged.
    std::optional<std::string> read();
    /// For a file that cannot be believed: moves it aside, and says so in the log.
    void set_aside(const std::string &why);

    /// Of several the last one counts.
    void write(std::string bytes);
    /// To be called now and then: begins what had to wait, and learns how the last one ended.
    void tick();
    /// Returns when everything is written, or could not be.
    void finish();

    /// Why the last one failed, if it did: a sentence for the operator.
    const std::optional<std::string> &warning() const { return warning_; }

private:
    std::optional<std::string> read_draft();
    void leave_draft(const std::string &bytes) const;
    void begin();
    void note(const Result<void> &written);

    SnapshotFile file_;
    std::string what_;
    bool is_from_draft_ = false; ///< what was read
    std::optional<std::string> waiting_;
    std::future<Result<void>> writing_;
    std::optional<std::string> warning_;
};

} // namespace tallygate::daemon
