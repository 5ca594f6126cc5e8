// SPDX-License-Identifier: BSD-2-Clause
#include "frontend/control_service.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "core/policy.hpp"
#include "core/text.hpp"
#include "frontend/control_metrics.hpp"
#include "frontend/control_page.hpp"
#include "frontend/known_names.hpp"

namespace tallygate::frontend {
namespace {

net::Response json_response(std::string body)
{
    return {.body = std::move(body)};
}

net::Response refusal_response(const ControlRefusal &refusal)
{
    return {.status = refusal.status,
            .body = error_json(refusal.message, refusal.known),
            .allow = refusal.allow};
}

Asker asker_of(const std::optional<net::Peer> &peer, const RemoteAddress &remote_address)
{
    Asker asker{.remote_address = remote_address};
    if (peer) {
        asker.uid = peer->uid;
        asker.pid = peer->pid;
    }
    return asker;
}

/// For the errors of Actions.
net::Response refused_response(const Error &error)
{
    const auto status = [&] {
        switch (static_cast<core::Refused>(error.code)) {
        case core::Refused::malformed:
            return 400U;
        case core::Refused::by_protection:
            return 403U;
        case core::Refused::unknown:
            return 404U;
        case core::Refused::no_room:
            break;
        }
        return 500U;
    }();
    return refusal_response({.status = status, .message = error.message});
}

} // namespace

ControlService::ControlService(core::Questions &questions, const DaemonFacts &facts,
                               Actions &actions, core::Reporter &reporter,
                               core::AuditSeries &series)
    : questions_(questions), facts_(facts), actions_(actions), reporter_(reporter),
      series_(series, questions.clock())
{
}

net::Handler ControlService::handler(Access access)
{
    return [this, access](const net::Request &request) { return handle(request, access); };
}

net::Response ControlService::handle(const net::Request &request, Access access)
{
    const auto parsed = parse_control(request.method, request.target);
    if (const auto *refusal = std::get_if<ControlRefusal>(&parsed))
        return refusal_response(*refusal);

    const auto &control = std::get<ControlRequest>(parsed);
    if (access == Access::read_only && !is_for_everybody(control))
        return refusal_response({.status = 403,
                                 .message = "this listener is read-only: ask on the control "
                                            "socket"});
    if (access == Access::policy && !is_for_policy(control))
        return refusal_response({.status = 403,
                                 .message = "this socket is for questions, reports and series: "
                                            "ask on the control socket"});
    return std::visit([&](const auto &each) { return answer(each, request.peer); }, control);
}

net::Response ControlService::answer(const LiveRequest &request, const Peer &)
{
    const auto answer = questions_.live(request.question);
    if (!answer)
        return wrong_question(answer.error(), request.question.service);
    return json_response(live_json(request, *answer));
}

net::Response ControlService::answer(const CountRequest &request, const Peer &)
{
    const auto answer = questions_.count(request.question);
    if (!answer)
        return wrong_question(answer.error(), request.question.service, request.question.event);
    CountRequest asked = request;
    if (const auto index = request.question.monitor_index)
        asked.question.monitor = questions_.ledger().monitors()[*index].text();
    return json_response(count_json(asked, *answer));
}

net::Response ControlService::answer(const TopRequest &request, const Peer &)
{
    const auto rows = questions_.top(request.question);
    if (!rows)
        return wrong_question(rows.error(), request.question.service);
    // Without a monitor the core takes the first: it has answered, so there is one.
    return json_response(
        top_json(request,
                 {.monitor = request.question.monitor.value_or(known_monitors().front()),
                  .ipv6_source_bits = questions_.gate().ipv6_source_bits(),
                  .as_of = questions_.walked_at()},
                 *rows));
}

net::Response ControlService::answer(const NetworksRequest &, const Peer &)
{
    return json_response(networks_json(questions_.gate().networks(), questions_.clock().now()));
}

net::Response ControlService::answer(const StatusRequest &, const Peer &)
{
    return json_response(status_json(report()));
}

net::Response ControlService::answer(const MetricsRequest &, const Peer &)
{
    std::vector<ServerCounts> servers;
    for (const auto *server : servers_)
        servers.push_back({server->name(), server->counts()});
    std::vector<MetricRow> rows;
    for (const auto &each : rows_)
        std::ranges::move(each(), std::back_inserter(rows));
    std::vector<StreamServerCounts> stream_servers;
    for (const auto &[protocol, server] : stream_servers_)
        stream_servers.push_back({protocol, server->name(), server->counts()});
    StatusReport full = report();
    full.networks = questions_.gate().networks();
    full.limits = questions_.gate().limits();
    return {.content_type = "text/plain; version=0.0.4; charset=utf-8",
            .body = metrics_text(full, servers, stream_servers, rows)};
}

net::Response ControlService::answer(const PageRequest &, const Peer &)
{
    return {.content_type = "text/html; charset=utf-8", .body = page_html(report())};
}

net::Response ControlService::answer(const ReloadRequest &request, const Peer &peer)
{
    const auto reloaded = actions_.reload(asker_of(peer, request.remote_address));
    if (!reloaded)
        return refusal_response({.status = reloaded.error().code == 0 ? 409U : 500U,
                                 .message = reloaded.error().message});
    return json_response(reloaded_json(facts_.config_file));
}

net::Response ControlService::answer(const ListAddRequest &request, const Peer &peer)
{
    const auto added = actions_.add({.kind = request.kind,
                                     .block = request.block,
                                     .span = request.span,
                                     .reason = request.reason},
                                    asker_of(peer, request.remote_address));
    if (!added)
        return refused_response(added.error());
    return json_response(entry_json("added", request.asked, *added));
}

net::Response ControlService::answer(const ListRemoveRequest &request, const Peer &peer)
{
    const auto removed =
        actions_.remove(request.kind, request.block, asker_of(peer, request.remote_address));
    if (!removed)
        return refused_response(removed.error());
    return json_response(entry_json("removed", request.asked, *removed));
}

net::Response ControlService::answer(const ListsRequest &request, const Peer &)
{
    const auto &lists = actions_.lists();
    const auto total = request.kind ? lists.count(*request.kind) : lists.size();
    return json_response(entries_json(request, lists.list(request.kind, request.rows), total,
                                      questions_.clock().now()));
}

net::Response ControlService::answer(const LimitsRequest &, const Peer &)
{
    const auto &gate = questions_.gate();
    return json_response(
        limits_json(gate.mode(), facts_.limits, gate.limits(), questions_.clock().now()));
}

net::Response ControlService::answer(const ModeRequest &request, const Peer &peer)
{
    const auto set =
        actions_.set_mode(request.mode, request.confirm, asker_of(peer, request.remote_address));
    if (!set)
        return refused_response(set.error());
    return json_response(mode_json(facts_.mode, questions_.clock().now()));
}

net::Response ControlService::answer(const ExplainRequest &request, const Peer &)
{
    const unsigned source_bits =
        request.address.is_ipv4() ? 128 : questions_.gate().ipv6_source_bits();
    ExplainReport report{.source = Block{request.address, source_bits},
                         .mode = questions_.gate().mode(),
                         .as_of = questions_.clock().now(),
                         .entries = {},
                         .services = {},
                         .limits = facts_.limits};
    report.entries = actions_.lists().find(request.address, report.as_of);

    for (const auto &[name, id] : questions_.services()) {
        if (request.service && core::lower_case(*request.service) != name)
            continue;
        auto explained = explain(request.address, report.source, name, id);
        if (!explained)
            return refusal_response({.status = 500, .message = explained.error().message});
        report.services.push_back(std::move(*explained));
    }
    if (request.service && report.services.empty())
        return refusal_response({.status = 404,
                                 .message = "there is no service '" + *request.service + "'",
                                 .known = questions_.services_of(core::Event::connections)});
    return json_response(explain_json(request, report));
}

/// What the gate says, and what the ledger has counted.
Result<ExplainedService> ControlService::explain(const Address &address, const Block &source,
                                                 const std::string &service, core::ServiceId id)
{
    auto explanation = questions_.gate().explain(address, id);
    if (!explanation)
        return explanation.error();
    const auto live = questions_.live({.block = source, .service = service});
    if (!live)
        return live.error();

    ExplainedService explained{.service = service,
                               .gate = std::move(*explanation),
                               .monitor = {},
                               .live = *live,
                               .connections = {},
                               .syn = {}};
    if (questions_.ledger().monitors().empty())
        return explained;
    const auto &monitor = questions_.ledger().monitors().front();
    explained.monitor = monitor.text();
    core::CountQuestion question{.block = source,
                                 .monitor = explained.monitor,
                                 .end = monitor.windows - 1,
                                 .service = service};
    const auto connections = questions_.count(question);
    question.event = core::Event::syn;
    const auto syn = questions_.count(question);
    if (!connections || !syn)
        return connections ? syn.error() : connections.error();
    explained.connections = *connections;
    explained.syn = *syn;
    return explained;
}

net::Response ControlService::answer(const EventRequest &request, const Peer &)
{
    if (const auto refused = service_refusal(questions_, request.report.service))
        return refusal_response(
            {.message = *refused, .known = questions_.services_of(request.report.event)});
    reporter_.report(request.report);
    return json_response(event_json(request));
}

net::Response ControlService::answer(const CheckRequest &request, const Peer &)
{
    const auto &subject = request.subject;
    const auto known = questions_.services_of(core::Reported::receptions);

    if (subject.service &&
        std::ranges::find(known, core::lower_case(*subject.service)) == known.end())
        return refusal_response({.status = 404,
                                 .message = "there is no service '" + *subject.service +
                                            "': expected one of " + core::listed(known),
                                 .known = known});
    const auto decision = checks_ != nullptr ? checks_->decide(subject) : core::CheckDecision{};
    return json_response(check_json(request, decision, questions_.clock().now()));
}

net::Response ControlService::answer(const SeriesRequest &request, const Peer &)
{
    return series_.answer(request);
}

net::Response ControlService::wrong_question(const Error &error,
                                             const std::optional<std::string> &service,
                                             core::Counted event)
{
    ControlRefusal refusal{.status = 500,
                           .message = error.message,
                           .known = known_names(questions_, error, service, event)};

    if (error.code == static_cast<int>(core::Wrong::malformed))
        refusal.status = 400;
    if (error.code == static_cast<int>(core::Wrong::unknown))
        refusal.status = 404;
    return refusal_response(refusal);
}

std::vector<std::string> ControlService::known_monitors() const
{
    std::vector<std::string> texts;
    std::ranges::transform(questions_.ledger().monitors(), std::back_inserter(texts),
                           [](const core::Monitor &monitor) { return monitor.text(); });
    return texts;
}

std::vector<ServiceTallies> ControlService::service_tallies()
{
    const auto &gate = questions_.gate();
    std::vector<ServiceTallies> tallies;
    for (const auto &[name, id] : questions_.services())
        tallies.push_back(
            {name, gate.service_tally(id, Family::ipv4), gate.service_tally(id, Family::ipv6)});
    return tallies;
}

StatusReport ControlService::report()
{
    const auto &gate = questions_.gate();
    return {.daemon = facts_,
            .gate = gate.status(),
            .now = questions_.clock().now(),
            .services = service_tallies(),
            .verdicts = gate.verdicts(),
            .networks = {}, // for the metrics alone: there may be many
            .limits = {},
            .monitors = questions_.ledger().monitors(),
            .reported = questions_.ledger().reported().counts(),
            .series_count = series_.series().all().size(),
            .series_refused_total = series_.series().refused_total()};
}

} // namespace tallygate::frontend
