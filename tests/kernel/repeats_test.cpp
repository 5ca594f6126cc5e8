// SPDX-License-Identifier: BSD-2-Clause
//
// What gathers on one CPU: nothing of it may be lost, or counted twice, or outlive its reason.
#include "kernel/limited_gate.hpp"

namespace tallygate::test {
namespace {

using namespace std::chrono_literals;

class Repeats : public OneCpuGate {
protected:
    [[nodiscard]] GateOptions options() const override { return {.prefix_pairs = TG_PREFIX_PAIRS}; }

    /// SYNs of a source that wait on a CPU.
    std::uint32_t waiting(const std::string &address)
    {
        std::uint32_t sum = 0;
        const auto addr = to_addr(address);
        for (const auto &repeat : all_repeats()) {
            EXPECT_EQ(repeat.sequence % 2, 0u);
            if (std::memcmp(&repeat.client, &addr, sizeof(addr)) == 0)
                sum += repeat.rejected;
        }
        return sum;
    }

    /// As find_repeat() in bpf/repeats.h, for the server of conversation_from().
    static std::uint32_t slot_of(const std::string &client)
    {
        const auto &words = to_addr(client).words;
        const auto server = to_addr("198.51.100.25").words[3];
        return (words[0] ^ words[1] ^ words[3] ^ server ^ htons(25)) * 0x9e3779b1U >>
               TG_REPEATS_SHIFT;
    }

    static std::string another_in_the_slot_of(const std::string &client)
    {
        for (int host = 100; host < 255; host++)
            if (const auto other = "192.0.2." + std::to_string(host);
                slot_of(other) == slot_of(client))
                return other;
        ADD_FAILURE() << "there is none";
        return client;
    }

    static constexpr int gathered_max = 1024;
};

TEST_F(Repeats, OfARejectedClaimWaitAndAreWithItInTheEnd)
{
    limit_source(per_second(1, 1));
    send_syns("192.0.2.10", 1 + 1 + 100);
    // The first passed, the second was rejected by its state, and the others by their like.
    EXPECT_EQ(claim("192.0.2.10")->syn, 2u);
    EXPECT_EQ(waiting("192.0.2.10"), 100u);
    send_syns("192.0.2.10", gathered_max - 100);
    EXPECT_EQ(waiting("192.0.2.10"), 0u);
    EXPECT_EQ(claim("192.0.2.10")->syn, 2u + gathered_max);
    EXPECT_EQ(claim("192.0.2.10")->dropped, 1u + gathered_max);
    EXPECT_EQ(service_tally(smtp, TG_FAMILY_IPV4).dropped, 1u + gathered_max);
}

TEST_F(Repeats, OfAProvenSourceGoIntoItsSlot)
{
    connect("192.0.2.10", 1);
    limit_source(per_second(1, 1));
    send_syns("192.0.2.10", 2 + gathered_max);
    EXPECT_EQ(slot_tally("192.0.2.10")->syn, 2u + gathered_max);
    EXPECT_EQ(slot_tally("192.0.2.10")->dropped, 1u + gathered_max);
}

TEST_F(Repeats, OfNeighboursDoNotDisturbEachOther)
{
    limit_source(per_second(1, 1));
    for (int i = 0; i < 50; i++)
        for (const char *source : {"192.0.2.10", "192.0.2.11"})
            send_syn(source);
    EXPECT_EQ(waiting("192.0.2.10"), 48u);
    EXPECT_EQ(waiting("192.0.2.11"), 48u);
    EXPECT_EQ(prefix_syn("192.0.2.0"), 100u);
}

TEST_F(Repeats, OfOneSlotAreTheFirstOnesAsLongAsItsRejectionHolds)
{
    const auto other = another_in_the_slot_of("192.0.2.10");
    limit_source(per_second(1, 1));
    send_syns("192.0.2.10", 50);
    send_syns(other, 10);
    EXPECT_EQ(waiting("192.0.2.10"), 48u);
    EXPECT_EQ(waiting(other), 0u);
    EXPECT_EQ(claim(other)->syn, 10u);

    set_clock(1h + 101ms);
    send_syns(other, 3);
    EXPECT_EQ(waiting("192.0.2.10"), 0u);
    EXPECT_EQ(claim("192.0.2.10")->syn, 50u);
    EXPECT_EQ(claim("192.0.2.10")->dropped, 49u);
    EXPECT_EQ(waiting(other), 2u);
    EXPECT_EQ(claim(other)->syn, 11u);
    EXPECT_EQ(prefix_syn("192.0.2.0"), 63u);
}

TEST_F(Repeats, CountInAllThatTheFirstOfThemCountsIn)
{
    add_network("192.0.2.0", 24, 7);
    const auto limit = limit_source(per_second(1, 1));
    const auto expect_all = [&](unsigned syns, const char *when) {
        for (const auto &tally : {network_tally(7), service_tally(smtp, TG_FAMILY_IPV4)}) {
            EXPECT_EQ(tally.syn, syns) << when;
            EXPECT_EQ(tally.dropped, syns - 1) << when;
        }
        EXPECT_EQ(limit_tally(limit).dropped, syns - 1) << when;
        EXPECT_EQ(count_of(TG_DROP_SOURCE_RATE, TG_HOOK_INGRESS), syns - 1) << when;
        EXPECT_EQ(prefix_syn("192.0.2.0"), syns) << when;
    };
    send_syns("192.0.2.10", 50);
    expect_all(50, "while they wait");
    send_syns("192.0.2.10", gathered_max + 2 - 50);
    EXPECT_EQ(waiting("192.0.2.10"), 0u);
    expect_all(gathered_max + 2, "when they have moved");
}

TEST_F(Repeats, AreOfOneServerAlone)
{
    limit_source(per_second(1, 1));
    send_syns("192.0.2.10", 50);
    auto conversation = conversation_from("192.0.2.10");
    conversation.server_address = "198.51.100.26";
    EXPECT_STREQ(
        verdict_name(send(conversation.packet({client, syn, 0, 0, 0, TG_DROP_SOURCE_RATE}))),
        "drop_source_rate");
    EXPECT_EQ(waiting("192.0.2.10"), 48u);
    EXPECT_EQ(service_tally(smtp, TG_FAMILY_IPV4).syn, 51u);
}

TEST_F(Repeats, EndWithTheRejection)
{
    limit_source(per_second(10, 1));
    send_syns("192.0.2.10", 50);
    set_clock(1h + 100ms);
    EXPECT_STREQ(verdict_name(send_syn("192.0.2.10")), "pass_syn");
}

TEST_F(Repeats, EndWithTheLease)
{
    set_mode(TG_MODE_ENFORCE, false, 1h + 1s);
    limit_source({.interval_ns = 3600 * second_ns, .burst = 1});
    send_syns("192.0.2.10", 50);
    set_clock(1h + 1s);
    EXPECT_STREQ(verdict_name(send_syn("192.0.2.10")), "would_drop_source_rate");
}

TEST_F(Repeats, EndWithTheGeneration)
{
    const auto limit = limit_source(per_second(1, 1));
    send_syns("192.0.2.10", 50);
    put(maps().limits, std::uint32_t{limit}, tg_limit{});
    raise_generation();
    EXPECT_STREQ(verdict_name(send_syn("192.0.2.10")), "pass_syn");
}

TEST_F(Repeats, AreOfOneServiceAlone)
{
    limit_source(per_second(1, 1));
    watch(587, 2);
    send_syns("192.0.2.10", 50);
    auto conversation = conversation_from("192.0.2.10");
    conversation.server_port = 587;
    EXPECT_STREQ(verdict_name(send(conversation.packet({client, syn, 0, 0, 0, TG_PASS_SYN}))),
                 "pass_syn");
}

TEST_F(Repeats, AreOfOneAddressAloneAndNotOfItsWholeIpv6Network)
{
    list("2001:db8:bad::1", 128, 0, ~std::uint64_t{0});
    list("2001:db8:bad::2", 128, ~std::uint64_t{0}, 0);
    send_syns("2001:db8:bad::1", 5);
    EXPECT_EQ(waiting("2001:db8:bad::1"), 4u);
    for (const char *other : {"2001:db8:bad::2", "2001:db8:bad::3"})
        EXPECT_STREQ(verdict_name(send_syn(other)), "pass_syn") << other;

    limit_source({.interval_ns = 3600 * second_ns, .burst = 1}, TG_FAMILY_IPV6);
    send_syns("2001:db8:bad::4", 5);
    EXPECT_STREQ(verdict_name(send_syn("2001:db8:bad::4")), "drop_source_rate");
    EXPECT_STREQ(verdict_name(send_syn("2001:db8:bad::2")), "pass_syn") << "it is allowed";
}

TEST_F(Repeats, OfAnIpv6ClientAreWithItsSource)
{
    limit_source(per_second(1, 1), TG_FAMILY_IPV6);
    send_syns("2001:db8:bad::1", 2 + gathered_max);
    EXPECT_EQ(waiting("2001:db8:bad::1"), 0u);
    EXPECT_EQ(claim("2001:db8:bad::")->syn, 2u + gathered_max);
    EXPECT_EQ(claim("2001:db8:bad::")->dropped, 1u + gathered_max);
}

TEST_F(Repeats, EndSoonAfterTheSourceHasProvenItself)
{
    limit_source({.interval_ns = 3600 * second_ns, .burst = 1, .who = TG_WHO_CLAIMED});
    send_syns("192.0.2.10", 2);
    EXPECT_STREQ(verdict_name(connect("192.0.2.10")), "drop_source_rate");
    set_clock(1h + 101ms);
    EXPECT_STREQ(verdict_name(send_syn("192.0.2.10", 3)), "pass_syn");
}

} // namespace
} // namespace tallygate::test
