// SPDX-License-Identifier: BSD-2-Clause
#include "frontend/control_metrics.hpp"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <sstream>
#include <utility>

namespace tallygate::frontend {
namespace {

using prometheus::MetricType;
using Families = std::vector<prometheus::MetricFamily>;
using Labels = std::vector<prometheus::ClientMetric::Label>;

class Family {
public:
    Family(std::string name, std::string help, MetricType type)
        : family_{std::move(name), std::move(help), type, {}}
    {
    }

    void add(Labels labels, double value)
    {
        prometheus::ClientMetric metric;
        metric.label = std::move(labels);
        metric.counter.value = value;
        metric.gauge.value = value;
        family_.metric.push_back(std::move(metric));
    }

    void move_to(Families &families) { families.push_back(std::move(family_)); }

private:
    prometheus::MetricFamily family_;
};

/// What a tally becomes: one metric for each of these rows, for services and for networks.
struct TallyMetric {
    const char *name;
    const char *help;
    MetricType type;
    std::uint64_t (*value)(const core::Tally &);
};

constexpr TallyMetric tally_metrics[] = {
    {"syn_total", "SYNs that came in, dropped or not.", MetricType::Counter,
     [](const core::Tally &tally) { return tally.syn; }},
    {"opened_total", "Connections opened: handshakes that were finished.", MetricType::Counter,
     [](const core::Tally &tally) { return tally.opened; }},
    {"closed_total", "Connections closed.", MetricType::Counter,
     [](const core::Tally &tally) { return tally.closed; }},
    {"dropped_total", "SYNs dropped by a limit or a block.", MetricType::Counter,
     [](const core::Tally &tally) { return tally.dropped; }},
    {"would_drop_total", "SYNs that a limit or a block would drop, were it enforced.",
     MetricType::Counter, [](const core::Tally &tally) { return tally.would_drop; }},
    {"live", "Connections open now.", MetricType::Gauge,
     [](const core::Tally &tally) { return tally.live(); }},
};

void add_services(Families &families, const std::vector<ServiceTallies> &services)
{
    for (const auto &metric : tally_metrics) {
        Family family{std::string("tallygate_") + metric.name, metric.help, metric.type};
        for (const auto &service : services) {
            family.add({{"service", service.name}, {"family", "ipv4"}},
                       static_cast<double>(metric.value(service.ipv4)));
            family.add({{"service", service.name}, {"family", "ipv6"}},
                       static_cast<double>(metric.value(service.ipv6)));
        }
        family.move_to(families);
    }
}

void add_networks(Families &families, const std::vector<core::NetworkCounts> &networks)
{
    for (const auto &metric : tally_metrics) {
        Family family{std::string("tallygate_network_") + metric.name,
                      std::string("By network, nested ones included. ") + metric.help, metric.type};
        for (const auto &network : networks)
            family.add({{"network", network.name}, {"cidr", network.block.text()}},
                       static_cast<double>(metric.value(network.tally)));
        family.move_to(families);
    }
}

void add_gate(Families &families, const StatusReport &report)
{
    Family packets{"tallygate_packets_total", "Packets by the one reason for which each left.",
                   MetricType::Counter};
    for (const auto &count : report.verdicts)
        packets.add({{"hook", count.hook}, {"verdict", count.verdict}},
                    static_cast<double>(count.packets));
    packets.move_to(families);

    Family entries{"tallygate_table_entries", "Entries in use.", MetricType::Gauge};
    Family entries_max{"tallygate_table_entries_max", "Entries that there is room for.",
                       MetricType::Gauge};
    for (const auto &table : report.gate.tables) {
        if (table.entries)
            entries.add({{"table", table.name}}, static_cast<double>(*table.entries));
        entries_max.add({{"table", table.name}}, static_cast<double>(table.entries_max));
    }
    entries.move_to(families);
    entries_max.move_to(families);

    Family events{"tallygate_table_events_total",
                  "What happened to tables, such as an entry that made room for another.",
                  MetricType::Counter};
    for (const auto &each : report.daemon.table_events)
        events.add({{"event", each.event}}, static_cast<double>(each.count));
    events.move_to(families);

    Family attached{"tallygate_attached", "1 for each place where the gate is attached.",
                    MetricType::Gauge};
    for (const auto &each : report.gate.attachments)
        attached.add(
            {{"interface", each.interface}, {"direction", each.direction}, {"how", each.how}},
            each.in_place ? 1 : 0);
    attached.move_to(families);
}

struct ReconcileMetric {
    const char *name;
    const char *help;
    MetricType type;
    std::uint64_t core::ReconcileStatus::*value;
};

constexpr ReconcileMetric reconcile_metrics[] = {
    {"tallygate_reconcile_adopted_total", "Flows made for connections that had none.",
     MetricType::Counter, &core::ReconcileStatus::adopted},
    {"tallygate_reconcile_closed_total", "Flows closed because their socket was gone.",
     MetricType::Counter, &core::ReconcileStatus::closed},
    {"tallygate_idle_closed_total", "Flows closed because nothing passed for long.",
     MetricType::Counter, &core::ReconcileStatus::idle_closed},
    {"tallygate_reconcile_rounds_total", "Rounds of comparing flows with sockets.",
     MetricType::Counter, &core::ReconcileStatus::rounds},
    {"tallygate_half_closed", "Flows with one FIN, when the last round looked.", MetricType::Gauge,
     &core::ReconcileStatus::half_closed},
};

void add_reconcile(Families &families, const core::ReconcileStatus &reconcile)
{
    for (const auto &metric : reconcile_metrics) {
        Family family{metric.name, metric.help, metric.type};
        family.add({}, static_cast<double>(reconcile.*metric.value));
        family.move_to(families);
    }
}

void add_limits(Families &families, const std::vector<core::LimitCounts> &limits)
{
    Family dropped{"tallygate_limit_dropped_total", "SYNs that the limit has dropped.",
                   MetricType::Counter};
    Family would_drop{"tallygate_limit_would_drop_total",
                      "SYNs that the limit would drop, were it enforced.", MetricType::Counter};
    for (const auto &limit : limits) {
        dropped.add({{"limit", limit.name}}, static_cast<double>(limit.dropped));
        would_drop.add({{"limit", limit.name}}, static_cast<double>(limit.would_drop));
    }
    dropped.move_to(families);
    would_drop.move_to(families);
}

void add_lists(Families &families, const ListFacts &lists)
{
    Family entries{"tallygate_list_entries", "Entries on the lists.", MetricType::Gauge};
    entries.add({{"kind", "allow"}}, static_cast<double>(lists.allow));
    entries.add({{"kind", "block"}}, static_cast<double>(lists.block));
    entries.move_to(families);

    Family breaker{"tallygate_block_breaker_open",
                   "1 while so many blocks set by control are in force that no more are taken.",
                   MetricType::Gauge};
    breaker.add({}, lists.is_breaker_open ? 1 : 0);
    breaker.move_to(families);

    Family swap{"tallygate_list_swap_seconds_last",
                "How long it took to give the gate all lists anew.", MetricType::Gauge};
    swap.add({}, std::chrono::duration<double>(lists.swap_last).count());
    swap.move_to(families);
}

void add_reports(Families &families, const StatusReport &report)
{
    const auto add = [&](const char *name, const char *help, MetricType type, double value) {
        Family family{name, help, type};
        family.add({}, value);
        family.move_to(families);
    };
    Family reported{"tallygate_reported_total", "What mail servers reported, by event.",
                    MetricType::Counter};
    for (std::size_t i = 0; i < core::reported_count; i++)
        reported.add({{"event", std::string(core::reported_name(static_cast<core::Reported>(i)))}},
                     static_cast<double>(report.reported.amount_total[i]));
    reported.move_to(families);
    add("tallygate_reports_refused_total", "Reports of a service with no name, or one too many.",
        MetricType::Counter, static_cast<double>(report.reported.refused_total));
    add("tallygate_reports_coarsened_total",
        "Windows of reports that are told less finely for lack of memory.", MetricType::Counter,
        static_cast<double>(report.reported.coarsened_total));
    add("tallygate_series", "Named series that are defined.", MetricType::Gauge,
        static_cast<double>(report.series_count));
    add("tallygate_series_refused_total", "New keys of series that there was no room for.",
        MetricType::Counter, static_cast<double>(report.series_refused_total));
}

void add_daemon(Families &families, const StatusReport &report)
{
    const auto seconds = [](auto span) { return std::chrono::duration<double>(span).count(); };
    const auto add = [&](const char *name, const char *help, Labels labels, double value) {
        Family family{name, help, MetricType::Gauge};
        family.add(std::move(labels), value);
        family.move_to(families);
    };

    add("tallygate_build_info", "1, labelled with the version.",
        {{"version", report.daemon.version}}, 1);
    add("tallygate_enforcing", "1 if the gate may drop packets, 0 if it observes.", {},
        report.gate.mode == "enforce" ? 1 : 0);
    add("tallygate_walk_seconds_last", "How long the last walk of the tallies took.", {},
        seconds(report.daemon.walk_last));
    add("tallygate_start_time_seconds", "When the daemon started, in Unix time.", {},
        seconds(report.daemon.started.time_since_epoch()));
    add("tallygate_counting_since_seconds", "When the gate began to count, in Unix time.", {},
        seconds(report.gate.counting_since.time_since_epoch()));
    Family failures{"tallygate_audit_failures_total",
                    "Records of the audit log that could not be written.", MetricType::Counter};
    failures.add({}, static_cast<double>(report.daemon.audit_failures));
    failures.move_to(families);
    add("tallygate_warnings", "Warnings that `tallygate status` shows.", {},
        static_cast<double>(report.warnings().size()));
}

void add_anvil(Families &families, const AnvilFacts &anvil)
{
    const auto add = [&](const char *name, const char *help, double value) {
        Family family{name, help, MetricType::Gauge};
        family.add({}, value);
        family.move_to(families);
    };

    add("tallygate_anvil_socket_ours",
        "1 while the path of the anvil socket leads here, 0 once another program took it.",
        anvil.socket_is_ours ? 1 : 0);
    add("tallygate_anvil_streams", "Streams of Postfix's processes open now.",
        static_cast<double>(anvil.streams));
    add("tallygate_anvil_idents", "Clients of Postfix's services that are remembered.",
        static_cast<double>(anvil.idents));
    Family events{"tallygate_anvil_events_total", "What happened on the anvil socket.",
                  MetricType::Counter};
    for (const auto &each : anvil.events)
        events.add({{"event", each.event}}, static_cast<double>(each.count));
    events.move_to(families);
}

void add_sessions(Families &families, const SessionsFacts &sessions)
{
    const auto add = [&](const char *name, const char *help, std::size_t value) {
        Family family{name, help, MetricType::Gauge};
        family.add({}, static_cast<double>(value));
        family.move_to(families);
    };

    add("tallygate_sessions_clients", "Processes of mail servers on the sessions socket.",
        sessions.clients);
    add("tallygate_sessions_open", "Sessions and deliveries that they say are open.",
        sessions.sessions);
    add("tallygate_sessions_rates", "Counters of rates that are kept.", sessions.rates);
    add("tallygate_sessions_rate_bytes", "Memory of those.", sessions.rate_bytes);
    Family events{"tallygate_sessions_events_total", "What happened on the sessions socket.",
                  MetricType::Counter};
    for (const auto &each : sessions.events)
        events.add({{"event", each.event}}, static_cast<double>(each.count));
    events.move_to(families);
}

struct ServerMetric {
    const char *name;
    const char *help;
    MetricType type;
    std::uint64_t (*value)(const net::HttpCounts &);
};

constexpr ServerMetric server_metrics[] = {
    {"tallygate_http_connections", "Connections of HTTP clients open now.", MetricType::Gauge,
     [](const net::HttpCounts &counts) { return std::uint64_t{counts.connection_count}; }},
    {"tallygate_http_requests_total", "HTTP requests served.", MetricType::Counter,
     [](const net::HttpCounts &counts) { return counts.requests_total; }},
    {"tallygate_http_rejected_total", "HTTP requests that were broken, too long or too slow.",
     MetricType::Counter, [](const net::HttpCounts &counts) { return counts.rejected_total; }},
    {"tallygate_http_evicted_total", "HTTP connections closed to make room for another.",
     MetricType::Counter, [](const net::HttpCounts &counts) { return counts.evicted_total; }},
};

void add_servers(Families &families, const std::vector<ServerCounts> &servers)
{
    for (const auto &metric : server_metrics) {
        Family family{metric.name, metric.help, metric.type};
        for (const auto &server : servers)
            family.add({{"listener", server.listener}},
                       static_cast<double>(metric.value(server.counts)));
        family.move_to(families);
    }
}

struct StreamMetric {
    const char *name;
    const char *help;
    MetricType type;
    std::uint64_t (*value)(const net::StreamCounts &);
};

constexpr StreamMetric stream_metrics[] = {
    {"tallygate_stream_connections", "Connections of the front-end's clients open now.",
     MetricType::Gauge,
     [](const net::StreamCounts &counts) { return std::uint64_t{counts.connection_count}; }},
    {"tallygate_stream_accepted_total", "Connections taken.", MetricType::Counter,
     [](const net::StreamCounts &counts) { return counts.accepted_total; }},
    {"tallygate_stream_requests_total", "Requests served.", MetricType::Counter,
     [](const net::StreamCounts &counts) { return counts.requests_total; }},
    {"tallygate_stream_oversized_total", "Connections ended for a request that had no end.",
     MetricType::Counter, [](const net::StreamCounts &counts) { return counts.oversized_total; }},
    {"tallygate_stream_refused_total", "Connections closed at once, most for want of room.",
     MetricType::Counter, [](const net::StreamCounts &counts) { return counts.refused_total; }},
    {"tallygate_stream_evicted_total", "Connections closed to make room for another.",
     MetricType::Counter, [](const net::StreamCounts &counts) { return counts.evicted_total; }},
    {"tallygate_stream_timed_out_total", "Connections closed because the client did nothing.",
     MetricType::Counter, [](const net::StreamCounts &counts) { return counts.timed_out_total; }},
};

void add_stream_servers(Families &families, const std::vector<StreamServerCounts> &servers)
{
    for (const auto &metric : stream_metrics) {
        Family family{metric.name, metric.help, metric.type};
        for (const auto &server : servers)
            family.add({{"protocol", server.protocol}, {"listener", server.listener}},
                       static_cast<double>(metric.value(server.counts)));
        family.move_to(families);
    }
}

void add_rows(Families &families, const std::vector<MetricRow> &rows)
{
    for (auto row = rows.begin(); row != rows.end();) {
        const auto type = row->name.ends_with("_total") ? MetricType::Counter : MetricType::Gauge;
        Family family{row->name, row->help, type};
        for (const auto &name = row->name; row != rows.end() && row->name == name; ++row) {
            Labels labels;
            for (const auto &[label, value] : row->labels)
                labels.push_back({label, value});
            family.add(std::move(labels), row->value);
        }
        family.move_to(families);
    }
}

} // namespace

std::string metrics_text(const StatusReport &report, const std::vector<ServerCounts> &servers,
                         const std::vector<StreamServerCounts> &stream_servers,
                         const std::vector<MetricRow> &rows)
{
    Families families;

    add_gate(families, report);
    add_services(families, report.services);
    add_networks(families, report.networks);
    add_reconcile(families, report.gate.reconcile);
    add_limits(families, report.limits);
    add_lists(families, report.daemon.lists);
    add_reports(families, report);
    add_daemon(families, report);
    if (report.daemon.anvil)
        add_anvil(families, *report.daemon.anvil);
    if (report.daemon.sessions)
        add_sessions(families, *report.daemon.sessions);
    add_servers(families, servers);
    add_stream_servers(families, stream_servers);
    add_rows(families, rows);
    std::ostringstream out;
    prometheus::TextSerializer{}.Serialize(out, families);
    return out.str();
}

} // namespace tallygate::frontend
