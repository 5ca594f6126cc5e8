// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/policy.hpp"
#include "frontend/actions.hpp"
#include "frontend/daemon_facts.hpp"

namespace tallygate::test {

/// A daemon that does what it is asked, or refuses it as the test says, and notes who asked.
class FakeActions : public frontend::Actions {
public:
    Result<core::ListEntry> add(const frontend::WantedEntry &wanted,
                                const frontend::Asker &asker) override
    {
        last_asker = asker;
        if (!outcome)
            return outcome.error();
        const core::ListEntry entry{wanted.block,
                                    {.kind = wanted.kind,
                                     .origin = core::ListOrigin::control,
                                     .reason = wanted.reason,
                                     .added = now,
                                     .until = core::end_of(wanted.kind, wanted.span, now)}};
        all.add(entry);
        return entry;
    }

    Result<core::ListEntry> remove(core::ListKind kind, const Block &block,
                                   const frontend::Asker &asker) override
    {
        last_asker = asker;
        const auto entry = all.find_control(block, kind);
        if (!entry)
            return Error{block.text() + " is not on the list",
                         static_cast<int>(core::Refused::unknown)};
        all.remove_control(block, kind);
        return *entry;
    }

    Result<void> set_mode(core::Mode mode, std::optional<std::chrono::seconds> confirm,
                          const frontend::Asker &asker) override
    {
        last_asker = asker;
        if (!outcome)
            return outcome;
        facts.mode = {.mode = mode,
                      .is_by_control = true,
                      .set_by = "ada",
                      .until = confirm ? std::optional{now + *confirm} : std::nullopt};
        return {};
    }

    Result<void> reload(const frontend::Asker &asker) override
    {
        last_asker = asker;
        return outcome;
    }

    const core::Lists &lists() const override { return all; }

    Result<void> outcome;
    frontend::Asker last_asker;
    core::Lists all;
    core::UnixTime now;
    frontend::DaemonFacts facts;
};

} // namespace tallygate::test
