// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>
#include <linux/pkt_cls.h>
#include <sys/mman.h>
#include <tallygate/abi.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "gate.skel.h"
#include "kernel/gate_programs.hpp"
#include "kernel/packet.hpp"

namespace tallygate::test {

inline constexpr std::uint16_t smtp = 1; ///< the id of the service "smtp"

/// BPF_F_XDP_HAS_FRAGS, which the headers of Debian 12 do not know.
inline constexpr std::uint32_t xdp_has_fragments = 1U << 5;

/// Small tables: a test fills them in no time, and loads in no memory.
struct GateOptions {
    std::uint32_t flows_max = 4096;
    std::uint32_t sources_max = 4096;
    std::uint32_t claims_max = 4096; ///< a power of two, as the next two
    std::uint32_t rates_max = 1024;
    std::uint32_t ipv6_prefixes_max = 1024;
    std::uint32_t prefix_pairs = 1;   ///< TG_PREFIX_PAIRS for tests of prefixes: it is 67 MB
    std::uint32_t pending_max = 4096; ///< a power of two
    std::uint32_t networks_max = 256;
    std::uint32_t ipv6_source_bits = 64; ///< 64 to 128
    bool fragments = false;              ///< XDP takes frames of more than a page
};

inline tg_addr to_addr(const std::string &text)
{
    tg_addr addr{};
    const bool ipv6 = text.find(':') != std::string::npos;
    const auto bytes = detail::parse_address(ipv6 ? AF_INET6 : AF_INET, text);
    if (!ipv6)
        addr.words[2] = htonl(0x0000ffff);
    std::copy(bytes.begin(), bytes.end(),
              reinterpret_cast<std::uint8_t *>(addr.words) + (ipv6 ? 0 : 12));
    return addr;
}

inline tg_tally operator+(const tg_tally &one, const tg_tally &other)
{
    return {.syn = one.syn + other.syn,
            .opened = one.opened + other.opened,
            .closed = one.closed + other.closed,
            .dropped = one.dropped + other.dropped,
            .would_drop = one.would_drop + other.would_drop};
}

/// The real programs, in the real kernel, with the clock in our hands and nothing attached.
class Gate : public testing::Test {
protected:
    void SetUp() override
    {
        ASSERT_NO_FATAL_FAILURE(load(options()));
        if (IsSkipped())
            return;
        watch(25);
        observe();
        set_clock(std::chrono::hours(1));
    }

    /// For tests of other sizes, to override.
    [[nodiscard]] virtual GateOptions options() const { return {}; }

    void watch(std::uint16_t port, std::uint16_t service = smtp)
    {
        set_port(port, {.service = service, .listed = 0, .leaving = 0});
    }

    void set_port(std::uint32_t port, const tg_port &entry) { put(maps().ports, port, entry); }

    void listen(const std::string &address, std::uint16_t port, std::uint32_t service)
    {
        put(maps().listeners,
            tg_listener{.addr = to_addr(address), .port = htons(port), .reserved = 0}, service);
    }

    /// Puts a CIDR block into the trie. IPv4 lengths are the operator's: 0 to 32.
    void add_network(const std::string &address, std::uint32_t length_bits, std::uint32_t id,
                     std::uint32_t parent = 0)
    {
        const bool ipv6 = address.find(':') != std::string::npos;
        put(maps().networks,
            tg_prefix{.length_bits = length_bits + (ipv6 ? 0 : 96), .addr = to_addr(address)},
            tg_network{.id = id, .parent = parent});
        tg_network_node node{};
        node.parent = parent;
        put(maps().network_nodes, id, node);
        settings_.networks_configured++;
        write_settings();
    }

    /// Whoever sends from this CIDR block may send tunnels.
    void trust(const std::string &address, std::uint32_t length_bits)
    {
        const bool ipv6 = address.find(':') != std::string::npos;
        put(maps().tunnels,
            tg_prefix{.length_bits = length_bits + (ipv6 ? 0 : 96), .addr = to_addr(address)},
            std::uint32_t{1});
        settings_.tunnels_configured++;
        write_settings();
    }

    void trust_nobody()
    {
        settings_.tunnels_configured = 0;
        write_settings();
    }

    void forget_networks()
    {
        settings_.networks_configured = 0;
        write_settings();
    }

    void observe() { set_mode(TG_MODE_OBSERVE, false, std::chrono::hours(2)); }

    /// May anything be dropped? `lease_until` is on the clock that set_clock() sets.
    void set_mode(tg_mode mode, bool strict, std::chrono::nanoseconds lease_until)
    {
        settings_.mode = mode;
        settings_.strict = strict;
        settings_.lease_until_ns = static_cast<std::uint64_t>(lease_until.count());
        write_settings();
    }

    void set_clock(std::chrono::nanoseconds now)
    {
        skeleton_->bss->injected_now_ns = static_cast<std::uint64_t>(now.count());
    }

    /// Sends one packet through the gate and answers why it left.
    ///
    /// The reason is read from the counters, and exactly one of them must have moved, by one,
    /// at the right hook: so every test also proves that each packet is counted once, that the
    /// action is the reason's, and that the gate writes into no packet.
    tg_verdict send(const Packet &packet, Program program = Program::xdp)
    {
        const auto before = counts();
        auto wire = packet.wire();
        std::vector<std::uint8_t> after_wire(wire.size() + 256);
        bpf_test_run_opts run{};
        run.sz = sizeof(run);
        run.data_in = wire.data();
        run.data_size_in = static_cast<std::uint32_t>(wire.size());
        run.data_out = after_wire.data();
        run.data_size_out = static_cast<std::uint32_t>(after_wire.size());
        skeleton_->bss->injected_frame_bytes = packet.announced_frame_bytes();
        EXPECT_EQ(bpf_prog_test_run_opts(program_fd(program), &run), 0) << wire.size();
        after_wire.resize(run.data_size_out);
        EXPECT_EQ(after_wire, wire) << "the gate reads packets and never writes them";

        const auto verdict = moved_verdict(before, program);
        const bool drops = tg_verdict_drops(verdict);
        const auto action = static_cast<int>(run.retval);
        EXPECT_EQ(action, drops ? (is_xdp(program) ? int{XDP_DROP} : TC_ACT_SHOT)
                                : (is_xdp(program) ? int{XDP_PASS} : TC_ACT_UNSPEC));
        return verdict;
    }

    /// Sends bytes through the gate and reads nothing back: for those who send a million.
    /// From several threads too, which then must not ask for one packet's verdict.
    bool send_quickly(const std::vector<std::uint8_t> &wire, Program program)
    {
        bpf_test_run_opts run{};
        run.sz = sizeof(run);
        run.data_in = wire.data();
        run.data_size_in = static_cast<std::uint32_t>(wire.size());
        return bpf_prog_test_run_opts(program_fd(program), &run) == 0;
    }

    /// The verdict of the last packet on any CPU.
    tg_verdict last_verdict() { return static_cast<tg_verdict>(skeleton_->bss->last_verdict); }

    /// Packets that left under a verdict since the gate was loaded.
    std::uint64_t count_of(tg_verdict verdict, tg_hook hook)
    {
        return counts()[hook * verdicts + verdict];
    }

    tg_tally service_tally(std::uint32_t service, tg_family family)
    {
        return sum_per_cpu<tg_tally>(maps().service_tallies, service * TG_FAMILY_COUNT + family) +
               rejected_tally([&](const tg_repeat &repeat) {
                   const bool is_ipv4 = ntohl(repeat.client.words[2]) == 0xffff;
                   return repeat.service == service && is_ipv4 == (family == TG_FAMILY_IPV4);
               });
    }

    tg_tally network_tally(std::uint32_t id)
    {
        return sum_per_cpu<tg_tally>(maps().network_tallies, id) +
               rejected_tally([&](const tg_repeat &repeat) { return repeat.network == id; });
    }

    /// What the CPUs hold back of SYNs that were rejected like the one before, where `is_one`.
    template <typename IsOne>
    tg_tally rejected_tally(IsOne is_one)
    {
        std::uint64_t rejected = 0;
        for (const auto &repeat : all_repeats())
            if (repeat.rejected != 0 && is_one(repeat))
                rejected += repeat.rejected;
        tg_tally tally{};
        tally.syn = rejected;
        tally.dropped = rejected;
        return tally;
    }

    /// The slots of all CPUs.
    std::span<const tg_repeat> all_repeats()
    {
        return {repeats_.get(), bpf_map__max_entries(maps().repeats)};
    }

    /// All services and both families together.
    tg_tally totals()
    {
        tg_tally sum{};
        for (std::uint32_t service = 0; service < 4; service++)
            sum = sum + service_tally(service, TG_FAMILY_IPV4) +
                  service_tally(service, TG_FAMILY_IPV6);
        return sum;
    }

    /// A proven source's tally. The address is the source's, not the client's.
    std::optional<tg_tally> slot_tally(const std::string &address, std::uint16_t service = smtp)
    {
        const auto slot = get<std::uint32_t>(maps().source_index, source_key(address, service));
        if (!slot)
            return std::nullopt;
        const auto source = get<tg_source>(maps().sources, *slot);
        return source ? std::optional(source->tally) : std::nullopt;
    }

    /// What the claims have of a source, if they have it.
    std::optional<tg_claim_state> claim(const std::string &address, std::uint16_t service = smtp)
    {
        const auto key = source_key(address, service);
        std::optional<tg_claim_state> found;
        for_each_claim([&](const tg_source_key &source, const tg_claim_state &state) {
            if (std::memcmp(&source, &key, sizeof(key)) == 0)
                found = state;
        });
        return found;
    }

    /// SYNs of an IPv4 /24, with those that wait on the CPUs.
    std::uint64_t prefix_syn(const std::string &address)
    {
        const auto number = ntohl(to_addr(address).words[3]) >> 8;
        return get<tg_prefix_pair>(maps().prefixes, number / 2)->syn[number % 2] +
               gathered(std::uint64_t{number} << 8 | 2);
    }

    /// What waits on the CPUs for a prefix, by its word.
    std::uint64_t gathered(std::uint64_t prefix)
    {
        const auto all = gathered_by_prefix();
        const auto found = all.find(prefix);
        return found == all.end() ? 0 : found->second;
    }

    std::map<std::uint64_t, std::uint64_t> gathered_by_prefix()
    {
        std::map<std::uint64_t, std::uint64_t> syns;
        for (const auto &repeat : all_repeats()) {
            syns[repeat.prefix] += repeat.prefix_syn;
            syns[prefix_word(repeat.client)] += repeat.rejected;
        }
        for (const auto &waiting : waiting_syns())
            if (ntohl(waiting.key.addr.words[2]) == 0xffff)
                syns[prefix_word(waiting.key.addr)]++;
        return syns;
    }

    /// The SYNs of all batches.
    std::vector<tg_waiting_syn> waiting_syns()
    {
        std::vector<tg_waiting_syn> all;
        for (std::uint32_t cpu = 0; cpu < bpf_map__max_entries(maps().batches); cpu++) {
            const auto batch = *get<tg_batch>(maps().batches, cpu);
            EXPECT_EQ(batch.sequence % 2, 0u);
            all.insert(all.end(), batch.syns, batch.syns + batch.count);
        }
        return all;
    }

    std::size_t flows() { return count_entries<tg_flow_key>(maps().flows); }
    std::size_t claims()
    {
        std::size_t count = 0;
        for_each_claim([&](const tg_source_key &, const tg_claim_state &) { count++; });
        return count;
    }
    std::size_t proven() { return count_entries<tg_source_key>(maps().source_index); }

    /// Opened less closed: what the tallies say is open now. Below zero is a lost count.
    std::int64_t live()
    {
        const auto sum = totals();
        return static_cast<std::int64_t>(sum.opened - sum.closed);
    }

    std::size_t pending_in_use()
    {
        std::size_t used = 0;
        for (std::uint32_t i = 0; i < bpf_map__max_entries(maps().pending); i++) {
            const auto bucket = *get<tg_pending>(maps().pending, i);
            used += static_cast<std::size_t>(
                std::ranges::count_if(bucket.words, [](std::uint64_t word) { return word != 0; }));
        }
        return used;
    }

    template <typename Visit>
    void for_each_claim(Visit visit)
    {
        for (std::uint32_t i = 0; i < bpf_map__max_entries(maps().claims); i++) {
            const auto bucket = *get<tg_claims>(maps().claims, i);
            for (int way = 0; way < TG_BUCKET_WAYS; way++) {
                const auto service = bucket.states[way].word & 0xff;
                if (service != 0)
                    visit(tg_source_key{.addr = bucket.sources[way],
                                        .service = static_cast<__u16>(service),
                                        .reserved = 0},
                          bucket.states[way]);
            }
        }
    }

    /// What happened to tables, beside the verdicts.
    std::uint64_t events(tg_table_event event)
    {
        return sum_per_cpu<std::uint64_t>(maps().table_events, event);
    }

    /// Forgets all connections, sources and handshakes; the totals stay.
    void clear_tables()
    {
        delete_entries<tg_flow_key>(maps().flows);
        for (std::uint32_t i = 0; i < bpf_map__max_entries(maps().pending); i++)
            put(maps().pending, i, tg_pending{});
    }

    template <typename Value, typename Key>
    std::optional<Value> get(bpf_map *map, const Key &key)
    {
        Value value{};
        if (bpf_map__lookup_elem(map, &key, sizeof(key), &value, sizeof(value), 0) != 0)
            return std::nullopt;
        return value;
    }

    template <typename Key, typename Value>
    void put(bpf_map *map, const Key &key, const Value &value)
    {
        ASSERT_EQ(bpf_map__update_elem(map, &key, sizeof(key), &value, sizeof(value), BPF_ANY), 0)
            << bpf_map__name(map);
    }

    gate *skeleton() { return skeleton_.get(); }
    decltype(gate::maps) &maps() { return skeleton_->maps; }

private:
    static constexpr std::size_t verdicts = TG_VERDICT_COUNT;
    static constexpr std::uint32_t filter_words = 1024;
    using Counts = std::array<std::uint64_t, TG_HOOK_COUNT * verdicts>;

    void load(const GateOptions &sizes)
    {
        skeleton_.reset(gate::open());
        ASSERT_NE(skeleton_, nullptr);
        auto &rodata = *skeleton_->rodata;
        rodata.injected = true;
        rodata.hash_seed[0] = 0x7a11e9a7e;
        rodata.hash_seed[1] = 0x5eed;
        rodata.claims_mask = sizes.claims_max / TG_BUCKET_WAYS - 1;
        rodata.rates_mask = sizes.rates_max / TG_BUCKET_WAYS - 1;
        rodata.ipv6_prefixes_mask = sizes.ipv6_prefixes_max / TG_BUCKET_WAYS - 1;
        rodata.filter_mask = filter_words - 1;
        rodata.pending_mask = sizes.pending_max / TG_PENDING_WAYS - 1;
        rodata.sources_max = sizes.sources_max;
        for (int i = 0; i < 2; i++) {
            const int bits =
                std::clamp(static_cast<int>(sizes.ipv6_source_bits) - 64 - 32 * i, 0, 32);
            rodata.ipv6_source_mask[i] = htonl(static_cast<std::uint32_t>(~0ULL << (32 - bits)));
        }
        rodata.has_fragments = sizes.fragments;
        for (auto *program : {skeleton_->progs.gate_xdp, skeleton_->progs.gate_xdp_inside})
            bpf_program__set_flags(program, sizes.fragments ? xdp_has_fragments : 0);
        resize(maps().flows, sizes.flows_max);
        resize(maps().claims, sizes.claims_max / TG_BUCKET_WAYS);
        resize(maps().rates, sizes.rates_max / TG_BUCKET_WAYS);
        resize(maps().ipv6_prefixes, sizes.ipv6_prefixes_max / TG_BUCKET_WAYS);
        resize(maps().prefixes, sizes.prefix_pairs);
        resize(maps().proven_filter, filter_words);
        resize(maps().dirty_claims, sizes.claims_max / TG_BUCKET_WAYS / 64 + 1);
        resize(maps().dirty_sources, sizes.sources_max / 64 + 1);
        const auto cpus = static_cast<std::uint32_t>(libbpf_num_possible_cpus());
        resize(maps().repeats, cpus * TG_REPEATS);
        resize(maps().batches, cpus);
        resize(maps().pending, sizes.pending_max / TG_PENDING_WAYS);
        for (auto *map : {maps().sources, maps().source_index, maps().freed_slots})
            resize(map, sizes.sources_max);
        for (auto *map : {maps().networks, maps().network_tallies, maps().network_records,
                          maps().network_nodes})
            resize(map, sizes.networks_max);
        const int error = gate::load(skeleton_.get());
        if (error == -EINVAL && sizes.fragments)
            GTEST_SKIP() << "XDP takes frames of more than a page from 5.18 on";
        ASSERT_EQ(error, 0) << "are we root?";
        for (std::uint32_t i = 0; i < TG_HINT_COUNT * TG_HINT_WORDS; i++)
            put(maps().hints, i, ~std::uint64_t{0});
        map_repeats();
    }

    /// Mapped, because they are looked at before and after each packet.
    void map_repeats()
    {
        const auto bytes = bpf_map__max_entries(maps().repeats) * sizeof(tg_repeat);
        void *memory =
            ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, bpf_map__fd(maps().repeats), 0);
        ASSERT_NE(memory, MAP_FAILED);
        repeats_ = {static_cast<const tg_repeat *>(memory), Unmap{bytes}};
    }

    static void resize(bpf_map *map, std::uint32_t entries_max)
    {
        ASSERT_EQ(bpf_map__set_max_entries(map, entries_max), 0) << bpf_map__name(map);
    }

protected:
    tg_settings &gate_settings() { return settings_; }
    void write_settings() { put(maps().settings, std::uint32_t{0}, settings_); }

private:
    int program_fd(Program program)
    {
        const auto &programs = skeleton_->progs;
        switch (program) {
        case Program::xdp:
            return bpf_program__fd(programs.gate_xdp);
        case Program::tc_ingress:
            return bpf_program__fd(programs.gate_tc_ingress);
        case Program::tc_egress:
            return bpf_program__fd(programs.gate_tc_egress);
        case Program::xdp_inside:
            return bpf_program__fd(programs.gate_xdp_inside);
        case Program::tc_inside:
            return bpf_program__fd(programs.gate_tc_inside);
        }
        return -1;
    }

    Counts counts()
    {
        const auto cpus = static_cast<std::size_t>(libbpf_num_possible_cpus());
        std::array<std::uint32_t, std::tuple_size_v<Counts>> keys{};
        std::vector<std::uint64_t> values(keys.size() * cpus);
        std::uint32_t next = 0;
        auto count = static_cast<std::uint32_t>(keys.size());
        bpf_map_lookup_batch(bpf_map__fd(maps().verdict_counts), nullptr, &next, keys.data(),
                             values.data(), &count, nullptr);
        EXPECT_EQ(count, keys.size());

        Counts sums{};
        for (std::size_t i = 0; i < values.size(); i++)
            sums[keys[i / cpus]] += values[i];
        for (const auto &repeat : all_repeats())
            sums[TG_HOOK_INGRESS * verdicts + repeat.verdict] += repeat.rejected;
        return sums;
    }

    tg_verdict moved_verdict(const Counts &before, Program program)
    {
        const auto after = counts();
        const auto hook = hook_of(program);
        auto verdict = TG_UNDECIDED;
        std::uint64_t moved = 0;
        for (std::size_t i = 0; i < after.size(); i++) {
            if (after[i] == before[i])
                continue;
            EXPECT_EQ(i / verdicts, static_cast<std::size_t>(hook));
            moved += after[i] - before[i];
            verdict = static_cast<tg_verdict>(i % verdicts);
        }
        EXPECT_EQ(moved, 1u) << "a packet must be counted exactly once";
        return verdict;
    }

    /// As prefix_of() in bpf/prefixes.h.
    static std::uint64_t prefix_word(const tg_addr &addr)
    {
        const auto word = [&](int i) { return std::uint64_t{ntohl(addr.words[i])}; };
        if (word(0) == 0 && word(1) == 0 && word(2) == 0xffff)
            return word(3) >> 8 << 8 | 2;
        return word(0) << 32 | word(1) >> 16 << 16 | 1;
    }

    static tg_source_key source_key(const std::string &address, std::uint16_t service)
    {
        return {.addr = to_addr(address), .service = service, .reserved = 0};
    }

    template <typename Value>
    Value sum_per_cpu(bpf_map *map, std::uint32_t key)
    {
        std::vector<Value> values(static_cast<std::size_t>(libbpf_num_possible_cpus()));
        EXPECT_EQ(bpf_map__lookup_elem(map, &key, sizeof(key), values.data(),
                                       values.size() * sizeof(Value), 0),
                  0)
            << bpf_map__name(map) << " " << key;
        Value sum{};
        for (const auto &value : values)
            sum = sum + value;
        return sum;
    }

    template <typename Key>
    std::vector<Key> keys(bpf_map *map)
    {
        std::vector<Key> found;
        Key key{};
        const Key *last = nullptr;
        while (bpf_map__get_next_key(map, last, &key, sizeof(key)) == 0) {
            found.push_back(key);
            last = &found.back();
        }
        return found;
    }

    template <typename Key>
    std::size_t count_entries(bpf_map *map)
    {
        return keys<Key>(map).size();
    }

    template <typename Key>
    void delete_entries(bpf_map *map)
    {
        for (const auto &key : keys<Key>(map))
            bpf_map__delete_elem(map, &key, sizeof(key), 0);
    }

    struct Destroy {
        void operator()(gate *skeleton) const { gate::destroy(skeleton); }
    };
    std::unique_ptr<gate, Destroy> skeleton_;
    struct Unmap {
        std::size_t bytes;
        void operator()(const tg_repeat *repeats) const
        {
            ::munmap(const_cast<tg_repeat *>(repeats), bytes);
        }
    };
    std::unique_ptr<const tg_repeat, Unmap> repeats_;
    tg_settings settings_{};
};

} // namespace tallygate::test
