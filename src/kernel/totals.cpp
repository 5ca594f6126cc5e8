// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/totals.hpp"

#include "kernel/convert.hpp"
#include "kernel/repeats.hpp"

namespace tallygate::kernel {
namespace {

/// Numbers that grow, and that stand below 0 for a moment where a limit began (begin_limit()).
std::uint64_t larger(std::uint64_t one, std::uint64_t other)
{
    return static_cast<std::int64_t>(one - other) > 0 ? one : other;
}

core::Tally sum_of(const std::vector<tg_tally> &values)
{
    core::Tally sum;
    for (const auto &value : values)
        sum += to_tally(value);
    return sum;
}

} // namespace

Result<Totals> Totals::open(const bpf_object *object)
{
    const auto fd = [object](const char *name) {
        return bpf_object__find_map_fd_by_name(object, name);
    };
    auto services = PerCpuView<tg_tally>::open(fd("service_tallies"), "service_tallies");
    if (!services)
        return services.error();
    auto networks = PerCpuView<tg_tally>::open(fd("network_tallies"), "network_tallies");
    if (!networks)
        return networks.error();
    auto limits = PerCpuView<tg_limit_tally>::open(fd("limit_tallies"), "limit_tallies");
    if (!limits)
        return limits.error();
    auto verdicts = PerCpuView<std::uint64_t>::open(fd("verdict_counts"), "verdict_counts");
    if (!verdicts)
        return verdicts.error();
    auto repeats = MappedArray<tg_repeat>::open(fd("repeats"), "repeats");
    if (!repeats)
        return repeats.error();
    return Totals{std::move(*services), std::move(*networks), std::move(*limits),
                  std::move(*verdicts), std::move(*repeats)};
}

template <typename Visit>
void Totals::visit_held_back(std::uint32_t first_slot, std::uint32_t end, Visit visit) const
{
    for (auto slot = first_slot; slot < end; slot++) {
        if (repeats_[slot].rejected == 0)
            continue;
        if (const auto held = read_repeat(repeats_[slot]))
            visit(*held);
    }
}

template <typename IsOne>
std::uint64_t Totals::held_back(std::uint32_t first_slot, std::uint32_t end, IsOne is_one) const
{
    std::uint64_t syn = 0;

    visit_held_back(first_slot, end, [&](const tg_repeat &held) {
        if (is_one(held))
            syn += held.rejected;
    });
    return syn;
}

template <typename IsOne>
std::uint64_t Totals::held_back(IsOne is_one) const
{
    return held_back(0, repeats_.entries_max(), is_one);
}

core::Tally Totals::tell(Table table, std::uint32_t index, const core::Tally &now) const
{
    auto &told = told_[{table, index}];

    told.syn = larger(now.syn, told.syn);
    told.opened = larger(now.opened, told.opened);
    told.closed = larger(now.closed, told.closed);
    told.dropped = larger(now.dropped, told.dropped);
    told.would_drop = larger(now.would_drop, told.would_drop);
    return told;
}

// In what follows the tables come first: what moves in between is missing then, not told twice.

core::Tally Totals::service(core::ServiceId service, Family family) const
{
    const bool is_ipv4 = family == Family::ipv4;
    const auto index = static_cast<std::uint32_t>(service) * TG_FAMILY_COUNT +
                       (is_ipv4 ? TG_FAMILY_IPV4 : TG_FAMILY_IPV6);
    auto sum = sum_of(services_.at(index));
    const auto rejected = held_back([&](const tg_repeat &one) {
        return one.service == service && to_address(one.client).is_ipv4() == is_ipv4;
    });

    sum.syn += rejected;
    sum.dropped += rejected;
    return tell(Table::services, index, sum);
}

std::map<std::uint32_t, core::Tally>
Totals::networks(const std::vector<std::uint32_t> &networks) const
{
    std::map<std::uint32_t, core::Tally> sums;

    for (const auto network : networks)
        sums[network] = sum_of(networks_.at(network));
    visit_held_back(0, repeats_.entries_max(), [&](const tg_repeat &held) {
        const auto sum = sums.find(held.network);
        if (sum == sums.end())
            return;
        sum->second.syn += held.rejected;
        sum->second.dropped += held.rejected;
    });
    for (auto &[network, sum] : sums)
        sum = tell(Table::networks, network, sum);
    return sums;
}

core::Tally Totals::limit_now(std::uint8_t limit) const
{
    core::Tally sum;

    for (const auto &value : limits_.at(limit)) {
        sum.dropped += value.dropped;
        sum.would_drop += value.would_drop;
    }
    sum.dropped += held_back([&](const tg_repeat &one) { return one.limit == limit; });
    return sum;
}

core::Tally Totals::limit(std::uint8_t limit) const
{
    return tell(Table::limits, limit, limit_now(limit));
}

std::uint64_t Totals::packets(tg_hook hook, tg_verdict verdict) const
{
    const auto index = std::uint32_t{hook} * TG_VERDICT_COUNT + std::uint32_t{verdict};
    core::Tally sum;

    for (const auto count : verdicts_.at(index))
        sum.syn += count;
    if (hook == TG_HOOK_INGRESS)
        sum.syn += held_back([&](const tg_repeat &one) { return one.verdict == verdict; });
    return tell(Table::verdicts, index, sum).syn;
}

/// Each CPU's row begins as far below 0 as it still holds back of the other limit.
Result<void> Totals::begin_limit(std::uint8_t limit) const
{
    constexpr int tries_max = 8; // it may move between our look and our writing

    told_.erase({Table::limits, limit});
    for (int i = 0; i < tries_max; i++) {
        std::vector<tg_limit_tally> rows = limits_.at(limit);
        for (std::uint32_t cpu = 0; cpu < rows.size(); cpu++) {
            const auto other = held_back(cpu * TG_REPEATS, (cpu + 1) * TG_REPEATS,
                                         [&](const tg_repeat &one) { return one.limit == limit; });
            rows[cpu] = {.dropped = 0 - other, .would_drop = 0};
        }
        if (const auto put = limits_.put(limit, rows); !put)
            return put;
        if (limit_now(limit).dropped == 0)
            break;
    }
    return {};
}

} // namespace tallygate::kernel
