// SPDX-License-Identifier: BSD-2-Clause
#include "core/checks.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "core/text.hpp"

namespace tallygate::core {
namespace {

constexpr std::array action_names = {"pass", "warn", "mark", "defer", "disconnect"};
static_assert(action_names.size() == check_action_count);
constexpr std::array key_names = {"address", "sender", "recipient", "user"};

/// Senders and recipients come from outside: what is shown of one is short and printable.
std::string shown(const std::string &key)
{
    constexpr std::size_t bytes_max = 80;
    std::string text = key.substr(0, bytes_max);

    std::ranges::replace_if(
        text, [](char each) { return each <= 0x20 || each >= 0x7f; }, '?');
    return text + (key.size() > bytes_max ? "..." : "");
}

/// Nothing if the check is not about the client's family, or there is no such key.
std::optional<Block> block_of(const Check &check, const Address &address)
{
    for (const auto &per : check.per)
        if (per.family() == address.family())
            return Block{address, per.length_bits()};
    return std::nullopt;
}

/// Mail to Ann@Example.com is mail to ann@example.com for every server that matters.
std::string key_of(const Check &check, const CheckSubject &subject)
{
    switch (check.key) {
    case CheckKey::address:
        break;
    case CheckKey::sender:
        return lower_case(subject.sender);
    case CheckKey::recipient:
        return lower_case(subject.recipient);
    case CheckKey::user:
        return lower_case(subject.user);
    }
    return {};
}

std::string subject_of(const Check &check, const CheckSubject &subject)
{
    const auto block = block_of(check, subject.address);
    return block ? block->text() : shown(key_of(check, subject));
}

/// "1h", "90s".
std::string span_text(std::uint64_t seconds)
{
    if (seconds % 3600 == 0)
        return std::to_string(seconds / 3600) + "h";
    if (seconds % 60 == 0)
        return std::to_string(seconds / 60) + "m";
    return std::to_string(seconds) + "s";
}

std::string counted_text(const Check &check)
{
    if (check.is_live())
        return "connections open";
    const std::string what = check.key == CheckKey::address
                                 ? std::string(counted_name(*check.event))
                             : check.key == CheckKey::recipient ? "recipients"
                                                                : "messages";
    const std::string windows =
        check.start == 0 ? span_text(std::uint64_t{check.monitor.window_seconds} * (check.end + 1))
                         : "windows " + std::to_string(check.start) + " to " +
                               std::to_string(check.end) + " of " + check.monitor.text();
    return what + " in " + windows;
}

CheckFinding finding_of(const Check &check, const CheckSubject &subject, std::int64_t count)
{
    CheckFinding finding{.check = check.name,
                         .action = check.action,
                         .delay = check.delay,
                         .of = subject_of(check, subject),
                         .count = count,
                         .max = check.max};
    finding.text = check.text + (check.text.empty() ? "" : " ") + "(" + finding.of + ": " +
                   std::to_string(count) + " " + counted_text(check) + ", limit " +
                   std::to_string(check.max) + ")";
    return finding;
}

bool is_in(const std::vector<std::string> &names, const std::string &name)
{
    return std::ranges::find(names, name) != names.end();
}

} // namespace

std::string_view check_action_name(CheckAction action)
{
    return action_names[static_cast<std::size_t>(action)];
}

unsigned smtp_code(CheckAction action)
{
    switch (action) {
    case CheckAction::pass:
    case CheckAction::warn:
    case CheckAction::mark:
        return 250;
    case CheckAction::defer:
        return 451;
    case CheckAction::disconnect:
        return 421;
    }
    return 250;
}

std::string_view check_key_name(CheckKey key)
{
    return key_names[static_cast<std::size_t>(key)];
}

Checks::Checks(Questions &questions, Others others)
    : questions_(questions), others_(std::move(others))
{
}

void Checks::set_checks(std::vector<Check> checks)
{
    std::vector<Slot> slots;

    for (auto &check : checks) {
        const auto same = std::ranges::find_if(
            slots_, [&](const Slot &slot) { return slot.check.name == check.name; });
        const auto counts = same != slots_.end() ? same->counts : CheckCounts{};
        slots.push_back({std::move(check), counts});
    }
    slots_ = std::move(slots);
    by_instance_.clear();
    messages_.clear();
}

CheckDecision Checks::decide(const CheckSubject &subject)
{
    CheckDecision decision;
    const bool is_allowed = others_.is_allowed(subject.address);
    Message *const message = message_of(subject);

    for (std::size_t place = 0; place < slots_.size(); place++) {
        auto &[check, counts] = slots_[place];
        if (!applies(check, subject, is_allowed))
            continue;
        const auto counted = count(place, subject, message);
        if (!counted || std::cmp_less_equal(*counted, check.max))
            continue;
        counts.exceeded_total++;
        auto &found = check.report_only ? decision.reported : decision.finding;
        const bool is_harder = refuses(check.action) && !check.report_only;
        if (found.is_exceeded() && !is_harder)
            continue;
        found = finding_of(check, subject, *counted);
        if (is_harder)
            break;
    }
    return decision;
}

bool Checks::applies(const Check &check, const CheckSubject &subject, bool is_allowed) const
{
    if (is_allowed && !check.even_allowed)
        return false;
    if (!check.services.empty() &&
        (!subject.service || !is_in(check.services, lower_case(*subject.service))))
        return false;
    if (!check.states.empty() && !subject.state.empty() && !is_in(check.states, subject.state))
        return false;
    if (check.key == CheckKey::address)
        return block_of(check, subject.address).has_value();
    return !key_of(check, subject).empty();
}

/// Null for a question that is about no message.
Checks::Message *Checks::message_of(const CheckSubject &subject)
{
    if (subject.instance.empty() || subject.instance.size() > instance_bytes_max)
        return nullptr;
    const auto known = by_instance_.find(subject.instance);
    if (known != by_instance_.end()) {
        messages_.splice(messages_.begin(), messages_, known->second);
        return &messages_.front();
    }
    if (messages_.size() >= messages_max) {
        by_instance_.erase(messages_.back().instance);
        messages_.pop_back();
    }
    messages_.push_front({subject.instance, {}});
    messages_.front().counted.resize(slots_.size());
    by_instance_.emplace(messages_.front().instance, messages_.begin());
    return &messages_.front();
}

std::optional<std::int64_t> Checks::count(std::size_t place, const CheckSubject &subject,
                                          Message *message)
{
    auto &[check, counts] = slots_[place];
    const bool is_remembered = message != nullptr && check.key != CheckKey::recipient;

    if (is_remembered && message->counted[place])
        return message->counted[place];
    const auto counted = ask(check, subject);
    if (!counted) {
        counts.failed_total++;
        return std::nullopt;
    }
    if (is_remembered)
        message->counted[place] = *counted;
    return *counted;
}

Result<std::int64_t> Checks::ask(const Check &check, const CheckSubject &subject)
{
    if (check.key != CheckKey::address)
        return others_.add_and_count(check, key_of(check, subject));
    const auto block = *block_of(check, subject.address);
    const auto service = check.services.empty() ? std::nullopt : subject.service;
    if (check.is_live()) {
        const auto live = questions_.live({.block = block, .service = service});
        return live ? Result<std::int64_t>{live->lower} : live.error();
    }
    const auto known = questions_.services_of(*check.event);
    if (service && !is_in(known, lower_case(*service)))
        return std::int64_t{0};
    const auto count = questions_.count({.block = block,
                                         .monitor = check.monitor.text(),
                                         .start = check.start,
                                         .end = check.end,
                                         .event = *check.event,
                                         .service = service});
    return count ? Result<std::int64_t>{count->lower} : count.error();
}

std::vector<std::pair<std::string, CheckCounts>> Checks::counts() const
{
    std::vector<std::pair<std::string, CheckCounts>> all;

    for (const auto &[check, counts] : slots_)
        all.emplace_back(check.name, counts);
    return all;
}

} // namespace tallygate::core
