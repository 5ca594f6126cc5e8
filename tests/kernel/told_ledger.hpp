// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "kernel/gate.hpp"
#include "kernel/sandbox.hpp"
#include "kernel/walk.hpp"

namespace tallygate::test {

using ToldSource = std::pair<Address, core::ServiceId>;
using Totals = std::map<ToldSource, core::Tally>;

/// Adds up what a walk tells.
class ToldLedger {
public:
    kernel::ChangeSink sink()
    {
        return [this](const core::SourceChange &change) {
            auto &total = totals_[{change.source, change.service}];
            total += {.syn = change.syn, .opened = change.opened, .closed = change.closed};
            total.dropped += change.dropped;
            claimed_ += change.claimed ? 1 : 0;
            changes_++;
        };
    }

    /// The same, for what tells many at once.
    kernel::ChangesSink changes_sink()
    {
        return [one = sink()](std::span<const core::SourceChange> changes) {
            for (const auto &change : changes)
                one(change);
        };
    }

    const Totals &totals() const { return totals_; }
    core::Tally of(const std::string &source, core::ServiceId service = 1) const
    {
        const auto found = totals_.find({address(source), service});
        return found == totals_.end() ? core::Tally{} : found->second;
    }
    /// How many changes were told since the last time.
    unsigned take_changes() { return std::exchange(changes_, 0); }
    /// How many of all were of claimed sources.
    unsigned claimed() const { return claimed_; }

private:
    Totals totals_;
    unsigned changes_ = 0;
    unsigned claimed_ = 0;
};

} // namespace tallygate::test
