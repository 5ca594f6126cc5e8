// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/front_ends.hpp"

#include <utility>

#include "base/log.hpp"

namespace tallygate::daemon {
namespace {

using namespace std::chrono_literals;

// How far back a daemon that is killed takes the rates.
constexpr auto rates_interval = 10s;

Result<void> listen(const config::FrontEndSocket &socket, std::optional<net::Listener> &opened)
{
    if (!socket.path)
        return {};
    auto listener = net::Listener::on_path(*socket.path, socket.mode);
    if (!listener)
        return listener.error();
    opened.emplace(std::move(*listener));
    return {};
}

frontend::PolicyOptions policy_options(const config::Config &config)
{
    frontend::PolicyOptions options{
        .services = {}, .report_only = config.policy.report_only, .report = config.policy.report};

    for (const auto &service : config.services)
        options.services.push_back({service.name, service.ports, service.listeners});
    return options;
}

/// This message, or this recipient, is in the count that it is held against.
Result<std::int64_t> add_and_count(core::AuditSeries &series, const core::Check &check,
                                   const std::string &key, core::UnixTime now)
{
    const core::SeriesName name{.name = check.series, .monitor = check.monitor.text()};

    // Again each time, for somebody may have taken it away.
    if (const auto defined = series.define({.name = check.series,
                                            .monitor = check.monitor,
                                            .type = core::SeriesType::string,
                                            .persist = true},
                                           now);
        !defined)
        return defined.error();
    if (const auto added = series.add(name, key, 1, now); !added)
        return added.error();
    const auto count = series.count(name, key, check.start, check.end, now);
    return count ? Result<std::int64_t>{count->value} : count.error();
}

std::vector<frontend::MetricRow> check_metrics(const core::Checks &checks)
{
    std::vector<frontend::MetricRow> rows;

    for (const auto &[name, counts] : checks.counts())
        rows.push_back({.name = "tallygate_check_exceeded_total",
                        .help = "Answers for which the check's count was over its limit.",
                        .labels = {{"check", name}},
                        .value = static_cast<double>(counts.exceeded_total)});
    for (const auto &[name, counts] : checks.counts())
        rows.push_back({.name = "tallygate_check_failed_total",
                        .help = "Times that a check passed because there was no count.",
                        .labels = {{"check", name}},
                        .value = static_cast<double>(counts.failed_total)});
    return rows;
}

std::vector<frontend::MetricRow> policy_metrics(const frontend::PolicyService &policy)
{
    const auto &counts = policy.counts();
    std::vector<frontend::MetricRow> rows;

    for (const auto &[action, total] : counts.answers_total)
        rows.push_back({.name = "tallygate_policy_answers_total",
                        .help = "Answers to Postfix; pass is DUNNO.",
                        .labels = {{"action", std::string(core::check_action_name(action))}},
                        .value = static_cast<double>(total)});
    rows.push_back({.name = "tallygate_policy_broken_total",
                    .help = "Streams ended for what was no policy request.",
                    .value = static_cast<double>(counts.broken_total)});
    rows.push_back({.name = "tallygate_policy_unknown_total",
                    .help = "Requests that passed because they name no client's address.",
                    .value = static_cast<double>(counts.unknown_total)});
    return rows;
}

} // namespace

Result<void> FrontEnds::open(const config::Config &config)
{
    if (auto ask = listen(config.ask.socket, ask_listener_); !ask)
        return ask;
    if (auto anvil = listen(config.anvil.socket, anvil_listener_); !anvil)
        return anvil;
    if (auto line = listen(config.line.socket, line_listener_); !line)
        return line;
    if (auto policy = listen(config.policy.socket, policy_listener_); !policy)
        return policy;
    if (auto sessions = listen(config.sessions.socket, sessions_listener_); !sessions)
        return sessions;
    return {};
}

void FrontEnds::start(const Parts &parts)
{
    start_checks(parts);
    if (ask_listener_) {
        ask_server_ = std::make_unique<net::HttpServer>(
            parts.loop, std::move(*std::exchange(ask_listener_, std::nullopt)),
            parts.control.handler(frontend::Access::policy));
        parts.control.show_server(*ask_server_);
        spdlog::info("answering questions, reports and series on {}", ask_server_->name());
    }
    if (anvil_listener_) {
        anvil_ = std::make_unique<AnvilFront>(
            std::move(*std::exchange(anvil_listener_, std::nullopt)), parts.config.anvil,
            AnvilFront::Parts{.loop = parts.loop,
                              .questions = parts.questions,
                              .reporter = parts.reporter,
                              .clock = parts.clock,
                              .watchdog = parts.watchdog,
                              .state_dir = parts.config.state.dir});
        anvil_->start();
    }
    if (line_listener_) {
        line_ = std::make_unique<frontend::LineService>(parts.questions, parts.reporter, *checks_,
                                                        parts.series);
        line_server_ = serve(parts, "line", line_listener_, line_->conversations(), line_->limits);
    }
    if (policy_listener_) {
        policy_ = std::make_unique<frontend::PolicyService>(
            *checks_, parts.reporter,
            [this](const auto &subject, const auto &finding, bool is_reported_only) {
                check_log_->found(subject, finding, is_reported_only);
            });
        policy_server_ =
            serve(parts, "policy", policy_listener_, policy_->conversations(), policy_->limits);
        parts.control.show_metrics([this] { return policy_metrics(*policy_); });
    }
    if (sessions_listener_)
        start_sessions(parts);
    configure_checks(parts.config);
}

void FrontEnds::start_checks(const Parts &parts)
{
    check_log_ = std::make_unique<CheckLog>(parts.questions.clock());
    checks_ = std::make_unique<core::Checks>(
        parts.questions,
        core::Checks::Others{.is_allowed = parts.is_allowed,
                             .add_and_count = [&series = parts.series, &clock = parts.clock](
                                                  const auto &check, const auto &key) {
                                 return add_and_count(series, check, key, clock.now());
                             }});
    parts.control.set_checks(*checks_);
    parts.control.show_metrics([this] { return check_metrics(*checks_); });
}

void FrontEnds::configure_checks(const config::Config &config)
{
    checks_->set_checks(config.checks);
    if (policy_)
        policy_->set_options(policy_options(config));
}

void FrontEnds::start_sessions(const Parts &parts)
{
    const auto &config = parts.config.sessions;

    sessions_ = std::make_unique<frontend::SessionsService>(
        parts.questions, parts.reporter, parts.is_allowed,
        frontend::SessionsOptions{.count_from =
                                      config.count_from == config::Sessions::CountFrom::gate
                                          ? frontend::CountFrom::gate
                                          : frontend::CountFrom::sessions,
                                  .services = config.services,
                                  .version = TALLYGATE_VERSION});
    rates_ = std::make_unique<RatesKeeper>(parts.config.state.dir, *sessions_);
    rates_->restore();
    sessions_server_ = serve(parts, "sessions", sessions_listener_, sessions_->opener(),
                             frontend::SessionsService::limits());
    parts.loop.every(rates_interval, [this] {
        sessions_->tick();
        rates_->save_aside();
    });
}

void FrontEnds::finish()
{
    if (anvil_)
        anvil_->stop();
    if (rates_)
        rates_->save();
}

std::vector<std::string> FrontEnds::warnings() const
{
    auto sentences = anvil_ ? anvil_->warnings() : std::vector<std::string>{};

    if (rates_ && rates_->warning())
        sentences.push_back(*rates_->warning());
    return sentences;
}

void FrontEnds::configure(const config::Config &config)
{
    configure_checks(config);
    if (anvil_)
        anvil_->configure(config.anvil);
}

std::unique_ptr<net::StreamServer> FrontEnds::serve(const Parts &parts, const char *name,
                                                    Opened &opened, net::StreamServer::Open open,
                                                    const net::StreamLimits &limits)
{
    auto server = std::make_unique<net::StreamServer>(
        parts.loop, std::move(*std::exchange(opened, std::nullopt)), std::move(open), limits);
    parts.control.show_server(name, *server);
    spdlog::info("answering {} on {}", name, server->name());
    return server;
}

} // namespace tallygate::daemon
