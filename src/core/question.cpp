// SPDX-License-Identifier: BSD-2-Clause
#include "core/question.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iterator>
#include <utility>

#include "core/text.hpp"

namespace tallygate::core {
namespace {

constexpr std::array both_families = {Family::ipv4, Family::ipv6};

Error unknown_service(const std::string &name, const std::vector<std::string> &known)
{
    return unknown("there is no service '" + name + "': " +
                   (known.empty() ? "none is configured" : "expected one of " + listed(known)));
}

double seconds_into_window(const Monitor &monitor, UnixTime now)
{
    const std::chrono::sys_seconds begin{
        std::chrono::seconds{window_index(monitor.window_seconds, now) * monitor.window_seconds}};

    return std::chrono::duration<double>(now - begin).count();
}

double seconds_elapsed(const WindowRange &range, const Monitor &monitor, UnixTime now)
{
    const double size = monitor.window_seconds;
    double elapsed = size * (range.end - range.start + 1);

    if (range.start == 0)
        elapsed -= size - seconds_into_window(monitor, now);
    // One event in a window's first millisecond is no thousand a second.
    return std::max(elapsed, 1.0);
}

} // namespace

std::string_view counted_name(Counted event)
{
    if (const auto *const reported = std::get_if<Reported>(&event))
        return reported_name(*reported);
    return event_name(std::get<Event>(event));
}

std::vector<std::string> counted_names()
{
    std::vector<std::string> names;

    for (std::size_t i = 0; i < event_count; i++)
        names.emplace_back(event_name(static_cast<Event>(i)));
    for (std::size_t i = 0; i < reported_count; i++)
        names.emplace_back(reported_name(static_cast<Reported>(i)));
    return names;
}

Result<Counted> parse_counted(std::string_view text)
{
    if (const auto reported = parse_reported(text))
        return Counted{*reported};
    if (const auto event = parse_event(text))
        return Counted{*event};
    return unknown("there is no event '" + std::string(text) + "': expected one of " +
                   listed(counted_names()));
}

Questions::Questions(Ledger &ledger, Gate &gate, const Clock &clock)
    : ledger_(ledger), gate_(gate), clock_(clock), windows_since_(clock.now())
{
}

void Questions::set_services(std::map<std::string, ServiceId> services)
{
    services_ = std::move(services);
}

void Questions::begin_claims_round()
{
    claims_begun_at_ = clock_.now();
    totals_at_begin_.clear();
    for (const auto &[name, service] : services_)
        for (const Family family : both_families)
            totals_at_begin_[{service, family}] = gate_.service_tally(service, family);
}

void Questions::end_claims_round()
{
    for (const auto &[key, total] : totals_at_begin_)
        ledger_.reconcile(key.first, key.second, total, clock_.now());
    claims_round_at_ = claims_begun_at_;
}

Result<Answer> Questions::live(const LiveQuestion &question)
{
    if (question.listener && question.service)
        return malformed("a question is about a service or about a listener, not about both");
    const auto service = find_service(question.service);
    if (!service)
        return service.error();

    const bool refreshed = gate_.refresh(whole_sources(question.block));
    const bool walks_flows = question.listener || is_part_of_source(question.block);
    const auto live = count_live(question, *service, refreshed);
    if (!live)
        return live.error();

    Answer answer;
    answer.value = answer.lower = answer.upper = *live;
    answer.as_of = refreshed || walks_flows ? clock_.now() : walked_at_;
    answer.since = gate_.counting_since();
    return answer;
}

Result<std::int64_t> Questions::count_live(const LiveQuestion &question,
                                           std::optional<ServiceId> service, bool refreshed) const
{
    if (!question.listener && !is_part_of_source(question.block))
        return ledger_.live(question.block, service);
    // Most of the addresses that policy asks about have nothing open: no walk for those.
    if (refreshed && !question.listener &&
        ledger_.live(whole_sources(question.block), service) == 0)
        return 0;
    const auto flows = gate_.count_flows(question.block, question.listener, service);
    if (!flows)
        return Error{flows.error().message};
    return static_cast<std::int64_t>(*flows);
}

Result<Answer> Questions::count(const CountQuestion &question)
{
    if (const auto good = check_service(question); !good)
        return good.error();
    const auto monitor = find_monitor(question);
    if (!monitor)
        return monitor.error();
    const auto range = find_windows(*monitor, question.start, question.end);
    if (!range)
        return range.error();
    if (!question.smooth)
        return count_windows(question, *monitor, *range);
    if (range->end != 0)
        return malformed("a smooth count is about window 0 and the one before: expected neither "
                         "start nor end");
    return count_smoothly(question, *monitor);
}

Result<void> Questions::check_service(const CountQuestion &question) const
{
    if (!question.service)
        return {};
    const auto known = services_of(question.event);
    if (std::ranges::find(known, lower_case(*question.service)) != known.end())
        return {};
    return unknown_service(*question.service, known);
}

/// Service, monitor and windows are there.
Answer Questions::count_windows(const CountQuestion &question, const Monitor &monitor,
                                const WindowRange &range)
{
    if (const auto *const reported = std::get_if<Reported>(&question.event))
        return count_reported(question, *reported, monitor, range);
    return count_seen(question, std::get<Event>(question.event), monitor, range);
}

Answer Questions::count_reported(const CountQuestion &question, Reported event,
                                 const Monitor &monitor, const WindowRange &range) const
{
    const auto service =
        question.service ? std::optional{lower_case(*question.service)} : std::nullopt;
    const auto now = clock_.now();
    const auto sum = ledger_.reported().sum(whole_sources(question.block), service, event, monitor,
                                            range.start, range.end, now);
    Answer answer;
    answer.value = sum.within;
    answer.lower = is_part_of_source(question.block) ? 0 : sum.within;
    answer.upper = sum.within + sum.around;
    answer.exact = answer.lower == answer.upper;
    answer.rate_per_second =
        static_cast<double>(answer.value) / seconds_elapsed(range, monitor, now);
    answer.as_of = now;
    answer.since = kept_since(monitor, ledger_.reported().since().value_or(windows_since_));
    return answer;
}

/// Since when the windows of `monitor` are whole, where counting began at `begun`. Never in the
/// future, though the clock may have been ahead.
UnixTime Questions::kept_since(const Monitor &monitor, UnixTime begun) const
{
    return std::max(begun, std::min(ledger_.kept_since(monitor), clock_.now()));
}

Answer Questions::count_seen(const CountQuestion &question, Event event, const Monitor &monitor,
                             const WindowRange &range)
{
    Asked asked{.block = whole_sources(question.block),
                .service = *find_service(question.service),
                .event = event,
                .monitor = monitor,
                .start = range.start,
                .end = range.end,
                .now = {},
                .since = kept_since(monitor, std::max(gate_.counting_since(), windows_since_))};
    const bool sources_read = gate_.refresh(asked.block);
    if (asked.is_whole_family() && asked.start == 0 && asked.event != Event::connections)
        asked.owed = owed(asked.block.family(), asked.service, asked.event);
    const bool prefixes_read =
        event != Event::connections && refresh_prefixes_ && refresh_prefixes_(asked.block);
    asked.now = clock_.now();
    const Bounds bounds = bound_count(ledger_, asked);

    Answer answer;
    answer.value = bounds.lower;
    answer.lower = is_part_of_source(question.block) ? 0 : bounds.lower;
    answer.upper = bounds.upper;
    answer.exact = answer.lower == answer.upper;
    answer.rate_per_second =
        static_cast<double>(answer.value) / seconds_elapsed(range, monitor, asked.now);
    answer.as_of = time_of(asked, bounds, sources_read, prefixes_read);
    answer.since = asked.since;
    return answer;
}

/// The share of the window before is what this one has still to come, so that a count does not
/// fall to 0 where a window begins.
Answer Questions::count_smoothly(const CountQuestion &question, const Monitor &monitor)
{
    // One window more than can be asked for is kept.
    const Monitor with_previous{monitor.window_seconds, monitor.windows + 1};
    const auto index = [&](UnixTime time) { return window_index(monitor.window_seconds, time); };
    UnixTime begun;
    UnixTime now;
    Answer answer;
    Answer previous;

    // What was now would count once more as the window before, where one begins meanwhile.
    do {
        begun = clock_.now();
        answer = count_windows(question, with_previous, {0, 0});
        previous = count_windows(question, with_previous, {1, 1});
        now = clock_.now();
    } while (index(now) != index(begun));
    const double size = monitor.window_seconds;
    const double share = 1 - seconds_into_window(monitor, now) / size;
    const auto add = [&](std::int64_t &value, std::int64_t before) {
        value += std::llround(static_cast<double>(before) * share);
    };

    add(answer.value, previous.value);
    add(answer.lower, previous.lower);
    add(answer.upper, previous.upper);
    answer.exact = answer.exact && previous.exact;
    answer.rate_per_second = static_cast<double>(answer.value) / size;
    answer.as_of = std::min(answer.as_of, previous.as_of);
    return answer;
}

/// Until when all records that the bounds rest on are complete.
UnixTime Questions::time_of(const Asked &asked, const Bounds &bounds, bool sources_read,
                            bool prefixes_read) const
{
    UnixTime time = asked.now;

    if (bounds.by_networks || (bounds.by_prefixes && !prefixes_read))
        time = std::min(time, prefixes_walked_at_);
    if (!bounds.by_sources)
        return time;
    if (asked.event == Event::connections)
        return sources_read ? time : std::min(time, walked_at_);
    const bool includes_all = (asked.is_whole_family() && asked.start == 0) ||
                              (sources_read && is_reconciled(asked.block.family(), asked.service));
    return includes_all ? time : std::min(time, claims_round_at_);
}

Result<std::vector<SourceRow>> Questions::top(const TopQuestion &question)
{
    const auto service = find_service(question.service);
    if (!service)
        return service.error();
    if (question.rows_max == 0 || question.rows_max > rows_max)
        return malformed("a list of " + std::to_string(question.rows_max) +
                         " rows: expected 1 to " + std::to_string(rows_max));
    if (!question.monitor && ledger_.monitors().empty())
        return unknown("no monitor is configured");
    const auto monitor =
        question.monitor ? find_monitor(*question.monitor) : ledger_.monitors().front();
    if (!monitor)
        return monitor.error();

    std::vector<Block> blocks;
    if (question.block)
        blocks.push_back(whole_sources(*question.block));
    else
        std::ranges::transform(both_families, std::back_inserter(blocks), Block::all);

    std::vector<SourceRow> rows;
    for (const Block &block : blocks) {
        gate_.refresh(block);
        std::ranges::copy(
            ledger_.top(block, *service, question.by, *monitor, question.rows_max, clock_.now()),
            std::back_inserter(rows));
    }
    std::ranges::sort(rows, [&](const SourceRow &row, const SourceRow &other) {
        return comes_before(row, other, question.by);
    });
    if (rows.size() > question.rows_max)
        rows.resize(question.rows_max);
    return rows;
}

Result<std::optional<ServiceId>>
Questions::find_service(const std::optional<std::string> &name) const
{
    if (!name)
        return std::optional<ServiceId>{};
    const auto found = services_.find(lower_case(*name));
    if (found != services_.end())
        return std::optional{found->second};
    return unknown_service(*name, services_of(Event::connections));
}

std::vector<std::string> Questions::services_of(Counted event) const
{
    std::vector<std::string> names;

    for (const auto &[name, id] : services_)
        names.push_back(name);
    if (std::holds_alternative<Event>(event))
        return names;
    for (auto &name : ledger_.reported().services())
        if (!services_.contains(name))
            names.push_back(std::move(name));
    std::ranges::sort(names);
    return names;
}

Result<Monitor> Questions::find_monitor(const CountQuestion &question) const
{
    const auto &monitors = ledger_.monitors();
    if (!question.monitor_index)
        return find_monitor(question.monitor);
    if (*question.monitor_index < monitors.size())
        return monitors[*question.monitor_index];
    return unknown("there is no monitor number " + std::to_string(*question.monitor_index) + ": " +
                   (monitors.empty() ? "none is configured"
                                     : "expected 0 to " + std::to_string(monitors.size() - 1)));
}

Result<Monitor> Questions::find_monitor(const std::string &text) const
{
    if (ledger_.monitors().empty())
        return unknown("there is no monitor '" + text + "': none is configured");
    const auto monitor = Monitor::parse(text);
    if (monitor && std::ranges::find(ledger_.monitors(), *monitor) != ledger_.monitors().end())
        return *monitor;

    std::vector<std::string> names;
    for (const Monitor &candidate : ledger_.monitors())
        names.push_back(candidate.text());
    const auto known = listed_in_quotes(names);
    if (!monitor)
        return malformed(monitor.error().message + "; configured: " + known);
    return unknown("there is no monitor \"" + text + "\": expected one of " + known);
}

/// Whether `block` is smaller than what the gate can tell apart.
bool Questions::is_part_of_source(const Block &block) const
{
    return block.family() == Family::ipv6 && block.length_bits() > gate_.ipv6_source_bits();
}

Block Questions::whole_sources(const Block &block) const
{
    return is_part_of_source(block) ? Block{block.first(), gate_.ipv6_source_bits()} : block;
}

std::int64_t Questions::owed(Family family, std::optional<ServiceId> service, Event event) const
{
    std::int64_t sum = 0;

    for (const auto &[name, id] : services_)
        if (!service || *service == id)
            sum += ledger_.owed(id, family, event, gate_.service_tally(id, family));
    return sum;
}

bool Questions::is_reconciled(Family family, std::optional<ServiceId> service) const
{
    return std::ranges::all_of(services_, [&](const auto &entry) {
        const ServiceId id = entry.second;
        return (service && *service != id) ||
               ledger_.is_reconciled(id, family, gate_.service_tally(id, family));
    });
}

} // namespace tallygate::core
