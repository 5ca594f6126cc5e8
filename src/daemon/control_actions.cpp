// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/control_actions.hpp"

#include <utility>

#include "daemon/requester.hpp"

namespace tallygate::daemon {

ControlActions::ControlActions(ListsKeeper &lists, ModeKeeper &mode, AuditLog &audit, Hooks hooks)
    : lists_(lists), mode_(mode), audit_(audit), hooks_(std::move(hooks))
{
}

core::Requester ControlActions::welcome(const frontend::Asker &asker)
{
    if (asker.remote_address)
        lists_.protect_operator(*asker.remote_address);
    return requester_of(asker);
}

Result<core::ListEntry> ControlActions::add(const frontend::WantedEntry &wanted,
                                            const frontend::Asker &asker)
{
    auto added = lists_.add(wanted, welcome(asker));
    hooks_.changed();
    return added;
}

Result<core::ListEntry> ControlActions::remove(core::ListKind kind, const Block &block,
                                               const frontend::Asker &asker)
{
    auto removed = lists_.remove(kind, block, welcome(asker));
    hooks_.changed();
    return removed;
}

Result<void> ControlActions::set_mode(core::Mode mode, std::optional<std::chrono::seconds> confirm,
                                      const frontend::Asker &asker)
{
    auto set = mode_.set(mode, confirm, welcome(asker));
    hooks_.changed();
    return set;
}

Result<void> ControlActions::reload(const frontend::Asker &asker)
{
    return reload_for(welcome(asker));
}

Result<void> ControlActions::reload_for(const core::Requester &who)
{
    const auto before = limits_text(hooks_.facts.limits);
    auto reloaded = hooks_.reload(who);
    audit_.write({.time = {},
                  .who = who,
                  .action = "reload",
                  .what = hooks_.facts.config_file,
                  .before = before,
                  .after = limits_text(hooks_.facts.limits),
                  .result = reloaded ? "done" : reloaded.error().message});
    hooks_.changed();
    return reloaded;
}

std::string limits_text(const std::vector<frontend::LimitFacts> &limits)
{
    std::string text;
    for (const auto &limit : limits) {
        text += (text.empty() ? "" : "; ") + limit.name + " " + limit.action;
        if (!limit.syn_rate.empty())
            text += " " + limit.syn_rate;
        if (limit.syn_burst)
            text += " burst " + std::to_string(*limit.syn_burst);
        if (limit.live_max)
            text += " live " + std::to_string(*limit.live_max);
    }
    return text.empty() ? "no limits" : text;
}

} // namespace tallygate::daemon
