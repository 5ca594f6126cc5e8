// SPDX-License-Identifier: BSD-2-Clause
#include "frontend/safety_json.hpp"

#include <algorithm>

#include "frontend/json_text.hpp"

namespace tallygate::frontend {
namespace {

namespace json = boost::json;

json::object entry_object(const core::ListEntry &entry)
{
    const auto &grounds = entry.grounds;
    return {{"kind", core::list_kind_name(grounds.kind)},
            {"cidr", entry.block.text()},
            {"origin", core::list_origin_name(grounds.origin)},
            {"place", grounds.place},
            {"reason", grounds.reason},
            {"added", seconds(grounds.added)},
            {"until", optional_time(grounds.until)}};
}

/// The place of a limit of this name; empty if it has gone from the configuration meanwhile.
std::string place_of(const std::vector<LimitFacts> &limits, const std::string &name)
{
    const auto found = std::ranges::find(limits, name, &LimitFacts::name);
    return found == limits.end() ? "" : found->place;
}

json::object explained_limit(const core::ExplainedLimit &limit,
                             const std::vector<LimitFacts> &configured)
{
    return {{"limit", limit.limit},
            {"place", place_of(configured, limit.limit)},
            {"scope", limit.scope},
            {"holder", limit.holder},
            {"applies", limit.applies},
            {"action", limit.counts_only ? "count" : "drop"},
            {"verdict", limit.verdict},
            {"syns_left", limit.syns_left},
            {"conforms_in_seconds", seconds(limit.conforms_in)},
            {"live", optional_number(limit.live)},
            {"live_max", optional_number(limit.live_max)}};
}

json::object bounded(const core::Answer &answer)
{
    return {{"value", answer.value},
            {"exact", answer.exact},
            {"lower", answer.lower},
            {"upper", answer.upper}};
}

json::object explained_service(const ExplainedService &service, const ExplainReport &report)
{
    const auto &gate = service.gate;
    json::array limits;
    for (const auto &limit : gate.limits)
        limits.push_back(explained_limit(limit, report.limits));

    return {{"service", service.service},
            {"verdict", gate.verdict},
            {"allowed", gate.allow_until > report.as_of},
            {"blocked", gate.block_until > report.as_of},
            {"proven", gate.is_proven},
            {"network",
             gate.network.empty() ? json::value(nullptr) : json::value(json::string(gate.network))},
            {"tally", gate.tally ? json::value(tally_object(*gate.tally)) : json::value(nullptr)},
            {"claimed", json::object{{"syn", gate.claimed_syn}, {"dropped", gate.claimed_dropped}}},
            {"live", bounded(service.live)},
            {"monitor", service.monitor},
            {"connections", bounded(service.connections)},
            {"syn", bounded(service.syn)},
            {"limits", std::move(limits)}};
}

} // namespace

json::object mode_object(const ModeFacts &mode)
{
    return {{"mode", core::mode_name(mode.mode)},
            {"by", mode.is_by_control ? "control" : "configuration"},
            {"user", mode.set_by},
            {"until", optional_time(mode.until)},
            {"then", mode.until ? json::value(core::mode_name(mode.after)) : json::value(nullptr)},
            {"configured", core::mode_name(mode.configured)}};
}

json::object lists_object(const ListFacts &lists)
{
    return {{"allow", lists.allow},
            {"block", lists.block},
            {"control_blocks", lists.control_blocks},
            {"blocks_max", lists.blocks_max},
            {"breaker_open", lists.is_breaker_open},
            {"entries_max", lists.entries_max},
            {"swapped_at", optional_time(lists.swapped_at)},
            {"swap_seconds_last", seconds(lists.swap_last)},
            {"swap_under_way", lists.is_swap_under_way}};
}

std::string entry_json(const char *done, const AskedBlock &asked, const core::ListEntry &entry)
{
    json::object object{{"schema", schema}, {"done", done}};
    for (const auto &[key, value] : entry_object(entry))
        object[key] = value;
    object["asked"] = asked.text;
    object["folded"] = asked.folded;
    return line(object);
}

std::string entries_json(const ListsRequest &request, const std::vector<core::ListEntry> &rows,
                         std::size_t total, core::UnixTime as_of)
{
    const auto kind =
        request.kind ? json::value(core::list_kind_name(*request.kind)) : json::value(nullptr);
    return line({{"schema", schema},
                 {"as_of", seconds(as_of)},
                 {"kind", kind},
                 {"total", total},
                 {"entries", array_of(rows, entry_object)}});
}

std::string limits_json(core::Mode mode, const std::vector<LimitFacts> &limits,
                        const std::vector<core::LimitCounts> &counts, core::UnixTime as_of)
{
    json::array rows;
    for (const auto &limit : limits) {
        const auto count = std::ranges::find(counts, limit.name, &core::LimitCounts::name);
        const bool is_counted = count != counts.end();
        rows.push_back(
            json::object{{"name", limit.name},
                         {"place", limit.place},
                         {"services", array_of(limit.services)},
                         {"per", array_of(limit.per)},
                         {"networks", array_of(limit.networks)},
                         {"who", limit.who},
                         {"syn_rate", limit.syn_rate.empty() ? json::value(nullptr)
                                                             : json::value(limit.syn_rate)},
                         {"syn_burst", optional_number(limit.syn_burst)},
                         {"live_max", optional_number(limit.live_max)},
                         {"action", limit.action},
                         {"dropped", is_counted ? count->dropped : 0},
                         {"would_drop", is_counted ? count->would_drop : 0}});
    }
    return line({{"schema", schema},
                 {"as_of", seconds(as_of)},
                 {"mode", core::mode_name(mode)},
                 {"limits", std::move(rows)}});
}

std::string mode_json(const ModeFacts &mode, core::UnixTime as_of)
{
    json::object object{{"schema", schema}, {"as_of", seconds(as_of)}};
    for (const auto &[key, value] : mode_object(mode))
        object[key] = value;
    return line(object);
}

std::string explain_json(const ExplainRequest &request, const ExplainReport &report)
{
    const auto source =
        report.source.length_bits() == 128 ? report.source.first().text() : report.source.text();
    json::array services;
    for (const auto &service : report.services)
        services.push_back(explained_service(service, report));
    return line({{"schema", schema},
                 {"as_of", seconds(report.as_of)},
                 {"address", request.address.text()},
                 {"source", source},
                 {"mode", core::mode_name(report.mode)},
                 {"entries", array_of(report.entries, entry_object)},
                 {"services", std::move(services)}});
}

} // namespace tallygate::frontend
