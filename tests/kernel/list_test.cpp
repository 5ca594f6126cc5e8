// SPDX-License-Identifier: BSD-2-Clause
//
// Block and allow lists, as one look-up has them: the daemon lays wider entries into longer ones.
#include "kernel/limited_gate.hpp"

namespace tallygate::test {
namespace {

using namespace std::chrono_literals;
using Verdicts = std::map<std::string, int>;

constexpr std::uint64_t never = 0;
constexpr std::uint64_t for_good = ~std::uint64_t{0};

std::uint64_t at(std::chrono::nanoseconds time)
{
    return static_cast<std::uint64_t>((1h + time).count());
}

using Lists = LimitedGate;

TEST_F(Lists, ABlockedSourceIsDropped)
{
    list("203.0.113.0", 24, never, for_good);
    list("2001:db8:bad::", 48, never, for_good);
    EXPECT_EQ(send_syns("203.0.113.7", 3), (Verdicts{{"drop_blocked", 3}}));
    EXPECT_EQ(send_syns("203.0.114.7", 3), (Verdicts{{"pass_syn", 3}}));
    EXPECT_EQ(send_syns("2001:db8:bad:1::7", 3), (Verdicts{{"drop_blocked", 3}}));
    EXPECT_EQ(send_syns("2001:db8:bae:1::7", 3), (Verdicts{{"pass_syn", 3}}));
    EXPECT_EQ(service_tally(smtp, TG_FAMILY_IPV4).syn, 6u) << "dropped or not";
    EXPECT_EQ(service_tally(smtp, TG_FAMILY_IPV4).dropped, 3u);
}

TEST_F(Lists, ABlockEndsByItself)
{
    list("203.0.113.7", 32, never, at(60s));
    EXPECT_EQ(send_syns("203.0.113.7", 2), (Verdicts{{"drop_blocked", 2}}));
    set_clock(1h + 60s - 1ns);
    EXPECT_EQ(send_syns("203.0.113.7", 2), (Verdicts{{"drop_blocked", 2}}));
    set_clock(1h + 60s);
    EXPECT_EQ(send_syns("203.0.113.7", 2), (Verdicts{{"pass_syn", 2}}));
}

TEST_F(Lists, AnAllowedSourceMeetsNoLimitAndIsCounted)
{
    limit_source(per_second(1, 1));
    limit_all(per_second(1, 1));
    list("192.0.2.10", 32, for_good, never);
    EXPECT_EQ(send_syns("192.0.2.10", 50), (Verdicts{{"pass_syn", 50}}));
    EXPECT_EQ(claim("192.0.2.10")->syn, 50u);
    EXPECT_EQ(send_syns("192.0.2.11", 2), (Verdicts{{"pass_syn", 1}, {"drop_source_rate", 1}}))
        << "and it used nothing of what others share";
}

TEST_F(Lists, AnAllowedSourceIsOverEveryLimitAndPasses)
{
    add_network("192.0.2.0", 24, 7);
    limit_source(holding(1));
    limit_source(per_second(1, 1));
    limit_prefix(per_second(1, 1), 24);
    limit_network(holding(1), 7);
    limit_network(per_second(1, 1), 7);
    const auto everybody = limit_all(per_second(1, 1));
    connect("192.0.2.10", 1);
    EXPECT_STREQ(verdict_name(send_syn("192.0.2.10", 2)), "drop_source_live");

    list("192.0.2.0", 28, for_good, never);
    EXPECT_EQ(send_syns("192.0.2.10", 50), (Verdicts{{"pass_syn", 50}})) << "proven";
    EXPECT_EQ(send_syns("192.0.2.11", 50), (Verdicts{{"pass_syn", 50}})) << "a newcomer";
    EXPECT_EQ(slot_tally("192.0.2.10")->syn, 51u);
    EXPECT_EQ(slot_tally("192.0.2.10")->dropped, 1u);
    EXPECT_EQ(claim("192.0.2.11")->syn, 50u);
    EXPECT_EQ(network_tally(7).syn, 102u);
    EXPECT_EQ(network_tally(7).dropped, 1u);
    EXPECT_EQ(limit_tally(everybody).dropped, 0u);
    EXPECT_EQ(service_tally(smtp, TG_FAMILY_IPV4).syn, 102u);
}

TEST_F(Lists, AllowBeatsBlockForAsLongAsItLasts)
{
    list("203.0.113.7", 32, at(60s), at(120s));
    EXPECT_EQ(send_syns("203.0.113.7", 1), (Verdicts{{"pass_syn", 1}}));
    set_clock(1h + 60s);
    EXPECT_EQ(send_syns("203.0.113.7", 1), (Verdicts{{"drop_blocked", 1}}));
    set_clock(1h + 120s);
    EXPECT_EQ(send_syns("203.0.113.7", 1), (Verdicts{{"pass_syn", 1}}));
}

TEST_F(Lists, TheLongestEntryDecides)
{
    list("203.0.113.0", 24, never, for_good);
    list("203.0.113.64", 26, for_good, for_good);
    EXPECT_EQ(send_syns("203.0.113.65", 1), (Verdicts{{"pass_syn", 1}}));
    EXPECT_EQ(send_syns("203.0.113.1", 1), (Verdicts{{"drop_blocked", 1}}));
}

TEST_F(Lists, AnOpenConnectionOfABlockedSourceIsCutOffToo)
{
    connect("203.0.113.7", 1);
    list("203.0.113.7", 32, never, at(60s));
    const auto data =
        conversation_from("203.0.113.7", 1).packet({client, ack, 1, 1, 10, TG_PASS_OPEN_FLOW});
    EXPECT_STREQ(verdict_name(send(data)), "drop_blocked");
    EXPECT_EQ(service_tally(smtp, TG_FAMILY_IPV4).dropped, 0u) << "dropped are SYNs";
    set_clock(1h + 61s);
    EXPECT_STREQ(verdict_name(send(data)), "pass_open_flow");
}

TEST_F(Lists, NothingIsCutOffByAGateThatObserves)
{
    connect("203.0.113.7", 1);
    observe();
    list("203.0.113.7", 32, never, for_good);
    const auto data =
        conversation_from("203.0.113.7", 1).packet({client, ack, 1, 1, 10, TG_PASS_OPEN_FLOW});
    EXPECT_STREQ(verdict_name(send(data)), "pass_open_flow");
    EXPECT_EQ(send_syns("203.0.113.7", 3), (Verdicts{{"would_drop_blocked", 3}}));
    EXPECT_STREQ(verdict_name(connect("203.0.113.7", 2)), "would_drop_blocked");
    EXPECT_EQ(live(), 2);
    EXPECT_EQ(service_tally(smtp, TG_FAMILY_IPV4).would_drop, 4u);
}

TEST_F(Lists, WhatNobodyGuardsPassesEvenFromTheBlocked)
{
    list("203.0.113.7", 32, never, for_good);
    auto conversation = conversation_from("203.0.113.7");
    conversation.server_port = 22;
    EXPECT_STREQ(verdict_name(send(conversation.packet({client, syn, 0, 0, 0, TG_PASS_SYN}))),
                 "pass_not_watched");
}

TEST_F(Lists, AnswersToTheBlockedStillLeave)
{
    list("203.0.113.7", 32, never, for_good);
    const auto answer =
        conversation_from("203.0.113.7").packet({server, syn | ack, 0, 1, 0, TG_PASS_SYN_ACK});
    EXPECT_STREQ(verdict_name(send(answer, Program::tc_egress)), "pass_syn_ack");
}

/* A rejection is remembered by the CPU. What ends it must be seen at once. */
TEST_F(Lists, ASourceThatIsAllowedWhileItFloodsPassesAtOnce)
{
    limit_source(per_second(1, 1));
    EXPECT_EQ(send_syns("192.0.2.10", 9), (Verdicts{{"pass_syn", 1}, {"drop_source_rate", 8}}));
    list("192.0.2.10", 32, for_good, never);
    EXPECT_EQ(send_syns("192.0.2.10", 9), (Verdicts{{"pass_syn", 9}}));
}

TEST_F(Lists, WithoutAHintTheListsAreNotAsked)
{
    const std::uint32_t word = TG_HINT_LISTS * TG_HINT_WORDS + 0xcb00 / 64; // 203.0.0.0/16
    list("203.0.113.0", 24, never, for_good);
    put(maps().hints, word, std::uint64_t{0});
    EXPECT_EQ(send_syns("203.0.113.7", 1), (Verdicts{{"pass_syn", 1}}));
    put(maps().hints, word, std::uint64_t{1} << 0xcb00 % 64);
    EXPECT_EQ(send_syns("203.0.113.8", 1), (Verdicts{{"drop_blocked", 1}}));
}

} // namespace
} // namespace tallygate::test
