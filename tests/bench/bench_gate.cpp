// SPDX-License-Identifier: BSD-2-Clause
#include "bench/bench_gate.hpp"

#include <bpf/bpf.h>

#include <ctime>
#include <random>
#include <vector>

namespace tallygate::bench {
namespace {

constexpr std::uint16_t smtp = 1;

/// Any IPv4 client, in our tables' form.
tg_addr any_client(std::mt19937 &random)
{
    return {{0, 0, htonl(0x0000ffff), htonl(0x10000000 | (random() & 0x0fffffff))}};
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

} // namespace

Result<BenchGate> BenchGate::load(const Fill &fill)
{
    BenchGate gate(gate_bench::open_and_load());
    if (!gate.skeleton_)
        return Error::system("load the programs");
    auto &maps = gate.skeleton_->maps;
    if (auto done =
            put(maps.ports, std::uint32_t{25}, tg_port{.service = smtp, .listed = 0, .leaving = 0});
        !done)
        return done.error();
    tg_settings settings{};
    settings.networks_configured = fill.networks;
    if (auto done = put(maps.settings, std::uint32_t{0}, settings); !done)
        return done.error();
    if (auto done = gate.fill_tables(fill); !done)
        return done.error();
    return gate;
}

Result<void> BenchGate::fill_tables(const Fill &fill)
{
    auto &maps = skeleton_->maps;
    std::mt19937 random(1);
    for (std::uint32_t i = 0; i < fill.claims; i++) {
        const tg_source_key key{.addr = any_client(random), .service = smtp, .reserved = 0};
        if (auto done = put(maps.claims, key, tg_claim{.syn = 1, .first_ns = 1}); !done)
            return done;
    }
    for (std::uint32_t slot = 0; slot < fill.proven; slot++) {
        tg_source source{};
        source.key = {.addr = any_client(random), .service = smtp, .reserved = 0};
        source.used = 1;
        if (auto done = put(maps.sources, slot, source); !done)
            return done;
        if (auto done = put(maps.source_index, source.key, slot); !done)
            return done;
    }
    if (auto done = put(maps.progress, std::uint32_t{0}, tg_progress{fill.proven, 0, 0, 0}); !done)
        return done;
    /* The longest of them is 192.0.0.0/8, where the clients of the rows are. */
    for (std::uint32_t id = 1; id <= fill.networks; id++) {
        const tg_prefix prefix{.length_bits = 104,
                               .addr = {{0, 0, htonl(0x0000ffff), htonl((192 + 1 - id) << 24)}}};
        if (auto done = put(maps.networks, prefix, tg_network{.id = id, .parent = 0}); !done)
            return done;
    }
    return fill_flows(fill.flows);
}

Result<void> BenchGate::fill_flows(std::uint32_t count)
{
    std::mt19937 random(2);
    for (std::uint32_t i = 0; i < count; i++) {
        const tg_flow_key key{.client = any_client(random),
                              .server = {{0, 0, htonl(0x0000ffff), htonl(0xc6336419)}},
                              .client_port = static_cast<__be16>(random()),
                              .server_port = htons(25)};
        tg_flow flow{};
        flow.state = 1 << 8 | TG_FLOW_OPEN;
        flow.service = smtp;
        if (auto done = put(skeleton_->maps.flows, key, flow); !done)
            return done;
    }
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
    if (auto done = send(skeleton_->progs.gate_tc_egress, answer); !done)
        return done;
    return send(skeleton_->progs.gate_xdp, proof);
}

Result<void> BenchGate::send(const bpf_program *program, const test::Packet &packet)
{
    if (auto once = run(program, packet, 1, TG_UNDECIDED); !once)
        return once.error();
    return {};
}

Result<Run> BenchGate::run(const bpf_program *program, const test::Packet &packet,
                           std::uint32_t repeat, tg_verdict verdict)
{
    const auto wire = packet.wire();
    bpf_test_run_opts options{};
    options.sz = sizeof(options);
    options.data_in = wire.data();
    options.data_size_in = static_cast<std::uint32_t>(wire.size());
    options.repeat = static_cast<int>(repeat);

    const auto counted_before = count_of(verdict);
    const auto started = thread_seconds();
    if (bpf_prog_test_run_opts(bpf_program__fd(program), &options) != 0)
        return Error::system(std::string("run ") + bpf_program__name(program));
    const auto ended = thread_seconds();
    if (!started || !ended)
        return started ? ended.error() : started.error();
    return Run{.nanoseconds = (*ended - *started) * 1e9 / repeat,
               .as_intended =
                   verdict == TG_UNDECIDED || count_of(verdict) - counted_before == repeat};
}

std::uint64_t BenchGate::count_of(tg_verdict verdict)
{
    const std::uint32_t key = verdict;
    std::vector<std::uint64_t> counts(static_cast<std::size_t>(libbpf_num_possible_cpus()));
    bpf_map__lookup_elem(skeleton_->maps.verdict_counts, &key, sizeof(key), counts.data(),
                         counts.size() * sizeof(counts[0]), 0);
    std::uint64_t sum = 0;
    for (const auto count : counts)
        sum += count;
    return sum;
}

} // namespace tallygate::bench
