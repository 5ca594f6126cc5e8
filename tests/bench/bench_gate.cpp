// SPDX-License-Identifier: BSD-2-Clause
#include "bench/bench_gate.hpp"

#include <bpf/bpf.h>

#include <ctime>
#include <random>
#include <vector>

#include "base/fd.hpp"
#include "kernel/totals.hpp"

namespace tallygate::bench {
namespace {

constexpr std::uint16_t limited = 1;
constexpr std::uint16_t source_limited = 2;
constexpr std::uint16_t unlimited = 3;

constexpr std::uint8_t per_source = 1; ///< ids of limits
constexpr std::uint8_t all_claimed = 2;
constexpr std::uint64_t second_ns = 1'000'000'000;
constexpr std::uint64_t source_interval_ns = second_ns / 10;
constexpr std::uint64_t source_burst = 20;
constexpr std::uint64_t total_interval_ns = second_ns / 5000;
constexpr std::uint64_t total_burst = 50; // the least for 5,000 a second: a run must not meet more
constexpr std::uint32_t live_max = 50;

constexpr std::uint32_t block_bits = 120; // of 128: an IPv4 /24
constexpr std::uint64_t always_ns = ~0ULL;

tg_addr ipv4(std::uint32_t host_order)
{
    return {{0, 0, htonl(0x0000ffff), htonl(host_order)}};
}

template <typename Key, typename Value>
Result<void> put(bpf_map *map, const Key &key, const Value &value)
{
    if (bpf_map__update_elem(map, &key, sizeof(key), &value, sizeof(value), BPF_ANY) != 0)
        return Error::system(std::string("write to ") + bpf_map__name(map));
    return {};
}

Result<double> thread_seconds()
{
    timespec now{};
    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) != 0)
        return Error::system("read this thread's clock");
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

tg_rule source_rule()
{
    return {.budget = 0,
            .limit = per_source,
            .scope = TG_SCOPE_SOURCE,
            .prefix_bits = 128,
            .is_source = 1,
            .reserved = 0};
}

tg_rule total_rule()
{
    return {.budget = 1,
            .limit = all_claimed,
            .scope = TG_SCOPE_ALL,
            .prefix_bits = 96,
            .is_source = 0,
            .reserved = 0};
}

/// Clients from everywhere, as a flood's; none is in 192.0.2.0/24, where those of the rows are.
std::uint32_t any_client(std::mt19937 &random)
{
    return sender_address(DISTRIBUTION_RANDOM, static_cast<std::uint32_t>(random()));
}

} // namespace

Result<BenchGate> BenchGate::load(const Fill &fill)
{
    BenchGate gate(gate_bench::open());
    if (!gate.skeleton_)
        return Error::system("open the programs");
    const auto repeats = static_cast<std::uint32_t>(libbpf_num_possible_cpus()) * TG_REPEATS;
    bpf_map__set_max_entries(gate.skeleton_->maps.repeats, repeats);
    bpf_map__set_max_entries(gate.skeleton_->maps.batches, repeats / TG_REPEATS);
    if (gate_bench::load(gate.skeleton_.get()) != 0)
        return Error::system("load the programs");
    if (auto done = gate.configure(fill); !done)
        return done.error();
    if (auto done = gate.fill_by_packets(fill); !done)
        return done.error();
    return gate;
}

Result<void> BenchGate::configure(const Fill &fill)
{
    tg_settings settings{};
    settings.mode = TG_MODE_ENFORCE;
    settings.lease_until_ns = always_ns;
    settings.networks_configured = fill.networks;
    settings.lists_configured = fill.listed;
    settings.generation = 1;
    settings.ipv6_source_bits = 64;
    if (auto done = put(skeleton_->maps.settings, std::uint32_t{0}, settings); !done)
        return done;
    if (auto done = guard_ports(); !done)
        return done;
    if (auto done = set_limits(); !done)
        return done;
    if (auto done = fill_networks(fill.networks); !done)
        return done;
    if (auto done = fill_lists(fill.listed); !done)
        return done;
    return fill_flows(fill.flows);
}

Result<void> BenchGate::guard_ports()
{
    struct Guarded {
        std::uint16_t port;
        std::uint16_t service;
    };
    for (const auto &[port, service] :
         {Guarded{limited_port, limited}, Guarded{source_limited_port, source_limited},
          Guarded{unlimited_port, unlimited}}) {
        const tg_port guarded{.service = service, .listed = 0, .leaving = 0};
        if (auto done = put(skeleton_->maps.ports, std::uint32_t{port}, guarded); !done)
            return done;
    }
    return {};
}

Result<void> BenchGate::set_limits()
{
    auto &maps = skeleton_->maps;
    tg_limit source{};
    source.interval_ns = source_interval_ns;
    source.tolerance_ns = (source_burst - 1) * source_interval_ns;
    source.live_max = live_max;
    source.has_live_max = 1;
    source.who = TG_WHO_ALL;
    source.action = TG_LIMIT_DROP;
    tg_limit total{};
    total.interval_ns = total_interval_ns;
    total.tolerance_ns = (total_burst - 1) * total_interval_ns;
    total.who = TG_WHO_CLAIMED;
    total.action = TG_LIMIT_DROP;
    if (auto done = put(maps.limits, std::uint32_t{per_source}, source); !done)
        return done;
    if (auto done = put(maps.limits, std::uint32_t{all_claimed}, total); !done)
        return done;

    tg_rules both{}, one{};
    both.count = 2;
    both.rules[0] = source_rule();
    both.rules[1] = total_rule();
    both.together = total_rule();
    one.count = 1;
    one.rules[0] = source_rule();
    const std::uint32_t ipv4_of_limited = limited * TG_FAMILY_COUNT + TG_FAMILY_IPV4;
    const std::uint32_t ipv4_of_source = source_limited * TG_FAMILY_COUNT + TG_FAMILY_IPV4;
    if (auto done = put(maps.rules, ipv4_of_limited, both); !done)
        return done;
    return put(maps.rules, ipv4_of_source, one);
}

/// That the trie may have an answer for the /16 of an address.
Result<void> BenchGate::hint(tg_hint trie, std::uint32_t ipv4)
{
    const std::uint32_t bit = ipv4 >> 16;
    const std::uint32_t index = trie * TG_HINT_WORDS + bit / 64;
    std::uint64_t word = 0;
    if (bpf_map__lookup_elem(skeleton_->maps.hints, &index, sizeof(index), &word, sizeof(word),
                             0) != 0)
        return Error::system("read the hints");
    return put(skeleton_->maps.hints, index, word | 1ULL << bit % 64);
}

/// Blocks of /24 that none of the rows' clients are in.
Result<void> BenchGate::fill_lists(std::uint32_t count)
{
    std::mt19937 random(1);
    LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_NO_PREALLOC);
    const Fd trie(bpf_map_create(BPF_MAP_TYPE_LPM_TRIE, "listed", sizeof(tg_prefix),
                                 sizeof(tg_listed), 1 << 20, &options));
    if (!trie)
        return Error::system("make a table of lists");
    for (std::uint32_t i = 0; i < count; i++) {
        const auto block = any_client(random) & 0xffffff00;
        const tg_prefix key{.length_bits = block_bits, .addr = ipv4(block)};
        const tg_listed listed{.allow_until_ns = 0, .block_until_ns = always_ns};
        if (auto done = hint(TG_HINT_LISTS, block); !done)
            return done;
        if (bpf_map_update_elem(trie.get(), &key, &listed, BPF_ANY) != 0)
            return Error::system("write to the lists");
    }
    return put(skeleton_->maps.lists, std::uint32_t{0}, trie.get());
}

/// One of them is 192.0.2.0/24, where the clients of the rows are: they pay for the trie.
Result<void> BenchGate::fill_networks(std::uint32_t count)
{
    std::mt19937 random(2);
    for (std::uint32_t id = 1; id <= count; id++) {
        const auto block = id == 1 ? 0xc0000200 : any_client(random) & 0xffffff00;
        const tg_prefix key{.length_bits = block_bits, .addr = ipv4(block)};
        if (auto done = hint(TG_HINT_NETWORKS, block); !done)
            return done;
        if (auto done = put(skeleton_->maps.networks, key, tg_network{.id = id, .parent = 0});
            !done)
            return done;
    }
    return {};
}

Result<void> BenchGate::fill_flows(std::uint32_t count)
{
    std::mt19937 random(3);
    for (std::uint32_t i = 0; i < count; i++) {
        const tg_flow_key key{.client = ipv4(any_client(random)),
                              .server = ipv4(0xc6336419),
                              .client_port = static_cast<__be16>(random()),
                              .server_port = htons(limited_port)};
        tg_flow flow{};
        flow.state = 1 << 8 | TG_FLOW_OPEN;
        flow.service = limited;
        if (auto done = put(skeleton_->maps.flows, key, flow); !done)
            return done;
    }
    return {};
}

/// What comes by packets in earnest, comes by packets here. The tables that the gate is compared
/// with have met as many sources.
Result<void> BenchGate::fill_by_packets(const Fill &fill)
{
    using namespace test;
    const auto &programs = skeleton_->progs;
    const auto syn_to_unlimited = Ethernet{} / Ipv4{} / Tcp{.to = unlimited_port};
    const auto syn_to_limited = Ethernet{} / Ipv4{} / Tcp{.to = limited_port};
    const Load claim{programs.gate, &syn_to_unlimited, DISTRIBUTION_RANDOM};
    const Load lru{programs.count_in_lru, &syn_to_unlimited, DISTRIBUTION_RANDOM};
    const Load hash{programs.count_in_hash, &syn_to_unlimited, DISTRIBUTION_RANDOM};
    const Load prove{programs.prove, &syn_to_limited, DISTRIBUTION_RANDOM};

    for (const auto &load : {claim, lru, hash})
        if (auto done = run(load, fill.claims); !done)
            return done.error();
    if (auto done = run(prove, fill.proven); !done)
        return done.error();
    return {};
}

Result<void> BenchGate::open_flow(const std::string &client)
{
    using namespace test;
    const auto answer =
        Ethernet{} / Ipv4{.from = "198.51.100.25", .to = client} /
        Tcp{.from = 25, .to = 40000, .flags = syn | ack, .seq = 5000, .ack_seq = 1001};
    const auto proof =
        Ethernet{} / Ipv4{.from = client} / Tcp{.flags = ack, .seq = 1001, .ack_seq = 5001};
    if (auto done = run({skeleton_->progs.gate_tc_egress, &answer}, 1); !done)
        return done.error();
    if (auto done = run({skeleton_->progs.gate_xdp, &proof}, 1); !done)
        return done.error();
    return {};
}

Result<Run> BenchGate::run(const Load &load, std::uint32_t repeat)
{
    if (repeat == 0)
        return Run{};
    const auto wire = load.packet->wire();
    bpf_test_run_opts options{};
    options.sz = sizeof(options);
    options.data_in = wire.data();
    options.data_size_in = static_cast<std::uint32_t>(wire.size());
    options.repeat = static_cast<int>(repeat);
    skeleton_->data->distribution = load.senders;

    const auto counted_before = count_of(load.verdict);
    const auto started = thread_seconds();
    if (bpf_prog_test_run_opts(bpf_program__fd(load.program), &options) != 0)
        return Error::system(std::string("run ") + bpf_program__name(load.program));
    const auto ended = thread_seconds();
    if (!started || !ended)
        return started ? ended.error() : started.error();
    const auto counted = count_of(load.verdict) - counted_before;
    return Run{.nanoseconds = (*ended - *started) * 1e9 / repeat,
               .as_intended = load.verdict == TG_UNDECIDED || counted * 100 >= repeat * 98ULL};
}

std::uint64_t BenchGate::count_of(tg_verdict verdict)
{
    const auto totals = kernel::Totals::open(skeleton_->obj);
    return totals ? totals->packets(TG_HOOK_INGRESS, verdict) : 0;
}

Result<double> BenchGate::claims_percent() const
{
    const auto buckets = bpf_map__max_entries(skeleton_->maps.claims);
    std::uint64_t taken = 0;
    for (std::uint32_t bucket = 0; bucket < buckets; bucket++) {
        tg_claims claims{};
        if (bpf_map__lookup_elem(skeleton_->maps.claims, &bucket, sizeof(bucket), &claims,
                                 sizeof(claims), 0) != 0)
            return Error::system("read the claims");
        for (const auto &state : claims.states)
            taken += state.word != 0;
    }
    return 100.0 * static_cast<double>(taken) / (static_cast<double>(buckets) * TG_BUCKET_WAYS);
}

} // namespace tallygate::bench
