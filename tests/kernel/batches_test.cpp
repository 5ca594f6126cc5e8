// SPDX-License-Identifier: BSD-2-Clause
//
// What waits on one CPU for the tables, and who is kept out without a look into them.
#include "kernel/limited_gate.hpp"

namespace tallygate::test {
namespace {

using namespace std::chrono_literals;
using Verdicts = std::map<std::string, int>;

constexpr std::uint32_t no_bucket = ~std::uint32_t{0};

class Batches : public OneCpuGate {
protected:
    [[nodiscard]] GateOptions options() const override { return {.prefix_pairs = TG_PREFIX_PAIRS}; }

    /// Of the table alone, without what waits.
    std::uint32_t in_table(const std::string &address)
    {
        const auto number = ntohl(to_addr(address).words[3]) >> 8;
        return get<tg_prefix_pair>(maps().prefixes, number / 2)->syn[number % 2];
    }

    /// SYNs of as many /24, from the first of 10.0.0.0/8 on.
    Verdicts send_from_many(unsigned count)
    {
        Verdicts left;
        for (unsigned i = 0; i < count; i++, next_++)
            left[verdict_name(send_syn("10." + std::to_string(next_ / 256) + "." +
                                       std::to_string(next_ % 256) + ".1"))]++;
        return left;
    }

    /// A budget of one SYN, which the first of 10.0.0.0/8 takes.
    std::uint8_t use_up_newcomers_budget()
    {
        const auto limit = limit_newcomers({.interval_ns = 3600 * second_ns, .burst = 1});
        EXPECT_EQ(send_from_many(1), (Verdicts{{"pass_syn", 1}}));
        return limit;
    }

private:
    unsigned next_ = 0;
};

TEST_F(Batches, MoveWhenTheyAreFull)
{
    send_from_many(TG_BATCH_SYNS - 1);
    EXPECT_EQ(waiting_syns().size(), TG_BATCH_SYNS - 1U);
    EXPECT_EQ(in_table("10.0.7.0"), 0u);
    EXPECT_EQ(prefix_syn("10.0.7.0"), 1u);
    send_from_many(1);
    EXPECT_TRUE(waiting_syns().empty());
    for (const char *prefix : {"10.0.0.0", "10.0.7.0", "10.0.31.0"})
        EXPECT_EQ(in_table(prefix), 1u) << prefix;
    EXPECT_EQ(in_table("10.0.32.0"), 0u);
    send_from_many(3 * TG_BATCH_SYNS + 1);
    EXPECT_EQ(waiting_syns().size(), 1u);
    EXPECT_EQ(in_table("10.0.127.0"), 1u);
}

TEST_F(Batches, HaveTheFirstOfAPrefixAndItsNextGather)
{
    send_syns("192.0.2.1", 10);
    EXPECT_EQ(waiting_syns().size(), 1u);
    EXPECT_EQ(prefix_syn("192.0.2.0"), 10u);
    send_from_many(TG_BATCH_SYNS - 1);
    EXPECT_EQ(prefix_syn("192.0.2.0"), 10u);
}

TEST_F(Batches, OfIpv6HaveWhatTheClaimsHaveNotHeardOf)
{
    send_syn("2001:db8:1::1");
    EXPECT_TRUE(waiting_syns().empty()) << "its prefix and its claim have it";
    EXPECT_EQ(claim("2001:db8:1::")->syn, 1u);

    limit_newcomers({.interval_ns = 3600 * second_ns, .burst = 1}, TG_FAMILY_IPV6);
    EXPECT_STREQ(verdict_name(send_syn("2001:db8:2::1")), "pass_syn");
    EXPECT_STREQ(verdict_name(send_syn("2001:db8:1::1")), "drop_service_rate");
    EXPECT_TRUE(waiting_syns().empty()) << "its prefix gathers, so its claim was looked at";
    EXPECT_EQ(claim("2001:db8:1::")->syn, 2u);

    for (unsigned i = 0; i < 256; i++) // so that its prefix gathers no more
        send_syn("2001:db8:" + std::to_string(i + 1000) + "::1");
    send_from_many(TG_BATCH_SYNS - static_cast<unsigned>(waiting_syns().size()));
    EXPECT_STREQ(verdict_name(send_syn("2001:db8:1::3")), "drop_service_rate");
    ASSERT_EQ(waiting_syns().size(), 1u);
    EXPECT_NE(waiting_syns()[0].bucket, no_bucket);
    EXPECT_EQ(claim("2001:db8:1::")->syn, 2u);
    send_from_many(TG_BATCH_SYNS);
    EXPECT_EQ(claim("2001:db8:1::")->syn, 3u) << "a source is a /64";
    EXPECT_EQ(claim("2001:db8:1::")->dropped, 2u);
}

TEST_F(Batches, ANewcomerThatIsKeptOutIsCountedWithItsClaimInTheEnd)
{
    send_syn("192.0.2.1");
    const auto limit = use_up_newcomers_budget();
    send_from_many(64); // so that its prefix gathers no more
    EXPECT_STREQ(verdict_name(send_syn("192.0.2.1", 2)), "drop_service_rate");
    EXPECT_EQ(claim("192.0.2.1")->syn, 1u);
    EXPECT_EQ(limit_tally(limit).dropped, 65u);
    EXPECT_EQ(service_tally(smtp, TG_FAMILY_IPV4).syn, 67u);
    EXPECT_EQ(service_tally(smtp, TG_FAMILY_IPV4).dropped, 65u);
    EXPECT_EQ(send_from_many(TG_BATCH_SYNS), (Verdicts{{"drop_service_rate", TG_BATCH_SYNS}}));
    EXPECT_EQ(claim("192.0.2.1")->syn, 2u);
    EXPECT_EQ(claim("192.0.2.1")->dropped, 1u);
    EXPECT_EQ(claims(), 2u) << "who never passed has none";
    EXPECT_EQ(prefix_syn("192.0.2.0"), 2u);
}

TEST_F(Batches, ASourceThatSendsAgainIsToldItsOwnReason)
{
    limit_source({.interval_ns = 3600 * second_ns, .burst = 1});
    limit_newcomers({.interval_ns = second_ns, .burst = 1});
    EXPECT_STREQ(verdict_name(send_syn("192.0.2.1")), "pass_syn");
    EXPECT_EQ(send_syns("192.0.2.1", 300), (Verdicts{{"drop_source_rate", 300}}));
    // While others come in between it stays known, for a moment.
    EXPECT_EQ(send_from_many(256), (Verdicts{{"drop_service_rate", 256}}));
    EXPECT_STREQ(verdict_name(send_syn("192.0.2.1", 2)), "drop_source_rate");
    // Then both limits reject it, and the one that is asked first says so; and then its own.
    send_from_many(64);
    set_clock(1h + 101ms);
    EXPECT_STREQ(verdict_name(send_syn("192.0.2.1", 3)), "drop_service_rate");
    EXPECT_STREQ(verdict_name(send_syn("192.0.2.1", 4)), "drop_source_rate");
    EXPECT_EQ(prefix_syn("192.0.2.0"), 304u);
}

TEST_F(Batches, WhoIsProvenOrListedIsNotKeptOut)
{
    connect("192.0.2.1");
    use_up_newcomers_budget();
    list("192.0.2.2", 32, ~std::uint64_t{0}, 0);
    list("192.0.2.3", 32, 0, ~std::uint64_t{0});
    list("192.0.2.4", 32, 0, 1); // a block that is over
    EXPECT_STREQ(verdict_name(send_syn("192.0.2.1", 2)), "pass_syn");
    EXPECT_STREQ(verdict_name(send_syn("192.0.2.2")), "pass_syn");
    EXPECT_STREQ(verdict_name(send_syn("192.0.2.3")), "drop_blocked");
    EXPECT_STREQ(verdict_name(send_syn("192.0.2.4")), "drop_service_rate");
    EXPECT_STREQ(verdict_name(send_syn("192.0.2.5")), "drop_service_rate");
}

TEST_F(Batches, NobodyIsKeptOutWhileNothingIsEnforced)
{
    send_syn("192.0.2.1");
    use_up_newcomers_budget();
    send_from_many(64);
    set_mode(TG_MODE_OBSERVE, false, 1000h);
    EXPECT_STREQ(verdict_name(send_syn("192.0.2.1", 2)), "would_drop_service_rate");
    EXPECT_EQ(claim("192.0.2.1")->syn, 2u) << "at once";
    EXPECT_EQ(claim("192.0.2.1")->dropped, 0u);
}

TEST_F(Batches, RulesThatAreSwitchedOffKeepNobodyOut)
{
    use_up_newcomers_budget();
    const std::uint32_t index = smtp * TG_FAMILY_COUNT + TG_FAMILY_IPV4;
    auto off = *get<tg_rules>(maps().rules, index);
    off.count = 0;
    put(maps().rules, index, off);
    EXPECT_STREQ(verdict_name(send_syn("192.0.2.1")), "pass_syn");
}

TEST_F(Batches, AfterABudgetHasRoomAgainClaimsAreMade)
{
    limit_newcomers(per_second(1, 1));
    EXPECT_EQ(send_from_many(2), (Verdicts{{"pass_syn", 1}, {"drop_service_rate", 1}}));
    set_clock(1h + 1s);
    EXPECT_STREQ(verdict_name(send_syn("192.0.2.1")), "pass_syn");
    EXPECT_EQ(claim("192.0.2.1")->syn, 1u);
}

} // namespace
} // namespace tallygate::test
