// SPDX-License-Identifier: BSD-2-Clause
//
// [[check]]: what mail policy counts of a client, and what it is advised to do.
#include <algorithm>
#include <utility>

#include "config/draft.hpp"
#include "config/rules.hpp"
#include "core/checks.hpp"

namespace tallygate::config {
namespace {

using namespace std::chrono_literals;
using core::Check;
using core::CheckAction;
using core::CheckKey;

constexpr std::uint64_t count_max = 1'000'000'000;
/// Far below the 100 s that Postfix waits for an answer.
constexpr std::chrono::seconds delay_max = 60s;

Rule<CheckAction> action()
{
    std::vector<std::pair<std::string, CheckAction>> words;

    for (std::size_t i = 0; i < core::check_action_count; i++) {
        const auto each = static_cast<CheckAction>(i);
        words.emplace_back(core::check_action_name(each), each);
    }
    return choice<CheckAction>(words);
}

Rule<std::string> state()
{
    return choice<std::string>({{"CONNECT", "CONNECT"},
                                {"EHLO", "EHLO"},
                                {"HELO", "HELO"},
                                {"MAIL", "MAIL"},
                                {"RCPT", "RCPT"},
                                {"DATA", "DATA"},
                                {"END-OF-MESSAGE", "END-OF-MESSAGE"},
                                {"VRFY", "VRFY"},
                                {"ETRN", "ETRN"}});
}

/// "live", or an event. Nothing in it: connections that are open.
Rule<std::optional<core::Counted>> counted()
{
    std::string expected = "live";
    const auto names = core::counted_names();

    for (const auto &each : names)
        expected += (each == names.back() ? " or " : ", ") + each;
    return text_rule<std::optional<core::Counted>>(
        expected, [](const std::string &text) -> std::optional<std::optional<core::Counted>> {
            if (text == "live")
                return std::optional<core::Counted>{};
            const auto event = core::parse_counted(text);
            if (!event)
                return std::nullopt;
            return std::optional<core::Counted>{*event};
        });
}

void read_per(TableReader &table, Check &check)
{
    Seen<Block> seen;

    for (const auto &[block, position] : table.list("per", holder(), seen)) {
        const bool repeats =
            std::any_of(check.per.begin(), check.per.end(), [&block = block](const Block &other) {
                return other.family() == block.family();
            });
        if (repeats)
            table.note("per", position,
                       "has " + block.text() +
                           " beside another of its family: expected at most "
                           "one of IPv4 and one of IPv6");
        check.per.push_back(block);
    }
    if (!table.has("per"))
        table.note_missing("per", "the blocks to count, such as [\"0.0.0.0/32\", \"::/64\"]");
}

void note_if_there(TableReader &table, std::string_view key, const std::string &why)
{
    if (table.has(key))
        table.note(key, why + ": expected a check without it");
}

/// What is counted by address is in the ledger's windows, and those have its monitors.
void check_monitor(TableReader &table, const Windows &windows, const core::Monitor &monitor)
{
    const auto &known = windows.monitors;

    if (std::find(known.begin(), known.end(), monitor) != known.end())
        return;
    std::string names;
    for (const auto &each : known)
        names += (names.empty() ? "\"" : ", \"") + each.text() + "\"";
    table.note("monitor",
               "is \"" + monitor.text() + "\", which windows.monitors has not: expected " + names);
}

void read_windows_of(TableReader &table, Check &check)
{
    constexpr std::uint32_t window_max = core::Monitor::windows_max - 1;
    const auto found = table.require("monitor", monitor());

    check.start = table.value("start", number("a window", 0U, window_max), 0U);
    check.end = table.value("end", number("a window", 0U, window_max), check.start);
    if (!found)
        return;
    check.monitor = found->value;
    if (check.end >= check.monitor.windows)
        table.note(table.has("end") ? "end" : "start",
                   "is " + std::to_string(check.end) + ", which monitor \"" + check.monitor.text() +
                       "\" does not keep: expected at most " +
                       std::to_string(check.monitor.windows - 1));
    if (check.start > check.end)
        table.note("end", "is newer than start: expected the newer window first, and 0 is now");
}

void read_address_check(TableReader &table, const Draft &draft, Check &check)
{
    const auto found = table.require("count", counted());

    note_if_there(table, "series", "is for checks by sender, recipient or user");
    read_per(table, check);
    if (found && !found->value) {
        for (const char *key : {"monitor", "start", "end"})
            note_if_there(table, key, "is for what is counted in windows, and not for \"live\"");
        return;
    }
    if (found)
        check.event = found->value;
    // Without it nobody knows whether they belong here: they are read for their own mistakes.
    if (found || table.has("monitor"))
        read_windows_of(table, check);
    else
        for (const char *key : {"start", "end"})
            table.find(key, number("a window", 0U, core::Monitor::windows_max - 1));
    if (table.has("monitor") && check.monitor != core::Monitor{})
        check_monitor(table, draft.config.windows, check.monitor);
}

void read_key_check(TableReader &table, Check &check)
{
    const std::string key{core::check_key_name(check.key)};

    note_if_there(table, "count", "is for checks by address, and this one counts by " + key);
    note_if_there(table, "per", "is for checks by address, and this one counts by " + key);
    check.series = table.value("series", name(), check.name);
    read_windows_of(table, check);
    // Elsewhere, it would be counted once more.
    if (check.key == CheckKey::recipient && check.states.empty())
        check.states = {"RCPT"};
}

void read_answer(TableReader &table, Check &check)
{
    if (const auto found = table.require("action", action()))
        check.action = found->value;
    check.delay = table.value("delay", duration(1s, delay_max), check.delay);
    check.text = table.value("text", reply_text(), check.text);
    check.even_allowed = table.value("even_allowed", flag(), check.even_allowed);
    check.report_only = table.value("report_only", flag(), check.report_only);
    if (table.has("action") && check.action == CheckAction::pass && !table.has("delay"))
        table.note("action", "is \"pass\" without a delay: expected one, or another action");
}

} // namespace

void read_check(TableReader &table, Draft &draft)
{
    Check check;
    Seen<std::string> services;
    Seen<std::string> states;

    if (const auto found = table.require_unique("name", name(), draft.check_names))
        check.name = found->value;
    check.services = read_names(table, "services", draft.service_names, "[[service]]", services);
    check.states = values(table.list("states", state(), states));
    check.key = table.value("key",
                            choice<CheckKey>({{"address", CheckKey::address},
                                              {"sender", CheckKey::sender},
                                              {"recipient", CheckKey::recipient},
                                              {"user", CheckKey::user}}),
                            check.key);
    if (check.key == CheckKey::address)
        read_address_check(table, draft, check);
    else
        read_key_check(table, check);
    if (const auto found = table.require("max", number("a number", std::uint64_t{0}, count_max)))
        check.max = found->value;
    read_answer(table, check);
    draft.config.checks.push_back(std::move(check));
    if (draft.config.checks.size() == core::Checks::checks_max + 1)
        table.note("check is one too many: expected at most " +
                   std::to_string(core::Checks::checks_max));
}

} // namespace tallygate::config
