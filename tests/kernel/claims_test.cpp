// SPDX-License-Identifier: BSD-2-Clause
//
// The tables of sources that may be forged: what a flood pushes out, and what it cannot.
#include "kernel/limited_gate.hpp"

namespace tallygate::test {
namespace {

using namespace std::chrono_literals;
using Verdicts = std::map<std::string, int>;

/// One bucket: every source meets the same four ways.
class OneBucket : public TimedGate {
protected:
    [[nodiscard]] GateOptions options() const override { return {.claims_max = 4, .rates_max = 4}; }
};

TEST_F(OneBucket, ANewcomerTakesTheWayThatWasIdleLongest)
{
    for (const char *address : {"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.1"}) {
        send_syn(address);
        wait(1ms);
    }
    EXPECT_EQ(events(TG_EVENT_CLAIM_EVICTED), 0u);
    send_syn("192.0.2.5");
    EXPECT_FALSE(claim("192.0.2.2")) << "was seen longest ago";
    EXPECT_EQ(claim("192.0.2.1")->syn, 2u);
    EXPECT_EQ(claim("192.0.2.5")->syn, 1u) << "nothing is inherited";
    EXPECT_EQ(events(TG_EVENT_CLAIM_EVICTED), 1u);
    EXPECT_EQ(events(TG_EVENT_CLAIM_EVICTED_OWING), 0u);
}

TEST_F(OneBucket, ASourceOverItsLimitStaysWhileNewcomersPassBy)
{
    limit_source(per_second(1, 10));
    send_syns("192.0.2.1", 20);
    for (int i = 0; i < 200; i++) {
        wait(10ms);
        send_syn("203.0.113." + std::to_string(i));
    }
    // Ten at once, and two seconds for two more.
    EXPECT_EQ(send_syns("192.0.2.1", 20), (Verdicts{{"pass_syn", 2}, {"drop_source_rate", 18}}));
    EXPECT_GT(events(TG_EVENT_CLAIM_EVICTED_OWING), 0u) << "of the newcomers, who all owe one";
}

TEST_F(OneBucket, ThatIsLostIsStillInTheTotals)
{
    for (int i = 0; i < 200; i++)
        send_syn("203.0.113." + std::to_string(i));
    EXPECT_EQ(claims(), 4u);
    EXPECT_EQ(service_tally(smtp, TG_FAMILY_IPV4).syn, 200u);
    EXPECT_EQ(events(TG_EVENT_CLAIM_EVICTED), 196u);
}

TEST_F(OneBucket, ADroppedNewcomerPushesNobodyOut)
{
    for (int i = 1; i <= 4; i++)
        send_syn("192.0.2." + std::to_string(i));
    limit_all({.interval_ns = second_ns, .burst = 1, .who = TG_WHO_CLAIMED});
    EXPECT_STREQ(verdict_name(send_syn("192.0.2.1")), "pass_syn");
    for (int i = 0; i < 200; i++)
        EXPECT_STREQ(verdict_name(send_syn("203.0.113." + std::to_string(i))), "drop_service_rate");
    EXPECT_EQ(events(TG_EVENT_CLAIM_EVICTED), 0u);
    EXPECT_STREQ(verdict_name(send_syn("192.0.2.2")), "drop_service_rate");
    EXPECT_EQ(claim("192.0.2.2")->syn, 2u);
    EXPECT_EQ(claim("192.0.2.2")->dropped, 1u);
}

TEST_F(OneBucket, AProvenSourceNeedsNoWay)
{
    connect("192.0.2.1", 1);
    const auto before = claim("192.0.2.1")->syn;
    for (int i = 0; i < 200; i++)
        send_syn("203.0.113." + std::to_string(i));
    EXPECT_FALSE(claim("192.0.2.1"));
    send_syns("192.0.2.1", 5);
    EXPECT_EQ(slot_tally("192.0.2.1")->syn, 5u);
    EXPECT_EQ(slot_tally("192.0.2.1")->opened, 1u);
    EXPECT_EQ(before, 1u);
    EXPECT_FALSE(claim("192.0.2.1")) << "no limit has anything to remember of it";
}

TEST_F(OneBucket, OfRatesIsTakenTheOneThatIsDueFirst)
{
    limit_prefix(per_second(1, 10), 24);
    send_syns("192.0.2.1", 10);
    for (int i = 0; i < 100; i++)
        send_syn("203.0." + std::to_string(i) + ".1");
    EXPECT_EQ(send_syns("192.0.2.7", 1), (Verdicts{{"drop_prefix_rate", 1}}));
    EXPECT_GT(events(TG_EVENT_RATE_EVICTED_OWING), 0u);
    wait(20s);
    send_syn("203.1.0.1");
    EXPECT_GT(events(TG_EVENT_RATE_EVICTED), 0u);
}

/// Real sizes for the prefixes, which are exact whoever is forged.
class Prefixes : public LimitedGate {
protected:
    [[nodiscard]] GateOptions options() const override
    {
        return {.claims_max = 16, .ipv6_prefixes_max = 16, .prefix_pairs = TG_PREFIX_PAIRS};
    }

    std::uint64_t ipv6_prefixes_syn()
    {
        std::uint64_t sum = 0;
        for (std::uint32_t i = 0; i < bpf_map__max_entries(maps().ipv6_prefixes); i++) {
            const auto bucket = *get<tg_ipv6_prefixes>(maps().ipv6_prefixes, i);
            for (const auto syns : bucket.syn)
                sum += syns;
        }
        return sum;
    }
};

TEST_F(Prefixes, CountEverySynOfTheirs)
{
    send_syns("192.0.2.10", 3);
    send_syns("192.0.2.11", 4);
    send_syns("192.0.3.1", 5);
    connect("192.0.2.12");
    EXPECT_EQ(prefix_syn("192.0.2.0"), 8u);
    EXPECT_EQ(prefix_syn("192.0.3.0"), 5u);
    EXPECT_EQ(prefix_syn("192.0.4.0"), 0u);
}

TEST_F(Prefixes, StayExactWhenEverySourceIsForged)
{
    for (int i = 0; i < 600; i++)
        send_syn("203." + std::to_string(i % 3) + "." + std::to_string(i / 250) + "." +
                     std::to_string(i % 250),
                 20000);
    std::uint64_t sum = 0;
    for (int second = 0; second < 3; second++)
        for (int third = 0; third < 3; third++)
            sum += prefix_syn("203." + std::to_string(second) + "." + std::to_string(third) + ".0");
    EXPECT_EQ(sum, 600u);
    EXPECT_LE(claims(), 16u);
}

TEST_F(Prefixes, CountWhatIsDroppedToo)
{
    limit_source(per_second(1, 1));
    send_syns("192.0.2.10", 1000);
    EXPECT_EQ(prefix_syn("192.0.2.0"), 1000u);
    list("198.18.0.0", 15, 0, ~std::uint64_t{0});
    send_syns("198.18.7.1", 10);
    EXPECT_EQ(prefix_syn("198.18.7.0"), 10u);
}

TEST_F(Prefixes, OfIpv6AreCountedToo)
{
    send_syns("2001:db8:1::1", 3);
    send_syns("2001:db8:1:ffff::1", 3);
    send_syns("2001:db8:2::1", 3);
    std::map<std::uint64_t, std::uint64_t> by_prefix;
    for (std::uint32_t i = 0; i < bpf_map__max_entries(maps().ipv6_prefixes); i++) {
        const auto bucket = *get<tg_ipv6_prefixes>(maps().ipv6_prefixes, i);
        for (int way = 0; way < TG_BUCKET_WAYS; way++)
            if (bucket.prefixes[way] != 0)
                by_prefix[bucket.prefixes[way]] = bucket.syn[way] + gathered(bucket.prefixes[way]);
    }
    EXPECT_EQ(by_prefix, (std::map<std::uint64_t, std::uint64_t>{{0x20010db800010001, 6},
                                                                 {0x20010db800020001, 3}}));
}

TEST_F(Prefixes, OfIpv6ArePushedOutAndThatIsCounted)
{
    for (int i = 0; i < 100; i++)
        send_syn("2001:db8:" + std::to_string(i) + "::1");
    EXPECT_EQ(ipv6_prefixes_syn() + events(TG_EVENT_IPV6_PREFIX_EVICTED), 100u);
    EXPECT_EQ(service_tally(smtp, TG_FAMILY_IPV6).syn, 100u);
}

} // namespace
} // namespace tallygate::test
