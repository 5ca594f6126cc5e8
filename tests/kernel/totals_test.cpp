// SPDX-License-Identifier: BSD-2-Clause
//
// Totals with what a CPU holds back: nothing is missing, and no count goes back.
#include "kernel/totals.hpp"

#include "kernel/sandbox.hpp"

namespace tallygate::test {
namespace {

using kernel::Totals;

constexpr std::uint8_t limit = 3;
constexpr std::uint32_t network = 7;

class TotalsOf : public ProgramTest {
protected:
    Totals open() const { return must(Totals::open(program().object())); }

    /// What the first CPU rejected, and has not told.
    void hold_back(std::uint32_t rejected, std::uint32_t sequence = 0) const
    {
        tg_repeat repeat{};
        repeat.sequence = sequence;
        repeat.rejected = rejected;
        repeat.client = kernel::from_address(address("192.0.2.1"));
        repeat.service = 1;
        repeat.verdict = TG_DROP_SOURCE_RATE;
        repeat.limit = limit;
        repeat.network = network;
        put("repeats", 5U, repeat);
    }

    template <typename Value>
    void put_in_table(const char *table, std::uint32_t index, Value value) const
    {
        const auto view = must(kernel::PerCpuView<Value>::open(program().map_fd(table), table));
        auto values = view.at(index);
        values[0] = value;
        must(view.put(index, values));
    }
};

TEST_F(TotalsOf, ServicesNetworksLimitsAndVerdictsHaveWhatIsHeldBack)
{
    hold_back(40);
    put_in_table("service_tallies", TG_FAMILY_COUNT + TG_FAMILY_IPV4, tg_tally{5, 2, 1, 3, 1});
    put_in_table("network_tallies", network, tg_tally{5, 2, 1, 3, 1});
    put_in_table("limit_tallies", limit, tg_limit_tally{3, 1});
    put_in_table("verdict_counts", TG_DROP_SOURCE_RATE, std::uint64_t{3});
    const auto totals = open();
    const core::Tally expected{.syn = 45, .opened = 2, .closed = 1, .dropped = 43, .would_drop = 1};

    EXPECT_EQ(totals.service(1, Family::ipv4), expected);
    EXPECT_EQ(totals.network(network), expected);
    EXPECT_EQ(totals.limit(limit), (core::Tally{.dropped = 43, .would_drop = 1}));
    EXPECT_EQ(totals.packets(TG_HOOK_INGRESS, TG_DROP_SOURCE_RATE), 43U);
}

TEST_F(TotalsOf, ManyNetworksAreThoseOfEach)
{
    hold_back(40);
    put_in_table("network_tallies", network, tg_tally{5, 2, 1, 3, 1});
    put_in_table("network_tallies", network + 1, tg_tally{6, 0, 0, 0, 0});
    const auto totals = open();
    const auto all = totals.networks({network, network + 1, network + 2});
    ASSERT_EQ(all.size(), 3U);
    for (const auto &[id, tally] : all)
        EXPECT_EQ(tally, totals.network(id)) << id;
    EXPECT_EQ(all.at(network).syn, 45U);
    EXPECT_EQ(all.at(network + 1).syn, 6U);
    EXPECT_EQ(all.at(network + 2), core::Tally{});
}

TEST_F(TotalsOf, OthersHaveNothingOfIt)
{
    hold_back(40);
    const auto totals = open();
    EXPECT_EQ(totals.service(1, Family::ipv6), core::Tally{});
    EXPECT_EQ(totals.service(2, Family::ipv4), core::Tally{});
    EXPECT_EQ(totals.network(network + 1), core::Tally{});
    EXPECT_EQ(totals.limit(limit + 1), core::Tally{});
    EXPECT_EQ(totals.packets(TG_HOOK_INGRESS, TG_DROP_BLOCKED), 0U);
    EXPECT_EQ(totals.packets(TG_HOOK_EGRESS, TG_DROP_SOURCE_RATE), 0U);
}

TEST_F(TotalsOf, WhatIsJustMovingDoNotGoBack)
{
    const auto totals = open();
    hold_back(40);
    EXPECT_EQ(totals.service(1, Family::ipv4).syn, 40U);
    hold_back(40, 1); // on its way: the table may have it, or not
    EXPECT_EQ(totals.service(1, Family::ipv4).syn, 40U);
    EXPECT_EQ(totals.packets(TG_HOOK_INGRESS, TG_DROP_SOURCE_RATE), 0U) << "never told before";
    hold_back(0, 2);
    put_in_table("service_tallies", TG_FAMILY_COUNT + TG_FAMILY_IPV4, tg_tally{41, 0, 0, 41, 0});
    EXPECT_EQ(totals.service(1, Family::ipv4).syn, 41U);
}

TEST_F(TotalsOf, ALimitThatBeginsHasNothingOfTheOneBefore)
{
    const auto totals = open();
    hold_back(40);
    put_in_table("limit_tallies", limit, tg_limit_tally{100, 9});
    EXPECT_EQ(totals.limit(limit).dropped, 140U);
    must(totals.begin_limit(limit));
    EXPECT_EQ(totals.limit(limit), core::Tally{});
    EXPECT_EQ(open().limit(limit), core::Tally{}) << "nor after a restart";

    // It moves, and the limit drops two more.
    hold_back(0);
    put_in_table("limit_tallies", limit, tg_limit_tally{2, 0});
    EXPECT_EQ(totals.limit(limit).dropped, 2U);
}

} // namespace
} // namespace tallygate::test
