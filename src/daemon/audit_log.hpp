// SPDX-License-Identifier: BSD-2-Clause
//
// What docs/safety.md promises of the audit log: every change and every attempt at one, as a line
// of JSON and in the journal.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.hpp"
#include "core/audit.hpp"
#include "core/seams.hpp"

namespace tallygate::daemon {

/// Never fails what it is told of: a record that cannot be written is a warning, and is counted.
class AuditLog {
public:
    /// Borrows the clock.
    AuditLog(std::string dir, const core::Clock &clock) : dir_(std::move(dir)), clock_(clock) {}

    std::string path() const { return dir_ + "/audit.jsonl"; }

    /// Fills in the time.
    void write(core::AuditRecord record);

    std::uint64_t failures() const { return failures_; }
    /// Why the last record is not in the file, if it is not: a sentence for the operator.
    const std::optional<std::string> &warning() const { return warning_; }

private:
    Result<void> append(std::string line);

    std::string dir_;
    const core::Clock &clock_;
    std::uint64_t failures_ = 0;
    std::optional<std::string> warning_;
    bool is_torn_ = false; ///< the file ends within a line
};

/// One line of JSON.
std::string audit_line(const core::AuditRecord &record);

} // namespace tallygate::daemon
