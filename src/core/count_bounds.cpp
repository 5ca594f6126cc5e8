// SPDX-License-Identifier: BSD-2-Clause
#include "core/count_bounds.hpp"

#include <algorithm>
#include <chrono>

namespace tallygate::core {
namespace {

std::int64_t at_least_0(std::int64_t number)
{
    return std::max<std::int64_t>(number, 0);
}

/// The sums of one span of windows that the bounds are made of.
class Records {
public:
    Records(const Ledger &ledger, const Asked &asked, const PrefixWindows::Span &span)
        : ledger_(ledger), asked_(asked), span_(span)
    {
        const auto index = window_index(asked.monitor.window_seconds, asked.now);
        start_ = static_cast<std::uint32_t>(index - span.newest);
        end_ = static_cast<std::uint32_t>(index - span.oldest);
    }

    /// Recorded under sources of `block`.
    std::int64_t of_sources(const Block &block, std::optional<ServiceId> service) const
    {
        return ledger_.count(block, service, asked_.event, asked_.monitor, start_, end_,
                             asked_.now);
    }

    /// Of the family, and nobody knows of which source. Less than 0 where a source turned up
    /// later than it was charged to nobody.
    std::int64_t charged(std::optional<ServiceId> service) const
    {
        return ledger_.unattributed(asked_.block.family(), service, asked_.event, asked_.monitor,
                                    start_, end_, asked_.now);
    }
    std::int64_t of_nobody(std::optional<ServiceId> service) const
    {
        return at_least_0(charged(service));
    }
    /// All that the gate counted of the family.
    std::int64_t of_family(std::optional<ServiceId> service) const
    {
        return at_least_0(of_sources(Block::all(asked_.block.family()), service) +
                          charged(service));
    }

    std::int64_t of_prefixes(const Block &block) const
    {
        return ledger_.prefixes().sum(block, asked_.monitor.window_seconds, span_);
    }

    /// What the gate counted of the family, and has of no prefix any more. Of IPv4 it has all.
    std::int64_t of_no_prefix() const
    {
        const Family family = asked_.block.family();
        return family == Family::ipv4 ? 0
                                      : at_least_0(of_family({}) - of_prefixes(Block::all(family)));
    }

private:
    const Ledger &ledger_;
    const Asked &asked_;
    const PrefixWindows::Span &span_;
    std::uint32_t start_;
    std::uint32_t end_;
};

/// By the records of sources alone.
Bounds bound_by_sources(const Records &records, const Asked &asked)
{
    if (asked.is_whole_family()) {
        const auto family = at_least_0(records.of_family(asked.service) + asked.owed);
        return {family, family, true, false};
    }
    const auto known = records.of_sources(asked.block, asked.service);
    return {known, known + records.of_nobody(asked.service), true, false};
}

/// SYNs to all services.
Bounds bound_all_syn(const Records &records, const Asked &asked, Detail detail)
{
    const Block cover = widened(asked.block, detail);
    const bool is_cover = cover == asked.block;
    const auto missed = records.of_no_prefix();
    const auto counted = records.of_prefixes(cover);
    const bool ipv4 = asked.block.family() == Family::ipv4;

    if (ipv4 && is_cover)
        return {counted, counted, false, true};
    const auto known = records.of_sources(asked.block, {});
    if (ipv4)
        return {known, known + at_least_0(counted - records.of_sources(cover, {})), false, true};

    // Of IPv6, the gate keeps some prefixes: each record is a lower bound of its own.
    const auto lower = is_cover ? std::max(known, counted) : known;
    const auto upper_by_prefixes =
        (is_cover ? counted : known + at_least_0(counted - records.of_sources(cover, {}))) + missed;
    const auto upper = std::min(upper_by_prefixes, known + records.of_nobody({}));
    return {lower, std::max(lower, upper), true, true};
}

/// SYNs to one service, of which a prefix knows no more than that they are among all.
Bounds bound_syn_of_service(const Records &records, const Asked &asked, Detail detail)
{
    const Block cover = widened(asked.block, detail);
    const auto counted = records.of_prefixes(cover);
    const auto unknown = records.of_nobody(asked.service);
    const auto known = records.of_sources(asked.block, asked.service);
    const auto unclaimed =
        at_least_0(counted - records.of_sources(cover, {})) + records.of_no_prefix();
    const auto upper = known + std::min(unclaimed, unknown);
    if (cover != asked.block)
        return {known, upper, true, true};

    // What the others cannot have had was this one's: all of it, if there are no others.
    const auto others =
        records.of_sources(cover, {}) - known + at_least_0(records.of_nobody({}) - unknown);
    return {std::clamp(counted - others, known, upper), upper, true, true};
}

Bounds bound_span(const Ledger &ledger, const Asked &asked, const PrefixWindows::Span &span)
{
    const Records records{ledger, asked, span};

    if (asked.event != Event::syn || span.detail == Detail::none)
        return bound_by_sources(records, asked);
    return asked.service ? bound_syn_of_service(records, asked, span.detail)
                         : bound_all_syn(records, asked, span.detail);
}

/// A network that the operator names has totals of its own.
std::optional<Bounds> bound_network(const Ledger &ledger, const Asked &asked, std::int64_t oldest,
                                    std::int64_t newest)
{
    const NetworkBook *const network = ledger.networks().find(asked.block);
    if (!network || asked.service || asked.event == Event::connections)
        return std::nullopt;
    // In seconds: long windows reach further back than nanoseconds do.
    const auto since = std::chrono::ceil<std::chrono::seconds>(network->since).time_since_epoch();
    if (network->since > asked.since && since.count() > oldest * asked.monitor.window_seconds)
        return std::nullopt;

    const auto counts =
        ledger.networks().count(asked.block, asked.monitor.window_seconds, oldest, newest);
    const auto count =
        static_cast<std::int64_t>(asked.event == Event::syn ? counts.syn : counts.dropped);
    return Bounds{.lower = count, .upper = count, .by_networks = true};
}

/// The spans that ask the same records of the same blocks together, so that what came under one
/// record in one window and under another in the next shows in neither bound.
std::vector<PrefixWindows::Span> spans_of(const Ledger &ledger, const Asked &asked,
                                          std::int64_t oldest, std::int64_t newest)
{
    auto spans = ledger.prefixes().spans(asked.block.family(), asked.monitor.window_seconds, oldest,
                                         newest, asked.since);
    std::vector<PrefixWindows::Span> joined;

    for (auto span : spans) {
        if (span.detail == Detail::fine &&
            asked.block.length_bits() <= prefix_bits(asked.block.family(), Detail::coarse))
            span.detail = Detail::coarse;
        if (!joined.empty() && joined.back().detail == span.detail)
            joined.back().newest = span.newest;
        else
            joined.push_back(span);
    }
    return joined;
}

} // namespace

Bounds bound_count(const Ledger &ledger, const Asked &asked)
{
    const auto index = window_index(asked.monitor.window_seconds, asked.now);
    const auto oldest = index - asked.end;
    const auto newest = index - asked.start;
    if (const auto network = bound_network(ledger, asked, oldest, newest))
        return *network;
    // Of a whole family the gate has totals.
    if (asked.event != Event::syn || asked.is_whole_family())
        return bound_span(ledger, asked, {Detail::none, oldest, newest});

    Bounds bounds;
    for (const auto &span : spans_of(ledger, asked, oldest, newest)) {
        const auto part = bound_span(ledger, asked, span);
        bounds.lower += part.lower;
        bounds.upper += part.upper;
        bounds.by_sources |= part.by_sources;
        bounds.by_prefixes |= part.by_prefixes;
    }
    return bounds;
}

} // namespace tallygate::core
