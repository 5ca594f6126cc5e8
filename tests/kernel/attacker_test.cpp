// SPDX-License-Identifier: BSD-2-Clause
//
// An attacker who sees nothing and sends a million packets. He knows who talks to us, perhaps
// even from which port, and no sequence number: nothing may open, close or grow.
#include <fstream>
#include <random>

#include "kernel/forge.hpp"
#include "kernel/limited_gate.hpp"

namespace tallygate::test {
namespace {

constexpr unsigned million = 1'000'000;
constexpr unsigned open_max = 1'000;
constexpr unsigned first_port = 20000;

class Attacker : public LimitedGate {
protected:
    void SetUp() override
    {
        LimitedGate::SetUp();
        observe();
    }

    struct Use {
        std::size_t flows, claims, proven, pending;
        std::uint32_t high_water;
        std::uint64_t bytes;

        bool operator==(const Use &) const = default;
    };

    [[nodiscard]] GateOptions options() const override { return {.pending_max = 1 << 16}; }

    Use use()
    {
        const auto reached = get<tg_progress>(maps().progress, 0u)->sources_high_water;
        return {
            flows(),    claims(), proven(), pending_in_use(), static_cast<std::uint32_t>(reached),
            map_bytes()};
    }

    /// What the kernel holds for all of the gate's maps.
    std::uint64_t map_bytes()
    {
        std::uint64_t bytes = 0;
        bpf_map *map = nullptr;
        while ((map = bpf_object__next_map(skeleton()->obj, map))) {
            std::ifstream info("/proc/self/fdinfo/" + std::to_string(bpf_map__fd(map)));
            std::uint64_t value = 0;
            for (std::string word; info >> word;)
                if (word == "memlock:" && info >> value)
                    bytes += value;
        }
        return bytes;
    }

    /// Half of them over IPv6. Each has its own numbers, which the attacker does not know.
    void open(unsigned count)
    {
        for (unsigned i = 0; i < count; i++) {
            const bool ipv6 = i % 2;
            auto &in = from_client_[ipv6].client_port(port_of(i));
            auto &out = from_server_[ipv6].client_port(port_of(i));
            const Numbers start{number(), number()};
            send_quickly(in.flags(syn).numbers(start.client, 0).wire(), Program::xdp);
            send_quickly(out.flags(syn | ack).numbers(start.server, start.client + 1).wire(),
                         Program::tc_egress);
            send_quickly(in.flags(ack).numbers(start.client + 1, start.server + 1).wire(),
                         Program::xdp);
            ASSERT_EQ(last_verdict(), TG_PASS_OPENED) << i;
            starts_.push_back(start);
        }
    }

    void expect_each_to_close()
    {
        for (unsigned i = 0; i < starts_.size(); i++) {
            auto &in = from_client_[i % 2].client_port(port_of(i));
            send_quickly(in.flags(rst).numbers(starts_[i].client + 1, 0).wire(), Program::xdp);
            ASSERT_EQ(last_verdict(), TG_PASS_CLOSED_RST) << i;
        }
        EXPECT_EQ(live(), 0);
        EXPECT_EQ(flows(), 0u);
    }

    std::uint32_t number() { return static_cast<std::uint32_t>(random_()); }
    static unsigned port_of(unsigned flow) { return first_port + flow / 2; }

    std::mt19937_64 random_{20260701};
    Forge from_client_[2] = {{Conversation{}, client}, {ipv6_conversation(), client}};
    Forge from_server_[2] = {{Conversation{}, server}, {ipv6_conversation(), server}};

private:
    struct Numbers {
        std::uint32_t client, server;
    };
    std::vector<Numbers> starts_;
};

TEST_F(Attacker, OpensClosesAndFillsNothingWithAMillionPackets)
{
    constexpr std::uint16_t forged[] = {ack, rst, fin | ack, ack | psh, rst | ack};
    open(open_max);
    const auto totals_before = totals();
    const auto use_before = use();
    Forge strangers[2] = {{Conversation{}, client}, {ipv6_conversation(), client}};

    for (unsigned i = 0; i < million; i++) {
        const auto drawn = random_();
        const bool ipv6 = drawn & 1;
        /* Three in four name the ends of an open flow; a stranger's packet names any. */
        auto &packet = drawn & 6 ? from_client_[ipv6] : strangers[ipv6];
        if (!(drawn & 6))
            packet.client_words(0xcb007100 | (drawn >> 40 & 0xff));
        packet.client_port(drawn & 6 ? first_port + (drawn >> 48) % (open_max / 2)
                                     : static_cast<unsigned>(drawn >> 48));
        packet.flags(forged[(drawn >> 8) % std::size(forged)]).numbers(number(), number());
        send_quickly(packet.wire(), ingress_programs[drawn >> 3 & 1]);
    }

    EXPECT_EQ(use(), use_before);
    EXPECT_EQ(totals().opened, totals_before.opened);
    EXPECT_EQ(totals().closed, 0u);
    EXPECT_EQ(totals().syn, totals_before.syn);
    std::uint64_t seen = 0;
    for (const auto verdict : {TG_PASS_OUT_OF_WINDOW, TG_PASS_RST_IGNORED, TG_PASS_UNKNOWN_FLOW})
        seen += count_of(verdict, TG_HOOK_INGRESS);
    EXPECT_EQ(seen, million) << "a packet that anything else was said of has hit";
    EXPECT_GT(count_of(TG_PASS_OUT_OF_WINDOW, TG_HOOK_INGRESS), million / 3);
    EXPECT_GT(count_of(TG_PASS_RST_IGNORED, TG_HOOK_INGRESS), million / 4);
    EXPECT_GT(count_of(TG_PASS_UNKNOWN_FLOW, TG_HOOK_INGRESS), million / 5);
    expect_each_to_close();
}

class AnsweredFlood : public Attacker {
protected:
    [[nodiscard]] GateOptions options() const override { return {.pending_max = 1 << 20}; }
};

/* Forged SYNs that our server answers, and a client whose answer takes 10 ms meanwhile: that is
 * how many a million SYNs in a second are. */
TEST_F(AnsweredFlood, KeepsNobodyOut)
{
    constexpr unsigned in_flight = 10'000;
    constexpr unsigned rounds = 20;
    Forge forged[2] = {{Conversation{}, client}, {ipv6_conversation(), client}};
    Forge answers[2] = {{Conversation{}, server}, {ipv6_conversation(), server}};
    Forge honest{Conversation{}, client};
    Forge to_honest{Conversation{}, server};
    const auto bytes = map_bytes();
    unsigned opened = 0;

    for (unsigned round = 0; round < rounds; round++) {
        honest.client_port(first_port + round);
        to_honest.client_port(first_port + round);
        send_quickly(honest.flags(syn).numbers(1000, 0).wire(), Program::xdp);
        send_quickly(to_honest.flags(syn | ack).numbers(5000, 1001).wire(), Program::tc_egress);
        for (unsigned i = 0; i < in_flight; i++) {
            const auto drawn = random_();
            const bool ipv6 = drawn & 1;
            const auto who = 0x0b000000 | static_cast<std::uint32_t>(drawn >> 40);
            const auto port = static_cast<unsigned>(drawn >> 8 & 0xffff);
            send_quickly(forged[ipv6].client_words(who).client_port(port).flags(syn).wire(),
                         ingress_programs[drawn >> 1 & 1]);
            send_quickly(answers[ipv6]
                             .client_words(who)
                             .client_port(port)
                             .flags(syn | ack)
                             .numbers(number(), 1001)
                             .wire(),
                         egress_programs[drawn >> 32 & 1]);
        }
        send_quickly(honest.flags(ack).numbers(1001, 5001).wire(), Program::xdp);
        opened += last_verdict() == TG_PASS_OPENED;
    }

    /* One in a hundred may find its place overwritten here, and one in 400 with the default. */
    EXPECT_GE(opened, rounds - 2);
    EXPECT_EQ(flows(), opened);
    EXPECT_EQ(proven(), 1u);
    EXPECT_EQ(totals().opened, opened);
    EXPECT_EQ(totals().syn, std::uint64_t{rounds} * (in_flight + 1));
    EXPECT_LE(claims(), options().claims_max);
    EXPECT_EQ(map_bytes(), bytes);
}

/// Twenty times as many sources as there are claims, and the prefixes in their real size.
class ForgedSources : public Attacker {
protected:
    static constexpr unsigned forged_sources = 20 << 16;
    static constexpr std::uint32_t first_source = 0x0b000000; // 11.0.0.0

    [[nodiscard]] GateOptions options() const override
    {
        return {.claims_max = 1 << 16, .prefix_pairs = TG_PREFIX_PAIRS};
    }

    /// Each of them once, in an order that has no two neighbours of one prefix.
    void send_forged()
    {
        Forge forged{Conversation{}, client};
        forged.flags(syn);
        for (unsigned i = 0; i < forged_sources; i++) {
            const auto number = static_cast<std::uint32_t>(i * 1'000'003ULL % forged_sources);
            send_quickly(forged.client_words(first_source + number).wire(),
                         ingress_programs[i & 1]);
        }
    }

    /// How many prefixes have another count than a SYN of each address.
    unsigned wrong_prefixes()
    {
        unsigned wrong = 0;
        const auto held_back = gathered_by_prefix();
        for (std::uint32_t number = first_source >> 8;
             number < (first_source + forged_sources) >> 8; number++) {
            const auto waiting = held_back.find(std::uint64_t{number} << 8 | 2);
            wrong += get<tg_prefix_pair>(maps().prefixes, number / 2)->syn[number % 2] +
                         (waiting == held_back.end() ? 0 : waiting->second) !=
                     256;
        }
        return wrong;
    }
};

/* One of them is over its limit, and some have connections open: neither is forgotten. */
TEST_F(ForgedSources, AreCountedAndPushOutNobodyWhoMatters)
{
    constexpr std::uint64_t nine = 9;
    enforce();
    limit_source({.interval_ns = second_ns, .burst = 10});
    for (unsigned port = 1; port <= nine; port++)
        connect("192.0.2.1", port);
    EXPECT_EQ(send_syns("192.0.2.2", 20),
              (std::map<std::string, int>{{"pass_syn", 10}, {"drop_source_rate", 10}}));
    const auto bytes = map_bytes();

    send_forged();
    EXPECT_EQ(count_of(TG_PASS_SYN, TG_HOOK_INGRESS), nine + 10 + forged_sources);
    EXPECT_EQ(service_tally(smtp, TG_FAMILY_IPV4).syn, nine + 20 + forged_sources);
    EXPECT_EQ(wrong_prefixes(), 0u);
    EXPECT_EQ(map_bytes(), bytes);
    EXPECT_GE(events(TG_EVENT_CLAIM_EVICTED) + events(TG_EVENT_CLAIM_EVICTED_OWING),
              forged_sources - options().claims_max);

    set_clock(std::chrono::hours(1) + std::chrono::seconds(1));
    EXPECT_TRUE(claim("192.0.2.2"));
    EXPECT_EQ(send_syns("192.0.2.2", 9),
              (std::map<std::string, int>{{"pass_syn", 1}, {"drop_source_rate", 8}}))
        << "whoever is over a limit keeps his place";
    EXPECT_EQ(slot_tally("192.0.2.1")->opened, nine);
    EXPECT_EQ(slot_tally("192.0.2.1")->closed, 0u);
    EXPECT_EQ(live(), 9);
    for (unsigned port = 1; port <= nine; port++)
        EXPECT_STREQ(verdict_name(disconnect("192.0.2.1", port)), "pass_closed_rst");
    EXPECT_EQ(flows(), 0u);
}

} // namespace
} // namespace tallygate::test
