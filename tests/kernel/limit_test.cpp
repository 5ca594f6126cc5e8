// SPDX-License-Identifier: BSD-2-Clause
//
// Limits of sources, prefixes and everybody together, with the clock in our hands.
#include <sched.h>

#include <functional>
#include <thread>

#include "kernel/limited_gate.hpp"

namespace tallygate::test {
namespace {

using namespace std::chrono_literals;
using Verdicts = std::map<std::string, int>;

class Limits : public TimedGate {};

TEST_F(Limits, NoneAreThereUnlessSomeoneSaidSo)
{
    EXPECT_EQ(send_syns("192.0.2.10", 100), (Verdicts{{"pass_syn", 100}}));
}

TEST_F(Limits, ABurstPassesAndThenTheRate)
{
    limit_source(per_second(5, 10));
    EXPECT_EQ(send_syns("192.0.2.10", 30), (Verdicts{{"pass_syn", 10}, {"drop_source_rate", 20}}));
    wait(1s);
    EXPECT_EQ(send_syns("192.0.2.10", 30), (Verdicts{{"pass_syn", 5}, {"drop_source_rate", 25}}));
    wait(199ms);
    EXPECT_EQ(send_syns("192.0.2.10", 3), (Verdicts{{"drop_source_rate", 3}}));
    wait(1ms);
    EXPECT_EQ(send_syns("192.0.2.10", 3), (Verdicts{{"pass_syn", 1}, {"drop_source_rate", 2}}));
}

TEST_F(Limits, AnIdleSourceHasItsWholeBurstAgainAndNoMore)
{
    limit_source(per_second(5, 10));
    send_syns("192.0.2.10", 10);
    wait(100h);
    EXPECT_EQ(send_syns("192.0.2.10", 30), (Verdicts{{"pass_syn", 10}, {"drop_source_rate", 20}}));
}

/* Wherever a limit has its state, that is one word, and what follows is of that word. */
class EveryState : public Limits {
protected:
    struct Kind {
        const char *name;
        std::function<void(const Limit &)> limit;
        std::string reject;
    };

    std::vector<Kind> kinds()
    {
        return {
            {"a source's", [this](const Limit &limit) { limit_source(limit); }, "source_rate"},
            {"a source's second",
             [this](const Limit &limit) {
                 limit_source(per_second(1000, 1000));
                 limit_source(limit);
             },
             "source_rate"},
            {"a prefix's", [this](const Limit &limit) { limit_prefix(limit, 24); }, "prefix_rate"},
            {"a network's",
             [this](const Limit &limit) {
                 add_network("192.0.2.0", 24, 7);
                 limit_network(limit, 7);
             },
             "network_rate"},
            {"everybody's", [this](const Limit &limit) { limit_all(limit); }, "service_rate"},
        };
    }

    /// Does the same with each kind of limit, in a gate to which nothing has happened.
    void for_each_kind(const Limit &limit, const std::function<void()> &story)
    {
        for (const auto &kind : kinds()) {
            SCOPED_TRACE(kind.name);
            TearDown();
            forget_limits();
            now_ = 1h;
            SetUp();
            kind.limit(limit);
            reject_ = kind.reject;
            story();
        }
    }

    void expect_passed(int passed, int sent)
    {
        const auto left = send_syns("192.0.2.10", sent);
        EXPECT_EQ(left, (Verdicts{{"drop_" + reject_, sent - passed}, {"pass_syn", passed}}));
    }

private:
    std::string reject_;
};

TEST_F(EveryState, OfLongAgoIsAWholeBurstAndNoMore)
{
    for_each_kind(per_second(5, 10), [this] {
        expect_passed(10, 30);
        wait(900h);
        expect_passed(10, 30);
        wait(1s);
        expect_passed(5, 30);
    });
}

/* A tick behind, with most of the burst unused: what is due later than now is no debt of ages.
 * The last of the burst waits until the clock is where it was. */
TEST_F(EveryState, OfAClockThatStandsALittleBehindKeepsItsBurst)
{
    for_each_kind(per_second(5, 10), [this] {
        EXPECT_EQ(send_syns("192.0.2.10", 1), (Verdicts{{"pass_syn", 1}}));
        wait(-10ms);
        expect_passed(8, 30);
        wait(10ms);
        expect_passed(1, 30);
        wait(1s);
        expect_passed(5, 30);
    });
}

/* Just after the machine's start: before that moment there was no time for a burst to come from. */
TEST_F(EveryState, OfAMachineThatHasJustStartedIsAWholeBurst)
{
    for_each_kind({.interval_ns = 3600 * second_ns, .burst = 20}, [this] {
        now_ = 1ms;
        wait(0s);
        expect_passed(20, 30);
        wait(1h);
        expect_passed(1, 30);
    });
}

TEST_F(Limits, AClockThatStandsALittleBehindRejectsNobodyForLong)
{
    limit_source(per_second(5, 10));
    send_syns("192.0.2.10", 10);
    now_ -= 10ms; // another CPU's tick
    wait(0s);
    EXPECT_EQ(send_syns("192.0.2.10", 5), (Verdicts{{"drop_source_rate", 5}}));
    wait(1s + 10ms);
    EXPECT_EQ(send_syns("192.0.2.10", 9), (Verdicts{{"pass_syn", 5}, {"drop_source_rate", 4}}));
}

TEST_F(Limits, ABurstOfOneSpacesSyns)
{
    limit_source(per_second(10, 1));
    EXPECT_EQ(send_syns("192.0.2.10", 3), (Verdicts{{"pass_syn", 1}, {"drop_source_rate", 2}}));
    wait(100ms);
    EXPECT_EQ(send_syns("192.0.2.10", 3), (Verdicts{{"pass_syn", 1}, {"drop_source_rate", 2}}));
}

TEST_F(Limits, SourcesAreHeldApartAndAnIpv6SourceIsItsWholeBlock)
{
    limit_source(per_second(5, 2), TG_FAMILY_IPV4);
    limit_source(per_second(5, 2), TG_FAMILY_IPV6);
    send_syns("192.0.2.10", 2);
    EXPECT_STREQ(verdict_name(send_syn("192.0.2.10")), "drop_source_rate");
    EXPECT_STREQ(verdict_name(send_syn("192.0.2.11")), "pass_syn");

    EXPECT_STREQ(verdict_name(send_syn("2001:db8:0:10::1")), "pass_syn");
    EXPECT_STREQ(verdict_name(send_syn("2001:db8:0:10::2")), "pass_syn");
    EXPECT_STREQ(verdict_name(send_syn("2001:db8:0:10:ffff::3")), "drop_source_rate");
    EXPECT_STREQ(verdict_name(send_syn("2001:db8:0:11::1")), "pass_syn");
}

TEST_F(Limits, EveryDoorHasTheSameLimits)
{
    limit_source(per_second(5, 2));
    EXPECT_STREQ(verdict_name(send_syn("192.0.2.10", 40000, Program::xdp)), "pass_syn");
    EXPECT_STREQ(verdict_name(send_syn("192.0.2.10", 40001, Program::tc_ingress)), "pass_syn");
    EXPECT_STREQ(verdict_name(send_syn("192.0.2.10", 40002, Program::tc_ingress)),
                 "drop_source_rate");
}

TEST_F(Limits, APrefixIsHeldAlthoughItsSourcesAreUnderTheirs)
{
    limit_source(per_second(5, 10));
    limit_prefix(per_second(5, 4), 24);
    for (int host = 1; host <= 4; host++)
        EXPECT_STREQ(verdict_name(send_syn("192.0.2." + std::to_string(host))), "pass_syn");
    EXPECT_STREQ(verdict_name(send_syn("192.0.2.5")), "drop_prefix_rate");
    EXPECT_STREQ(verdict_name(send_syn("192.0.3.5")), "pass_syn");
    wait(200ms);
    EXPECT_STREQ(verdict_name(send_syn("192.0.2.6")), "pass_syn");
}

TEST_F(Limits, TheFirstThatRejectsGivesTheReason)
{
    limit_source(per_second(5, 1));
    limit_prefix(per_second(5, 1), 24);
    limit_all(per_second(5, 1));
    EXPECT_STREQ(verdict_name(send_syn("192.0.2.10")), "pass_syn");
    EXPECT_STREQ(verdict_name(send_syn("192.0.2.10")), "drop_source_rate");
    EXPECT_STREQ(verdict_name(send_syn("192.0.2.11")), "drop_prefix_rate");
    EXPECT_STREQ(verdict_name(send_syn("198.18.0.1")), "drop_service_rate");
}

TEST_F(Limits, WhatOneRejectsUsesNothingOfTheOthers)
{
    limit_source(per_second(5, 3));
    limit_all(per_second(1, 1));
    EXPECT_STREQ(verdict_name(send_syn("192.0.2.10")), "pass_syn");
    EXPECT_EQ(send_syns("192.0.2.10", 10), (Verdicts{{"drop_service_rate", 10}}));
    EXPECT_EQ(send_syns("192.0.2.11", 10), (Verdicts{{"drop_service_rate", 10}}));
    wait(1s);
    // Of three in a burst one was used, and not eleven; and the other source used none.
    EXPECT_STREQ(verdict_name(send_syn("192.0.2.10")), "pass_syn");
    EXPECT_STREQ(verdict_name(send_syn("192.0.2.11")), "drop_service_rate");
}

TEST_F(Limits, BothFamiliesTogetherAreTwoBudgets)
{
    limit_all(per_second(5, 1), TG_FAMILY_IPV4);
    limit_all(per_second(5, 1), TG_FAMILY_IPV6);
    EXPECT_STREQ(verdict_name(send_syn("192.0.2.10")), "pass_syn");
    EXPECT_STREQ(verdict_name(send_syn("2001:db8::1")), "pass_syn");
    EXPECT_STREQ(verdict_name(send_syn("192.0.2.11")), "drop_service_rate");
    EXPECT_STREQ(verdict_name(send_syn("2001:db8:1::1")), "drop_service_rate");
}

TEST_F(Limits, ASecondLimitOfASourceHasAStateOfItsOwn)
{
    limit_source(per_second(10, 20));
    limit_source({.interval_ns = 60 * second_ns / 30, .burst = 30}); // thirty a minute
    EXPECT_EQ(send_syns("192.0.2.10", 25), (Verdicts{{"pass_syn", 20}, {"drop_source_rate", 5}}));
    wait(2s);
    EXPECT_EQ(send_syns("192.0.2.10", 20), (Verdicts{{"pass_syn", 11}, {"drop_source_rate", 9}}));
}

TEST_F(Limits, ASourceThatHoldsAllItMayGetsNoMore)
{
    limit_source(holding(3));
    for (unsigned port = 1; port <= 3; port++)
        EXPECT_STREQ(verdict_name(connect("192.0.2.10", port)), "pass_syn");
    EXPECT_STREQ(verdict_name(send_syn("192.0.2.10", 4)), "drop_source_live");
    EXPECT_STREQ(verdict_name(send_syn("192.0.2.11", 4)), "pass_syn");
    disconnect("192.0.2.10", 2);
    EXPECT_STREQ(verdict_name(connect("192.0.2.10", 4)), "pass_syn");
    EXPECT_STREQ(verdict_name(send_syn("192.0.2.10", 5)), "drop_source_live");
}

TEST_F(Limits, ALiveLimitOfNoneLetsNobodyHoldAnything)
{
    limit_source({.live_max = 0, .who = TG_WHO_PROVEN});
    EXPECT_STREQ(verdict_name(connect("192.0.2.10", 1)), "pass_syn") << "not proven before";
    disconnect("192.0.2.10", 1);
    EXPECT_STREQ(verdict_name(send_syn("192.0.2.10", 2)), "drop_source_live");
}

TEST_F(Limits, TheProvenAreExemptFromTheBudgetOfNewcomers)
{
    connect("192.0.2.10", 1);
    limit_all({.interval_ns = second_ns, .burst = 2, .who = TG_WHO_CLAIMED});
    EXPECT_EQ(send_syns("203.0.113.1", 5), (Verdicts{{"pass_syn", 2}, {"drop_service_rate", 3}}));
    EXPECT_EQ(send_syns("203.0.113.2", 5), (Verdicts{{"drop_service_rate", 5}}));
    EXPECT_EQ(send_syns("192.0.2.10", 50), (Verdicts{{"pass_syn", 50}}));
}

TEST_F(Limits, NewcomersMayHaveABudgetByPrefix)
{
    connect("203.0.113.200", 1);
    auto limit = per_second(1, 3);
    limit.who = TG_WHO_CLAIMED;
    limit_prefix(limit, 24);
    EXPECT_EQ(send_syns("203.0.113.1", 2), (Verdicts{{"pass_syn", 2}}));
    EXPECT_EQ(send_syns("203.0.113.2", 2), (Verdicts{{"pass_syn", 1}, {"drop_prefix_rate", 1}}));
    EXPECT_EQ(send_syns("203.0.113.200", 9), (Verdicts{{"pass_syn", 9}}));
    EXPECT_EQ(send_syns("198.18.0.1", 2), (Verdicts{{"pass_syn", 2}}));
}

TEST_F(Limits, ALimitMayBeForTheProvenAlone)
{
    connect("192.0.2.10", 1);
    auto limit = per_second(1, 2);
    limit.who = TG_WHO_PROVEN;
    limit_source(limit);
    EXPECT_EQ(send_syns("203.0.113.1", 9), (Verdicts{{"pass_syn", 9}}));
    EXPECT_EQ(send_syns("192.0.2.10", 9), (Verdicts{{"pass_syn", 2}, {"drop_source_rate", 7}}));
}

TEST_F(Limits, WhatIsOpenGoesOnWhileNewSynsAreDropped)
{
    limit_source(per_second(1, 1));
    connect("192.0.2.10", 1);
    EXPECT_STREQ(verdict_name(send_syn("192.0.2.10", 2)), "drop_source_rate");
    const auto data =
        conversation_from("192.0.2.10", 1).packet({client, ack, 1, 1, 100, TG_PASS_OPEN_FLOW});
    EXPECT_STREQ(verdict_name(send(data)), "pass_open_flow");
}

/* The same story for two gates: one enforces, the other does not, or has dry runs alone. */
class DryRuns : public Limits {
protected:
    Verdicts story()
    {
        Verdicts all;
        const auto add = [&](const Verdicts &some) {
            for (const auto &[verdict, count] : some)
                all[verdict] += count;
        };
        for (int round = 0; round < 5; round++) {
            add(send_syns("192.0.2.10", 7));
            wait(300ms);
            add(send_syns("192.0.2.11", 3));
            add(send_syns("198.18.0.1", 9));
            wait(150ms);
        }
        return all;
    }

    void set_limits()
    {
        limit_source(per_second(5, 4));
        limit_prefix(per_second(6, 5), 24);
        limit_all(per_second(4, 6));
    }

    /// Nothing has happened yet, and nothing is limited.
    void begin_anew()
    {
        TearDown();
        forget_limits();
        now_ = 1h;
        SetUp();
    }
};

TEST_F(DryRuns, ObservingCountsExactlyWhatEnforcingDrops)
{
    set_limits();
    const auto dropped = story();
    const auto tally = service_tally(smtp, TG_FAMILY_IPV4);

    begin_anew();
    observe();
    set_limits();
    const auto would = story();

    for (const char *reason : {"source_rate", "prefix_rate", "service_rate"}) {
        SCOPED_TRACE(reason);
        ASSERT_TRUE(dropped.contains(std::string("drop_") + reason)) << "not in the story";
        ASSERT_TRUE(would.contains(std::string("would_drop_") + reason));
        EXPECT_EQ(dropped.at(std::string("drop_") + reason),
                  would.at(std::string("would_drop_") + reason));
    }
    EXPECT_EQ(dropped.at("pass_syn"), would.at("pass_syn"));
    EXPECT_EQ(dropped.size(), would.size());
    const auto dry_tally = service_tally(smtp, TG_FAMILY_IPV4);
    EXPECT_EQ(tally.dropped, dry_tally.would_drop);
    EXPECT_EQ(dry_tally.dropped, 0u);
    EXPECT_EQ(tally.syn, dry_tally.syn);
}

TEST_F(DryRuns, OneLimitAloneCountsWhatItWouldDrop)
{
    const auto limit = limit_source(per_second(5, 4));
    story();
    const auto dropped = limit_tally(limit).dropped;
    EXPECT_GT(dropped, 0u);

    begin_anew();
    auto dry = per_second(5, 4);
    dry.action = TG_LIMIT_COUNT;
    const auto dry_limit = limit_source(dry);
    const auto left = story();
    EXPECT_EQ(limit_tally(dry_limit).would_drop, dropped);
    EXPECT_EQ(limit_tally(dry_limit).dropped, 0u);
    EXPECT_EQ(left.at("would_drop_source_rate"), static_cast<int>(dropped));
    EXPECT_EQ(left.size(), 2u) << "and nothing was dropped";
}

TEST_F(DryRuns, OfALiveLimitPassAndAreCounted)
{
    auto dry = holding(1);
    dry.action = TG_LIMIT_COUNT;
    limit_source(dry);
    EXPECT_STREQ(verdict_name(connect("192.0.2.10", 1)), "pass_syn");
    EXPECT_STREQ(verdict_name(connect("192.0.2.10", 2)), "would_drop_source_live");
    EXPECT_STREQ(verdict_name(connect("192.0.2.10", 3)), "would_drop_source_live");
}

TEST_F(DryRuns, BesideOneThatDropsStopNothing)
{
    auto dry = per_second(5, 1);
    dry.action = TG_LIMIT_COUNT;
    const auto dry_limit = limit_source(dry);
    const auto limit = limit_source(per_second(5, 3));
    EXPECT_EQ(send_syns("192.0.2.10", 5),
              (Verdicts{{"pass_syn", 1}, {"would_drop_source_rate", 2}, {"drop_source_rate", 2}}));
    EXPECT_EQ(limit_tally(dry_limit).would_drop, 4u);
    EXPECT_EQ(limit_tally(limit).dropped, 2u);
}

TEST_F(Limits, NothingIsDroppedWithoutALeaseAndAllIsCounted)
{
    limit_source(per_second(1, 1));
    set_mode(TG_MODE_ENFORCE, false, now_ + 60s);
    EXPECT_EQ(send_syns("192.0.2.10", 3), (Verdicts{{"pass_syn", 1}, {"drop_source_rate", 2}}));
    wait(60s); // and the daemon was silent
    EXPECT_EQ(send_syns("192.0.2.10", 3),
              (Verdicts{{"pass_syn", 1}, {"would_drop_source_rate", 2}}));
    set_mode(TG_MODE_ENFORCE, false, now_ + 60s);
    EXPECT_EQ(send_syns("192.0.2.10", 2), (Verdicts{{"drop_source_rate", 2}}));
}

/* Both runs are of the rows above, which enforce: the same SYNs, and the same numbers. */
TEST_F(DryRuns, OfABurstAndOfALiveLimitHaveTheNumbersOfEnforcing)
{
    observe();
    limit_source(per_second(5, 10));
    EXPECT_EQ(send_syns("192.0.2.10", 30),
              (Verdicts{{"pass_syn", 10}, {"would_drop_source_rate", 20}}));
    wait(1s);
    EXPECT_EQ(send_syns("192.0.2.10", 30),
              (Verdicts{{"pass_syn", 5}, {"would_drop_source_rate", 25}}));
    EXPECT_EQ(service_tally(smtp, TG_FAMILY_IPV4).would_drop, 45u);
    EXPECT_EQ(service_tally(smtp, TG_FAMILY_IPV4).dropped, 0u);

    begin_anew();
    observe();
    limit_source(holding(3));
    for (unsigned port = 1; port <= 3; port++)
        EXPECT_STREQ(verdict_name(connect("192.0.2.10", port)), "pass_syn");
    EXPECT_STREQ(verdict_name(send_syn("192.0.2.10", 4)), "would_drop_source_live");
    disconnect("192.0.2.10", 2);
    EXPECT_STREQ(verdict_name(send_syn("192.0.2.10", 4)), "pass_syn");
    EXPECT_EQ(service_tally(smtp, TG_FAMILY_IPV4).would_drop, 1u);
    EXPECT_EQ(service_tally(smtp, TG_FAMILY_IPV4).dropped, 0u);
}

/// One SYN on this CPU, the next on that: what one has rejected the other must reject too.
class TurnsOfCpus : public EveryState {
protected:
    void SetUp() override
    {
        ASSERT_EQ(sched_getaffinity(0, sizeof(before_), &before_), 0);
        for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
            if (CPU_ISSET(cpu, &before_))
                cpus_.push_back(cpu);
        if (cpus_.size() < 2)
            GTEST_SKIP() << "turns need two CPUs";
        EveryState::SetUp();
    }

    void TearDown() override
    {
        sched_setaffinity(0, sizeof(before_), &before_);
        cpus_.clear();
        EveryState::TearDown();
    }

    int send_in_turns(int count)
    {
        int passed = 0;
        for (int i = 0; i < count; i++) {
            cpu_set_t one;
            CPU_ZERO(&one);
            CPU_SET(cpus_[static_cast<std::size_t>(i) % 2], &one);
            EXPECT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
            passed += send_syn("192.0.2.10") == TG_PASS_SYN;
        }
        return passed;
    }

private:
    cpu_set_t before_{};
    std::vector<int> cpus_;
};

TEST_F(TurnsOfCpus, LetThroughAsManyAsOneCpuAlone)
{
    for_each_kind(per_second(5, 10), [this] {
        EXPECT_EQ(send_in_turns(30), 10);
        wait(1s);
        EXPECT_EQ(send_in_turns(30), 5);
        EXPECT_EQ(service_tally(smtp, TG_FAMILY_IPV4).syn, 60u);
        EXPECT_EQ(service_tally(smtp, TG_FAMILY_IPV4).dropped, 45u);
        EXPECT_EQ(events(TG_EVENT_LIMIT_CONTENDED), 0u);
    });
}

/* Two queues, two CPUs, one budget. */
TEST_F(Limits, TwoCpusShareOneBudget)
{
    limit_source(per_second(5, 1000));
    const auto wire =
        conversation_from("192.0.2.10").packet({client, syn, 0, 0, 0, TG_PASS_SYN}).wire();
    const auto send_many = [&](int count) {
        for (int i = 0; i < count; i++)
            EXPECT_TRUE(send_quickly(wire, Program::xdp));
    };
    send_many(1); /* two CPUs that meet a newcomer at once would each make a claim for him */
    std::thread other{send_many, 2000};
    send_many(1999);
    other.join();
    const auto passed = count_of(TG_PASS_SYN, TG_HOOK_INGRESS);
    EXPECT_EQ(passed, 1000 + events(TG_EVENT_LIMIT_CONTENDED));
    EXPECT_EQ(count_of(TG_DROP_SOURCE_RATE, TG_HOOK_INGRESS), 4000 - passed);
    EXPECT_EQ(service_tally(smtp, TG_FAMILY_IPV4).syn, 4000u);
}

} // namespace
} // namespace tallygate::test
