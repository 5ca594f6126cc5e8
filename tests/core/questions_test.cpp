// SPDX-License-Identifier: BSD-2-Clause
#include "core/question.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <utility>
#include <vector>

#include "core/fake_gate.hpp"
#include "core/support.hpp"

namespace tallygate::core::test {
namespace {

constexpr ServiceId smtp = 1;
constexpr ServiceId submission = 2;

/// Two services, three monitors, a walk at 990 and now at 1,000. Windows of 60 seconds begin at
/// 960 and 900; the daemon began at 500, the gate at 100.
class QuestionsTest : public testing::Test {
protected:
    QuestionsTest()
    {
        questions.set_services({{"smtp", smtp}, {"submission", submission}});
        questions.set_windows_since(at(500));
        walk_everything(990);
        clock.set(1'000);
    }

    /// As if at that time: a walk, and a round over the claims that had begun with it.
    void walk_everything(double seconds)
    {
        clock.set(seconds);
        questions.set_walked_at(at(seconds));
        questions.begin_claims_round();
        questions.end_claims_round();
    }

    void record(const char *source, std::uint64_t opened, double when = 999, ServiceId id = smtp)
    {
        ledger.record({.source = address(source),
                       .service = id,
                       .syn = opened * 2,
                       .opened = opened,
                       .closed = 0,
                       .dropped = 1},
                      at(when));
        Tally &tally = gate.tallies[{id, address(source).family()}];
        tally.syn += opened * 2;
        tally.dropped += 1;
    }

    Answer live(const LiveQuestion &question)
    {
        const auto answer = questions.live(question);
        EXPECT_TRUE(answer) << answer.error().message;
        return answer ? *answer : Answer{};
    }

    Answer count(const CountQuestion &question)
    {
        const auto answer = questions.count(question);
        EXPECT_TRUE(answer) << answer.error().message;
        return answer ? *answer : Answer{};
    }

    FakeClock clock;
    FakeGate gate;
    Ledger ledger{{{60, 10}, {900, 4}, {1, 3}}};
    Questions questions{ledger, gate, clock};
};

void expect_exactly(const Answer &answer, std::int64_t value)
{
    EXPECT_EQ(answer.value, value);
    EXPECT_EQ(answer.lower, value);
    EXPECT_EQ(answer.upper, value);
    EXPECT_TRUE(answer.exact);
}

void expect_between(const Answer &answer, std::int64_t value, std::int64_t lower,
                    std::int64_t upper)
{
    EXPECT_EQ(answer.value, value);
    EXPECT_EQ(answer.lower, lower);
    EXPECT_EQ(answer.upper, upper);
    EXPECT_FALSE(answer.exact);
}

TEST_F(QuestionsTest, LiveComesFromTheLedger)
{
    record("192.0.2.1", 3);
    record("192.0.2.1", 4, 999, submission);
    record("2001:db8::", 5);

    const Answer answer = live({.block = block("192.0.2.0/24")});
    expect_exactly(answer, 7);
    EXPECT_EQ(answer.rate_per_second, 0);
    EXPECT_EQ(answer.as_of, at(990)) << "the gate did not refresh: as old as the walk";
    EXPECT_EQ(answer.since, at(100));
    EXPECT_EQ(gate.refreshed, std::vector{block("192.0.2.0/24")});
    EXPECT_TRUE(gate.flows_asked.empty());

    expect_exactly(live({.block = block("192.0.2.0/24"), .service = "submission"}), 4);
    expect_exactly(live({.block = block("0.0.0.0/0"), .service = "smtp"}), 3);
    expect_exactly(live({.block = block("::/0")}), 5);
    expect_exactly(live({.block = block("2001:db8::/64")}), 5);
    expect_exactly(live({.block = block("198.51.100.0/24")}), 0);
}

TEST_F(QuestionsTest, LiveIsRefreshedBeforeItIsRead)
{
    gate.refreshes = true;
    gate.on_refresh = [&] { record("192.0.2.1", 1); };

    const Answer answer = live({.block = block("192.0.2.1")});
    expect_exactly(answer, 1);
    EXPECT_EQ(answer.as_of, at(1'000));
}

TEST_F(QuestionsTest, LiveAtAListenerWalksTheFlows)
{
    gate.flows = std::uint64_t{6};
    const auto listener = Endpoint{address("198.51.100.25"), 25};

    const Answer answer = live({.block = block("192.0.2.0/24"), .listener = listener});
    expect_exactly(answer, 6);
    EXPECT_EQ(answer.as_of, at(1'000));
    EXPECT_EQ(answer.since, at(100));
    ASSERT_EQ(gate.flows_asked.size(), 1U);
    EXPECT_EQ(gate.flows_asked[0].block, block("192.0.2.0/24"));
    EXPECT_EQ(gate.flows_asked[0].listener, listener);
    EXPECT_EQ(gate.flows_asked[0].service, std::nullopt);
}

TEST_F(QuestionsTest, LiveOfAPartOfASourceWalksTheFlows)
{
    gate.flows = std::uint64_t{2};
    record("2001:db8::", 5);

    expect_exactly(live({.block = block("2001:db8::1"), .service = "SMTP"}), 2);
    ASSERT_EQ(gate.flows_asked.size(), 1U);
    EXPECT_EQ(gate.flows_asked[0].block, block("2001:db8::1"));
    EXPECT_EQ(gate.flows_asked[0].listener, std::nullopt);
    EXPECT_EQ(gate.flows_asked[0].service, smtp);

    gate.source_bits = 128;
    expect_exactly(live({.block = block("2001:db8::1")}), 0);
    expect_exactly(live({.block = block("2001:db8::")}), 5);
    EXPECT_EQ(gate.flows_asked.size(), 1U);
}

TEST_F(QuestionsTest, AGateThatFailsIsNobodysWrongQuestion)
{
    gate.flows = Error{"walk flows: Operation not permitted", EPERM};

    const auto answer = questions.live({.block = block("2001:db8::1")});
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().message, "walk flows: Operation not permitted");
    EXPECT_EQ(answer.error().code, 0);
}

// Events at 950 (10 of them, window 1) and at 999 (4, window 0), now 1,000: 40 s into window 0.
// clang-format off
const struct {
    const char *name;
    const char *block;
    const char *monitor;
    std::uint32_t start;
    std::optional<std::uint32_t> end;
    std::int64_t value;
    double rate_per_second;
} count_cases[] = {
    {"the window of now",               "192.0.2.1",        "60,10", 0, {},  4,  4 / 40.0},
    {"the window before",               "192.0.2.1",        "60,10", 1, {},  10, 10 / 60.0},
    {"both",                            "192.0.2.1",        "60,10", 0, 1,   14, 14 / 100.0},
    {"all of them",                     "192.0.2.1",        "60,10", 0, 9,   14, 14 / 580.0},
    {"some that nothing fell in",       "192.0.2.1",        "60,10", 2, 9,   0,  0},
    {"its block",                       "192.0.2.0/24",     "60,10", 0, 0,   4,  4 / 40.0},
    {"another block",                   "198.51.100.0/24",  "60,10", 0, 0,   0,  0},
    {"all of IPv4",                     "0.0.0.0/0",        "60,10", 0, 0,   4,  4 / 40.0},
    {"the same in mapped form",         "::ffff:0:0/96",    "60,10", 0, 0,   4,  4 / 40.0},
    {"all of IPv6",                     "::/0",             "60,10", 0, 9,   0,  0},
    {"a longer window",                 "192.0.2.1",        "900,4", 0, {},  14, 14 / 100.0},
    {"a monitor with a zero in front",  "192.0.2.1",        "060,10", 0, {}, 4,  4 / 40.0},
    {"a window that has just begun",    "192.0.2.1",        "1,3",   0, {},  0,  0},
    {"a second ago, and now",           "192.0.2.1",        "1,3",   0, 1,   4,  4},
};
// clang-format on

TEST_F(QuestionsTest, CountsAnyWindows)
{
    record("192.0.2.1", 10, 950);
    record("192.0.2.1", 4, 999);

    for (const auto &row : count_cases) {
        SCOPED_TRACE(row.name);
        const Answer answer = count({.block = block(row.block),
                                     .monitor = row.monitor,
                                     .start = row.start,
                                     .end = row.end});
        expect_exactly(answer, row.value);
        EXPECT_DOUBLE_EQ(answer.rate_per_second, row.rate_per_second);
        EXPECT_EQ(answer.as_of, at(990));
        EXPECT_EQ(answer.since, at(500));
    }
}

TEST_F(QuestionsTest, ARateHasAtLeastASecond)
{
    clock.set(1'020);
    record("192.0.2.1", 6, 1'020);
    const CountQuestion question{.block = block("192.0.2.1"), .monitor = "60,10"};

    EXPECT_DOUBLE_EQ(count(question).rate_per_second, 6);
    clock.set(1'020.5);
    EXPECT_DOUBLE_EQ(count(question).rate_per_second, 6);
    clock.set(1'022);
    EXPECT_DOUBLE_EQ(count(question).rate_per_second, 3);
}

TEST_F(QuestionsTest, ACountIsRefreshedBeforeItIsRead)
{
    gate.refreshes = true;
    gate.on_refresh = [&] { record("192.0.2.1", 1); };

    const Answer answer = count({.block = block("192.0.2.1"), .monitor = "60,10"});
    expect_exactly(answer, 1);
    EXPECT_EQ(answer.as_of, at(1'000));
    EXPECT_EQ(gate.refreshed, std::vector{block("192.0.2.1")});
}

TEST_F(QuestionsTest, CountsEachEventAndService)
{
    record("192.0.2.1", 3);
    record("192.0.2.1", 5, 999, submission);
    const auto value = [&](Event event, std::optional<std::string> service) {
        return count({.block = block("192.0.2.1"),
                      .monitor = "60,10",
                      .event = event,
                      .service = std::move(service)})
            .value;
    };

    EXPECT_EQ(value(Event::connections, {}), 8);
    EXPECT_EQ(value(Event::connections, "smtp"), 3);
    EXPECT_EQ(value(Event::connections, "SMTP"), 3);
    EXPECT_EQ(value(Event::connections, "Submission"), 5);
    EXPECT_EQ(value(Event::syn, {}), 16);
    EXPECT_EQ(value(Event::syn, "submission"), 10);
    EXPECT_EQ(value(Event::dropped, {}), 2);
}

TEST_F(QuestionsTest, APartOfASourceHasTheSourceAsItsBound)
{
    record("2001:db8::", 5);
    const auto count_of = [&](const char *text) {
        return count({.block = block(text), .monitor = "60,10"});
    };

    expect_exactly(count_of("2001:db8::/64"), 5);
    expect_between(count_of("2001:db8::/65"), 5, 0, 5);
    expect_between(count_of("2001:db8::1"), 5, 0, 5);
    expect_exactly(count_of("2001:db8:0:1::1"), 0);
    EXPECT_EQ(gate.refreshed.back(), block("2001:db8:0:1::/64")) << "sources are what it knows";
    gate.source_bits = 128;
    expect_exactly(count_of("2001:db8::1"), 0);
}

TEST_F(QuestionsTest, WhatNoSourceWasSeenForIsABound)
{
    record("192.0.2.1", 3);
    record("2001:db8::", 2);
    gate.tallies[{smtp, Family::ipv4}].syn += 100;
    gate.tallies[{smtp, Family::ipv4}].dropped += 50;
    walk_everything(995);
    clock.set(1'000);
    const auto count_of = [&](const char *text, Event event, const char *service = "smtp") {
        return count(
            {.block = block(text), .monitor = "60,10", .event = event, .service = service});
    };

    expect_between(count_of("192.0.2.1", Event::syn), 6, 6, 106);
    expect_between(count_of("198.51.100.0/24", Event::syn), 0, 0, 100);
    expect_between(count_of("192.0.2.1", Event::dropped), 1, 1, 51);
    expect_exactly(count_of("192.0.2.1", Event::connections), 3);
    expect_exactly(count_of("0.0.0.0/0", Event::syn), 106);
    expect_exactly(count_of("0.0.0.0/0", Event::dropped), 51);
    expect_exactly(count_of("2001:db8::/64", Event::syn), 4);
    expect_between(count_of("2001:db8::1", Event::syn), 4, 0, 4);
    expect_exactly(count_of("192.0.2.1", Event::syn, "submission"), 0);
    EXPECT_DOUBLE_EQ(count_of("0.0.0.0/0", Event::syn).rate_per_second, 106 / 40.0);

    const CountQuestion both{.block = block("192.0.2.1"), .monitor = "60,10", .event = Event::syn};
    expect_between(count(both), 6, 6, 106);

    // The next window owes nothing.
    walk_everything(1'029);
    clock.set(1'030);
    expect_exactly(count_of("192.0.2.1", Event::syn), 0);
    CountQuestion before = both;
    before.start = 1;
    expect_between(count(before), 6, 6, 106);
}

TEST_F(QuestionsTest, SaysItIsOldWhileSynsAreUnread)
{
    gate.refreshes = true;
    record("192.0.2.1", 1);
    const auto as_of = [&](Event event, const char *text = "192.0.2.1") {
        return count({.block = block(text), .monitor = "60,10", .event = event}).as_of;
    };

    EXPECT_EQ(as_of(Event::syn), at(1'000)) << "every SYN has its source";
    gate.tallies[{submission, Family::ipv4}].syn += 1;
    EXPECT_EQ(as_of(Event::syn), at(990)) << "one may be of a source already forgotten";
    EXPECT_EQ(as_of(Event::syn, "2001:db8::/64"), at(1'000));
    const auto of_smtp = count(
        {.block = block("192.0.2.1"), .monitor = "60,10", .event = Event::syn, .service = "smtp"});
    EXPECT_EQ(of_smtp.as_of, at(1'000)) << "not to the service that was asked about";
    EXPECT_EQ(as_of(Event::connections), at(1'000));
    walk_everything(995);
    clock.set(1'000);
    EXPECT_EQ(as_of(Event::syn), at(1'000)) << "it is charged now";
}

TEST_F(QuestionsTest, ANetworkIsAsOldAsItsWalkAlsoWhenPrefixesWereRead)
{
    const Block network = block("192.0.2.0/24");
    const auto as_of = [&](const char *text, Event event) {
        return count({.block = block(text), .monitor = "60,10", .event = event}).as_of;
    };
    gate.refreshes = true;
    questions.set_prefixes_walked_at(at(995));
    questions.set_refresh_prefixes([](const Block &) { return true; });
    ledger.prefixes().set_since(at(0));
    ledger.networks().begin(network, {}, at(0));
    ledger.record_network(network, {.syn = 3, .dropped = 2}, at(990));

    EXPECT_EQ(as_of("192.0.2.0/24", Event::syn), at(995));
    EXPECT_EQ(as_of("192.0.2.0/24", Event::dropped), at(995));
    EXPECT_EQ(as_of("192.0.2.0/24", Event::connections), at(1'000)) << "of its sources";
    EXPECT_EQ(as_of("198.51.100.0/24", Event::syn), at(1'000)) << "of no network";
}

TEST_F(QuestionsTest, SinceIsTheLaterBeginning)
{
    const CountQuestion question{.block = block("192.0.2.1"), .monitor = "60,10"};

    EXPECT_EQ(count(question).since, at(500));
    gate.counting_since_ = at(700);
    EXPECT_EQ(count(question).since, at(700));
    EXPECT_EQ(live({.block = block("192.0.2.1")}).since, at(700));

    Questions begun_now{ledger, gate, clock};
    EXPECT_EQ(begun_now.count(question)->since, at(1'000)) << "windows begin with the daemon";
}

TEST_F(QuestionsTest, ListsTheTopOfBothFamilies)
{
    record("192.0.2.1", 3);
    record("192.0.2.2", 9, 999, submission);
    record("2001:db8::", 5, 950);
    const SourceRow first{address("192.0.2.1"), 3, 3, 6};
    const SourceRow second{address("192.0.2.2"), 9, 9, 18};
    const SourceRow third{address("2001:db8::"), 5, 5, 10};
    const auto top = [&](const TopQuestion &question) {
        const auto rows = questions.top(question);
        EXPECT_TRUE(rows) << rows.error().message;
        return rows ? *rows : std::vector<SourceRow>{};
    };

    EXPECT_EQ(top({}), (std::vector{second, third, first}));
    EXPECT_EQ(top({.rows_max = 2}), (std::vector{second, third}));
    EXPECT_EQ(top({.block = block("192.0.2.0/24")}), (std::vector{second, first}));
    EXPECT_EQ(top({.block = block("2001:db8::1")}), std::vector{third});
    EXPECT_EQ(top({.service = "SMTP", .by = TopBy::live}), (std::vector{third, first}));
    EXPECT_EQ(top({.by = TopBy::syn, .rows_max = 1'000}), (std::vector{second, third, first}));
    EXPECT_EQ(top({.monitor = "1,3"}), (std::vector{SourceRow{address("192.0.2.2"), 9, 9, 18},
                                                    SourceRow{address("192.0.2.1"), 3, 3, 6}}))
        << "the third came before those three seconds";
    EXPECT_EQ(gate.refreshed.front(), Block::all(Family::ipv4));
    EXPECT_EQ(gate.refreshed[1], Block::all(Family::ipv6));
}

struct Refusal {
    const char *name;
    CountQuestion question;
    Wrong wrong;
    const char *message;
};

// clang-format off
const Refusal refusals[] = {
    {"a service that is not there", {.monitor = "60,10", .service = "imap"}, Wrong::unknown,
     "there is no service 'imap': expected one of smtp, submission"},
    {"an empty service", {.monitor = "60,10", .service = ""}, Wrong::unknown,
     "there is no service '': expected one of smtp, submission"},
    {"a service with a blank", {.monitor = "60,10", .service = "smtp "}, Wrong::unknown,
     "there is no service 'smtp ': expected one of smtp, submission"},
    {"a monitor that is not there", {.monitor = "60,11"}, Wrong::unknown,
     "there is no monitor \"60,11\": expected one of \"60,10\", \"900,4\", \"1,3\""},
    {"no monitor at all", {.monitor = "sixty"}, Wrong::malformed,
     "'sixty' is not a monitor: expected the seconds of a window, a comma and the number of "
     "windows, such as \"60,10\"; configured: \"60,10\", \"900,4\", \"1,3\""},
    {"a window past the oldest", {.monitor = "60,10", .start = 10}, Wrong::malformed,
     "monitor '60,10' has no window 10: expected 0 (now) to 9 (the oldest)"},
    {"an end past the oldest", {.monitor = "900,4", .end = 4}, Wrong::malformed,
     "monitor '900,4' has no window 4: expected 0 (now) to 3 (the oldest)"},
    {"a window past all numbers", {.monitor = "1,3", .end = 0xffffffff}, Wrong::malformed,
     "monitor '1,3' has no window 4294967295: expected 0 (now) to 2 (the oldest)"},
    {"the older window first", {.monitor = "60,10", .start = 3, .end = 2}, Wrong::malformed,
     "window 3 comes after window 2: expected the newer window first, and 0 is now"},
};
// clang-format on

TEST_F(QuestionsTest, SaysWhatIsWrongWithAQuestion)
{
    for (const auto &row : refusals) {
        SCOPED_TRACE(row.name);
        const auto answer = questions.count(row.question);
        ASSERT_FALSE(answer);
        EXPECT_EQ(answer.error().message, row.message);
        EXPECT_EQ(answer.error().code, static_cast<int>(row.wrong));
    }
    EXPECT_TRUE(gate.refreshed.empty()) << "nobody works for a wrong question";
}

TEST_F(QuestionsTest, RefusesWrongLiveQuestions)
{
    const auto both =
        questions.live({.service = "smtp", .listener = Endpoint{address("192.0.2.25"), 25}});
    ASSERT_FALSE(both);
    EXPECT_EQ(both.error().message,
              "a question is about a service or about a listener, not about both");
    EXPECT_EQ(both.error().code, static_cast<int>(Wrong::malformed));

    const auto imap = questions.live({.service = "imap"});
    ASSERT_FALSE(imap);
    EXPECT_EQ(imap.error().code, static_cast<int>(Wrong::unknown));
}

TEST_F(QuestionsTest, RefusesWrongTopQuestions)
{
    for (const std::size_t rows : {std::size_t{0}, std::size_t{1'001}}) {
        const auto top = questions.top({.rows_max = rows});
        ASSERT_FALSE(top) << rows;
        EXPECT_EQ(top.error().message,
                  "a list of " + std::to_string(rows) + " rows: expected 1 to 1000");
        EXPECT_EQ(top.error().code, static_cast<int>(Wrong::malformed));
    }
    const auto monitor = questions.top({.monitor = "60,11"});
    ASSERT_FALSE(monitor);
    EXPECT_EQ(monitor.error().code, static_cast<int>(Wrong::unknown));
    const auto service = questions.top({.service = "imap"});
    ASSERT_FALSE(service);
    EXPECT_EQ(service.error().code, static_cast<int>(Wrong::unknown));
}

TEST_F(QuestionsTest, AMonitorThatCameLaterSaysSo)
{
    record("192.0.2.1", 5);
    ledger.set_monitors({{60, 10}, {3600, 24}}, at(999.5));

    for (const Counted event : {Counted{Event::connections}, Counted{Reported::auth}}) {
        const auto later = count({.monitor = "3600,24", .event = event});
        expect_exactly(later, 0);
        EXPECT_EQ(later.since, at(999.5));
        EXPECT_EQ(count({.monitor = "60,10", .event = event}).since, at(500));
    }
}

TEST_F(QuestionsTest, SaysThatNothingIsConfigured)
{
    questions.set_services({});
    ledger.set_monitors({}, clock.now());

    const auto service = questions.live({.service = "smtp"});
    ASSERT_FALSE(service);
    EXPECT_EQ(service.error().message, "there is no service 'smtp': none is configured");
    const auto monitor = questions.count({.monitor = "60,10"});
    ASSERT_FALSE(monitor);
    EXPECT_EQ(monitor.error().message, "there is no monitor '60,10': none is configured");
    EXPECT_EQ(monitor.error().code, static_cast<int>(Wrong::unknown));
    const auto top = questions.top({});
    ASSERT_FALSE(top);
    EXPECT_EQ(top.error().message, "no monitor is configured");
    EXPECT_TRUE(questions.live({})) << "what is open now needs neither";
}

TEST_F(QuestionsTest, AWholeFamilyIsCountedUpToNow)
{
    record("192.0.2.1", 5);
    gate.tallies[{smtp, Family::ipv4}].syn += 1'000;
    gate.tallies[{submission, Family::ipv4}].syn += 100;
    gate.tallies[{smtp, Family::ipv4}].dropped += 900;

    const auto everything = Block::all(Family::ipv4);
    const auto all = count({.block = everything, .monitor = "60,10", .event = Event::syn});
    expect_exactly(all, 10 + 1'100);
    EXPECT_EQ(all.as_of, at(1'000));
    expect_exactly(count({.block = everything,
                          .monitor = "60,10",
                          .event = Event::syn,
                          .service = "submission"}),
                   100);
    expect_exactly(count({.block = everything, .monitor = "60,10", .event = Event::dropped}), 901);
    // Not in windows that were over before.
    expect_exactly(
        count({.block = everything, .monitor = "60,10", .start = 1, .end = 9, .event = Event::syn}),
        0);
    // And once only.
    walk_everything(1'000);
    expect_exactly(count({.block = everything, .monitor = "60,10", .event = Event::syn}),
                   10 + 1'100);
}

} // namespace
} // namespace tallygate::core::test
