// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/gate.hpp"

#include <arpa/inet.h>
#include <bpf/libbpf.h>
#include <tallygate/abi.h>

#include <array>
#include <ctime>
#include <map>

#include "base/log.hpp"
#include "gate.skel.h"
#include "kernel/convert.hpp"
#include "kernel/links.hpp"
#include "kernel/tunnels.hpp"

namespace tallygate::kernel {
namespace {

// DESIGN: an answer about so few sources is read while somebody waits.
constexpr std::size_t refreshed_sources_max = 1024;

constexpr std::array hook_names = {"ingress", "egress"};
static_assert(hook_names.size() == TG_HOOK_COUNT);

// clang-format off
constexpr std::array verdict_labels = {
    "undecided",
#define TG_LABEL(name, action, label) label,
    TG_VERDICTS(TG_LABEL)
#undef TG_LABEL
};
// clang-format on

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

Result<void> pin_all_maps(const PinDir &pins, const Program &program)
{
    std::vector<std::pair<std::string, int>> maps;
    bpf_map *map = nullptr;
    bpf_object__for_each_map(map, program.skeleton().obj)
    {
        if (!bpf_map__is_internal(map))
            maps.emplace_back(bpf_map__name(map), bpf_map__fd(map));
    }
    return pins.publish(maps);
}

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
        if (const auto pinned = pin_all_maps(*pins, *program); !pinned)
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
    auto settings = MappedArray<tg_settings>::open(kept->map_fd("settings"), "settings");
    if (!settings)
        return settings.error();
    auto reconcile = Reconcile::load(*kept);
    return Parts{std::move(kept_pins), std::move(kept),      std::move(reconcile),
                 std::move(*services), std::move(*networks), std::move(*sources),
                 std::move(*claims),   std::move(*settings)};
}

KernelGate::KernelGate(Parts parts, ChangeSink sink)
    : parts_(std::move(parts)), sink_(std::move(sink))
{
}

Result<std::unique_ptr<KernelGate>> KernelGate::start(const GateOptions &options, ChangeSink sink)
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
    if (const auto done = parts_.networks.apply(options.networks); !done)
        return done;
    if (const auto done = TunnelTable{*parts_.program}.apply(options.tunnels_from); !done)
        return done;
    apply_settings(options);
    return first_time ? attachments_->apply(cards_of(options)) : Result<void>{};
}

void KernelGate::apply_settings(const GateOptions &options)
{
    volatile tg_settings &settings = parts_.settings[0];

    lease_ = options.lease;
    if (parts_.reconcile)
        parts_.reconcile->configure(options.reconcile, options.inside.empty()
                                                           ? Reconcile::Sockets::here
                                                           : Reconcile::Sockets::elsewhere);
    renew_lease();
    settings.networks_configured = static_cast<std::uint32_t>(parts_.networks.configured());
    settings.tunnels_configured = static_cast<std::uint32_t>(options.tunnels_from.size());
    settings.strict = options.strict ? 1 : 0;
    settings.mode = options.mode == Mode::enforce ? TG_MODE_ENFORCE : TG_MODE_OBSERVE;
}

void KernelGate::renew_lease()
{
    const auto lease_ns = std::chrono::duration_cast<std::chrono::nanoseconds>(lease_).count();
    parts_.settings[0].lease_until_ns =
        clock_ns(CLOCK_MONOTONIC) + static_cast<std::uint64_t>(lease_ns);
}

void KernelGate::walk()
{
    parts_.sources.walk(sink_);
    renew_lease();
}

Result<bool> KernelGate::walk_claims(std::uint32_t entries)
{
    return parts_.claims.walk_some(entries, sink_);
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
    parts_.sources.resume(told.slots, sink);
    parts_.claims.resume(told.claims);
}

Result<void> KernelGate::skip_to_present(const LiveSink &sink)
{
    parts_.sources.skip_to_present(sink);
    return parts_.claims.skip_to_present();
}

bool KernelGate::refresh(const Block &block)
{
    return parts_.sources.walk_block(block, refreshed_sources_max, sink_);
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

core::Tally KernelGate::service_tally(core::ServiceId service, Family family) const
{
    core::Tally sum;
    const auto index = static_cast<std::uint32_t>(service) * TG_FAMILY_COUNT +
                       (family == Family::ipv4 ? TG_FAMILY_IPV4 : TG_FAMILY_IPV6);
    const auto view =
        PerCpuView<tg_tally>::open(parts_.program->map_fd("service_tallies"), "service_tallies");
    if (view)
        for (const auto &value : view->at(index))
            sum += to_tally(value);
    return sum;
}

std::vector<core::VerdictCount> KernelGate::verdicts() const
{
    std::vector<core::VerdictCount> rows;
    const auto view =
        PerCpuView<std::uint64_t>::open(parts_.program->map_fd("verdict_counts"), "verdict_counts");
    if (!view)
        return rows;

    for (std::uint32_t hook = 0; hook < TG_HOOK_COUNT; hook++)
        for (std::uint32_t verdict = TG_UNDECIDED + 1; verdict < TG_VERDICT_COUNT; verdict++) {
            std::uint64_t packets = 0;
            for (const auto count : view->at(hook * TG_VERDICT_COUNT + verdict))
                packets += count;
            rows.push_back({hook_names[hook], verdict_labels[verdict], packets});
        }
    return rows;
}

std::uint64_t KernelGate::live_total() const
{
    core::Tally sum;
    for (const auto &[name, service] : parts_.services.known_ids())
        for (const auto family : {Family::ipv4, Family::ipv6})
            sum += service_tally(service, family);
    return sum.live();
}

std::vector<core::TableUse> KernelGate::table_uses() const
{
    const auto max_of = [this](const char *name) {
        return bpf_map__max_entries(
            bpf_object__find_map_by_name(parts_.program->skeleton().obj, name));
    };
    return {
        {"sources", parts_.sources.slots_max(), parts_.sources.slots_used()},
        {"flows", max_of("flows"), live_total()},
        {"claims", max_of("claims"), std::nullopt},
        {"pending", max_of("pending"), std::nullopt},
        {"networks", max_of("network_records") - 1, parts_.networks.configured()},
    };
}

std::vector<std::string> KernelGate::warnings(const std::vector<core::TableUse> &tables) const
{
    auto sentences = attachments_->problems();
    const auto &loaded = parts_.program->warnings();
    sentences.insert(sentences.end(), loaded.begin(), loaded.end());

    for (const auto &table : tables)
        if (table.entries && *table.entries * 10 >= table.entries_max * 9)
            sentences.push_back("table " + table.name + " is over 90 % full");
    std::map<std::string, std::uint64_t> packets_by_verdict;
    for (const auto &row : verdicts())
        packets_by_verdict[row.verdict] += row.packets;
    for (const auto verdict : {TG_PASS_FLOWS_FULL, TG_PASS_SOURCES_FULL, TG_PASS_SYN_UNCLAIMED})
        if (const auto packets = packets_by_verdict[verdict_labels[verdict]]; packets != 0)
            sentences.push_back(std::to_string(packets) + " packets left as " +
                                verdict_labels[verdict] + ": a table was full, and what they " +
                                "belong to went uncounted");
    add_reconcile_warnings(sentences);
    for (const auto &layout : parts_.pins->other_layouts())
        sentences.push_back(parts_.pins->path() + "/" + layout +
                            " holds the tables of another layout: `tallygated detach --pin-dir " +
                            parts_.pins->path() + "` removes it, and what is counted here with it");
    return sentences;
}

core::ReconcileStatus KernelGate::reconcile_status() const
{
    const auto progress =
        MapView<std::uint32_t, tg_progress>::open(parts_.program->map_fd("progress"), "progress");
    core::ReconcileStatus status;

    if (!parts_.reconcile || !configured_->reconcile.interval)
        status.how = "off";
    else
        status.how = is_gateway() ? "idle" : "sockets";
    if (parts_.reconcile) {
        status.rounds = parts_.reconcile->rounds();
        status.half_closed = parts_.reconcile->half_closed();
    }
    if (!progress)
        return status;
    if (const auto counts = progress->find(0); counts && *counts) {
        status.adopted = (*counts)->reconcile_adopted;
        status.closed = (*counts)->reconcile_closed;
        status.idle_closed = (*counts)->idle_closed;
    }
    return status;
}

void KernelGate::add_reconcile_warnings(std::vector<std::string> &sentences) const
{
    if (!configured_->reconcile.interval)
        return;
    if (!parts_.reconcile) {
        sentences.push_back("flows are not compared with the kernel's sockets: " +
                            parts_.reconcile.error().message);
        return;
    }
    if (const auto count = parts_.reconcile->unadopted(); count != 0)
        sentences.push_back(std::to_string(count) +
                            " connections are not counted: there was no room for their flows");
    if (const auto count = parts_.reconcile->elsewhere(); count != 0)
        sentences.push_back(std::to_string(count) +
                            " flows have no socket in this network namespace, as if they were " +
                            "forwarded: what no packet closes, reconcile.idle_open does");
}

core::UnixTime KernelGate::counting_since() const
{
    const std::uint64_t created = parts_.settings[0].created_unix_ns;
    return core::UnixTime{std::chrono::nanoseconds{static_cast<std::int64_t>(created)}};
}

core::GateStatus KernelGate::status() const
{
    const volatile tg_settings &settings = parts_.settings[0];
    core::GateStatus status;

    status.mode = settings.mode == TG_MODE_ENFORCE ? "enforce" : "observe";
    status.strict = settings.strict != 0;
    status.pin_dir = parts_.pins->layout_path();
    status.layout = TG_ABI_VERSION;
    status.program_tag = parts_.program->tag();
    status.counting_since = counting_since();
    status.attachments = attachments_->status();
    status.tables = table_uses();
    status.reconcile = reconcile_status();
    status.warnings = warnings(status.tables);
    return status;
}

} // namespace tallygate::kernel
