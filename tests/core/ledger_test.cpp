// SPDX-License-Identifier: BSD-2-Clause
#include "core/ledger.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <set>
#include <vector>

#include "core/support.hpp"

namespace tallygate::core::test {
namespace {

constexpr ServiceId smtp = 1;
constexpr ServiceId submission = 2;
constexpr Monitor minutes{60, 5};
const Block everyone = Block::all(Family::ipv4);

/// The same contract, the slow and obvious way: every change is kept, and asked again.
class NaiveLedger {
public:
    void record(const SourceChange &change, UnixTime now) { changes_.push_back({change, now}); }

    std::int64_t live(const Block &block, std::optional<ServiceId> service) const
    {
        std::int64_t live = 0;
        for (const auto &[change, when] : changes_)
            if (block.contains(change.source) && (!service || *service == change.service))
                live += static_cast<std::int64_t>(change.opened) -
                        static_cast<std::int64_t>(change.closed);
        return std::max<std::int64_t>(live, 0);
    }

    std::int64_t count(const Block &block, std::optional<ServiceId> service, Event event,
                       const Monitor &monitor, std::uint32_t start, std::uint32_t end,
                       UnixTime now) const
    {
        const auto newest = window_index(monitor.window_seconds, now) - start;
        const auto oldest = window_index(monitor.window_seconds, now) - end;
        std::int64_t count = 0;
        for (const auto &[change, when] : changes_) {
            const auto index = window_index(monitor.window_seconds, when);
            if (block.contains(change.source) && (!service || *service == change.service) &&
                oldest <= index && index <= newest)
                count += static_cast<std::int64_t>(event == Event::connections ? change.opened
                                                   : event == Event::syn       ? change.syn
                                                                               : change.dropped);
        }
        return count;
    }

private:
    struct Recorded {
        SourceChange change;
        UnixTime when;
    };
    std::vector<Recorded> changes_;
};

/// One step of a random life: what a source did, at a random service.
SourceChange next_change(Dice &dice)
{
    const auto some = [&] { return static_cast<std::uint64_t>(dice.number(0, 3)); };
    return {.source = dice.next_address(),
            .service = static_cast<ServiceId>(dice.number(1, 3)),
            .syn = some(),
            .opened = some(),
            .closed = some(),
            .dropped = some()};
}

std::optional<ServiceId> next_service(Dice &dice)
{
    const auto service = dice.number(0, 4); // 4 is one that nothing was recorded for
    return service == 0 ? std::nullopt : std::optional{static_cast<ServiceId>(service)};
}

std::vector<Monitor> next_monitors(Dice &dice)
{
    constexpr std::array sizes = {1, 7, 60, 900};
    std::vector<Monitor> monitors;
    for (auto left = dice.number(1, 4); left > 0; left--)
        monitors.push_back(
            {static_cast<std::uint32_t>(sizes[static_cast<std::size_t>(dice.number(0, 3))]),
             static_cast<std::uint32_t>(dice.number(1, 12))});
    return monitors;
}

void expect_agreement(const Ledger &ledger, const NaiveLedger &naive, Dice &dice, UnixTime now)
{
    for (int i = 0; i < 10; i++) {
        const Block block = dice.next_block();
        const auto service = next_service(dice);
        RC_ASSERT(ledger.live(block, service) == naive.live(block, service));
        for (const Monitor &monitor : ledger.monitors()) {
            const auto end = static_cast<std::uint32_t>(dice.number(0, monitor.windows - 1));
            const auto start = static_cast<std::uint32_t>(dice.number(0, end));
            for (const Event event : {Event::connections, Event::syn, Event::dropped})
                RC_ASSERT(ledger.count(block, service, event, monitor, start, end, now) ==
                          naive.count(block, service, event, monitor, start, end, now));
        }
    }
}

RC_GTEST_PROP(LedgerProperty, AgreesWithAListOfEventsUnderAnyClock, ())
{
    Dice dice{*rc::gen::arbitrary<std::uint32_t>()};
    const auto changes_max = *rc::gen::inRange(0, 1'000);
    Ledger ledger{next_monitors(dice)};
    NaiveLedger naive;
    double now = 1'700'000'000;

    for (int i = 0; i < changes_max; i++) {
        now += static_cast<double>(dice.number(-200, 200)) / 10;
        const auto change = next_change(dice);
        ledger.record(change, at(now));
        naive.record(change, at(now));
    }
    expect_agreement(ledger, naive, dice, at(now));
}

RC_GTEST_PROP(LedgerProperty, TakesManyChangesAtOnceAsOneByOne, ())
{
    Dice dice{*rc::gen::arbitrary<std::uint32_t>()};
    const auto times = *rc::gen::inRange(0, 50);
    Ledger ledger{next_monitors(dice)};
    NaiveLedger naive;
    double now = 1'700'000'000;

    for (int i = 0; i < times; i++) {
        now += static_cast<double>(dice.number(-200, 200)) / 10;
        std::vector<SourceChange> changes;
        for (auto left = dice.number(0, 30); left > 0; left--) {
            changes.push_back(next_change(dice));
            changes.back().claimed = dice.number(0, 1) == 1;
            naive.record(changes.back(), at(now));
        }
        ledger.record(changes, at(now));
        if (dice.number(0, 5) == 0)
            ledger.set_monitors(ledger.monitors(), at(0));
    }
    expect_agreement(ledger, naive, dice, at(now));
}

/// More claimed sources of two services than a window takes in, of both families, with others
/// among them that are proven, and a window that ends on the way.
TEST(Ledger, ChargesTheSameToNobodyWhetherChangesComeAtOnceOrNot)
{
    Ledger at_once{{minutes, {900, 2}}};
    Ledger one_by_one{{minutes, {900, 2}}};
    std::vector<SourceChange> changes;
    for (std::uint32_t i = 0; i < 4 * SourceSet::sources_max; i++) {
        const auto ipv4 = Address::from_ipv4(i * 2'654'435'761U);
        auto ipv6 = address("2001:db8::");
        std::copy(ipv4.bytes.begin() + 12, ipv4.bytes.end(), ipv6.bytes.begin() + 4);
        changes.push_back({.source = i % 8 == 0 ? ipv6 : ipv4,
                           .service = i % 3 == 0 ? submission : smtp,
                           .syn = 1 + i % 3,
                           .opened = i % 10'000 == 0 ? 1U : 0U,
                           .dropped = i % 2,
                           .claimed = i % 100 != 0});
    }
    UnixTime now;
    for (std::size_t i = 0; i < changes.size(); i += 500) {
        const auto size = std::min<std::size_t>(500, changes.size() - i);
        now = at(1'000'018 + static_cast<double>(i) / 30'000);
        at_once.record(std::span{changes}.subspan(i, size), now);
        for (std::size_t j = i; j < i + size; j++)
            one_by_one.record(changes[j], now);
    }
    for (const Family family : {Family::ipv4, Family::ipv6})
        for (const ServiceId service : {smtp, submission})
            for (const Event event : {Event::connections, Event::syn, Event::dropped})
                for (const Monitor &monitor : at_once.monitors())
                    for (const std::uint32_t start : {0, 1}) {
                        const auto of = [&](const Ledger &ledger) {
                            return std::pair{ledger.count(Block::all(family), service, event,
                                                          monitor, start, start, now),
                                             ledger.unattributed(family, service, event, monitor,
                                                                 start, start, now)};
                        };
                        EXPECT_EQ(of(at_once), of(one_by_one));
                    }
    EXPECT_GT(at_once.unattributed(Family::ipv4, smtp, Event::syn, minutes, 0, 0, now), 0);
    const Tally none;
    EXPECT_EQ(at_once.owed(smtp, Family::ipv4, Event::syn, none),
              one_by_one.owed(smtp, Family::ipv4, Event::syn, none));
}

RC_GTEST_PROP(LedgerProperty, ForgetsNothingThatCanStillBeAskedFor, ())
{
    Dice dice{*rc::gen::arbitrary<std::uint32_t>()};
    const auto changes_max = *rc::gen::inRange(0, 1'000);
    Ledger ledger{next_monitors(dice)};
    NaiveLedger naive;
    double latest = 1'700'000'000;
    double now = latest;

    for (int i = 0; i < changes_max; i++) {
        // Set back by up to the shortest window there is, over and over.
        now = std::max(now + static_cast<double>(dice.number(-10, 30)) / 10, latest - 1);
        latest = std::max(latest, now);
        const auto change = next_change(dice);
        ledger.record(change, at(now));
        naive.record(change, at(now));
        if (dice.number(0, 20) == 0)
            ledger.forget_old(at(now));
    }
    expect_agreement(ledger, naive, dice, at(now));
}

RC_GTEST_PROP(LedgerProperty, ListsTheSourcesThatAListOfEventsHas, ())
{
    Dice dice{*rc::gen::arbitrary<std::uint32_t>()};
    const auto changes_max = *rc::gen::inRange(0, 300);
    Ledger ledger{{minutes}};
    NaiveLedger naive;
    std::set<Address> sources;
    for (int i = 0; i < changes_max; i++) {
        const auto change = next_change(dice);
        const auto when = at(static_cast<double>(dice.number(0, 400)));
        ledger.record(change, when);
        naive.record(change, when);
        sources.insert(change.source);
    }
    const Block block = dice.next_block();
    const auto service = next_service(dice);
    const auto now = at(400);
    for (const TopBy by : {TopBy::live, TopBy::connections, TopBy::syn}) {
        std::vector<SourceRow> expected;
        for (const Address &source : sources) {
            const Block one{source, 128};
            const auto count = [&](Event event) {
                return naive.count(one, service, event, minutes, 0, 4, now);
            };
            const SourceRow row{source, naive.live(one, service), count(Event::connections),
                                count(Event::syn)};
            const auto amount = by == TopBy::live          ? row.live
                                : by == TopBy::connections ? row.connections
                                                           : row.syn;
            if (block.contains(source) && amount > 0)
                expected.push_back(row);
        }
        std::ranges::sort(expected, [&](const auto &row, const auto &other) {
            return comes_before(row, other, by);
        });
        expected.resize(std::min<std::size_t>(expected.size(), 7));
        RC_ASSERT(ledger.top(block, service, by, minutes, 7, now) == expected);
    }
}

SourceChange change(const char *source, ServiceId service, std::uint64_t opened,
                    std::uint64_t closed = 0)
{
    return {.source = address(source),
            .service = service,
            .syn = opened,
            .opened = opened,
            .closed = closed,
            .dropped = 0};
}

TEST(EventTest, IsReadByItsName)
{
    for (const Event event : {Event::connections, Event::syn, Event::dropped}) {
        const auto parsed = parse_event(event_name(event));
        ASSERT_TRUE(parsed);
        EXPECT_EQ(*parsed, event);
    }
    for (const char *text : {"", "SYN", "syn ", "connection", "recipients"}) {
        const auto parsed = parse_event(text);
        ASSERT_FALSE(parsed) << text;
        EXPECT_EQ(parsed.error().message, "there is no event '" + std::string(text) +
                                              "': expected one of connections, syn, dropped");
    }
}

TEST(LedgerTest, CountsEachServiceAndAllOfThem)
{
    Ledger ledger{{minutes}};
    ledger.record(change("192.0.2.1", smtp, 5, 2), at(600));
    ledger.record(change("192.0.2.1", submission, 7), at(600));

    EXPECT_EQ(ledger.live(everyone, smtp), 3);
    EXPECT_EQ(ledger.live(everyone, submission), 7);
    EXPECT_EQ(ledger.live(everyone, std::nullopt), 10);
    EXPECT_EQ(ledger.live(everyone, 3), 0);
    const auto count = [&](std::optional<ServiceId> service) {
        return ledger.count(everyone, service, Event::connections, minutes, 0, 0, at(600));
    };
    EXPECT_EQ(count(smtp), 5);
    EXPECT_EQ(count(submission), 7);
    EXPECT_EQ(count(std::nullopt), 12);
    EXPECT_EQ(count(3), 0);
}

TEST(LedgerTest, NeverShowsLessThanNothingLive)
{
    Ledger ledger{{minutes}};
    ledger.record(change("192.0.2.1", smtp, 0, 1), at(600));

    EXPECT_EQ(ledger.live(everyone, smtp), 0);
    ledger.record(change("192.0.2.1", smtp, 2), at(600));
    EXPECT_EQ(ledger.live(everyone, smtp), 1);
}

TEST(LedgerTest, KeepsWindowsOfMonitorsThatStay)
{
    Ledger ledger{{minutes, {10, 3}}};
    ledger.record(change("192.0.2.1", smtp, 1), at(600));
    const auto count = [&](const Monitor &monitor) {
        return ledger.count(everyone, smtp, Event::connections, monitor, 0, monitor.windows - 1,
                            at(600));
    };

    ledger.set_monitors({{900, 4}, minutes}, at(600));
    EXPECT_EQ(ledger.monitors(), (std::vector<Monitor>{{900, 4}, minutes}));
    EXPECT_EQ(count(minutes), 1);
    EXPECT_EQ(count({900, 4}), 0) << "a new monitor begins empty";
    ledger.set_monitors({{60, 2}}, at(600));
    EXPECT_EQ(count({60, 2}), 1) << "of the same size and shorter";
    ledger.set_monitors({{60, 50}, {10, 3}}, at(600));
    EXPECT_EQ(count({60, 50}), 1) << "of the same size and longer";
    EXPECT_EQ(count({10, 3}), 0) << "one that left begins anew";
    EXPECT_EQ(ledger.live(everyone, smtp), 1);
}

TEST(LedgerTest, KnowsSinceWhenItKeepsWindows)
{
    Ledger ledger{{minutes}};
    EXPECT_EQ(ledger.kept_since(minutes), UnixTime{});

    ledger.set_monitors({minutes, {900, 4}}, at(1'000'000));
    EXPECT_EQ(ledger.kept_since(minutes), UnixTime{}) << "it stayed";
    EXPECT_EQ(ledger.kept_since({900, 4}), at(1'000'000)) << "it is new";
    ledger.set_monitors({{60, 2}}, at(1'000'100));
    EXPECT_EQ(ledger.kept_since({60, 2}), UnixTime{}) << "it is shorter";
    ledger.set_monitors({{60, 50}, {900, 4}}, at(1'000'200));
    EXPECT_EQ(ledger.kept_since({60, 50}), at(1'000'140)) << "two windows were left";
    EXPECT_EQ(ledger.kept_since({900, 4}), at(1'000'200)) << "it left, and came back";
    ledger.set_monitors({{60, 60}, {900, 4}}, at(1'000'300));
    EXPECT_EQ(ledger.kept_since({60, 60}), at(1'000'140));

    ledger.restore_kept({{60, {.windows = 60, .since = at(5)}}}, at(1'000'400));
    EXPECT_EQ(ledger.kept_since({60, 60}), at(5));
    EXPECT_EQ(ledger.kept_since({900, 4}), at(1'000'400)) << "nobody kept it";
}

TEST(LedgerTest, KeepsForTheLongestMonitorOfASize)
{
    Ledger ledger{{{60, 2}, {60, 20}, {60, 5}}};
    ledger.record(change("192.0.2.1", smtp, 1), at(0));
    ledger.forget_old(at(19 * 60));

    EXPECT_EQ(ledger.count(everyone, smtp, Event::connections, {60, 20}, 19, 19, at(19 * 60)), 1);
    EXPECT_EQ(ledger.count(everyone, smtp, Event::connections, {60, 5}, 0, 4, at(19 * 60)), 0);
}

TEST(LedgerTest, ChargesWhatNoSourceWasSeenFor)
{
    Ledger ledger{{minutes}};
    const auto unattributed = [&](double now, Event event = Event::syn) {
        return ledger.unattributed(Family::ipv4, smtp, event, minutes, 0, 0, at(now));
    };
    const Tally ten{.syn = 10, .opened = 9, .dropped = 4};
    ledger.record(change("192.0.2.1", smtp, 3), at(600));

    EXPECT_FALSE(ledger.is_reconciled(smtp, Family::ipv4, ten));
    ledger.reconcile(smtp, Family::ipv4, ten, at(600));
    EXPECT_TRUE(ledger.is_reconciled(smtp, Family::ipv4, ten));
    EXPECT_EQ(unattributed(600), 7);
    EXPECT_EQ(unattributed(600, Event::dropped), 4);
    EXPECT_EQ(unattributed(600, Event::connections), 0);

    // Once charged, it is not charged again, and the next window is clean.
    ledger.reconcile(smtp, Family::ipv4, ten, at(660));
    EXPECT_EQ(unattributed(660), 0);
    EXPECT_EQ(ledger.unattributed(Family::ipv4, smtp, Event::syn, minutes, 1, 1, at(660)), 7);
    EXPECT_EQ(ledger.unattributed(Family::ipv6, smtp, Event::syn, minutes, 0, 4, at(660)), 0);
    EXPECT_EQ(ledger.unattributed(Family::ipv4, submission, Event::syn, minutes, 0, 4, at(660)), 0);
}

TEST(LedgerTest, TakesBackWhatTurnsUp)
{
    Ledger ledger{{minutes}};
    const auto unattributed = [&] {
        return ledger.unattributed(Family::ipv4, std::nullopt, Event::syn, minutes, 0, 0, at(600));
    };

    ledger.reconcile(smtp, Family::ipv4, {.syn = 10}, at(600));
    EXPECT_EQ(unattributed(), 10);
    ledger.record(change("192.0.2.1", smtp, 4), at(600));
    ledger.reconcile(smtp, Family::ipv4, {.syn = 10}, at(600));
    EXPECT_EQ(unattributed(), 6);
    ledger.record(change("192.0.2.1", smtp, 8), at(600));
    ledger.reconcile(smtp, Family::ipv4, {.syn = 10}, at(600));
    EXPECT_EQ(unattributed(), 0) << "a total read before the records is no debt";
}

TEST(LedgerTest, ForgetsAndGivesBackMemory)
{
    Ledger ledger{{minutes}};
    for (std::uint32_t i = 0; i < 10'000; i++)
        ledger.record({.source = Address::from_ipv4(0xc6336400 + i), .service = smtp, .syn = 1},
                      at(600));

    EXPECT_GT(ledger.bytes(), 120'000U);
    ledger.forget_old(at(600 + 360));
    EXPECT_LT(ledger.bytes(), 10'000U);
}

} // namespace
} // namespace tallygate::core::test
