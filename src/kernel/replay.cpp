// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/replay.hpp"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <optional>

#include "gate.skel.h"
#include "kernel/convert.hpp"
#include "kernel/map_view.hpp"
#include "kernel/packet_facts.h"
#include "kernel/program.hpp"
#include "kernel/program_tag.hpp"
#include "kernel/replay_roles.hpp"

namespace tallygate::kernel {
namespace {

constexpr std::uint32_t ports_max = 65536;

/// BPF_PROG_TEST_RUN takes no frame for tc that is shorter than Ethernet and IPv6, nor one for
/// XDP without Ethernet. Shorter ones get bytes behind them that `injected_frame_bytes` denies.
constexpr std::size_t run_bytes_min = 60;

/// Stands for bytes that the capture does not have. As a TCP header it is whole and sane: with
/// one that the capture has in part it makes other facts than the parser finds without it.
constexpr std::uint8_t filler = 0x50;

struct Destroy {
    void operator()(gate *skeleton) const { gate::destroy(skeleton); }
};
using Skeleton = std::unique_ptr<gate, Destroy>;

/// Tables for what a capture of so many packets can hold: a flow takes a SYN-ACK and an ACK.
void size_tables(gate &skeleton, std::uint64_t packets_bound)
{
    constexpr std::uint64_t unknown = 1U << 18;
    constexpr std::uint64_t entries_min = 64;
    constexpr std::uint64_t entries_max = 1U << 20;
    constexpr std::uint32_t claims = 4096; // may forget: SYNs by source are counted on this side
    const auto flows = static_cast<std::uint32_t>(
        packets_bound ? std::clamp(packets_bound / 2 + 1, entries_min, entries_max) : unknown);
    auto &maps = skeleton.maps;

    for (auto *map : {maps.flows, maps.sources, maps.source_index})
        bpf_map__set_max_entries(map, flows);
    bpf_map__set_max_entries(maps.claims, claims);
    for (auto *map : {maps.freed_slots, maps.networks, maps.network_tallies, maps.network_records,
                      maps.service_records})
        bpf_map__set_max_entries(map, 1);

    auto &constants = *skeleton.rodata;
    constants.injected = true;
    constants.sources_max = flows;
    constants.pending_mask = bpf_map__max_entries(maps.pending) - 1;
}

Result<Skeleton> load_programs(const ReplayOptions &options)
{
    Skeleton skeleton{static_cast<gate *>(std::calloc(1, sizeof(gate)))};

    // What gate::open() does, with a moment in between to name other programs.
    if (!skeleton || gate__create_skeleton(skeleton.get()) != 0)
        return Error::system("open the gate's programs");
    if (!options.object.empty()) {
        skeleton->skeleton->data = options.object.data();
        skeleton->skeleton->data_sz = options.object.size();
    }
    if (bpf_object__open_skeleton(skeleton->skeleton, nullptr) != 0)
        return Error::system("open the gate's programs");

    bpf_program *program = nullptr;
    bpf_object__for_each_program(program, skeleton->obj) bpf_program__set_autoload(
        program, program == skeleton->progs.gate_xdp || program == skeleton->progs.gate_tc_egress);
    size_tables(*skeleton, options.packets_bound);
    if (const int failed = gate::load(skeleton.get()); failed != 0) {
        auto refused = Error::system("load the gate's programs", -failed);
        refused.message += " (" + last_libbpf_words() + ")";
        return refused;
    }
    return skeleton;
}

/// What is guarded, on this side: the same answer as the gate's find_service().
class Services {
public:
    explicit Services(const ReplayOptions &options) : ports_(ports_max)
    {
        names_.emplace_back();
        if (!options.any_port_service.empty()) {
            names_.push_back(options.any_port_service);
            std::ranges::fill(ports_, tg_port{.service = 1, .listed = 0, .leaving = 0});
        }
        for (const auto &service : options.services)
            add(service);
    }

    /// Into the gate's tables.
    Result<void> write(gate &skeleton) const
    {
        std::vector<std::uint32_t> keys;
        std::vector<tg_port> values;
        for (std::uint32_t port = 0; port < ports_max; port++)
            if (ports_[port].service != 0 || ports_[port].listed != 0) {
                keys.push_back(port);
                values.push_back(ports_[port]);
            }
        auto count = static_cast<std::uint32_t>(keys.size());
        if (bpf_map_update_batch(bpf_map__fd(skeleton.maps.ports), keys.data(), values.data(),
                                 &count, nullptr) != 0)
            return Error::system("write to ports");

        const auto view = MapView<tg_listener, std::uint32_t>::open(
            bpf_map__fd(skeleton.maps.listeners), "listeners");
        if (!view)
            return view.error();
        for (const auto &[endpoint, id] : listeners_)
            if (const auto put = view->put(to_listener(endpoint), id); !put)
                return put;
        return {};
    }

    /// The id of the service at this end; 0 if nobody guards it.
    std::uint16_t find(const tg_addr &addr, __be16 port) const
    {
        const auto &entry = ports_[ntohs(port)];
        if (entry.listed != 0)
            if (const auto found = listeners_.find({to_address(addr), ntohs(port)});
                found != listeners_.end())
                return found->second;
        return entry.service;
    }

    const std::string &name(std::uint16_t id) const { return names_[id]; }
    const std::vector<std::string> &names() const { return names_; }

private:
    static tg_listener to_listener(const Endpoint &endpoint)
    {
        return {
            .addr = from_address(endpoint.address), .port = htons(endpoint.port), .reserved = 0};
    }

    void add(const ServiceOption &service)
    {
        const auto id = static_cast<std::uint16_t>(names_.size());

        names_.push_back(service.name);
        for (const auto port : service.ports)
            ports_[port].service = id;
        for (const auto &endpoint : service.listeners) {
            ports_[endpoint.port].listed = 1;
            listeners_[endpoint] = id;
        }
    }

    std::vector<std::string> names_; ///< by id; 0 is none
    std::vector<tg_port> ports_;
    std::map<Endpoint, std::uint16_t> listeners_;
};

Result<void> write_tunnels(gate &skeleton, const std::vector<Block> &tunnels_from)
{
    const auto senders =
        MapView<tg_prefix, std::uint32_t>::open(bpf_map__fd(skeleton.maps.tunnels), "tunnels");
    const auto settings =
        MapView<std::uint32_t, tg_settings>::open(bpf_map__fd(skeleton.maps.settings), "settings");

    if (!senders)
        return senders.error();
    if (!settings)
        return settings.error();
    for (const auto &block : tunnels_from)
        if (const auto put = senders->put(from_block(block), 1); !put)
            return put;
    tg_settings observe{};
    observe.mode = TG_MODE_OBSERVE;
    observe.tunnels_configured = static_cast<std::uint32_t>(tunnels_from.size());
    return settings->put(0, observe);
}

bool is_same_segment(const packet_facts &one, const packet_facts &other)
{
    return one.ports_known && other.ports_known && one.seq == other.seq &&
           one.ack_seq == other.ack_seq && one.syn == other.syn && one.ack == other.ack &&
           one.fin == other.fin && one.rst == other.rst;
}

bool is_drop_in_strict_mode(tg_verdict verdict)
{
    return verdict >= TG_PASS_MALFORMED && verdict <= TG_PASS_BOGON;
}

} // namespace

void ReplayCounts::add(tg_verdict verdict)
{
    syn += verdict == TG_PASS_SYN || verdict == TG_PASS_SYN_UNCLAIMED;
    opened += verdict == TG_PASS_OPENED;
    closed_fin += verdict == TG_PASS_CLOSED_FIN;
    closed_rst += verdict == TG_PASS_CLOSED_RST;
    closed_other += verdict == TG_PASS_CLOSED_REUSE;
}

class Replay::Parts {
public:
    Parts(const ReplayOptions &options, Skeleton skeleton, Services services)
        : by_source_(options.by_source), ipv6_source_bits_(options.ipv6_source_bits),
          tunnels_from_(options.tunnels_from), skeleton_(std::move(skeleton)),
          services_(std::move(services))
    {
        for (std::size_t id = 1; id < services_.names().size(); id++)
            report_.services[services_.names()[id]] = {};
    }

    Result<void> feed(const Frame &frame)
    {
        report_.packets++;
        fill(frame);
        const auto facts = look_at(frame, std::max(frame.bytes.size(), filled_bytes_));
        if (frame.is_cut && !is_known(frame, facts)) {
            report_.skipped++;
            return {};
        }
        const bool from_client = facts.in_tunnel || is_from_client(facts.packet);
        const auto verdict = run(frame, from_client);
        if (!verdict)
            return verdict.error();
        count(facts.packet, from_client, *verdict);
        return {};
    }

    gate &skeleton() const { return *skeleton_; }
    const ReplayReport &report() const { return report_; }

private:
    struct Facts {
        packet_facts packet;
        bool in_tunnel;
    };

    /// The frame as the gate gets it. What a cut capture does not have is filler.
    void fill(const Frame &frame)
    {
        constexpr auto most = Capture::frame_bytes_max;
        const auto have = std::min(frame.bytes.size(), most);

        std::copy_n(frame.bytes.begin(), have, frame_);
        filled_bytes_ =
            frame.is_cut ? std::max(have, std::min<std::size_t>(frame.wire_bytes, most)) : have;
        std::fill(frame_ + have, frame_ + std::max(filled_bytes_, run_bytes_min), filler);
    }

    /// By the first `readable` bytes.
    Facts look_at(const Frame &frame, std::size_t readable) const
    {
        const auto bytes = static_cast<std::uint32_t>(readable);
        Facts facts{find_packet_facts(frame_, bytes, frame.wire_bytes), false};
        packet_facts inner{};
        tg_addr sender{};

        if (facts.packet.refused != TG_PASS_NOT_TCP || tunnels_from_.empty() ||
            !find_tunnel_facts(frame_, bytes, frame.wire_bytes, &sender, &inner))
            return facts;
        const auto is_from = [&](const Block &block) { return block.contains(to_address(sender)); };
        return std::ranges::any_of(tunnels_from_, is_from) ? Facts{inner, true} : facts;
    }

    /// Of a cut frame: would the bytes that are missing change what we know, and do we care?
    bool is_known(const Frame &frame, const Facts &filled) const
    {
        const auto had = look_at(frame, frame.bytes.size());

        // What may be missing is the options, which nobody reads.
        if (!had.packet.ran_out || is_same_segment(had.packet, filled.packet))
            return true;
        return had.packet.ports_known && !receiver_service(had.packet) &&
               !sender_service(had.packet);
    }

    std::uint16_t receiver_service(const packet_facts &packet) const
    {
        return services_.find(packet.ends.server, packet.ends.server_port);
    }

    std::uint16_t sender_service(const packet_facts &packet) const
    {
        return services_.find(packet.ends.client, packet.ends.client_port);
    }

    /// What nobody guards counts as coming in, where it is "not watched".
    bool is_from_client(const packet_facts &packet)
    {
        if (!packet.ports_known || !sender_service(packet))
            return true;
        return receiver_service(packet) ? roles_.is_from_client(packet) : false;
    }

    Result<tg_verdict> run(const Frame &frame, bool from_client)
    {
        const auto &programs = skeleton_->progs;
        auto &injected = *skeleton_->bss;
        bpf_test_run_opts options{};

        now_ = std::max(now_, frame.time); // a capture's clock may have been set back
        injected.injected_now_ns = static_cast<std::uint64_t>(now_.count());
        injected.injected_frame_bytes = std::max(frame.wire_bytes, 1U);
        options.sz = sizeof(options);
        options.data_in = frame_;
        options.data_size_in = static_cast<std::uint32_t>(std::max(filled_bytes_, run_bytes_min));
        const int fd = bpf_program__fd(from_client ? programs.gate_xdp : programs.gate_tc_egress);
        if (const int failed = bpf_prog_test_run_opts(fd, &options); failed != 0)
            return Error::system(
                "run the gate's program on packet " + std::to_string(report_.packets), -failed);
        const std::uint32_t verdict =
            *static_cast<volatile std::uint32_t *>(&injected.last_verdict);
        if (verdict >= TG_VERDICT_COUNT)
            return Error{"the gate's program gave a verdict that there is not: " +
                         std::to_string(verdict)};
        return static_cast<tg_verdict>(verdict);
    }

    void count(const packet_facts &packet, bool from_client, tg_verdict verdict)
    {
        report_.verdicts[verdict]++;
        report_.would_drop += from_client && is_drop_in_strict_mode(verdict);
        report_.total.add(verdict);
        if (!packet.ports_known)
            return;
        const auto service = from_client ? receiver_service(packet) : sender_service(packet);
        if (service == 0)
            return;
        roles_.note(packet, verdict);
        report_.services[services_.name(service)].add(verdict);
        if (by_source_)
            count_source(packet, from_client, verdict);
    }

    void count_source(const packet_facts &packet, bool from_client, tg_verdict verdict)
    {
        ReplayCounts counts;
        counts.add(verdict);
        if (counts.syn + counts.opened + counts.closed() == 0)
            return;
        const auto service = from_client ? receiver_service(packet) : sender_service(packet);
        const auto client = to_address(from_client ? packet.ends.client : packet.ends.server);
        report_
            .sources[{services_.name(service),
                      packet.ipv6 ? client.masked(ipv6_source_bits_) : client}]
            .add(verdict);
    }

    bool by_source_;
    unsigned ipv6_source_bits_;
    std::vector<Block> tunnels_from_;
    Skeleton skeleton_;
    Services services_;
    ReplayRoles roles_;
    /// Two bytes before the frame put its IP header on a multiple of four, as drivers do.
    alignas(4) std::array<std::uint8_t, 2 + Capture::frame_bytes_max> buffer_{};
    std::uint8_t *const frame_ = buffer_.data() + 2;
    std::size_t filled_bytes_ = 0;
    std::chrono::nanoseconds now_{1};
    ReplayReport report_;
};

Replay::Replay(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Replay::Replay(Replay &&) noexcept = default;
Replay::~Replay() = default;

Result<Replay> Replay::load(const ReplayOptions &options)
{
    auto skeleton = load_programs(options);
    if (!skeleton)
        return skeleton.error();
    Services services{options};
    if (const auto written = services.write(**skeleton); !written)
        return written.error();
    if (const auto written = write_tunnels(**skeleton, options.tunnels_from); !written)
        return written.error();
    return Replay{std::make_unique<Parts>(options, std::move(*skeleton), std::move(services))};
}

Result<void> Replay::feed(const Frame &frame)
{
    return parts_->feed(frame);
}

const ReplayReport &Replay::report() const
{
    return parts_->report();
}

std::string Replay::program_tag() const
{
    return kernel::program_tag(bpf_program__fd(parts_->skeleton().progs.gate_xdp));
}

std::string Replay::egress_program_tag() const
{
    return kernel::program_tag(bpf_program__fd(parts_->skeleton().progs.gate_tc_egress));
}

gate &Replay::skeleton() const
{
    return parts_->skeleton();
}

} // namespace tallygate::kernel
