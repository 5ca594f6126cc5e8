// SPDX-License-Identifier: BSD-2-Clause
#include "frontend/rates.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <random>
#include <string>

namespace tallygate::test {
namespace {

using namespace std::chrono_literals;
using frontend::Rates;

constexpr core::UnixTime noon{1'763'726'400s}; // 2025-11-21 12:00:00 UTC

Rates::Wanted wanted(std::uint64_t limit, std::chrono::seconds span, std::uint64_t amount = 1)
{
    return {"rate_conn", "192.0.2.1", limit, span, amount, Rates::Charge::always};
}

TEST(Rates, TheLimitPassesAndTheNextIsOver)
{
    Rates rates;

    for (std::uint64_t i = 1; i <= 5; i++) {
        const auto taken = rates.take(wanted(5, 60s), noon + i * 1s);
        EXPECT_EQ(taken.count, i);
        EXPECT_FALSE(taken.over);
    }
    EXPECT_TRUE(rates.take(wanted(5, 60s), noon + 6s).over);
}

TEST(Rates, AWindowSlides)
{
    Rates rates;

    rates.take(wanted(2, 60s), noon);
    rates.take(wanted(2, 60s), noon + 30s);
    EXPECT_EQ(rates.take(wanted(2, 60s, 0), noon + 60s - 1ms).count, 2U);
    EXPECT_EQ(rates.take(wanted(2, 60s, 0), noon + 60s).count, 1U);
    EXPECT_FALSE(rates.take(wanted(2, 60s), noon + 60s).over);
    EXPECT_TRUE(rates.take(wanted(2, 60s), noon + 61s).over);
    EXPECT_EQ(rates.take(wanted(2, 60s, 0), noon + 90s).count, 2U);
    EXPECT_EQ(rates.take(wanted(2, 60s, 0), noon + 121s).count, 0U);
}

TEST(Rates, LookingCountsNothing)
{
    Rates rates;

    for (int i = 0; i < 10; i++)
        EXPECT_EQ(rates.take(wanted(1, 60s, 0), noon).count, 0U);
    EXPECT_EQ(rates.counters(), 0U);
}

TEST(Rates, RateKeyAndSpanMakeACounter)
{
    Rates rates;

    rates.take({"rate_conn", "192.0.2.1", 5, 60s}, noon);
    EXPECT_EQ(rates.take({"rate_rcpt", "192.0.2.1", 5, 60s}, noon).count, 1U);
    EXPECT_EQ(rates.take({"rate_conn", "192.0.2.2", 5, 60s}, noon).count, 1U);
    EXPECT_EQ(rates.take({"rate_conn", "192.0.2.1", 5, 61s}, noon).count, 1U);
    EXPECT_EQ(rates.take({"rate_conn", "192.0.2.1", 9, 60s}, noon).count, 2U);
    EXPECT_EQ(rates.counters(), 4U);
}

TEST(Rates, WhatIsOverCountsOrNotAsWanted)
{
    Rates rates;
    Rates::Wanted conforming{"rate_outbound", "example.com", 2, 60s, 1, Rates::Charge::conforming};

    rates.take(conforming, noon);
    rates.take(conforming, noon + 10s);
    for (int i = 0; i < 5; i++) {
        const auto refused = rates.take(conforming, noon + 20s);
        EXPECT_TRUE(refused.over);
        EXPECT_EQ(refused.count, 2U);
        EXPECT_EQ(refused.retry, 40s);
    }
    EXPECT_FALSE(rates.take(conforming, noon + 60s).over);

    for (int i = 0; i < 5; i++)
        rates.take(wanted(2, 60s), noon + 20s);
    EXPECT_EQ(rates.take(wanted(2, 60s, 0), noon + 20s).count, 5U);
}

TEST(Rates, RetryIsWhenTheNextConforms)
{
    Rates rates;

    EXPECT_EQ(rates.take(wanted(3, 60s), noon).retry, 0s);
    EXPECT_EQ(rates.take(wanted(3, 60s), noon + 10s).retry, 0s);
    EXPECT_EQ(rates.take(wanted(3, 60s), noon + 20s).retry, 40s); // when the first has gone
    EXPECT_EQ(rates.take(wanted(3, 60s), noon + 20s).retry, 50s); // and the second
    EXPECT_EQ(rates.take(wanted(3, 60s, 4), noon + 20s).retry, 60s);
}

TEST(Rates, AClockThatIsSetBackKeepsNothingLongerThanASpan)
{
    Rates rates;

    rates.take(wanted(5, 60s), noon + 24h);
    EXPECT_EQ(rates.take(wanted(5, 60s), noon).count, 2U);
    EXPECT_EQ(rates.take(wanted(5, 60s, 0), noon + 60s).count, 0U);
}

/// Never fewer than there were in the span, never more than in a span and a 64th.
TEST(Rates, ManyInASpanAreCountedWithinA64th)
{
    std::mt19937 random{1};
    Rates rates;
    std::deque<core::UnixTime> times;
    auto now = noon;

    for (int i = 0; i < 10'000; i++) {
        now += std::chrono::milliseconds{random() % 40};
        const auto count = rates.take(wanted(1000, 64s), now).count;
        times.push_back(now);
        while (times.front() <= now - 65s)
            times.pop_front();
        const auto within =
            std::count_if(times.begin(), times.end(), [&](auto time) { return time > now - 64s; });
        ASSERT_GE(count, static_cast<std::uint64_t>(within));
        ASSERT_LE(count, times.size());
    }
}

TEST(Rates, MemoryHasABoundAndTheOldestGoesFirst)
{
    Rates rates{100'000};

    for (int i = 0; i < 10'000; i++) {
        rates.take({"rate_rcpt", std::to_string(i), 5, 60s}, noon + i * 1ms);
        rates.take({"rate_rcpt", "always used", 1'000'000, 60s}, noon + i * 1ms);
        ASSERT_LE(rates.bytes(), 100'000U);
    }
    EXPECT_GT(rates.evicted_total(), 9'000U);
    EXPECT_GT(rates.take({"rate_rcpt", "always used", 5, 60s}, noon + 10s).count, 9'000U);
    EXPECT_EQ(rates.take({"rate_rcpt", "9999", 5, 60s, 0}, noon + 10s).count, 1U);
    EXPECT_EQ(rates.take({"rate_rcpt", "0", 5, 60s, 0}, noon + 10s).count, 0U);
}

TEST(Rates, WhatIsPastIsForgotten)
{
    Rates rates;

    for (int i = 0; i < 100; i++)
        rates.take({"rate_rcpt", std::to_string(i), 5, 60s}, noon);
    rates.take({"rate_rcpt", "long", 5, 3600s}, noon);
    rates.forget_old(noon + 59s);
    EXPECT_EQ(rates.counters(), 101U);
    rates.forget_old(noon + 60s, 50); // the long one may be among them
    EXPECT_GE(rates.counters(), 51U);
    EXPECT_LE(rates.counters(), 52U);
    rates.forget_old(noon + 60s);
    EXPECT_EQ(rates.counters(), 1U);
    rates.forget_old(noon + 3600s);
    EXPECT_EQ(rates.counters(), 0U);
    EXPECT_EQ(rates.bytes(), 0U);
}

TEST(Rates, WhatIsPastGoesBeforeWhatIsNeeded)
{
    Rates rates{100'000};

    for (int i = 0; i < 50; i++)
        rates.take({"rate_conn", std::to_string(i), 5, 24h}, noon);
    for (int i = 0; i < 10'000; i++)
        rates.take({"rate_rcpt", std::to_string(i), 5, 1s}, noon + i * 20ms);
    EXPECT_EQ(rates.evicted_total(), 0U);
    for (int i = 0; i < 50; i++)
        EXPECT_EQ(rates.take({"rate_conn", std::to_string(i), 5, 24h, 0}, noon + 1h).count, 1U);
}

TEST(Rates, ForgettingGoesOnWhereItWas)
{
    Rates rates;

    for (int i = 0; i < 10; i++)
        rates.take({"rate_conn", std::to_string(i), 5, 24h}, noon);
    for (int i = 0; i < 10; i++)
        rates.take({"rate_rcpt", std::to_string(i), 5, 1s}, noon);
    for (int i = 0; i < 10; i++)
        rates.forget_old(noon + 1min, 3);
    EXPECT_EQ(rates.counters(), 10U);
    rates.forget_old(noon + 48h, 1000);
    EXPECT_EQ(rates.counters(), 0U);
    rates.forget_old(noon + 48h);
    EXPECT_FALSE(rates.take(wanted(5, 60s), noon + 48h).over);
}

TEST(Rates, AreTheSameAfterARestart)
{
    Rates before;
    Rates after;

    before.take(wanted(5, 60s), noon);
    before.take(wanted(5, 60s), noon + 10s);
    before.take({"rate_rcpt", std::string("user\0@example.com", 17), 5, 60s}, noon);
    ASSERT_TRUE(after.restore(before.encode()));
    EXPECT_EQ(after.encode(), before.encode());
    EXPECT_EQ(after.counters(), before.counters());
    EXPECT_EQ(after.take(wanted(5, 60s), noon + 20s).count, 3U);
    EXPECT_EQ(after.take(wanted(5, 60s), noon + 69s).count, 3U);
}

TEST(Rates, AFileThatIsDamagedChangesNothing)
{
    Rates rates;
    Rates other;

    rates.take(wanted(5, 60s), noon);
    other.take(wanted(5, 61s), noon);
    const auto good = other.encode();
    EXPECT_FALSE(rates.restore("no rates at all"));
    EXPECT_FALSE(rates.restore(good.substr(0, good.size() - 1)));
    EXPECT_FALSE(rates.restore(frontend::seal_rates("\x05garbage")));
    EXPECT_EQ(rates.take(wanted(5, 60s), noon).count, 2U);
}

} // namespace
} // namespace tallygate::test
