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
#include "kernel/constants.hpp"
#include "kernel/convert.hpp"
#include "kernel/limits.hpp"
#include "kernel/lists.hpp"
#include "kernel/map_view.hpp"
#include "kernel/packet_facts.h"
#include "kernel/program.hpp"
#include "kernel/program_tag.hpp"
#include "kernel/replay_networks.hpp"
#include "kernel/replay_roles.hpp"
#include "kernel/replay_services.hpp"

namespace tallygate::kernel {
namespace {

/// BPF_PROG_TEST_RUN takes no frame for tc that is shorter than Ethernet and IPv6, nor one for
/// XDP without Ethernet. Shorter ones get bytes behind them that `injected_frame_bytes` denies.
constexpr std::size_t run_bytes_min = 60;

/// Stands for bytes that the capture does not have. As a TCP header it is whole and sane: with
/// one that the capture has in part it makes other facts than the parser finds without it.
constexpr std::uint8_t filler = 0x50;

/// The gate's clock counts from the machine's start, and its tables have room for 18 years of it
/// (TG_CLAIM_UNIT_NS), where the capture's counts from 1970. So the first packet comes at
/// `clock_start`, and who comes decades later has a wrong time, and finds the clock standing.
constexpr std::chrono::nanoseconds clock_start = std::chrono::hours{1};
constexpr std::chrono::nanoseconds clock_end = std::chrono::years{15};

struct Destroy {
    void operator()(gate *skeleton) const { gate::destroy(skeleton); }
};
using Skeleton = std::unique_ptr<gate, Destroy>;

/// Tables for what a capture of so many packets can hold: a flow takes a SYN-ACK and an ACK, and a
/// source a SYN. Who sent how many SYNs is counted on this side; what limits know must not be
/// forgotten, or they would let more through than they do on a card with room.
void size_tables(gate &skeleton, const ReplayOptions &options)
{
    constexpr std::uint64_t unknown = 1U << 18;
    constexpr std::uint64_t entries_min = 64;
    constexpr std::uint64_t entries_max = 1U << 20;
    constexpr std::uint32_t claims_unlimited = 4096;
    // A table of full size takes longer than the rest of the start. A handshake whose slot another
    // takes does not open: so there are many slots for each packet, and collisions are rare.
    constexpr std::uint32_t pending_min = 1U << 16;
    constexpr std::uint32_t pending_max = 1U << 22;
    constexpr std::uint64_t pending_for_each = 64;
    const auto packets = options.packets_bound ? options.packets_bound : unknown;
    const auto of_packets = [&](std::uint64_t each) {
        return static_cast<std::uint32_t>(std::clamp(packets / each + 1, entries_min, entries_max));
    };
    const auto flows = of_packets(2);
    // Twice the room: buckets fill unevenly.
    const auto states =
        options.limits.empty() ? claims_unlimited : std::bit_ceil(of_packets(1)) * 2;
    auto &maps = skeleton.maps;

    for (auto *map : {maps.flows, maps.sources, maps.source_index})
        bpf_map__set_max_entries(map, flows);
    for (auto *map : {maps.claims, maps.rates})
        bpf_map__set_max_entries(map, states / TG_BUCKET_WAYS);
    const auto handshakes = static_cast<std::uint32_t>(std::clamp<std::uint64_t>(
        std::bit_ceil(packets * pending_for_each), pending_min, pending_max));
    bpf_map__set_max_entries(maps.pending, handshakes / TG_PENDING_WAYS);
    bpf_map__set_max_entries(maps.proven_filter, std::bit_ceil(flows));
    for (auto *map : {maps.dirty_sources, maps.dirty_claims}) // nobody looks
        bpf_map__set_max_entries(map, 1);
    const auto cpus = static_cast<std::uint32_t>(libbpf_num_possible_cpus());
    bpf_map__set_max_entries(maps.repeats, cpus * TG_REPEATS);
    bpf_map__set_max_entries(maps.batches, cpus);
    for (auto *map : {maps.freed_slots, maps.network_records, maps.service_records, maps.prefixes,
                      maps.ipv6_prefixes})
        bpf_map__set_max_entries(map, 1);
    // Number 0 is none; in the trie all of IPv4 may stand besides.
    for (auto *map : {maps.networks, maps.network_tallies, maps.network_nodes})
        bpf_map__set_max_entries(map, static_cast<std::uint32_t>(options.networks.size()) + 1);

    skeleton.rodata->injected = true;
    set_constants(*skeleton.rodata,
                  table_constants(skeleton.obj, {0, 0}, options.ipv6_source_bits));
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
    size_tables(*skeleton, options);
    if (const int failed = gate::load(skeleton.get()); failed != 0) {
        auto refused = Error::system("load the gate's programs", -failed);
        refused.message += " (" + last_libbpf_words() + ")";
        return refused;
    }
    return skeleton;
}

Result<void> write_tunnels(gate &skeleton, const std::vector<Block> &tunnels_from)
{
    const auto senders =
        MapView<tg_prefix, std::uint32_t>::open(bpf_map__fd(skeleton.maps.tunnels), "tunnels");

    if (!senders)
        return senders.error();
    for (const auto &block : tunnels_from)
        if (const auto put = senders->put(from_block(block), 1); !put)
            return put;
    return {};
}

Result<void> write_lists(const gate &skeleton, const std::vector<core::ListNode> &lists,
                         ClockOffset offset)
{
    const auto entries_max = static_cast<std::uint32_t>(lists.size());
    auto built = ListTable::build(lists, entries_max, offset);
    if (!built)
        return built.error();
    auto table = ListTable::open(skeleton.obj, entries_max);
    return table ? table->publish(std::move(*built)) : table.error();
}

Result<void> write_settings(gate &skeleton, const ReplayOptions &options)
{
    const auto settings =
        MapView<std::uint32_t, tg_settings>::open(bpf_map__fd(skeleton.maps.settings), "settings");
    if (!settings)
        return settings.error();
    tg_settings value{};
    value.mode = options.mode == Mode::enforce ? TG_MODE_ENFORCE : TG_MODE_OBSERVE;
    value.lease_until_ns = ~std::uint64_t{0};
    value.ipv6_source_bits = options.ipv6_source_bits;
    value.networks_configured = static_cast<std::uint32_t>(options.networks.size());
    value.tunnels_configured = static_cast<std::uint32_t>(options.tunnels_from.size());
    value.lists_configured = static_cast<std::uint32_t>(options.lists.size());
    return settings->put(0, value);
}

bool is_same_segment(const packet_facts &one, const packet_facts &other)
{
    return one.ports_known && other.ports_known && one.seq == other.seq &&
           one.ack_seq == other.ack_seq && one.syn == other.syn && one.ack == other.ack &&
           one.fin == other.fin && one.rst == other.rst;
}

bool is_drop_by_policy(tg_verdict verdict)
{
    return verdict >= TG_DROP_BLOCKED && verdict <= TG_DROP_SERVICE_RATE;
}

bool is_drop_in_strict_mode(tg_verdict verdict)
{
    return verdict >= TG_PASS_MALFORMED && verdict <= TG_PASS_BOGON;
}

} // namespace

void ReplayCounts::add(tg_verdict verdict, bool is_syn)
{
    const bool is_dropped = is_drop_by_policy(verdict);
    const bool would_be = tg_verdict_would_drop(verdict);

    // Of a source that is blocked every packet is dropped, and its SYNs alone are counted here.
    syn += verdict == TG_PASS_SYN || (is_syn && (is_dropped || would_be));
    dropped += is_syn && is_dropped;
    would_drop += is_syn && would_be;
    opened += verdict == TG_PASS_OPENED;
    closed_fin += verdict == TG_PASS_CLOSED_FIN;
    closed_rst += verdict == TG_PASS_CLOSED_RST;
    closed_other += verdict == TG_PASS_CLOSED_REUSE;
}

class Replay::Parts {
public:
    Parts(const ReplayOptions &options, Skeleton skeleton, ReplayServices services,
          LimitTable limits)
        : by_source_(options.by_source), ipv6_source_bits_(options.ipv6_source_bits),
          tunnels_from_(options.tunnels_from), lists_(options.lists),
          skeleton_(std::move(skeleton)), services_(std::move(services)), limits_(std::move(limits))
    {
        for (std::size_t id = 1; id < services_.names().size(); id++)
            report_.services[services_.names()[id]] = {};
    }

    Result<void> feed(const Frame &frame)
    {
        if (!clock_offset_)
            if (const auto begun = begin(frame.time); !begun)
                return begun;
        report_.packets++;
        now_ = std::clamp(frame.time + *clock_offset_, now_, clock_end); // it may be set back
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
    const ReplayReport &report()
    {
        report_.limits = limits_.counts();
        return report_;
    }

private:
    struct Facts {
        packet_facts packet;
        bool in_tunnel;
    };

    /// At the first packet: now the ends of lists can be told in the gate's time.
    Result<void> begin(std::chrono::nanoseconds time)
    {
        clock_offset_ = clock_start - time;
        return lists_.empty() ? Result<void>{} : write_lists(*skeleton_, lists_, *clock_offset_);
    }

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
        report_.dropped += is_drop_by_policy(verdict);
        report_.would_drop +=
            tg_verdict_would_drop(verdict) || (from_client && is_drop_in_strict_mode(verdict));
        const bool is_syn = packet.syn && !packet.ack;
        report_.total.add(verdict, is_syn);
        if (!packet.ports_known)
            return;
        const auto service = from_client ? receiver_service(packet) : sender_service(packet);
        if (service == 0)
            return;
        roles_.note(packet, verdict);
        report_.services[services_.name(service)].add(verdict, is_syn);
        if (by_source_)
            count_source(packet, from_client, verdict);
    }

    void count_source(const packet_facts &packet, bool from_client, tg_verdict verdict)
    {
        const bool is_syn = packet.syn && !packet.ack;
        ReplayCounts counts;
        counts.add(verdict, is_syn);
        if (counts.syn + counts.opened + counts.closed() == 0)
            return;
        const auto service = from_client ? receiver_service(packet) : sender_service(packet);
        const auto client = to_address(from_client ? packet.ends.client : packet.ends.server);
        report_
            .sources[{services_.name(service),
                      packet.ipv6 ? client.masked(ipv6_source_bits_) : client}]
            .add(verdict, is_syn);
    }

    bool by_source_;
    unsigned ipv6_source_bits_;
    std::vector<Block> tunnels_from_;
    std::vector<core::ListNode> lists_;
    Skeleton skeleton_;
    ReplayServices services_;
    LimitTable limits_;
    ReplayRoles roles_;
    /// Two bytes before the frame put its IP header on a multiple of four, as drivers do.
    alignas(4) std::array<std::uint8_t, 2 + Capture::frame_bytes_max> buffer_{};
    std::uint8_t *const frame_ = buffer_.data() + 2;
    std::size_t filled_bytes_ = 0;
    std::optional<ClockOffset> clock_offset_; ///< from the capture's time to the gate's
    std::chrono::nanoseconds now_ = clock_start;
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
    ReplayServices services{options.services, options.any_port_service};
    if (const auto written = services.write((*skeleton)->obj); !written)
        return written.error();
    if (const auto written = write_tunnels(**skeleton, options.tunnels_from); !written)
        return written.error();
    const ReplayNetworks networks{options.networks};
    if (const auto written = networks.write((*skeleton)->obj); !written)
        return written.error();
    auto limits = LimitTable::open((*skeleton)->obj);
    if (!limits)
        return limits.error();
    const LimitedThings things{services.ids(), networks.nodes(), options.ipv6_source_bits};
    if (const auto applied = limits->apply(options.limits, things); !applied)
        return applied.error();
    if (const auto written = write_settings(**skeleton, options); !written)
        return written.error();
    return Replay{std::make_unique<Parts>(options, std::move(*skeleton), std::move(services),
                                          std::move(*limits))};
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
