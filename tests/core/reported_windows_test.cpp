// SPDX-License-Identifier: BSD-2-Clause
#include "core/reported_windows.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>
#include <vector>

#include "core/fake_gate.hpp"
#include "core/ledger.hpp"
#include "core/support.hpp"

namespace tallygate::core::test {
namespace {

constexpr Monitor minutes{60, 5};
const Block everyone = Block::all(Family::ipv4);

class ReportedWindowsTest : public testing::Test {
protected:
    ReportedWindowsTest() { windows.set_windows({{60, 5}}); }

    void report(const std::string &service, const char *client, std::uint64_t amount = 1,
                double when = 600, Reported event = Reported::receptions)
    {
        windows.record({event, service, block(client), amount}, at(when));
    }

    ReportedWindows::Sum sum(const Block &asked, std::optional<std::string> service = {},
                             std::uint32_t start = 0, std::uint32_t end = 0, double now = 600,
                             Reported event = Reported::receptions) const
    {
        return windows.sum(asked, service, event, minutes, start, end, at(now));
    }

    std::int64_t within(const char *asked) const { return sum(block(asked)).within; }
    std::int64_t around(const char *asked) const { return sum(block(asked)).around; }

    ReportedWindows windows;
};

TEST_F(ReportedWindowsTest, SumsByEventServiceAndBlock)
{
    report("smtp", "192.0.2.1", 3);
    report("smtp", "192.0.2.2", 2);
    report("submission", "192.0.2.1", 7);
    report("smtp", "192.0.2.1", 11, 600, Reported::auth);
    report("smtp", "2001:db8::/64", 5);

    EXPECT_EQ(within("192.0.2.1"), 10);
    EXPECT_EQ(within("192.0.2.0/24"), 12);
    EXPECT_EQ(within("198.51.100.0/24"), 0);
    EXPECT_EQ(within("::/0"), 5);
    EXPECT_EQ(sum(everyone, "smtp").within, 5);
    EXPECT_EQ(sum(everyone, "submission").within, 7);
    EXPECT_EQ(sum(everyone, "imap").within, 0);
    EXPECT_EQ(sum(everyone, "smtp", 0, 0, 600, Reported::auth).within, 11);
    EXPECT_EQ(sum(everyone, "smtp", 0, 0, 600, Reported::tls).within, 0);
    EXPECT_EQ(around("192.0.2.1"), 0);
}

TEST_F(ReportedWindowsTest, MoveOnWithTheClock)
{
    report("smtp", "192.0.2.1", 3);

    EXPECT_EQ(sum(everyone, {}, 0, 0, 660).within, 0);
    EXPECT_EQ(sum(everyone, {}, 1, 1, 660).within, 3);
    EXPECT_EQ(sum(everyone, {}, 0, 1, 660).within, 3);
    EXPECT_EQ(sum(everyone, {}, 4, 4, 840).within, 3);
    EXPECT_EQ(sum(everyone, {}, 0, 4, 900).within, 0);
}

/* What was reported of a block is in each block around it, and may be in each part of it. */
TEST_F(ReportedWindowsTest, GiveBoundsToPartsOfWhatWasReported)
{
    report("smtp", "192.0.2.0/24", 10);
    report("smtp", "192.0.2.1", 1);
    report("smtp", "2001:db8::/84", 4);

    EXPECT_EQ(within("192.0.2.0/24"), 11);
    EXPECT_EQ(within("192.0.0.0/16"), 11);
    EXPECT_EQ(around("192.0.2.0/24"), 0);
    EXPECT_EQ(within("192.0.2.0/25"), 1);
    EXPECT_EQ(around("192.0.2.0/25"), 10);
    EXPECT_EQ(within("192.0.2.128/25"), 0);
    EXPECT_EQ(around("192.0.2.128/25"), 10);
    EXPECT_EQ(around("192.0.3.0/25"), 0);
    EXPECT_EQ(within("2001:db8::/64"), 4);
    EXPECT_EQ(around("2001:db8::1"), 4);
    EXPECT_EQ(around("192.0.2.1"), 10);
}

TEST_F(ReportedWindowsTest, TakeNamesInAnyCaseAndNotTooMany)
{
    report("SMTP", "192.0.2.1");
    report("smtp", "192.0.2.1");
    EXPECT_EQ(windows.services(), std::vector<std::string>{"smtp"});
    EXPECT_EQ(sum(everyone, "smtp").within, 2);

    for (const std::string &name : {std::string(), std::string("a b"), std::string("a\n"),
                                    std::string(65, 'a'), std::string("\xc3\xa9")}) {
        EXPECT_FALSE(windows.takes_service(name)) << name;
        report(name, "192.0.2.1");
    }
    EXPECT_EQ(windows.counts().refused_total, 5U);
    EXPECT_EQ(windows.services().size(), 1U);

    for (std::size_t i = 1; i < ReportedWindows::services_max; i++)
        report("service" + std::to_string(i), "192.0.2.1");
    EXPECT_FALSE(windows.takes_service("another"));
    EXPECT_TRUE(windows.takes_service("Smtp"));
    report("another", "192.0.2.1");
    EXPECT_EQ(windows.counts().refused_total, 6U);
    EXPECT_EQ(windows.counts().taken_total, 2 + ReportedWindows::services_max - 1);
}

/* A name stays known, as 0, until another needs its place. */
TEST_F(ReportedWindowsTest, ForgetIdleNamesWhenOthersNeedRoom)
{
    for (std::size_t i = 0; i < ReportedWindows::services_max; i++)
        report("service" + std::to_string(i), "192.0.2.1", 1, 600);
    report("service7", "192.0.2.1", 1, 1200);
    windows.forget_old(at(1200), at(1200));
    EXPECT_EQ(windows.services().size(), ReportedWindows::services_max);
    EXPECT_TRUE(windows.takes_service("another"));

    for (std::size_t i = 0; i < ReportedWindows::services_max; i++)
        report("another" + std::to_string(i), "192.0.2.1", 1, 1200);
    EXPECT_EQ(windows.counts().refused_total, 1U);
    EXPECT_TRUE(windows.knows_service("service7"));
    EXPECT_EQ(sum(everyone, "service7", 0, 0, 1200).within, 1);
    EXPECT_EQ(windows.services().size(), ReportedWindows::services_max);
}

TEST_F(ReportedWindowsTest, GiveMemoryBack)
{
    for (std::uint32_t i = 0; i < 20'000; i++)
        windows.record({Reported::rejections, "smtp", Block{Address::from_ipv4(i << 8), 128}, 1},
                       at(600));
    EXPECT_GT(windows.bytes(), 200'000U);
    windows.forget_old(at(960), at(960));
    EXPECT_EQ(windows.bytes(), 0U);
}

TEST_F(ReportedWindowsTest, CutAmountsThatNoClientHas)
{
    report("smtp", "192.0.2.1", ~std::uint64_t{0});
    EXPECT_EQ(within("192.0.2.1"), static_cast<std::int64_t>(ReportedWindows::amount_max));
}

TEST_F(ReportedWindowsTest, KeepWhatFitsOtherMonitors)
{
    report("smtp", "192.0.2.1", 3);
    windows.set_windows({{60, 2}, {900, 4}});
    EXPECT_EQ(within("192.0.2.1"), 3);
    EXPECT_EQ(windows.sum(everyone, {}, Reported::receptions, {900, 4}, 0, 3, at(600)).within, 0);
    windows.set_windows({});
    EXPECT_EQ(windows.bytes(), 0U);
}

/* An attacker who comes from everywhere: nothing is lost, and memory stays what was set. */
TEST_F(ReportedWindowsTest, TellLessFinelyWhenThereAreTooMany)
{
    constexpr std::size_t memory = 1 << 20;
    constexpr std::uint32_t reports = 300'000;
    windows.set_memory(memory);
    report("smtp", "203.0.113.9", 5, 500);
    Dice dice{7};
    std::size_t most = 0;
    for (std::uint32_t i = 0; i < reports; i++) {
        const auto low = static_cast<std::uint32_t>(dice.number(0, 0xff'ffff));
        windows.record(
            {Reported::receptions, "smtp", Block{Address::from_ipv4(0x0a00'0000 + low), 128}, 1},
            at(600));
        if (i % 1'000 == 0)
            most = std::max(most, windows.bytes());
    }
    EXPECT_GT(windows.counts().coarsened_total, 0U);
    EXPECT_LT(most, memory + (1 << 18));
    EXPECT_EQ(within("10.0.0.0/8"), reports);
    EXPECT_EQ(within("0.0.0.0/0"), reports);
    const auto half = sum(block("10.0.0.0/17"));
    EXPECT_LE(half.within, reports);
    EXPECT_GT(half.within + half.around, 0);
    EXPECT_EQ(sum(block("203.0.113.9"), "smtp", 1, 2).within, 5) << "small windows stay fine";
}

TEST_F(ReportedWindowsTest, TellIpv6LessFinelyToo)
{
    windows.set_memory(1 << 20);
    for (std::uint32_t i = 0; i < 200'000; i++) {
        Address client = address("2001:db8::");
        for (unsigned byte = 0; byte < 4; byte++)
            client.bytes[4 + byte] = static_cast<std::uint8_t>(i * 2'654'435'761U >> 8 * byte);
        windows.record({Reported::receptions, "smtp", Block{client, 64}, 1}, at(600));
    }
    EXPECT_LT(windows.bytes(), (1U << 20) + (1 << 18));
    EXPECT_EQ(within("2001:db8::/32"), 200'000);
    EXPECT_EQ(within("0.0.0.0/0"), 0);
}

TEST(ReportedTest, IsReadByItsName)
{
    for (std::size_t i = 0; i < reported_count; i++) {
        const auto event = static_cast<Reported>(i);
        EXPECT_EQ(parse_reported(reported_name(event)), event);
    }
    for (const char *text : {"", "Auth", "connections", "auth "})
        EXPECT_EQ(parse_reported(text), std::nullopt) << text;
}

TEST(ReportedEventsTest, TakesSourcesAsTheGateCountsThem)
{
    FakeGate gate;
    FakeClock clock;
    Ledger ledger{{minutes}};
    ReportedEvents events{ledger, gate, clock};
    const auto report = [&](const char *client) {
        events.report({Reported::tls, "smtp", block(client), 1});
    };
    report("2001:db8::1");
    report("2001:db8::2:0:0:1");
    report("2001:db8::/84");
    report("192.0.2.1");

    const auto sum = [&](const char *asked) {
        return ledger.reported().sum(block(asked), {}, Reported::tls, minutes, 0, 0, clock.now());
    };
    EXPECT_EQ(sum("2001:db8::/64").within, 3);
    EXPECT_EQ(sum("2001:db8::1").within, 0);
    EXPECT_EQ(sum("2001:db8::1").around, 3);
    EXPECT_EQ(sum("192.0.2.1").within, 1);
    clock.set(5'000);
    ledger.forget_old(clock.now());
    EXPECT_EQ(ledger.reported().bytes(), 0U) << "with the windows of the ledger";
}

} // namespace
} // namespace tallygate::core::test
