// SPDX-License-Identifier: BSD-2-Clause
#include "frontend/control_service.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "frontend/control_metrics.hpp"
#include "frontend/control_page.hpp"

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

} // namespace

ControlService::ControlService(core::Questions &questions, const DaemonFacts &facts, Reload reload)
    : questions_(questions), facts_(facts), reload_(std::move(reload))
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
    if (access == Access::read_only && std::holds_alternative<ReloadRequest>(control))
        return refusal_response({.status = 403,
                                 .message = "this listener is read-only: reload over the control "
                                            "socket, or with SIGHUP"});
    return std::visit([this](const auto &each) { return answer(each); }, control);
}

net::Response ControlService::answer(const LiveRequest &request)
{
    const auto answer = questions_.live(request.question);
    if (!answer)
        return wrong_question(answer.error(), request.question.service);
    return json_response(live_json(request, *answer));
}

net::Response ControlService::answer(const CountRequest &request)
{
    const auto answer = questions_.count(request.question);
    if (!answer)
        return wrong_question(answer.error(), request.question.service);
    return json_response(count_json(request, *answer));
}

net::Response ControlService::answer(const TopRequest &request)
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

net::Response ControlService::answer(const NetworksRequest &)
{
    return json_response(networks_json(questions_.gate().networks(), questions_.clock().now()));
}

net::Response ControlService::answer(const StatusRequest &)
{
    return json_response(status_json(report()));
}

net::Response ControlService::answer(const MetricsRequest &)
{
    std::vector<ServerCounts> servers;
    for (const auto *server : servers_)
        servers.push_back({server->name(), server->counts()});
    StatusReport full = report();
    full.networks = questions_.gate().networks();
    return {.content_type = "text/plain; version=0.0.4; charset=utf-8",
            .body = metrics_text(full, servers)};
}

net::Response ControlService::answer(const PageRequest &)
{
    return {.content_type = "text/html; charset=utf-8", .body = page_html(report())};
}

net::Response ControlService::answer(const ReloadRequest &)
{
    const auto reloaded = reload_();
    if (!reloaded)
        return refusal_response({.status = reloaded.error().code == 0 ? 409U : 500U,
                                 .message = reloaded.error().message});
    return json_response(reloaded_json(facts_.config_file));
}

net::Response ControlService::wrong_question(const Error &error,
                                             const std::optional<std::string> &service)
{
    ControlRefusal refusal{.status = 500, .message = error.message};

    if (error.code == static_cast<int>(core::Wrong::malformed))
        refusal.status = 400;
    if (error.code == static_cast<int>(core::Wrong::unknown)) {
        // The core looks for the service first, and takes its name in any case.
        std::string name = service.value_or("");
        std::ranges::transform(name, name.begin(), [](char letter) {
            return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter + 32) : letter;
        });
        const bool service_known = !service || questions_.services().contains(name);
        refusal.status = 404;
        refusal.known = service_known ? known_monitors() : known_services();
    }
    return refusal_response(refusal);
}

std::vector<std::string> ControlService::known_services() const
{
    std::vector<std::string> names;
    for (const auto &[name, id] : questions_.services())
        names.push_back(name);
    return names;
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
            .monitors = questions_.ledger().monitors()};
}

} // namespace tallygate::frontend
