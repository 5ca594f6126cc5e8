// SPDX-License-Identifier: BSD-2-Clause
//
// The gate with limits and lists, written into its tables as the daemon writes them.
#pragma once

#include <sched.h>

#include <map>
#include <string>

#include "kernel/conversation.hpp"
#include "kernel/gate_fixture.hpp"

namespace tallygate::test {

struct Limit {
    std::uint64_t interval_ns = 0; ///< 0: no rate
    std::uint64_t burst = 1;
    std::optional<std::uint32_t> live_max = {};
    tg_who who = TG_WHO_ALL;
    tg_limit_action action = TG_LIMIT_DROP;
};

inline constexpr std::uint64_t second_ns = 1'000'000'000;

inline Limit per_second(std::uint64_t rate, std::uint64_t burst)
{
    return {.interval_ns = second_ns / rate, .burst = burst};
}

inline Limit holding(std::uint32_t live_max)
{
    return {.live_max = live_max};
}

class LimitedGate : public Gate {
protected:
    void SetUp() override
    {
        Gate::SetUp();
        enforce();
    }

    void enforce() { set_mode(TG_MODE_ENFORCE, false, std::chrono::hours(1000)); }

    /// A limit for smtp under the next id, and that id.
    std::uint8_t add_limit(const Limit &limit)
    {
        const auto id = ++limits_;
        tg_limit value{};
        value.interval_ns = limit.interval_ns;
        value.tolerance_ns = (limit.burst - 1) * limit.interval_ns;
        value.services[0] = 1U << smtp;
        value.live_max = limit.live_max.value_or(0);
        value.has_live_max = limit.live_max ? 1 : 0;
        value.who = static_cast<std::uint8_t>(limit.who);
        value.action = static_cast<std::uint8_t>(limit.action);
        put(maps().limits, std::uint32_t{id}, value);
        return id;
    }

    std::uint8_t limit_source(const Limit &limit, tg_family family = TG_FAMILY_IPV4)
    {
        const auto id = add_limit(limit);
        const bool first = rules_[family].count == 0;
        add_rule(family,
                 {.budget = 0,
                  .limit = id,
                  .scope = static_cast<std::uint8_t>(first ? TG_SCOPE_SOURCE : TG_SCOPE_PREFIX),
                  .prefix_bits = static_cast<std::uint8_t>(
                      family == TG_FAMILY_IPV6 ? options().ipv6_source_bits : 128),
                  .is_source = 1,
                  .reserved = 0});
        return id;
    }

    /// `bits` as the operator gives them: of 32 for IPv4.
    std::uint8_t limit_prefix(const Limit &limit, unsigned bits, tg_family family = TG_FAMILY_IPV4)
    {
        const auto id = add_limit(limit);
        add_rule(family, {.budget = 0,
                          .limit = id,
                          .scope = TG_SCOPE_PREFIX,
                          .prefix_bits = static_cast<std::uint8_t>(
                              family == TG_FAMILY_IPV6 ? bits : bits + 96),
                          .is_source = 0,
                          .reserved = 0});
        return id;
    }

    std::uint8_t limit_all(const Limit &limit, tg_family family = TG_FAMILY_IPV4)
    {
        const auto id = add_limit(limit);
        add_rule(family, {.budget = ++budgets_,
                          .limit = id,
                          .scope = TG_SCOPE_ALL,
                          .prefix_bits = 0,
                          .is_source = 0,
                          .reserved = 0});
        return id;
    }

    /// Of all newcomers together, who are kept out by it before anything else is asked.
    std::uint8_t limit_newcomers(Limit limit, tg_family family = TG_FAMILY_IPV4)
    {
        limit.who = TG_WHO_CLAIMED;
        const auto id = limit_all(limit, family);
        rules_[family].together = rules_[family].rules[rules_[family].count - 1];
        write_rules(family);
        return id;
    }

    /// Of a network that add_network() has put into the trie.
    std::uint8_t limit_network(const Limit &limit, std::uint32_t network)
    {
        const auto id = add_limit(limit);
        auto node = *get<tg_network_node>(maps().network_nodes, network);
        node.rules[node.rule_count++] = {.budget = ++budgets_, .limit = id, .reserved = 0};
        put(maps().network_nodes, network, node);
        for (const auto family : {TG_FAMILY_IPV4, TG_FAMILY_IPV6}) {
            rules_[family].network_limits = 1;
            write_rules(family);
        }
        return id;
    }

    tg_limit_tally limit_tally(std::uint8_t limit)
    {
        const auto cpus = static_cast<std::size_t>(libbpf_num_possible_cpus());
        const std::uint32_t id = limit;
        std::vector<tg_limit_tally> values(cpus);
        tg_limit_tally sum{};
        EXPECT_EQ(bpf_map__lookup_elem(maps().limit_tallies, &id, sizeof(id), values.data(),
                                       cpus * sizeof(tg_limit_tally), 0),
                  0);
        for (const auto &value : values) {
            sum.dropped += value.dropped;
            sum.would_drop += value.would_drop;
        }
        sum.dropped +=
            rejected_tally([&](const tg_repeat &repeat) { return repeat.limit == limit; }).dropped;
        return sum;
    }

    /// Until when this CIDR block is allowed and blocked, on the clock of set_clock(). A new
    /// entry is put into the trie in use.
    void list(const std::string &address, std::uint32_t length_bits, std::uint64_t allow_until_ns,
              std::uint64_t block_until_ns)
    {
        const bool ipv6 = address.find(':') != std::string::npos;
        const tg_prefix key{.length_bits = length_bits + (ipv6 ? 0 : 96), .addr = to_addr(address)};
        const tg_listed value{.allow_until_ns = allow_until_ns, .block_until_ns = block_until_ns};
        ASSERT_EQ(bpf_map_update_elem(listed_fd(), &key, &value, BPF_ANY), 0);
        gate_settings().lists_configured = 1;
        raise_generation();
    }

    void raise_generation()
    {
        gate_settings().generation++;
        write_settings();
    }

    tg_verdict send_syn(const std::string &address, unsigned port = 40000,
                        Program program = Program::xdp)
    {
        return send(conversation_from(address, port).packet({client, syn, 0, 0, 0, TG_PASS_SYN}),
                    program);
    }

    static Conversation conversation_from(const std::string &address, unsigned port = 40000)
    {
        auto conversation =
            address.find(':') == std::string::npos ? Conversation{} : ipv6_conversation();
        conversation.client_address = address;
        conversation.client_port = port;
        return conversation;
    }

    /// A whole handshake, whatever the limits say of its SYN; answers what they said.
    tg_verdict connect(const std::string &address, unsigned port = 40000)
    {
        const auto conversation = conversation_from(address, port);
        const auto verdict = send_syn(address, port);
        send(conversation.packet({server, syn | ack, 0, 1, 0, TG_PASS_SYN_ACK}),
             Program::tc_egress);
        send(conversation.packet({client, ack, 1, 1, 0, TG_PASS_OPENED}));
        return verdict;
    }

    tg_verdict disconnect(const std::string &address, unsigned port = 40000)
    {
        return send(
            conversation_from(address, port).packet({client, rst, 1, 0, 0, TG_PASS_CLOSED_RST}));
    }

    /// How many of `count` SYNs left under each verdict.
    std::map<std::string, int> send_syns(const std::string &address, int count)
    {
        std::map<std::string, int> left;
        for (int i = 0; i < count; i++)
            left[verdict_name(send_syn(address, 20000 + static_cast<unsigned>(i)))]++;
        return left;
    }

    int listed_fd()
    {
        if (!listed_) {
            LIBBPF_OPTS(bpf_map_create_opts, flags, .map_flags = BPF_F_NO_PREALLOC);
            listed_ = bpf_map_create(BPF_MAP_TYPE_LPM_TRIE, "listed", sizeof(tg_prefix),
                                     sizeof(tg_listed), listed_max, &flags);
            EXPECT_GE(*listed_, 0);
            put(maps().lists, std::uint32_t{0}, *listed_);
        }
        return *listed_;
    }

    void TearDown() override
    {
        if (listed_)
            ::close(*listed_);
        listed_.reset();
        Gate::TearDown();
    }

    /// For a gate that is made anew.
    void forget_limits()
    {
        limits_ = 0;
        budgets_ = 0;
        rules_.clear();
        gate_settings() = {};
    }

private:
    static constexpr std::uint32_t listed_max = 1U << 20;

    void add_rule(tg_family family, const tg_rule &rule)
    {
        auto &rules = rules_[family];
        rules.rules[rules.count++] = rule;
        write_rules(family);
    }

    void write_rules(tg_family family)
    {
        put(maps().rules, std::uint32_t{smtp} * TG_FAMILY_COUNT + family, rules_[family]);
    }

    std::uint8_t limits_ = 0;
    std::uint16_t budgets_ = 0;
    std::map<tg_family, tg_rules> rules_;
    std::optional<int> listed_;
};

/// Whose clock the rows let go on.
class TimedGate : public LimitedGate {
protected:
    void SetUp() override
    {
        LimitedGate::SetUp();
        wait(std::chrono::nanoseconds{0});
    }

    void wait(std::chrono::nanoseconds time)
    {
        now_ += time;
        set_clock(now_);
    }

    std::chrono::nanoseconds now_ = std::chrono::hours{1};
};

/// Whose packets all meet one CPU, so that what gathers or waits there does so in one place.
class OneCpuGate : public LimitedGate {
protected:
    void SetUp() override
    {
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(0, &one);
        ASSERT_EQ(sched_getaffinity(0, sizeof(before_), &before_), 0);
        ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
        LimitedGate::SetUp();
    }

    void TearDown() override
    {
        sched_setaffinity(0, sizeof(before_), &before_);
        LimitedGate::TearDown();
    }

private:
    cpu_set_t before_{};
};

} // namespace tallygate::test
