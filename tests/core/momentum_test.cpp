// SPDX-License-Identifier: BSD-2-Clause
//
// What policies written for Momentum expect of the audit functions, where it is the core that
// answers. docs/momentum.md says which function asks what.
#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "core/fake_gate.hpp"
#include "core/question.hpp"
#include "core/series.hpp"
#include "core/support.hpp"

namespace tallygate::core::test {
namespace {

constexpr ServiceId smtp = 1;
constexpr ServiceId control = 2;
constexpr double start = 1'800'000; ///< where windows of 300 s and of 1,800 s begin
constexpr double five_minutes = 300;

class MomentumTest : public testing::Test {
protected:
    MomentumTest()
    {
        questions.set_services({{"smtp", smtp}, {"control", control}});
        clock.set(now);
        questions.set_windows_since(at(now));
    }

    void pass(double seconds)
    {
        now += seconds;
        clock.set(now);
        ledger.forget_old(at(now));
    }

    void connect(const char *client, std::uint64_t opened, std::uint64_t closed = 0,
                 ServiceId service = smtp)
    {
        ledger.record({.source = address(client),
                       .service = service,
                       .syn = opened,
                       .opened = opened,
                       .closed = closed},
                      at(now));
    }

    std::int64_t connections(const char *monitor, const char *cidr, std::uint32_t startv = 0,
                             std::uint32_t endv = 0)
    {
        const auto answer = questions.count(
            {.block = block(cidr), .monitor = monitor, .start = startv, .end = endv});
        EXPECT_TRUE(answer) << answer.error().message;
        return answer ? answer->value : -1;
    }

    std::int64_t live(const char *cidr, std::optional<std::string> service = "SMTP")
    {
        const auto answer = questions.live({.block = block(cidr), .service = std::move(service)});
        EXPECT_TRUE(answer) << answer.error().message;
        return answer ? answer->value : -1;
    }

    Answer smooth(const char *cidr, Counted event = Event::connections, std::uint32_t index = 0)
    {
        const auto answer = questions.count(
            {.block = block(cidr), .monitor_index = index, .event = event, .smooth = true});
        EXPECT_TRUE(answer) << answer.error().message;
        return answer ? *answer : Answer{};
    }

    double now = start;
    FakeClock clock;
    FakeGate gate;
    Ledger ledger{{{300, 6}, {1800, 4}, {60, 1}}};
    Questions questions{ledger, gate, clock};
    ReportedEvents reports{ledger, gate, clock};
};

/* Cases 45 to 47: windows move, and the longer monitor remembers longer. */
TEST_F(MomentumTest, WindowsShift)
{
    connect("10.0.0.1", 3);
    EXPECT_EQ(connections("300,6", "10.0.0.1/32"), 3);
    EXPECT_EQ(connections("300,6", "10.0.0.1/32", 1, 1), 0);
    pass(five_minutes);
    EXPECT_EQ(connections("300,6", "10.0.0.1/32"), 0);
    EXPECT_EQ(connections("300,6", "10.0.0.1/32", 1, 1), 3);
    EXPECT_EQ(connections("300,6", "10.0.0.1/32", 0, 1), 3);
    pass(5 * five_minutes);
    EXPECT_EQ(connections("300,6", "10.0.0.1/32", 0, 5), 0);
    EXPECT_EQ(connections("1800,4", "10.0.0.1/32", 1, 1), 3);
}

/* Case 48. */
TEST_F(MomentumTest, SumsAnyBlock)
{
    connect("10.0.0.1", 3);
    connect("10.0.0.2", 2);
    connect("10.0.1.1", 7);
    EXPECT_EQ(connections("300,6", "10.0.0.0/24"), 5);
    EXPECT_EQ(connections("300,6", "10.0.0.0/16"), 12);
    EXPECT_EQ(connections("300,6", "10.0.0.1/32"), 3);
    EXPECT_EQ(connections("300,6", "0.0.0.0/0"), 12);
    EXPECT_EQ(connections("300,6", "10.0.0.77/24"), 5) << "host bits are cleared";
}

/* Case 52, and 55's services; names are taken in any case. */
TEST_F(MomentumTest, CountsSessionsThatAreOpen)
{
    connect("10.0.0.7", 2);
    connect("10.0.0.8", 1);
    connect("10.0.1.1", 1);
    connect("10.0.0.7", 9, 9);
    connect("10.0.0.7", 1, 0, control);
    EXPECT_EQ(live("10.0.0.7/32"), 2);
    EXPECT_EQ(live("10.0.0.7/24"), 3);
    EXPECT_EQ(live("10.0.1.1"), 1);
    EXPECT_EQ(live("10.0.0.0/8"), 4);
    EXPECT_EQ(live("0.0.0.0/0"), 4);
    EXPECT_EQ(live("10.0.0.7", "Control"), 1);
    EXPECT_FALSE(questions.live({.service = "ECCluster"}));
}

/* Case 54. */
TEST_F(MomentumTest, CountsAListenerApart)
{
    connect("10.0.0.7", 2);
    gate.flows = std::uint64_t{1};
    const auto answer = questions.live(
        {.block = block("10.0.0.7"), .listener = Endpoint{address("10.0.0.25"), 25}});
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->value, 1);
    EXPECT_EQ(live("10.0.0.7"), 2);
}

/* The connection that asks is in the answer: the gate is read before the ledger is. */
TEST_F(MomentumTest, CountsWhoeverAsks)
{
    gate.refreshes = true;
    gate.on_refresh = [&] { connect("10.0.0.7", 1); };
    EXPECT_EQ(live("10.0.0.7"), 1);
    EXPECT_EQ(connections("300,6", "10.0.0.7"), 2) << "asking reads the gate each time";
}

/* Case 67: the index is the monitor's place, and the count slides over two windows. */
TEST_F(MomentumTest, SmoothsTheCurrentWindow)
{
    connect("10.0.0.1", 10);
    EXPECT_EQ(smooth("10.0.0.0/24").value, 10) << "nothing was before";
    pass(five_minutes);
    EXPECT_EQ(smooth("10.0.0.0/24").value, 10) << "all of the window before is to come again";
    connect("10.0.0.2", 4);
    pass(75);
    EXPECT_EQ(smooth("10.0.0.0/24").value, 4 + 8) << "10 x 3/4, rounded";
    pass(75);
    EXPECT_EQ(smooth("10.0.0.0/24").value, 4 + 5);
    EXPECT_EQ(smooth("10.0.0.1/32").value, 5);
    EXPECT_TRUE(smooth("10.0.0.1/32").exact);
    pass(149);
    EXPECT_EQ(smooth("10.0.0.0/24").value, 4);
    EXPECT_EQ(smooth("10.0.0.0/24", Event::connections, 1).value, 14) << "the second monitor";
    EXPECT_DOUBLE_EQ(smooth("10.0.0.0/24").rate_per_second, 4.0 / 300);
}

TEST_F(MomentumTest, SmoothsOverTheOneWindowOfAMonitorAndReports)
{
    reports.report({Reported::rejections, "smtp", block("10.0.0.1"), 8});
    pass(60);
    EXPECT_EQ(smooth("10.0.0.1", Reported::rejections, 2).value, 8);
    pass(30);
    EXPECT_EQ(smooth("10.0.0.1", Reported::rejections, 2).value, 4);
    pass(30);
    EXPECT_EQ(smooth("10.0.0.1", Reported::rejections, 2).value, 0);
}

TEST_F(MomentumTest, CountsNothingTwiceWhereAWindowBegins)
{
    connect("10.0.0.1", 8);
    pass(five_minutes - 1);
    gate.refreshes = true;
    gate.on_refresh = [&] {
        if (gate.refreshed.size() == 2) // between the window of now and the one before
            clock.set(now += 1);
    };
    EXPECT_EQ(smooth("10.0.0.1/32").value, 8);
}

TEST_F(MomentumTest, SaysWhatIsWrongWithAnIndexOrASmoothCount)
{
    const auto error_of = [&](const CountQuestion &question) {
        const auto answer = questions.count(question);
        EXPECT_FALSE(answer);
        return answer ? Error{} : answer.error();
    };
    const auto index = error_of({.monitor_index = 3});
    EXPECT_EQ(index.message, "there is no monitor number 3: expected 0 to 2");
    EXPECT_EQ(index.code, static_cast<int>(Wrong::unknown));
    const auto range = error_of({.monitor_index = 0, .start = 0, .end = 1, .smooth = true});
    EXPECT_EQ(range.message, "a smooth count is about window 0 and the one before: expected "
                             "neither start nor end");
    EXPECT_EQ(range.code, static_cast<int>(Wrong::malformed));
    // startv > endv, where Lua's endv is 0 unless it is given.
    EXPECT_EQ(error_of({.monitor = "300,6", .start = 1, .end = 0}).code,
              static_cast<int>(Wrong::malformed));
    ledger.set_monitors({}, at(0));
    EXPECT_EQ(error_of({.monitor_index = 0}).message,
              "there is no monitor number 0: none is configured");
}

/* Windows begin at multiples of their size in Unix time, whenever the daemon began. */
TEST_F(MomentumTest, AlignsWindowsToUnixTime)
{
    pass(five_minutes - 1);
    connect("10.0.0.1", 1);
    pass(1);
    connect("10.0.0.1", 1);
    EXPECT_EQ(connections("300,6", "10.0.0.1"), 1);
    EXPECT_EQ(connections("300,6", "10.0.0.1", 1, 1), 1);
    EXPECT_EQ(connections("1800,4", "10.0.0.1"), 2);
}

/* The two families are two trees. */
TEST_F(MomentumTest, KeepsTheFamiliesApart)
{
    connect("10.0.0.1", 1);
    connect("2001:db8::", 2);
    EXPECT_EQ(connections("300,6", "0.0.0.0/0"), 1);
    EXPECT_EQ(connections("300,6", "::/0"), 2);
    EXPECT_EQ(connections("300,6", "::ffff:10.0.0.1"), 1) << "IPv4 in another form";
    EXPECT_EQ(connections("300,6", "2001:db8::9/24"), 2) << "a /24 is a /24, in either family";
}

/* Names of hosts are nobody's addresses here. */
TEST_F(MomentumTest, RefusesNamesOfHosts)
{
    for (const char *text : {"localhost/32", "localhost", "mail.example.com/24", "10.0.0.1/33"})
        EXPECT_FALSE(Block::parse(text)) << text;
}

} // namespace
} // namespace tallygate::core::test
