// SPDX-License-Identifier: BSD-2-Clause
//
// What the gate says of itself: totals, how full its tables are, and what an operator should know.
#include <bpf/libbpf.h>
#include <tallygate/abi.h>

#include <array>
#include <map>
#include <tuple>

#include "kernel/convert.hpp"
#include "kernel/gate.hpp"
#include "kernel/map_view.hpp"

namespace tallygate::kernel {
namespace {

constexpr std::array hook_names = {"ingress", "egress"};
static_assert(hook_names.size() == TG_HOOK_COUNT);

// clang-format off
constexpr std::array verdict_labels = {
    "undecided",
#define TG_LABEL(name, action, label) label,
    TG_VERDICTS(TG_LABEL)
#undef TG_LABEL
};
// clang-format on

constexpr std::array event_names = {"claim_evicted",  "claim_evicted_owing", "claim_missed",
                                    "rate_evicted",   "rate_evicted_owing",  "ipv6_prefix_evicted",
                                    "limit_contended"};
static_assert(event_names.size() == TG_EVENT_COUNT);

} // namespace

core::Tally KernelGate::service_tally(core::ServiceId service, Family family) const
{
    return parts_.totals.service(service, family);
}

std::vector<core::VerdictCount> KernelGate::verdicts() const
{
    std::vector<core::VerdictCount> rows;

    for (std::uint32_t hook = 0; hook < TG_HOOK_COUNT; hook++)
        for (std::uint32_t verdict = TG_UNDECIDED + 1; verdict < TG_VERDICT_COUNT; verdict++)
            rows.push_back({hook_names[hook], verdict_labels[verdict],
                            parts_.totals.packets(static_cast<tg_hook>(hook),
                                                  static_cast<tg_verdict>(verdict))});
    return rows;
}

std::vector<TableEventCount> KernelGate::table_events() const
{
    std::vector<TableEventCount> rows;
    const auto view =
        PerCpuView<std::uint64_t>::open(parts_.program->map_fd("table_events"), "table_events");
    if (!view)
        return rows;

    for (std::uint32_t event = 0; event < TG_EVENT_COUNT; event++) {
        std::uint64_t count = 0;
        for (const auto each : view->at(event))
            count += each;
        rows.push_back({event_names[event], count});
    }
    rows.push_back({"list_write_retried", parts_.lists.retries()});
    return rows;
}

void EventHistory::note(std::chrono::nanoseconds now,
                        const std::function<std::vector<TableEventCount>()> &read)
{
    if (noted_at_ && now - *noted_at_ < span)
        return;
    noted_at_ = now;
    before_ = std::move(latest_);
    latest_ = read();
}

std::uint64_t EventHistory::growth(const std::vector<TableEventCount> &now, std::size_t event) const
{
    return event < now.size() && event < before_.size() ? now[event].count - before_[event].count
                                                        : 0;
}

std::uint64_t KernelGate::live_total() const
{
    core::Tally sum;
    for (const auto &[name, service] : parts_.services.known_ids())
        for (const auto family : {Family::ipv4, Family::ipv6})
            sum += service_tally(service, family);
    return sum.live();
}

std::vector<core::TableUse> KernelGate::table_uses() const
{
    const auto max_of = [this](const char *name) { return parts_.program->entries_max(name); };
    const auto ways_of = [&](const char *name) { return max_of(name) * TG_BUCKET_WAYS; };
    return {
        {"sources", parts_.sources.slots_max(),
         parts_.sources.slots_used() - parts_.sources.slots_unused()},
        {"flows", max_of("flows"), live_total()},
        {"claims", ways_of("claims"), std::nullopt},
        {"rates", ways_of("rates"), std::nullopt},
        {"ipv6_prefixes", ways_of("ipv6_prefixes"), std::nullopt},
        {"lists", parts_.lists.entries_max(), parts_.lists.entries()},
        {"pending", max_of("pending") * TG_PENDING_WAYS, std::nullopt},
        {"networks", max_of("network_records") - 1, parts_.networks.configured()},
    };
}

std::vector<std::string> KernelGate::warnings(const std::vector<core::TableUse> &tables) const
{
    auto sentences = attachments_->problems();
    const auto &loaded = parts_.program->warnings();
    sentences.insert(sentences.end(), loaded.begin(), loaded.end());

    for (const auto &table : tables)
        if (table.entries && *table.entries * 10 >= table.entries_max * 9)
            sentences.push_back("table " + table.name + " is over 90 % full");
    std::map<std::string, std::uint64_t> packets_by_verdict;
    for (const auto &row : verdicts())
        packets_by_verdict[row.verdict] += row.packets;
    for (const auto verdict : {TG_PASS_FLOWS_FULL, TG_PASS_SOURCES_FULL})
        if (const auto packets = packets_by_verdict[verdict_labels[verdict]]; packets != 0)
            sentences.push_back(std::to_string(packets) + " packets left as " +
                                verdict_labels[verdict] + ": a table was full, and what they " +
                                "belong to went uncounted");
    add_eviction_warnings(sentences);
    add_reconcile_warnings(sentences);
    for (const auto &layout : parts_.pins->other_layouts())
        sentences.push_back(parts_.pins->path() + "/" + layout +
                            " holds the tables of another layout: `tallygated detach --pin-dir " +
                            parts_.pins->path() + "` removes it, and what is counted here with it");
    return sentences;
}

/// A table that is too small for what comes forgives some of its limits' debts.
void KernelGate::add_eviction_warnings(std::vector<std::string> &sentences) const
{
    static constexpr std::tuple<tg_table_event, const char *, const char *> tables[] = {
        {TG_EVENT_CLAIM_EVICTED_OWING, "sources", "gate.claims_max"},
        {TG_EVENT_RATE_EVICTED_OWING, "prefixes", "gate.rates_max"},
    };
    const auto now = table_events();
    for (const auto &[event, whose, setting] : tables)
        if (const auto count = events_.growth(now, event); count != 0)
            sentences.push_back("in the last minutes the limits of " + std::to_string(count) + " " +
                                whose + " began anew before their time, for want of room: " +
                                setting + " is too small for what comes");
}

core::ReconcileStatus KernelGate::reconcile_status() const
{
    const auto progress =
        MapView<std::uint32_t, tg_progress>::open(parts_.program->map_fd("progress"), "progress");
    core::ReconcileStatus status;

    if (!parts_.reconcile || !configured_->reconcile.interval)
        status.how = "off";
    else
        status.how = is_gateway() ? "idle" : "sockets";
    if (parts_.reconcile) {
        status.rounds = parts_.reconcile->rounds();
        status.half_closed = parts_.reconcile->half_closed();
    }
    if (!progress)
        return status;
    if (const auto counts = progress->find(0); counts && *counts) {
        status.adopted = (*counts)->reconcile_adopted;
        status.closed = (*counts)->reconcile_closed;
        status.idle_closed = (*counts)->idle_closed;
    }
    return status;
}

void KernelGate::add_reconcile_warnings(std::vector<std::string> &sentences) const
{
    if (!configured_->reconcile.interval)
        return;
    if (!parts_.reconcile) {
        sentences.push_back("flows are not compared with the kernel's sockets: " +
                            parts_.reconcile.error().message);
        return;
    }
    if (const auto count = parts_.reconcile->unadopted(); count != 0)
        sentences.push_back(std::to_string(count) +
                            " connections are not counted: there was no room for their flows");
    if (const auto count = parts_.reconcile->elsewhere(); count != 0)
        sentences.push_back(std::to_string(count) +
                            " flows have no socket in this network namespace, as if they were " +
                            "forwarded: what no packet closes, reconcile.idle_open does");
}

core::GateStatus KernelGate::status() const
{
    const volatile tg_settings &settings = parts_.settings[0];
    core::GateStatus status;

    status.mode = settings.mode == TG_MODE_ENFORCE ? "enforce" : "observe";
    status.strict = settings.strict != 0;
    status.pin_dir = parts_.pins->layout_path();
    status.layout = TG_ABI_VERSION;
    status.program_tag = parts_.program->tag();
    status.counting_since = counting_since();
    status.attachments = attachments_->status();
    status.tables = table_uses();
    status.reconcile = reconcile_status();
    status.warnings = warnings(status.tables);
    return status;
}

} // namespace tallygate::kernel
