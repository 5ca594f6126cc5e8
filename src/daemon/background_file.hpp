// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <chrono>
#include <functional>
#include <future>
#include <optional>
#include <string>

#include "base/result.hpp"
#include "daemon/snapshot_file.hpp"

namespace tallygate::daemon {

/// A large file of the state directory, made and written by a thread, which lets others go first
/// where CPUs are scarce: mail cannot wait, a file can. Nothing here is fatal: what cannot be
/// written is a warning.
class BackgroundFile {
public:
    using Make = std::function<std::string()>;

    /// `what` begins a sentence: "windows are".
    BackgroundFile(SnapshotFile file, std::string what)
        : file_(std::move(file)), what_(std::move(what))
    {
    }

    const SnapshotFile &file() const { return file_; }

    /// Whether the last one is still being written. What it came to is then known later.
    bool is_busy();
    /// Calls `make` on the thread. Not while it is busy.
    void write_aside(Make make);
    /// Returns when it is written, or could not be.
    void write(const std::string &bytes);

    /// The CPU time that the thread took for the last one that was waited for.
    std::chrono::nanoseconds cost() const { return cost_; }

    /// Why the last one that has ended failed, if it did: a sentence for the operator.
    const std::optional<std::string> &warning() const { return warning_; }

    /// Waits for the last one, if it is still being written.
    void finish();

private:
    struct Written {
        Result<void> result;
        std::chrono::nanoseconds cost;
    };

    void note(const Result<void> &written);

    SnapshotFile file_;
    std::string what_;
    std::future<Written> writing_;
    std::chrono::nanoseconds cost_{0};
    std::optional<std::string> warning_;
};

} // namespace tallygate::daemon
