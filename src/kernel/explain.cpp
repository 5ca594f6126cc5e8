// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/explain.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <array>

#include "explain.skel.h"
#include "kernel/constants.hpp"
#include "kernel/convert.hpp"
#include "kernel/letter.hpp"
#include "kernel/map_view.hpp"

namespace tallygate::kernel {
namespace {

constexpr std::uint32_t no_slot = ~std::uint32_t{0};

/// The gate's word for an end, as people know it: never and for good at the ends.
core::UnixTime to_unix_time(std::uint64_t until_ns, ClockOffset offset)
{
    if (until_ns == 0)
        return core::ListNode::never;
    if (until_ns > static_cast<std::uint64_t>(INT64_MAX))
        return core::ListNode::for_good;
    return core::UnixTime{std::chrono::nanoseconds{static_cast<std::int64_t>(until_ns)} - offset};
}

std::string scope_of(const tg_explained_rule &rule)
{
    if (rule.scope == TG_SCOPE_COUNT)
        return "network";
    if (rule.scope == TG_SCOPE_ALL)
        return "service";
    return rule.is_source ? "source" : "prefix";
}

std::string holder_of(const tg_explained &answer, const tg_explained_rule &rule,
                      const ExplainedNames &names)
{
    if (rule.scope == TG_SCOPE_COUNT)
        return names.network(rule.network);
    if (rule.scope == TG_SCOPE_ALL)
        return "";
    const auto client = to_address(answer.client);
    const unsigned bits =
        rule.is_source && !client.is_ipv4() ? names.ipv6_source_bits : unsigned{rule.prefix_bits};
    return Block{client.masked(bits), bits}.text();
}

core::ExplainedLimit explain_rule(const tg_explained &answer, const tg_explained_rule &rule,
                                  const ExplainedNames &names)
{
    const auto value = names.value(rule.limit);
    core::ExplainedLimit told;

    told.limit = names.limit(rule.limit);
    told.scope = scope_of(rule);
    told.holder = holder_of(answer, rule, names);
    told.applies = rule.applies != 0;
    told.counts_only = value.action == TG_LIMIT_COUNT;
    if (value.has_live_max) {
        told.live = rule.live;
        told.live_max = value.live_max;
    }
    const bool is_live_full = value.has_live_max && rule.live >= value.live_max &&
                              (rule.scope == TG_SCOPE_COUNT || answer.slot != no_slot);
    if (value.interval_ns != 0) {
        const auto latest = answer.now_ns + value.tolerance_ns;
        if (rule.due_ns > latest)
            told.conforms_in =
                std::chrono::nanoseconds{static_cast<std::int64_t>(rule.due_ns - latest)};
        else
            told.syns_left =
                (latest - std::max<std::uint64_t>(rule.due_ns, answer.now_ns)) / value.interval_ns +
                1;
    }
    if (!told.applies)
        return told;
    if (is_live_full)
        told.verdict = told.scope + "_live";
    else if (told.conforms_in.count() != 0)
        told.verdict = told.scope + "_rate";
    return told;
}

/// The first that stops it, or else the first dry run that would; and nothing is stopped by a gate
/// that does not enforce.
std::string final_verdict(const core::Explanation &told, bool is_blocked, bool is_allowed,
                          bool enforcing)
{
    const std::string stopped = enforcing ? "drop_" : "would_drop_";
    if (is_allowed)
        return "pass_syn";
    if (is_blocked)
        return stopped + "blocked";
    for (const auto &limit : told.limits)
        if (!limit.verdict.empty() && !limit.counts_only)
            return stopped + limit.verdict;
    for (const auto &limit : told.limits)
        if (!limit.verdict.empty())
            return "would_drop_" + limit.verdict;
    return "pass_syn";
}

} // namespace

core::Explanation to_explanation(const tg_explained &answer, const ExplainedNames &names)
{
    const auto client = to_address(answer.client);
    core::Explanation told;

    told.source = client.is_ipv4() ? client : client.masked(names.ipv6_source_bits);
    told.is_proven = answer.slot != no_slot;
    told.claimed_syn = answer.claimed_syn;
    told.claimed_dropped = answer.claimed_dropped;
    told.network = answer.network == 0 ? "" : names.network(answer.network);
    told.allow_until = to_unix_time(answer.listed.allow_until_ns, names.offset);
    told.block_until = to_unix_time(answer.listed.block_until_ns, names.offset);

    // The gate tells networks last. They are asked before the limits of all together.
    const auto count = std::min<std::uint32_t>(answer.rule_count, TG_EXPLAINED_MAX);
    for (const bool of_all_together : {false, true})
        for (std::uint32_t i = 0; i < count; i++)
            if (answer.rules[i].limit != 0 &&
                (answer.rules[i].scope == TG_SCOPE_ALL) == of_all_together)
                told.limits.push_back(explain_rule(answer, answer.rules[i], names));

    const auto now = answer.now_ns;
    const bool is_allowed = now < answer.listed.allow_until_ns;
    told.verdict = final_verdict(told, now < answer.listed.block_until_ns && !is_allowed,
                                 is_allowed, names.enforcing);
    return told;
}

void Explainer::Destroy::operator()(explain *skeleton) const
{
    explain::destroy(skeleton);
}

Explainer::Explainer(Explainer &&) noexcept = default;
Explainer::~Explainer() = default;

Result<Explainer> Explainer::load(const Program &program)
{
    Explainer made;
    made.skeleton_.reset(explain::open());
    if (!made.skeleton_)
        return Error::system("open the programs that explain");
    if (const auto taken = take_maps(made.skeleton_->obj, program); !taken)
        return taken.error();
    set_constants(*made.skeleton_->rodata, program.constants());

    const int loaded = explain::load(made.skeleton_.get());
    if (loaded != 0) {
        auto error = Error::system("load the programs that explain", -loaded);
        error.message += " (" + last_libbpf_words() + ")";
        return error;
    }
    return made;
}

Result<tg_explained> Explainer::ask(const Address &client, core::ServiceId service)
{
    // What stands in the place of a packet means nothing: the question is in a variable.
    const std::array<std::uint8_t, 64> packet{};
    auto &question = skeleton_->bss->explained;

    question = {};
    question.client = from_address(client);
    question.service = service;
    const auto explained = run_with<tg_explained_or_not>(skeleton_->progs.explain_syn, packet);
    if (!explained)
        return explained.error();
    if (*explained == TG_EXPLAINED_NOT)
        return Error{"the gate explains nothing: its settings are missing"};
    return tg_explained{question};
}

Result<std::size_t> Explainer::remember(std::span<const tg_source_key> sources)
{
    std::size_t remembered = 0;
    for (const auto &source : sources) {
        const auto done = run_with<tg_explained_or_not>(skeleton_->progs.remember_source, source);
        if (!done)
            return done.error();
        remembered += *done == TG_EXPLAINED;
    }
    return remembered;
}

} // namespace tallygate::kernel
