// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/daemon.hpp"

#include <signal.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/log.hpp"
#include "config/config_toml.hpp"
#include "daemon/machine.hpp"
#include "daemon/options.hpp"

namespace tallygate::daemon {
namespace {

using namespace std::chrono_literals;

// DESIGN.md 4: how old an answer about a large block may be.
constexpr auto walk_interval = 250ms;
constexpr auto forget_interval = 10s;
constexpr auto watch_interval = 1s;
// How far back a daemon that is killed takes what it told its windows.
constexpr auto snapshot_interval = 10s;

// A slice of the claims takes about a millisecond; answers go in between.
constexpr std::uint32_t claims_slice = 2048;
// After a round, as many times its duration without one.
constexpr int claims_rest = 9;

} // namespace

Daemon::Daemon(config::Config config)
    : config_(std::move(config)), ledger_(config_.windows.monitors),
      snapshots_(config_.state.dir, ledger_, clock_)
{
    facts_.version = TALLYGATE_VERSION;
    facts_.pid = ::getpid();
    facts_.started = clock_.now();
    facts_.config_file = config_.file;
}

Result<std::unique_ptr<Daemon>> Daemon::start(config::Config config)
{
    if (const auto fits = check_machine(config); !fits)
        return fits.error();

    std::unique_ptr<Daemon> daemon{new Daemon{std::move(config)}};
    // The sockets before the card: one that answers is another daemon's, and after the card
    // nothing fails.
    auto control = net::Listener::on_path(daemon->config_.control.socket);
    if (!control)
        return control.error();
    std::optional<net::Listener> http;
    if (const auto &endpoint = daemon->config_.http.listen) {
        auto listener = net::Listener::on_endpoint(*endpoint);
        if (!listener)
            return listener.error();
        http.emplace(std::move(*listener));
    }
    if (const auto started = daemon->start_gate(); !started)
        return started.error();
    daemon->start_servers(std::move(*control), std::move(http));
    daemon->schedule();
    return daemon;
}

Result<void> Daemon::start_gate()
{
    auto gate = kernel::KernelGate::start(
        make_gate_options(config_),
        [this](const core::SourceChange &change) { ledger_.record(change, clock_.now()); });
    if (!gate)
        return gate.error();
    gate_ = std::move(*gate);
    questions_ = std::make_unique<core::Questions>(ledger_, *gate_, clock_);
    questions_->set_services(gate_->service_ids());
    if (!gate_->maps_adopted())
        if (const auto adopted = gate_->adopt_connections(); !adopted)
            spdlog::error("take in the connections that are open: {}", adopted.error().message);
    snapshots_.restore(*gate_, *questions_);

    for (const auto &one : gate_->status().attachments)
        spdlog::info("{} {}: {}{}{}", one.interface, one.direction, one.how,
                     one.adopted ? ", taken over in place" : "",
                     one.note.empty() ? "" : " (" + one.note + ")");
    for (const auto &warning : gate_->status().warnings)
        spdlog::warn("{}", warning);
    return {};
}

void Daemon::start_servers(net::Listener control, std::optional<net::Listener> http)
{
    control_ = std::make_unique<frontend::ControlService>(*questions_, facts_,
                                                          [this] { return reload(); });
    control_server_ = std::make_unique<net::HttpServer>(loop_, std::move(control),
                                                        control_->handler(frontend::Access::full));
    control_->show_server(*control_server_);
    spdlog::info("answering on {}", control_server_->name());

    if (!http)
        return;
    http_server_ = std::make_unique<net::HttpServer>(
        loop_, std::move(*http), control_->handler(frontend::Access::read_only));
    control_->show_server(*http_server_);
    spdlog::info("answering read-only on {}", http_server_->name());
}

void Daemon::schedule()
{
    walk();
    walk_claims();
    snapshots_.save(*gate_);
    show_warnings();
    loop_.every(walk_interval, [this] {
        walk();
        walk_claims();
    });
    loop_.every(forget_interval, [this] { ledger_.forget_old(clock_.now()); });
    loop_.every(watch_interval,
                [this] { gate_->repair_attachments(kernel::Attachments::Occasion::time); });
    listen_to_interfaces();
    reconcile_rounds_ = std::make_unique<ReconcileRounds>(loop_, *gate_);
    reconcile_rounds_->begin(config_.reconcile.interval);
    loop_.every(snapshot_interval, [this] {
        snapshots_.save_aside(*gate_);
        show_warnings();
    });
    loop_.on_signals({SIGTERM, SIGINT}, [this](int) { loop_.stop(); });
    loop_.on_signals({SIGHUP}, [this](int) { static_cast<void>(reload()); });
}

void Daemon::run()
{
    sd_notify(0, "READY=1");
    loop_.run();
    sd_notify(0, "STOPPING=1");
    walk();
    snapshots_.save(*gate_);
    spdlog::info("stopping; the gate goes on counting (`tallygated detach` takes it off)");
}

void Daemon::walk()
{
    const auto begin = std::chrono::steady_clock::now();
    gate_->walk();
    facts_.walk_last = std::chrono::steady_clock::now() - begin;
    questions_->set_walked_at(clock_.now());
}

/// Rounds over the claims keep to a tenth of the time, however many there are.
void Daemon::walk_claims()
{
    const auto now = std::chrono::steady_clock::now();
    if (claims_round_begun_ || now < claims_due_)
        return;
    claims_round_begun_ = now;
    questions_->begin_claims_round();
    walk_claims_slice();
}

void Daemon::walk_claims_slice()
{
    const auto finished = gate_->walk_claims(claims_slice);
    if (finished && !*finished) {
        loop_.post([this] { walk_claims_slice(); });
        return;
    }
    if (!finished)
        spdlog::error("{}", finished.error().message);
    const auto now = std::chrono::steady_clock::now();
    claims_due_ = now + claims_rest * (now - *claims_round_begun_);
    claims_round_begun_.reset();
    // The proven sources again: one that proved itself meanwhile left the claims' count.
    walk();
    questions_->end_claims_round();
}

void Daemon::show_warnings()
{
    facts_.warnings = restart_only_;
    if (snapshots_.warning())
        facts_.warnings.push_back(*snapshots_.warning());
}

/// So that an interface that comes back is guarded before its first packets, and not within a
/// second.
void Daemon::listen_to_interfaces()
{
    auto news = kernel::InterfaceNews::listen();
    if (!news) {
        spdlog::warn("{}: an interface that comes back is seen a second later",
                     news.error().message);
        return;
    }
    interface_news_ = std::move(*news);
    loop_.on_readable(interface_news_->fd(), [this] {
        interface_news_->read_all();
        gate_->repair_attachments(kernel::Attachments::Occasion::news);
    });
}

Result<void> Daemon::reload()
{
    const auto refuse = [](const Error &error, int code) {
        spdlog::error("the configuration is not taken: {}", error.message);
        return Error{error.message, code};
    };
    constexpr int mistake = 0; // in the file, and not on the machine: see ControlService::Reload
    auto config = config::load_config(config_.file);
    if (!config)
        return refuse(config.error(), mistake);
    if (const auto fits = check_machine(*config); !fits)
        return refuse(fits.error(), mistake);
    if (const auto done = gate_->reconfigure(make_gate_options(*config)); !done)
        return refuse(done.error(), done.error().code);

    ledger_.set_monitors(config->windows.monitors);
    questions_->set_services(gate_->service_ids());
    reconcile_rounds_->begin(config->reconcile.interval);
    restart_only_ = list_restart_only(config_, *config);
    for (const auto &warning : restart_only_)
        spdlog::warn("{}", warning);
    show_warnings();
    spdlog::info("took {} anew", config_.file);
    return {};
}

} // namespace tallygate::daemon
