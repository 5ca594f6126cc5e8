// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/gate.hpp"

#include <arpa/inet.h>
#include <bpf/libbpf.h>
#include <tallygate/abi.h>

#include <algorithm>
#include <ctime>

#include "base/log.hpp"
#include "kernel/convert.hpp"
#include "kernel/links.hpp"
#include "kernel/tunnels.hpp"

namespace tallygate::kernel {
namespace {

// DESIGN: an answer about so few sources is read while somebody waits.
constexpr std::size_t refreshed_sources_max = 1024;
constexpr std::uint32_t refreshed_prefixes_max = 256; // a /16 of IPv4

std::uint64_t clock_ns(clockid_t clock)
{
    timespec now{};
    ::clock_gettime(clock, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U +
           static_cast<std::uint64_t>(now.tv_nsec);
}

/// As the gate's programs see it: to the kernel's tick.
std::chrono::nanoseconds monotonic_now()
{
    return std::chrono::nanoseconds{static_cast<std::int64_t>(clock_ns(CLOCK_MONOTONIC_COARSE))};
}

/// Hands on what walks tell, a few hundred changes at a time; the last when it ends.
class Gathering {
public:
    explicit Gathering(const ChangesSink &to) : to_(to) { changes_.reserve(changes_max); }
    Gathering(const Gathering &) = delete;
    Gathering &operator=(const Gathering &) = delete;
    ~Gathering() { hand_on(); }

    /// Borrows this.
    ChangeSink sink()
    {
        return [this](const core::SourceChange &change) {
            changes_.push_back(change);
            if (changes_.size() == changes_max)
                hand_on();
        };
    }

private:
    static constexpr std::size_t changes_max = 512; // which stay in a CPU's nearest cache

    void hand_on()
    {
        if (!changes_.empty())
            to_(changes_);
        changes_.clear();
    }

    const ChangesSink &to_;
    std::vector<core::SourceChange> changes_;
};

Cards cards_of(const GateOptions &options)
{
    return {options.interfaces, options.inside, options.attach};
}

} // namespace

Result<KernelGate::Parts> KernelGate::make_parts(const GateOptions &options)
{
    capture_libbpf_log();
    if (const auto exist = check_cards(cards_of(options)); !exist)
        return exist.error();
    auto pins = PinDir::lock(options.pin_dir);
    if (!pins)
        return pins.error();
    auto program = Program::load(*pins, options.sizes);
    if (!program)
        return program.error();
    if (!program->maps_adopted())
        if (const auto pinned = pins->publish(program->maps()); !pinned)
            return pinned.error();

    auto kept_pins = std::make_unique<PinDir>(std::move(*pins));
    auto kept = std::make_unique<Program>(std::move(*program));
    auto services = ServiceTable::open(*kept);
    if (!services)
        return services.error();
    auto networks = NetworkTable::open(*kept);
    if (!networks)
        return networks.error();
    auto sources = SourceWalk::open(*kept);
    if (!sources)
        return sources.error();
    auto claims = ClaimsWalk::open(*kept);
    if (!claims)
        return claims.error();
    auto prefixes = PrefixWalk::open(*kept);
    if (!prefixes)
        return prefixes.error();
    auto repeats = RepeatsReader::open(*kept);
    if (!repeats)
        return repeats.error();
    auto totals = Totals::open(kept->object());
    if (!totals)
        return totals.error();
    auto limits = LimitTable::open(kept->object());
    if (!limits)
        return limits.error();
    auto lists = ListTable::open(kept->object(), options.sizes.lists_max);
    if (!lists)
        return lists.error();
    auto settings = MappedArray<tg_settings>::open(kept->map_fd("settings"), "settings");
    if (!settings)
        return settings.error();
    auto reconcile = Reconcile::load(*kept);
    auto explainer = Explainer::load(*kept);
    return Parts{std::move(kept_pins), std::move(kept),      std::move(reconcile),
                 std::move(explainer), std::move(*services), std::move(*networks),
                 std::move(*sources),  std::move(*claims),   std::move(*prefixes),
                 std::move(*repeats),  std::move(*totals),   std::move(*limits),
                 std::move(*lists),    std::move(*settings)};
}

KernelGate::KernelGate(Parts parts, ChangesSink sink)
    : parts_(std::move(parts)), sink_(std::move(sink)), recycler_(*parts_.program)
{
    parts_.sources.set_time(std::chrono::duration_cast<std::chrono::seconds>(monotonic_now()));
}

Result<std::unique_ptr<KernelGate>> KernelGate::start(const GateOptions &options, ChangesSink sink)
{
    auto parts = make_parts(options);
    if (!parts)
        return parts.error();

    std::unique_ptr<KernelGate> gate{new KernelGate{std::move(*parts), std::move(sink)}};
    auto attachments = Attachments::open(*gate->parts_.pins, *gate->parts_.program);
    if (!attachments)
        return attachments.error();
    gate->attachments_ = std::move(*attachments);
    if (gate->parts_.settings[0].created_unix_ns == 0)
        gate->parts_.settings[0].created_unix_ns = clock_ns(CLOCK_REALTIME);

    if (gate->maps_adopted())
        gate->note_recycled(gate->recycler_.reclaim(gate->parts_.sources));
    // What is guarded before who guards: a program that is attached knows its services.
    const auto done = gate->reconfigure(options);
    if (done)
        return gate;
    // Nothing of ours is attached, and maps that we made ourselves hold nothing.
    if (!gate->maps_adopted())
        if (const auto undone = gate->parts_.pins->unpublish(); !undone)
            spdlog::warn("{}", undone.error().message);
    return done.error();
}

Result<void> KernelGate::reconfigure(const GateOptions &options)
{
    const auto done = apply(options);
    if (done) {
        configured_ = options;
        configured_->proven_before.clear();
        return done;
    }
    // One part may have been taken before another was refused.
    if (configured_)
        if (const auto restored = apply(*configured_); !restored)
            spdlog::error("restore what was configured: {}", restored.error().message);
    return done;
}

Result<void> KernelGate::apply(const GateOptions &options)
{
    if (const auto exist = check_cards(cards_of(options)); !exist)
        return exist;
    const bool first_time = attachments_->empty();
    if (!first_time)
        if (const auto done = attachments_->apply(cards_of(options)); !done)
            return done;
    if (const auto done = parts_.services.apply(options.services); !done)
        return done;
    end_rejections(); // of services that were taken out, at once
    if (const auto done = parts_.networks.apply(options.networks); !done)
        return done;
    const LimitedThings things{parts_.services.ids(), parts_.networks.nodes(), ipv6_source_bits()};
    if (const auto done = parts_.limits.apply(options.limits, things); !done)
        return done;
    if (const auto done = TunnelTable{*parts_.program}.apply(options.tunnels_from); !done)
        return done;
    if (first_time && !maps_adopted())
        remember(options.proven_before);
    apply_settings(options);
    return first_time ? attachments_->apply(cards_of(options)) : Result<void>{};
}

void KernelGate::apply_settings(const GateOptions &options)
{
    volatile tg_settings &settings = parts_.settings[0];
    const auto now_ns = static_cast<std::uint64_t>(monotonic_now().count());
    const bool was_enforcing = mode() == Mode::enforce && now_ns < settings.lease_until_ns;

    lease_ = options.lease;
    if (parts_.reconcile)
        parts_.reconcile->configure(options.reconcile, options.inside.empty()
                                                           ? Reconcile::Sockets::here
                                                           : Reconcile::Sockets::elsewhere);
    settings.networks_configured = static_cast<std::uint32_t>(parts_.networks.configured());
    settings.tunnels_configured = static_cast<std::uint32_t>(options.tunnels_from.size());
    settings.strict = options.strict ? 1 : 0;
    // What somebody has set since stands as long as the configuration says what it said.
    // A gate that dropped nothing when it was taken over begins as a new one does.
    if (!configured_ && options.begin_observing && !(maps_adopted() && was_enforcing))
        set_mode(Mode::observe, std::nullopt);
    else if (!configured_ || configured_->mode != options.mode)
        set_mode(options.mode, std::nullopt);
    renew_lease();
    end_rejections();
}

core::Mode KernelGate::mode() const
{
    return parts_.settings[0].mode == TG_MODE_ENFORCE ? core::Mode::enforce : core::Mode::observe;
}

void KernelGate::set_mode(core::Mode mode, std::optional<std::chrono::nanoseconds> at_most)
{
    const auto now = monotonic_now();

    enforcing_until_.reset();
    if (mode == core::Mode::enforce && at_most)
        enforcing_until_ = now + *at_most;
    // Nothing is dropped by the old lease, nor by a new one under the old mode.
    if (mode == core::Mode::observe)
        parts_.settings[0].mode = TG_MODE_OBSERVE;
    put_lease(now);
    if (mode == core::Mode::enforce)
        parts_.settings[0].mode = TG_MODE_ENFORCE;
    end_rejections();
}

/// A program that remembers a rejection forgets it.
void KernelGate::end_rejections()
{
    volatile tg_settings &settings = parts_.settings[0];
    settings.generation = settings.generation + 1;
}

void KernelGate::renew_lease()
{
    const auto now = monotonic_now();

    if (enforcing_until_ && now >= *enforcing_until_)
        set_mode(core::Mode::observe, std::nullopt);
    else
        put_lease(now);
}

/// The gate itself ends what was allowed for a time: its lease goes no further.
void KernelGate::put_lease(std::chrono::nanoseconds now)
{
    auto until = now + std::chrono::duration_cast<std::chrono::nanoseconds>(lease_);

    if (enforcing_until_)
        until = std::min(until, *enforcing_until_);
    parts_.settings[0].lease_until_ns = static_cast<std::uint64_t>(until.count());
}

Result<void> KernelGate::change_lists(const std::vector<core::ListNode> &put,
                                      const std::vector<Block> &removed)
{
    const auto done = parts_.lists.change(put, removed);
    note_lists();
    return done;
}

Result<void> KernelGate::replace_lists(BuiltLists built)
{
    const auto done = parts_.lists.publish(std::move(built));
    note_lists();
    return done;
}

void KernelGate::note_lists()
{
    parts_.settings[0].lists_configured = parts_.lists.is_empty() ? 0 : 1;
    end_rejections();
}

Result<core::Explanation> KernelGate::explain(const Address &address, core::ServiceId service)
{
    if (!parts_.explainer)
        return parts_.explainer.error();
    const auto answer = parts_.explainer->ask(address, service);
    if (!answer)
        return answer.error();

    const volatile tg_settings &settings = parts_.settings[0];
    auto told = to_explanation(
        *answer,
        {.limit = [this](std::uint8_t limit) { return parts_.limits.name_of(limit); },
         .value = [this](std::uint8_t limit) { return parts_.limits.value_of(limit); },
         .network = [this](std::uint32_t network) { return parts_.networks.name_of(network); },
         .ipv6_source_bits = ipv6_source_bits(),
         .enforcing = settings.mode == TG_MODE_ENFORCE && answer->now_ns < settings.lease_until_ns,
         .offset = clock_offset()});
    if (told.is_proven)
        told.tally = parts_.sources.tally(answer->slot);
    add_held_back(told, service);
    return told;
}

/// What the CPUs have not told the source's slot or claim.
void KernelGate::add_held_back(core::Explanation &told, core::ServiceId service) const
{
    for (const auto &residual : parts_.repeats.read()) {
        if (residual.source.service != service || to_address(residual.source.addr) != told.source)
            continue;
        if (residual.is_proven && told.tally) {
            told.tally->syn += residual.rejected;
            told.tally->dropped += residual.rejected;
        } else if (!residual.is_proven && told.claimed_syn != 0) {
            told.claimed_syn += residual.rejected;
            told.claimed_dropped += residual.rejected;
        }
    }
}

/// Before the first packet.
void KernelGate::remember(const core::ProvenSources &sources)
{
    std::vector<tg_source_key> keys;

    for (const auto &[name, service] : parts_.services.ids())
        if (const auto found = sources.find(name); found != sources.end())
            for (const auto &one : found->second)
                keys.push_back(
                    {.addr = from_address(one.source), .service = service, .reserved = 0});
    if (keys.empty())
        return;
    const auto done = parts_.explainer ? parts_.explainer->remember(keys)
                                       : Result<std::size_t>{parts_.explainer.error()};
    if (done)
        spdlog::info("{} sources had proven themselves before, and need not again", *done);
    else
        spdlog::warn("who had proven himself before must do so again: {}", done.error().message);
}

void KernelGate::recycle_sources(std::chrono::seconds idle)
{
    note_recycled(recycler_.step(parts_.sources, idle));
}

/// A failure goes to the log once, however often it comes.
void KernelGate::note_recycled(const Result<void> &done)
{
    const std::string failure = done ? "" : done.error().message;

    if (failure != recycle_failure_ && !failure.empty())
        spdlog::warn("{}; sources that stopped coming keep their slots", failure);
    recycle_failure_ = failure;
}

void KernelGate::walk()
{
    parts_.sources.set_time(std::chrono::duration_cast<std::chrono::seconds>(monotonic_now()));
    {
        Gathering gathering{sink_};
        const auto sink = gathering.sink();
        parts_.sources.walk(sink);
        parts_.sources.walk_repeats(parts_.repeats, sink);
        parts_.claims.walk_repeats(parts_.repeats, sink);
    }
    if (parts_.limits.has_network_limits())
        parts_.networks.settle_live();
    events_.note(monotonic_now(), [this] { return table_events(); });
}

bool KernelGate::walk_claims(std::uint32_t entries)
{
    Gathering gathering{sink_};
    return parts_.claims.walk_some(entries, gathering.sink());
}

bool KernelGate::refresh_prefixes(const Block &block, const PrefixSink &sink)
{
    return parts_.prefixes.walk_block(block, refreshed_prefixes_max, parts_.repeats, sink);
}

bool KernelGate::walk_prefixes(const PrefixSink &sink)
{
    return parts_.prefixes.walk_some(parts_.repeats, sink);
}

Result<bool> KernelGate::begin_reconcile()
{
    if (!parts_.reconcile || !configured_->reconcile.interval)
        return false;
    if (const auto begun = begin_round(Reconcile::Adopt::after_two_rounds); !begun)
        return begun.error();
    return true;
}

Result<void> KernelGate::begin_round(Reconcile::Adopt adopt)
{
    auto arrivals = interfaces_above(configured_->interfaces);
    if (!arrivals)
        return arrivals.error();
    if (parts_.settings[0].tunnels_configured != 0) {
        const auto tunnels = tunnel_interfaces();
        if (!tunnels)
            return tunnels.error();
        arrivals->insert(tunnels->begin(), tunnels->end());
    }
    parts_.reconcile->take_arrivals(*arrivals);
    return parts_.reconcile->begin(monotonic_now(), adopt);
}

Result<bool> KernelGate::step_reconcile()
{
    return parts_.reconcile->step();
}

Result<void> KernelGate::adopt_connections()
{
    if (!parts_.reconcile || !configured_->reconcile.interval)
        return {};
    if (const auto begun = begin_round(Reconcile::Adopt::at_once); !begun)
        return begun;
    for (;;) {
        const auto done = parts_.reconcile->step();
        if (!done)
            return done.error();
        if (*done)
            return {};
    }
}

void KernelGate::resume(const core::Told &told, const LiveSink &sink)
{
    parts_.sources.resume(told.slots, parts_.repeats, sink);
    parts_.claims.resume(told.claims, parts_.repeats);
    // Nobody can say how far their windows go: they begin anew.
    parts_.prefixes.skip_to_present(parts_.repeats);
}

void KernelGate::skip_to_present(const LiveSink &sink)
{
    parts_.sources.skip_to_present(sink);
    parts_.claims.skip_to_present();
    const ChangeSink nobody = [](const core::SourceChange &) {};
    parts_.sources.walk_repeats(parts_.repeats, nobody);
    parts_.claims.walk_repeats(parts_.repeats, nobody);
    parts_.prefixes.skip_to_present(parts_.repeats);
}

bool KernelGate::refresh(const Block &block)
{
    Gathering gathering{sink_};
    const auto sink = gathering.sink();
    if (!parts_.sources.walk_block(block, refreshed_sources_max, sink))
        return false;
    parts_.sources.walk_repeats(parts_.repeats, sink);
    return true;
}

Result<std::uint64_t> KernelGate::count_flows(const Block &block,
                                              const std::optional<Endpoint> &listener,
                                              std::optional<core::ServiceId> service) const
{
    const auto view = MapView<tg_flow_key, tg_flow>::open(parts_.program->map_fd("flows"), "flows");
    if (!view)
        return view.error();

    std::uint64_t count = 0;
    const auto read = view->for_each([&](const tg_flow_key &key, const tg_flow &flow) {
        const bool is_open = (flow.state & 0xff) == TG_FLOW_OPEN;
        const bool is_asked = !service || flow.service == *service;
        const bool is_there = !listener || (to_address(key.server) == listener->address &&
                                            ntohs(key.server_port) == listener->port);
        if (is_open && is_asked && is_there && block.contains(to_address(key.client)))
            count++;
    });
    if (!read)
        return read.error();
    return count;
}

core::UnixTime KernelGate::counting_since() const
{
    const std::uint64_t created = parts_.settings[0].created_unix_ns;
    return core::UnixTime{std::chrono::nanoseconds{static_cast<std::int64_t>(created)}};
}

} // namespace tallygate::kernel
