// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/gate_counter.hpp"

#include <gtest/gtest.h>

#include <thread>

#include "core/fake_gate.hpp"
#include "net/loop_thread.hpp"

namespace tallygate::daemon {
namespace {

using core::test::block;

class GateCounterTest : public testing::Test {
protected:
    GateCounterTest()
    {
        gate_.refreshes = true;
        questions_.set_services({{"smtp", 1}});
    }

    void open(const char *source, std::uint64_t connections)
    {
        ledger_.record({.source = core::test::address(source),
                        .service = 1,
                        .syn = connections,
                        .opened = connections,
                        .closed = 0,
                        .dropped = 0},
                       clock_.now());
    }

    core::test::FakeClock clock_;
    core::test::FakeGate gate_;
    core::Ledger ledger_{{{60, 10}}};
    core::Questions questions_{ledger_, gate_, clock_};
};

TEST_F(GateCounterTest, counts_an_address_or_a_prefix)
{
    open("192.0.2.1", 3);
    open("192.0.2.2", 4);
    EXPECT_EQ(count_live(questions_, block("192.0.2.1"), 1), 3U);
    EXPECT_EQ(count_live(questions_, block("192.0.2.0/24"), 1), 7U);
    EXPECT_EQ(count_live(questions_, block("192.0.2.3"), 1), 0U);
    EXPECT_TRUE(gate_.flows_asked.empty());
}

TEST_F(GateCounterTest, an_ipv6_address_is_less_than_a_source)
{
    open("2001:db8::", 5);
    gate_.flows = 2;
    EXPECT_EQ(count_live(questions_, block("2001:db8::1"), 1), 2U) << "looked for among the flows";
    EXPECT_EQ(count_live(questions_, block("2001:db8::/84"), 5), 5U) << "none but our own";
    EXPECT_EQ(gate_.flows_asked.size(), 1U);
    EXPECT_EQ(count_live(questions_, block("2001:db8::/64"), 1), 5U);

    open("2001:db8:1::", 10'000);
    EXPECT_EQ(count_live(questions_, block("2001:db8::1"), 1), 5U)
        << "too many to walk: its source";
    EXPECT_EQ(gate_.flows_asked.size(), 1U);
}

TEST_F(GateCounterTest, another_thread_is_answered)
{
    open("192.0.2.1", 3);
    net::Loop loop;
    GateCounter counter{loop, questions_};
    test::LoopThread thread{loop};
    thread.start();
    // A machine that is busy may be late now and then.
    std::optional<std::uint32_t> live;
    while (!live)
        live = counter.live(block("192.0.2.1"), 1);
    EXPECT_EQ(live, 3U);
}

TEST_F(GateCounterTest, a_busy_loop_is_not_waited_for)
{
    net::Loop loop;
    GateCounter counter{loop, questions_};
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(counter.live(block("192.0.2.1"), 1), std::nullopt);
    EXPECT_EQ(counter.busy_total(), 3U);

    loop.post([&loop] { loop.stop(); });
    loop.run();
    test::LoopThread thread{loop};
    thread.start();
    std::optional<std::uint32_t> live;
    while (!live)
        live = counter.live(block("192.0.2.1"), 1);
    EXPECT_EQ(live, 0U) << "once it has answered, it is asked again";
}

} // namespace
} // namespace tallygate::daemon
