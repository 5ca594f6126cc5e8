// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/daemon.hpp"

#include <signal.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "base/log.hpp"
#include "config/config_toml.hpp"
#include "daemon/list_groups.hpp"
#include "daemon/machine.hpp"
#include "daemon/options.hpp"
#include "daemon/protected_addresses.hpp"

namespace tallygate::daemon {
namespace {

using namespace std::chrono_literals;

constexpr auto forget_interval = 10s;
constexpr auto watch_interval = 1s;
// Addresses and routes may change without news of an interface.
constexpr auto protection_interval = 60s;
// How far back a daemon that is killed takes what it told its windows.
constexpr auto snapshot_interval = 10s;
// A policy says once how it calls its series.
constexpr auto definitions_interval = 1s;
// A crash of the machine forgets who proved himself since the list was last saved.
constexpr auto proven_interval = 30s;
constexpr auto proven_save_interval = 10min;
// A busy table wants so many slots back at once as one step gives.
constexpr auto recycle_interval = 1s;
// How late an end that is nobody's but ours to see is seen.
constexpr auto safety_interval = 250ms;
// The longest that the loop may be at one thing; a reload of a million list entries on a busy
// machine takes seconds.
constexpr auto patience = 30s;

/// Fills a trie beside the one in force, on any thread.
ListsKeeper::Build build_for(kernel::KernelGate &gate)
{
    return [&gate, entries_max = gate.lists_max()](
               const std::vector<core::ListNode> &nodes) -> Result<ListsKeeper::Publish> {
        auto built = kernel::ListTable::build(nodes, entries_max);
        if (!built)
            return built.error();
        // A std::function wants to be copied, and a trie has one owner.
        auto shared = std::make_shared<kernel::BuiltLists>(std::move(*built));
        return ListsKeeper::Publish{
            [&gate, shared] { return gate.replace_lists(std::move(*shared)); }};
    };
}

} // namespace

Daemon::Daemon(config::Config config)
    : config_(std::move(config)), ledger_(config_.windows.monitors),
      snapshots_(config_.state.dir, ledger_, clock_),
      series_keeper_(config_.state.dir, series_, clock_), proven_(config_.state.dir, clock_),
      audit_(config_.state.dir, clock_), mode_(config_.state.dir, clock_, audit_),
      lists_(config_.state.dir, clock_, audit_),
      actions_(lists_, mode_, audit_,
               {.reload = [this](const core::Requester &who) { return reload(who); },
                .changed = [this] { keep_safe(); },
                .facts = facts_})
{
    facts_.version = TALLYGATE_VERSION;
    facts_.pid = ::getpid();
    facts_.started = clock_.now();
    facts_.config_file = config_.file;
    facts_.limits = limit_facts(config_);
}

Result<std::unique_ptr<Daemon>> Daemon::start(config::Config config)
{
    if (const auto fits = check_machine(config); !fits)
        return fits.error();

    auto groups = load_list_groups(config, list_policy(config), SystemClock{}.now());
    if (!groups)
        return groups.error();

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
    if (auto opened = daemon->front_ends_.open(daemon->config_); !opened)
        return opened.error();
    if (const auto started = daemon->start_gate(std::move(*groups)); !started)
        return started.error();
    daemon->start_servers(std::move(*control), std::move(http));
    daemon->schedule();
    return daemon;
}

Result<void> Daemon::start_gate(ListsKeeper::Groups groups)
{
    auto options = make_gate_options(config_);
    mode_.restore(options.mode);
    options.mode = mode_.mode();
    options.begin_observing = true;
    proven_.configure(config_.state.remember_proven);
    options.proven_before = proven_.load(config_.gate.sources_max);
    auto gate =
        kernel::KernelGate::start(options, [this](std::span<const core::SourceChange> changes) {
            ledger_.record(changes, clock_.now());
        });
    if (!gate)
        return gate.error();
    gate_ = std::move(*gate);
    if (const auto started = start_lists(std::move(groups)); !started) {
        // Nobody is dropped where we cannot say who must not be.
        gate_->set_mode(core::Mode::observe, std::nullopt);
        return started;
    }
    mode_.take_gate(*gate_);
    questions_ = std::make_unique<core::Questions>(ledger_, *gate_, clock_);
    questions_->set_services(gate_->service_ids());
    reports_ = std::make_unique<core::ReportedEvents>(ledger_, *gate_, clock_);
    if (!gate_->maps_adopted())
        if (const auto adopted = gate_->adopt_connections(); !adopted)
            spdlog::error("take in the connections that are open: {}", adopted.error().message);
    snapshots_.restore(*gate_, *questions_);
    series_keeper_.restore();
    proven_.begin(*gate_);
    walks_ = std::make_unique<Walks>(loop_, *gate_, ledger_, *questions_, clock_, facts_);
    walks_->take_networks();

    for (const auto &one : gate_->status().attachments)
        spdlog::info("{} {}: {}{}{}", one.interface, one.direction, one.how,
                     one.adopted ? ", taken over in place" : "",
                     one.note.empty() ? "" : " (" + one.note + ")");
    for (const auto &warning : gate_->status().warnings)
        spdlog::warn("{}", warning);
    return {};
}

Result<void> Daemon::start_lists(ListsKeeper::Groups groups)
{
    auto policy = list_policy(config_);
    policy.entries_max = gate_->lists_max(); // that of the tables that were adopted
    lists_.protect(protected_addresses());
    return lists_.start(*gate_, build_for(*gate_), policy, std::move(groups));
}

void Daemon::start_servers(net::Listener control, std::optional<net::Listener> http)
{
    control_ = std::make_unique<frontend::ControlService>(*questions_, facts_, actions_, *reports_,
                                                          series_);
    control_server_ = std::make_unique<net::HttpServer>(loop_, std::move(control),
                                                        control_->handler(frontend::Access::full));
    control_->show_server(*control_server_);
    spdlog::info("answering on {}", control_server_->name());
    watchdog_.watch(loop_, "main", patience);
    front_ends_.start({.loop = loop_,
                       .questions = *questions_,
                       .reporter = *reports_,
                       .series = series_,
                       .clock = clock_,
                       .watchdog = watchdog_,
                       .control = *control_,
                       .config = config_,
                       .is_allowed = [this](const Address &address) {
                           return lists_.lists()
                               .find_cover(Block{address, 128}, core::ListKind::allow, clock_.now())
                               .has_value();
                       }});

    if (!http)
        return;
    http_server_ = std::make_unique<net::HttpServer>(
        loop_, std::move(*http), control_->handler(frontend::Access::read_only));
    control_->show_server(*http_server_);
    spdlog::info("answering read-only on {}", http_server_->name());
}

void Daemon::schedule()
{
    walks_->begin();
    snapshots_.save(*gate_);
    proven_.save(*gate_);
    keep_safe();
    loop_.every(safety_interval, [this] { keep_safe(); });
    loop_.every(protection_interval, [this] { refresh_protection(); });
    loop_.every(forget_interval, [this] {
        ledger_.forget_old(clock_.now());
        series_.forget_old(clock_.now());
    });
    loop_.every(watch_interval,
                [this] { gate_->repair_attachments(kernel::Attachments::Occasion::time); });
    listen_to_interfaces();
    reconcile_rounds_ = std::make_unique<ReconcileRounds>(loop_, *gate_);
    reconcile_rounds_->begin(config_.reconcile.interval);
    loop_.every(recycle_interval, [this] { gate_->recycle_sources(longest_span()); });
    loop_.every(snapshot_interval, [this] {
        snapshots_.save_aside(*gate_);
        series_keeper_.save_aside();
    });
    loop_.every(definitions_interval, [this] { series_keeper_.save_definitions(); });
    loop_.every(proven_interval, [this] { proven_.look(*gate_); });
    loop_.every(proven_save_interval, [this] { proven_.save_aside(*gate_); });
    loop_.on_signals({SIGTERM, SIGINT}, [this](int) { loop_.stop(); });
    loop_.on_signals({SIGHUP}, [this](int) { static_cast<void>(actions_.reload_for({})); });
}

/// So long a source is in some window after it was last seen.
std::chrono::seconds Daemon::longest_span() const
{
    std::chrono::seconds longest{};
    for (const auto &monitor : ledger_.monitors())
        longest =
            std::max(longest, std::chrono::seconds{monitor.window_seconds} * (monitor.windows + 1));
    return longest;
}

void Daemon::run()
{
    watchdog_.start();
    sd_notify(0, "READY=1");
    loop_.run();
    sd_notify(0, "STOPPING=1");
    watchdog_.stop();
    front_ends_.finish(); // before the last snapshot: it may still report
    walks_->finish();
    snapshots_.save(*gate_);
    series_keeper_.save();
    proven_.save(*gate_);
    lists_.finish();
    end_wait_for_lists();
    mode_.finish();
    spdlog::info("stopping; the gate goes on counting (`tallygated detach` takes it off)");
}

/// What control has set ends when it should, and those who are never dropped are known.
void Daemon::keep_safe()
{
    if (protection_.valid() && protection_.wait_for(0s) == std::future_status::ready)
        lists_.protect(protection_.get());
    mode_.tick();
    lists_.tick();
    end_wait_for_lists();
    show_facts();
}

/// Not where the new lists could not be made: whoever they allow would be dropped.
void Daemon::end_wait_for_lists()
{
    if (!mode_waits_for_lists_ || !lists_.are_in_force())
        return;
    mode_waits_for_lists_ = false;
    mode_.take_gate(*gate_);
}

/// Where there are a million routes it takes seconds to be told them.
void Daemon::refresh_protection()
{
    if (protection_.valid())
        return;
    try {
        protection_ = std::async(std::launch::async, protected_addresses);
    } catch (const std::system_error &error) {
        spdlog::warn("look for addresses to protect: start a thread: {}", error.what());
    }
}

void Daemon::show_facts()
{
    facts_.mode = mode_.facts();
    facts_.lists = lists_.facts();
    facts_.audit_failures = audit_.failures();
    facts_.table_events.clear();
    for (const auto &[event, count] : gate_->table_events())
        facts_.table_events.push_back({event, count});
    facts_.warnings = restart_only_;
    const auto add = [this](const auto &sentences) {
        facts_.warnings.insert(facts_.warnings.end(), sentences.begin(), sentences.end());
    };
    add(mode_.warnings());
    add(lists_.warnings());
    if (mode_waits_for_lists_ && mode_.mode() == core::Mode::enforce)
        facts_.warnings.emplace_back("the gate observes until the lists of its configuration are "
                                     "in force");
    add(front_ends_.warnings());
    if (const auto *anvil = front_ends_.anvil())
        facts_.anvil = anvil->facts();
    if (const auto *sessions = front_ends_.sessions())
        facts_.sessions = sessions->facts();
    for (const auto &warning :
         {snapshots_.warning(), series_keeper_.warning(), proven_.warning(), audit_.warning()})
        if (warning)
            facts_.warnings.push_back(*warning);
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
        refresh_protection();
    });
}

Result<void> Daemon::reload(const core::Requester &who)
{
    const auto refuse = [](const Error &error, int code) {
        spdlog::error("the configuration is not taken: {}", error.message);
        return Error{error.message, code};
    };
    constexpr int mistake = 0; // in the file, and not on the machine: see ControlService::Reload
    std::error_code ignored;
    if (std::filesystem::is_fifo(config_.file, ignored))
        return refuse(Error{"read " + config_.file + ": it is a pipe, and a reload does not wait " +
                            "for whoever writes to it"},
                      mistake);
    auto config = config::load_config(config_.file);
    if (!config)
        return refuse(config.error(), mistake);
    if (const auto fits = check_machine(*config); !fits)
        return refuse(fits.error(), mistake);
    auto policy = list_policy(*config);
    policy.entries_max = gate_->lists_max();
    for (const auto kind : {core::ListKind::allow, core::ListKind::block})
        policy.set_by_control += lists_.lists().count(kind, core::ListOrigin::control);
    auto groups = load_list_groups(*config, policy, clock_.now());
    if (!groups)
        return refuse(groups.error(), mistake);
    auto options = make_gate_options(*config);
    if (options.mode == mode_.facts().configured)
        options.mode = mode_.mode(); // what control has set stands
    // A gate that observes goes on with that until the lists that came with its limits are in
    // force: whoever they allow is not dropped.
    const bool waits = gate_->mode() == core::Mode::observe;
    if (waits)
        options.mode = core::Mode::observe;
    if (const auto done = gate_->reconfigure(options); !done)
        return refuse(done.error(), done.error().code);

    mode_waits_for_lists_ = waits;
    if (waits)
        mode_.leave_gate();
    mode_.configure(configured_mode(*config), who);
    lists_.take(policy, std::move(*groups));
    if (!waits)
        mode_.take_gate(*gate_);
    facts_.limits = limit_facts(*config);
    ledger_.set_monitors(config->windows.monitors, clock_.now());
    proven_.configure(config->state.remember_proven);
    questions_->set_services(gate_->service_ids());
    walks_->take_networks();
    reconcile_rounds_->begin(config->reconcile.interval);
    front_ends_.configure(*config);
    restart_only_ = list_restart_only(config_, *config);
    for (const auto &warning : restart_only_)
        spdlog::warn("{}", warning);
    spdlog::info("took {} anew", config_.file);
    return {};
}

} // namespace tallygate::daemon
