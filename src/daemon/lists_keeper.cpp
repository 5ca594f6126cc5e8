// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/lists_keeper.hpp"

#include <algorithm>
#include <array>
#include <ctime>
#include <map>
#include <system_error>

#include "base/log.hpp"
#include "daemon/saved_lists.hpp"

namespace tallygate::daemon {
namespace {

using namespace std::chrono_literals;
using core::ListEntry;
using core::ListKind;
using core::ListOrigin;

// Of some hundreds of entries: the next tick() ends such a swap, and whoever took them need not
// wait for another.
constexpr auto short_swap = 20ms;

/// "until 2025-11-21T12:01:30Z (spam run)"
std::string end_text(const core::Grounds &grounds)
{
    std::string text = "for good";
    if (grounds.until) {
        const auto time = std::chrono::system_clock::to_time_t(
            std::chrono::time_point_cast<std::chrono::system_clock::duration>(*grounds.until));
        std::array<char, 32> buffer{};
        std::tm parts{};
        ::gmtime_r(&time, &parts);
        std::strftime(buffer.data(), buffer.size(), "until %Y-%m-%dT%H:%M:%SZ", &parts);
        text = buffer.data();
    }
    return grounds.reason.empty() ? text : text + " (" + grounds.reason + ")";
}

std::string end_text(const std::optional<ListEntry> &entry)
{
    return entry ? end_text(entry->grounds) : "";
}

} // namespace

ListsKeeper::ListsKeeper(const std::string &dir, const core::Clock &clock, AuditLog &audit)
    : file_(dir, "lists.json", "what control has put on the lists"), clock_(clock), audit_(audit),
      begun_(clock.now())
{
}

Result<void> ListsKeeper::start(core::Gate &gate, Build build, core::ListPolicy policy,
                                Groups groups)
{
    gate_ = &gate;
    build_ = std::move(build);
    policy_ = policy;
    load();
    auto built = make(lists_, std::move(groups), build_);
    return put_in_force(built);
}

void ListsKeeper::take(core::ListPolicy policy, Groups groups)
{
    policy_ = policy;
    loading_problem_.reset();
    if (swap_.valid()) {
        next_groups_ = std::move(groups);
        return;
    }
    begin_swap(std::move(groups));
    if (swap_.valid())
        swap_.wait_for(short_swap);
}

ListsKeeper::Built ListsKeeper::make(core::Lists lists, Groups groups, const Build &build)
{
    const auto begin = std::chrono::steady_clock::now();
    lists.set_fixed(core::FixedLists{std::move(groups)});
    auto publish = build(lists.resolve());
    return {std::move(lists), std::move(publish), std::chrono::steady_clock::now() - begin};
}

void ListsKeeper::begin_swap(Groups groups)
{
    touched_.clear();
    try {
        swap_ = std::async(std::launch::async, make, lists_, std::move(groups), build_);
    } catch (const std::system_error &error) {
        problem_ = std::string("the new lists are not in force: start a thread: ") + error.what();
        spdlog::error("{}", *problem_);
    }
}

void ListsKeeper::end_swap(Built built)
{
    const auto before = counts_text();
    const auto done = put_in_force(built);
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(built.took);
    audit_.write({.time = {},
                  .who = {},
                  .action = "lists_swap",
                  .what = "all lists, in " + std::to_string(took.count()) + " ms",
                  .before = before,
                  .after = counts_text(),
                  .result = done ? "done" : done.error().message});
    if (next_groups_)
        begin_swap(*std::exchange(next_groups_, std::nullopt));
}

/// What changed while it was being built is brought to it at once, before anything else runs
/// here. Until then, some microseconds, the gate has the new lists without it.
Result<void> ListsKeeper::put_in_force(Built &built)
{
    auto published = built.publish ? (*built.publish)() : Result<void>{built.publish.error()};
    if (published) {
        lists_.set_fixed(built.lists.release_fixed());
        published = catch_up();
    } else {
        touched_.clear();
    }
    if (!published) {
        problem_ = "the new lists are not in force: " + published.error().message;
        spdlog::error("{}", *problem_);
        return published;
    }
    problem_.reset();
    swapped_at_ = clock_.now();
    swap_last_ = built.took;
    if (lists_.size() != 0)
        spdlog::info("lists: {}, taken in {} ms", counts_text(),
                     std::chrono::duration_cast<std::chrono::milliseconds>(built.took).count());
    return {};
}

/// What the gate does not take stays touched, for tick() to try again.
Result<void> ListsKeeper::catch_up()
{
    const auto lacking = lists_.refresh(touched_);
    auto told =
        lacking.empty() ? Result<void>{} : gate_->change_lists(lacking.put, lacking.removed);
    if (told)
        touched_.clear();
    return told;
}

std::string ListsKeeper::counts_text() const
{
    return std::to_string(lists_.count(ListKind::allow)) + " allowed and " +
           std::to_string(lists_.count(ListKind::block)) + " blocked";
}

Result<void> ListsKeeper::tell_gate(const core::Lists::Change &change,
                                    const std::vector<Block> &touched)
{
    if (swap_.valid())
        touched_.insert(touched_.end(), touched.begin(), touched.end());
    if (gate_ == nullptr || change.empty())
        return {};
    return gate_->change_lists(change.put, change.removed);
}

void ListsKeeper::protect(std::vector<Protected> addresses)
{
    own_ = std::move(addresses);
    apply_protection();
}

void ListsKeeper::protect_operator(const Address &address)
{
    std::erase(operators_, address);
    operators_.push_back(address);
    if (operators_.size() > operators_max)
        operators_.pop_front();
    apply_protection();
}

std::vector<ListEntry> ListsKeeper::protection() const
{
    std::map<Block, std::string> reasons;
    const auto add = [&](const Block &block, const std::string &reason) {
        auto &known = reasons[block];
        known += (known.empty() ? "" : ", ") + reason;
    };
    for (const auto &each : own_)
        add(each.block, each.reason);
    for (const auto &each : operators_)
        add(Block{each, 128}, "connection of an operator");

    std::vector<ListEntry> entries;
    for (const auto &[block, reason] : reasons)
        entries.push_back({block,
                           {.kind = ListKind::allow,
                            .origin = ListOrigin::protection,
                            .reason = reason,
                            .added = begun_}});
    return entries;
}

/// What the gate does not take is not in the books either: they would call somebody protected
/// who is not, and nobody would try again. tick() does.
void ListsKeeper::apply_protection()
{
    auto entries = protection();
    const auto before = lists_.of_origin(ListOrigin::protection);
    std::vector<Block> touched;
    for (const auto &each : {before, entries})
        for (const auto &entry : each)
            touched.push_back(entry.block);
    const auto told =
        tell_gate(lists_.replace(ListOrigin::protection, std::move(entries)), touched);
    if (told) {
        if (std::exchange(protection_problem_, std::nullopt))
            spdlog::info("protected addresses are all allowed again");
        return;
    }
    lists_.replace(ListOrigin::protection, before);
    auto sentence = "protected addresses are not all allowed: " + told.error().message;
    if (protection_problem_ != sentence)
        spdlog::error("{}", sentence);
    protection_problem_ = std::move(sentence);
}

void ListsKeeper::note(const core::Requester &who, const char *action, const Block &block,
                       std::pair<std::string, std::string> from_to, std::string result)
{
    audit_.write({.time = {},
                  .who = who,
                  .action = action,
                  .what = block.text(),
                  .before = std::move(from_to.first),
                  .after = std::move(from_to.second),
                  .result = std::move(result)});
}

Result<ListEntry> ListsKeeper::add(const frontend::WantedEntry &wanted, const core::Requester &who)
{
    const auto now = clock_.now();
    const bool is_block = wanted.kind == ListKind::block;
    const char *const action = is_block ? "block_add" : "allow_add";
    const auto before = lists_.find_control(wanted.block, wanted.kind);
    const ListEntry entry{wanted.block,
                          {.kind = wanted.kind,
                           .origin = ListOrigin::control,
                           .reason = wanted.reason,
                           .added = now,
                           .until = core::end_of(wanted.kind, wanted.span, now)}};
    const auto refuse = [&](const Error &error) {
        note(who, action, wanted.block, {end_text(before), end_text(before)}, error.message);
        return error;
    };

    if (const auto fits = core::check_reason(wanted.reason); !fits)
        return refuse(fits.error());
    const auto may = is_block ? core::may_block(wanted.block, lists_, policy_, now)
                              : core::may_allow(wanted.block, lists_, policy_);
    if (!may)
        return refuse(may.error());
    if (const auto told = tell_gate(lists_.add(entry), {wanted.block}); !told) {
        if (before)
            lists_.add(*before);
        else
            lists_.remove_control(wanted.block, wanted.kind);
        return refuse(Error{told.error().message});
    }
    save();
    note(who, action, wanted.block, {end_text(before), end_text(entry.grounds)}, "done");
    watch_breaker();
    return entry;
}

Result<ListEntry> ListsKeeper::remove(ListKind kind, const Block &block, const core::Requester &who)
{
    const char *const action = kind == ListKind::block ? "block_remove" : "allow_remove";
    const auto before = lists_.find_control(block, kind);
    const auto refuse = [&](const Error &error) {
        note(who, action, block, {end_text(before), end_text(before)}, error.message);
        return error;
    };

    if (!before) {
        const auto other = lists_.find_cover(block, kind, clock_.now());
        std::string sentence = "control has not put " + block.text() + " on the list of " +
                               std::string(core::list_kind_name(kind)) + "s";
        if (other)
            sentence += ": it is there as " + other->block.text() + " by " +
                        core::grounds_text(other->grounds);
        return refuse(Error{sentence, static_cast<int>(core::Refused::unknown)});
    }
    if (const auto told = tell_gate(lists_.remove_control(block, kind), {block}); !told) {
        lists_.add(*before);
        return refuse(Error{told.error().message});
    }
    save();
    note(who, action, block, {end_text(before), ""}, "done");
    watch_breaker();
    return *before;
}

void ListsKeeper::tick()
{
    file_.tick();
    if (swap_.valid() && swap_.wait_for(0s) == std::future_status::ready)
        end_swap(swap_.get());
    if (!swap_.valid() && !touched_.empty() && catch_up())
        problem_.reset();
    expire();
    if (protection_problem_)
        apply_protection();
    watch_breaker();
}

void ListsKeeper::finish()
{
    while (swap_.valid())
        end_swap(swap_.get());
    file_.finish();
}

/// The gate has seen to their ends by itself; here they leave the books.
void ListsKeeper::expire()
{
    const auto expiry = lists_.expire(clock_.now());
    if (expiry.ended.empty())
        return;
    std::vector<Block> touched;
    for (const auto &entry : expiry.ended)
        touched.push_back(entry.block);
    if (const auto told = tell_gate(expiry.change, touched); !told)
        spdlog::error("take what has ended off the lists: {}", told.error().message);
    save();
    for (const auto &entry : expiry.ended)
        note({}, entry.grounds.kind == ListKind::block ? "block_end" : "allow_end", entry.block,
             {end_text(entry.grounds), ""}, "done");
}

void ListsKeeper::watch_breaker()
{
    const bool is_open = facts().is_breaker_open;
    if (is_open == was_breaker_open_)
        return;
    was_breaker_open_ = is_open;
    const auto word = [](bool open) { return open ? "open" : "closed"; };
    audit_.write({.time = {},
                  .who = {},
                  .action = "breaker",
                  .what = std::to_string(lists_.count(ListKind::block, ListOrigin::control)) +
                          " blocks by control",
                  .before = word(!is_open),
                  .after = word(is_open),
                  .result = "done"});
}

void ListsKeeper::load()
{
    const auto bytes = file_.read();
    if (!bytes)
        return;
    auto entries = decode_entries(*bytes);
    if (!entries) {
        file_.set_aside(entries.error().message);
        return;
    }
    const auto now = clock_.now();
    std::erase_if(*entries, [&](const ListEntry &each) { return !each.grounds.in_force_at(now); });
    drop_too_wide(*entries);
    lists_.replace(ListOrigin::control, std::move(*entries));
    if (loading_problem_)
        save();
}

/// The configuration may have become stricter since they were set; or somebody has written the
/// file by hand.
void ListsKeeper::drop_too_wide(std::vector<ListEntry> &entries)
{
    std::erase_if(entries, [&](const ListEntry &each) {
        const auto fits = each.grounds.kind == ListKind::block
                              ? core::check_width(each.block, policy_)
                              : Result<void>{};
        if (fits)
            return false;
        loading_problem_ =
            "a block that control had set is no longer in force: " + fits.error().message;
        spdlog::warn("{}", *loading_problem_);
        note({}, "block_remove", each.block, {end_text(each.grounds), ""}, fits.error().message);
        return true;
    });
}

void ListsKeeper::save()
{
    file_.write(encode_entries(lists_.of_origin(ListOrigin::control)));
}

frontend::ListFacts ListsKeeper::facts() const
{
    return {.allow = lists_.count(ListKind::allow),
            .block = lists_.count(ListKind::block),
            .control_blocks = lists_.count(ListKind::block, ListOrigin::control),
            .blocks_max = policy_.blocks_max,
            // Without room for any block nobody's has tripped it.
            .is_breaker_open = policy_.blocks_max != 0 && core::is_breaker_open(lists_, policy_),
            .entries_max = policy_.entries_max,
            .swapped_at = swapped_at_,
            .swap_last = swap_last_,
            .is_swap_under_way = swap_.valid()};
}

std::vector<std::string> ListsKeeper::warnings() const
{
    std::vector<std::string> all;
    for (const auto &problem : {problem_, protection_problem_, loading_problem_})
        if (problem)
            all.push_back(*problem);
    if (file_.warning())
        all.push_back(*file_.warning());
    if (facts().is_breaker_open)
        all.push_back("the circuit breaker is open: " + core::breaker_text(lists_, policy_));
    return all;
}

} // namespace tallygate::daemon
