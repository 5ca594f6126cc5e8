// SPDX-License-Identifier: BSD-2-Clause
#include "frontend/control_json.hpp"

#include "core/text.hpp"
#include "frontend/json_text.hpp"
#include "frontend/safety_json.hpp"

namespace tallygate::frontend {
namespace {

namespace json = boost::json;

json::object answer_object(const core::Answer &answer)
{
    return {{"schema", schema},
            {"value", answer.value},
            {"exact", answer.exact},
            {"lower", answer.lower},
            {"upper", answer.upper},
            {"rate_per_second", answer.rate_per_second},
            {"as_of", seconds(answer.as_of)},
            {"since", seconds(answer.since)}};
}

void add_block(json::object &object, const Block &block, const AskedBlock &asked)
{
    object["cidr"] = block.text();
    object["asked"] = asked.text;
    object["folded"] = asked.folded;
}

/// {"name": ..., <the tally>, "families": {"ipv4": {...}, "ipv6": {...}}}
json::object service_object(const ServiceTallies &service)
{
    json::object object{{"name", service.name}};
    for (const auto &[key, value] : tally_object(service.sum()))
        object[key] = value;
    object["families"] =
        json::object{{"ipv4", tally_object(service.ipv4)}, {"ipv6", tally_object(service.ipv6)}};
    return object;
}

json::object network_object(const core::NetworkCounts &network)
{
    json::object object{{"name", network.name}, {"cidr", network.block.text()}};
    for (const auto &[key, value] : tally_object(network.tally))
        object[key] = value;
    return object;
}

json::object attachment_object(const core::AttachmentStatus &attachment)
{
    return {{"interface", attachment.interface},
            {"direction", attachment.direction},
            {"how", attachment.how},
            {"note", attachment.note},
            {"adopted", attachment.adopted},
            {"in_place", attachment.in_place}};
}

json::object reconcile_object(const core::ReconcileStatus &reconcile)
{
    return {{"how", reconcile.how},
            {"adopted", reconcile.adopted},
            {"closed", reconcile.closed},
            {"idle_closed", reconcile.idle_closed},
            {"half_closed", reconcile.half_closed},
            {"rounds", reconcile.rounds}};
}

json::object table_object(const core::TableUse &table)
{
    return {{"name", table.name},
            {"entries", table.entries ? json::value(*table.entries) : json::value(nullptr)},
            {"entries_max", table.entries_max}};
}

json::object reports_object(const core::ReportedWindows::Counts &counts)
{
    return {{"taken", counts.taken_total},
            {"refused", counts.refused_total},
            {"coarsened", counts.coarsened_total}};
}

json::object events_object(const std::vector<EventCount> &events)
{
    json::object object;
    for (const auto &each : events)
        object[each.event] = each.count;
    return object;
}

json::object anvil_object(const AnvilFacts &anvil)
{
    return {{"socket", anvil.socket},
            {"socket_is_ours", anvil.socket_is_ours},
            {"streams", anvil.streams},
            {"idents", anvil.idents},
            {"events", events_object(anvil.events)}};
}

/// Null if no check is exceeded.
json::value finding_value(const core::CheckFinding &finding)
{
    if (!finding.is_exceeded())
        return nullptr;
    return json::object{
        {"check", finding.check}, {"action", core::check_action_name(finding.action)},
        {"of", finding.of},       {"count", finding.count},
        {"max", finding.max},     {"text", finding.text}};
}

json::object verdicts_object(const std::vector<core::VerdictCount> &verdicts)
{
    json::object hooks{{"ingress", json::object{}}, {"egress", json::object{}}};
    for (const auto &count : verdicts) {
        auto &hook = hooks[count.hook];
        if (!hook.is_object())
            hook = json::object{};
        hook.get_object()[count.verdict] = count.packets;
    }
    return hooks;
}

} // namespace

core::Tally ServiceTallies::sum() const
{
    core::Tally sum = ipv4;
    sum += ipv6;
    return sum;
}

std::vector<std::string> StatusReport::warnings() const
{
    auto all = gate.warnings;
    all.insert(all.end(), daemon.warnings.begin(), daemon.warnings.end());
    return all;
}

std::string live_json(const LiveRequest &request, const core::Answer &answer)
{
    auto object = answer_object(answer);
    add_block(object, request.question.block, request.asked);
    object["service"] = optional_text(request.question.service);
    object["listener"] = request.question.listener
                             ? json::value(json::string(request.question.listener->text()))
                             : json::value(nullptr);
    return line(object);
}

std::string count_json(const CountRequest &request, const core::Answer &answer)
{
    const auto &question = request.question;
    auto object = answer_object(answer);
    add_block(object, question.block, request.asked);
    object["monitor"] = question.monitor;
    object["start"] = question.start;
    object["end"] = question.end.value_or(question.start);
    object["event"] = core::counted_name(question.event);
    object["service"] = optional_text(question.service);
    object["smooth"] = question.smooth;
    return line(object);
}

std::string event_json(const EventRequest &request)
{
    const auto &report = request.report;
    json::object object{{"schema", schema},
                        {"reported", true},
                        {"event", core::reported_name(report.event)},
                        {"service", core::lower_case(report.service)},
                        {"amount", report.amount}};
    add_block(object, report.client, request.asked);
    return line(object);
}

std::string check_json(const CheckRequest &request, const core::CheckDecision &decision,
                       core::UnixTime as_of)
{
    const auto &finding = decision.finding;
    return line({{"schema", schema},
                 {"as_of", seconds(as_of)},
                 {"address", request.subject.address.text()},
                 {"service", optional_text(request.subject.service)},
                 {"action", core::check_action_name(finding.action)},
                 {"code", core::smtp_code(finding.action)},
                 {"delay_seconds", finding.delay.count()},
                 {"exceeded", finding_value(finding)},
                 {"would", finding_value(decision.reported)}});
}

std::string top_json(const TopRequest &request, const TopContext &context,
                     const std::vector<core::SourceRow> &rows)
{
    json::array array;
    for (const auto &row : rows) {
        const auto source = row.source.is_ipv4() || context.ipv6_source_bits >= 128
                                ? row.source.text()
                                : Block{row.source, context.ipv6_source_bits}.text();
        array.push_back(json::object{{"source", source},
                                     {"live", row.live},
                                     {"connections", row.connections},
                                     {"syn", row.syn}});
    }
    const auto &question = request.question;
    return line({{"schema", schema},
                 {"by", top_by_name(question.by)},
                 {"monitor", context.monitor},
                 {"cidr", question.block ? json::value(json::string(question.block->text()))
                                         : json::value(nullptr)},
                 {"service", optional_text(question.service)},
                 {"as_of", seconds(context.as_of)},
                 {"rows", std::move(array)}});
}

std::string networks_json(const std::vector<core::NetworkCounts> &networks, core::UnixTime as_of)
{
    return line({{"schema", schema},
                 {"as_of", seconds(as_of)},
                 {"networks", array_of(networks, network_object)}});
}

std::string status_json(const StatusReport &report)
{
    const auto &gate = report.gate;
    const auto &daemon = report.daemon;
    std::vector<std::string> monitors;
    for (const auto &monitor : report.monitors)
        monitors.push_back(monitor.text());

    json::object object(
        {{"schema", schema},
         {"version", daemon.version},
         {"pid", daemon.pid},
         {"config", daemon.config_file},
         {"as_of", seconds(report.now)},
         {"uptime_seconds", seconds(report.now - daemon.started)},
         {"mode", gate.mode},
         {"mode_set", mode_object(daemon.mode)},
         {"strict", gate.strict},
         {"pin_dir", gate.pin_dir},
         {"layout", gate.layout},
         {"program_tag", gate.program_tag},
         {"counting_since", seconds(gate.counting_since)},
         {"walk_seconds_last", seconds(daemon.walk_last)},
         {"warnings", array_of(report.warnings())},
         {"attachments", array_of(gate.attachments, attachment_object)},
         {"services", array_of(report.services, service_object)},
         {"monitors", array_of(monitors)},
         {"tables", array_of(gate.tables, table_object)},
         {"table_events", events_object(daemon.table_events)},
         {"lists", lists_object(daemon.lists)},
         {"audit_failures", daemon.audit_failures},
         {"reports", reports_object(report.reported)},
         {"series", {{"defined", report.series_count}, {"refused", report.series_refused_total}}},
         {"reconcile", reconcile_object(gate.reconcile)},
         {"verdicts", verdicts_object(report.verdicts)}});
    if (daemon.anvil)
        object["anvil"] = anvil_object(*daemon.anvil);
    return line(object);
}

std::string reloaded_json(const std::string &config_file)
{
    return line({{"schema", schema}, {"reloaded", true}, {"config", config_file}});
}

std::string error_json(const std::string &message, const std::vector<std::string> &known)
{
    json::object object{{"schema", schema}, {"error", message}};
    if (!known.empty())
        object["known"] = array_of(known);
    return line(object);
}

} // namespace tallygate::frontend
