// SPDX-License-Identifier: BSD-2-Clause
//
// The wall clock is set, stands still, or skips a night in which the machine slept. A ledger
// asks it where an event lands, and for nothing else.
#include <gtest/gtest.h>

#include <vector>

#include "core/ledger.hpp"
#include "core/support.hpp"

namespace tallygate::core::test {
namespace {

constexpr ServiceId smtp = 1;
constexpr Monitor minutes{60, 10};
constexpr Monitor hours{3600, 24};
constexpr Monitor days{86400, 7};
constexpr double noon = 1'700'049'600; ///< a day's 12:00, in Unix time
constexpr double minute = 60;
constexpr double hour = 3600;
constexpr double day = 86400;
const Block everyone = Block::all(Family::ipv4);

// clang-format off
/* Five connections at noon; the clock jumps; seven more. What each monitor says of all its
 * windows at once, and after the clock has been set right again, a minute past noon. */
const struct {
    const char *name;
    double jump;
    std::int64_t in_minutes;
    std::int64_t in_hours;
    std::int64_t in_days;
    std::int64_t in_minutes_set_right;
    std::int64_t in_days_set_right;
} jumps[] = {
    {"stands still",                       0,            12, 12, 12, 12, 12},
    {"forward by a second",                1,            12, 12, 12, 12, 12},
    {"back by a second",                   -1,           7,  7,  12, 12, 12},
    {"forward by five minutes",            5 * minute,   12, 12, 12, 5,  12},
    {"back by five minutes",               -5 * minute,  7,  7,  12, 12, 12},
    {"forward by a night of sleep",        8 * hour,     7,  12, 12, 5,  12},
    {"forward by a day",                   day,          7,  7,  12, 5,  5},
    {"back by an hour",                    -hour,        7,  7,  12, 5,  12},
    {"back by a day",                      -day,         7,  7,  7,  5,  12},
    {"forward by a year",                  365 * day,    7,  7,  7,  5,  5},
    {"back to 1970",                       -noon,        7,  7,  7,  5,  5},
    {"back to before 1970",                -noon - day,  7,  7,  7,  5,  5},
};
// clang-format on

class ClockTest : public testing::Test {
protected:
    void open(std::uint64_t count, double now)
    {
        total_.syn += count;
        total_.opened += count;
        ledger_.record({.source = address("192.0.2.1"),
                        .service = smtp,
                        .syn = count,
                        .opened = count,
                        .closed = 0,
                        .dropped = 0},
                       at(now));
        ledger_.reconcile(smtp, Family::ipv4, total_, at(now));
    }

    std::int64_t count(const Monitor &monitor, double now) const
    {
        return ledger_.count(everyone, smtp, Event::connections, monitor, 0, monitor.windows - 1,
                             at(now));
    }

    /// Of all windows that are kept, whatever their time.
    std::int64_t kept(const Monitor &monitor) const
    {
        std::int64_t sum = 0;
        for (const auto &[service, books] : ledger_.books())
            for (const auto &[index, sums] :
                 books.front().attributed.at(monitor.window_seconds).by_index())
                sum += sums.sum(everyone);
        return sum;
    }

    Ledger ledger_{{minutes, hours, days}};
    Tally total_{};
};

class ClockJumps : public ClockTest, public testing::WithParamInterface<std::size_t> {};

TEST_P(ClockJumps, CountEachEventOnceAndWhereTheClockSays)
{
    const auto &row = jumps[GetParam()];
    SCOPED_TRACE(row.name);
    open(5, noon);
    ledger_.forget_old(at(noon));

    const double jumped = noon + row.jump;
    open(7, jumped);
    ledger_.forget_old(at(jumped));
    EXPECT_EQ(count(minutes, jumped), row.in_minutes);
    EXPECT_EQ(count(hours, jumped), row.in_hours);
    EXPECT_EQ(count(days, jumped), row.in_days);
    EXPECT_EQ(ledger_.live(everyone, smtp), 12) << "what is open does not depend on a clock";
    for (const auto &monitor : {minutes, hours, days})
        EXPECT_EQ(kept(monitor), 12) << "lost, or kept twice";

    ledger_.forget_old(at(noon + minute));
    EXPECT_EQ(count(minutes, noon + minute), row.in_minutes_set_right);
    EXPECT_EQ(count(days, noon + minute), row.in_days_set_right);
    EXPECT_EQ(ledger_.live(everyone, smtp), 12);
}

INSTANTIATE_TEST_SUITE_P(Every, ClockJumps, testing::Range<std::size_t>(0, std::size(jumps)));

/* From a clock that stays set, what no monitor reaches goes with the second time. */
TEST_F(ClockTest, ForgetsWhatAJumpLeftBehindWhenTheClockStays)
{
    open(5, noon);
    ledger_.forget_old(at(noon));
    ledger_.forget_old(at(noon + 365 * day));
    EXPECT_EQ(kept(minutes), 5);
    ledger_.forget_old(at(noon + 365 * day));
    for (const auto &monitor : {minutes, hours, days})
        EXPECT_EQ(kept(monitor), 0);
}

/* What came before the clock was set back does not come back as news an hour later. */
TEST_F(ClockTest, TellsNoOldNewsAfterItWasSetBack)
{
    open(5, noon);
    for (double now = noon - hour; now < noon + 10 * minute; now += 10)
        ledger_.forget_old(at(now));
    EXPECT_EQ(count(minutes, noon + 9 * minute), 0);
    EXPECT_EQ(count(hours, noon + 9 * minute), 5) << "an hour is within a day's reach";
}

/* The gate's total was charged in one window. A jump is no reason to charge it in another. */
TEST_F(ClockTest, ChargesATotalOnceWhateverItShows)
{
    const Tally ten{.syn = 10};
    const auto charged = [&](double now) {
        return ledger_.unattributed(Family::ipv4, smtp, Event::syn, minutes, 0, 9, at(now));
    };
    ledger_.reconcile(smtp, Family::ipv4, ten, at(noon));
    EXPECT_EQ(charged(noon), 10);
    for (const auto &row : jumps) {
        SCOPED_TRACE(row.name);
        ledger_.reconcile(smtp, Family::ipv4, ten, at(noon + row.jump));
        EXPECT_TRUE(ledger_.is_reconciled(smtp, Family::ipv4, ten));
        EXPECT_EQ(charged(noon), 10);
    }
    EXPECT_EQ(charged(noon + day), 0);
}

/* A clock that stands still puts everything into one window, and is still right about sums. */
TEST_F(ClockTest, CountsOnWhileItStandsStill)
{
    for (int i = 0; i < 1'000; i++) {
        open(1, noon);
        ledger_.forget_old(at(noon));
    }
    for (const auto &monitor : {minutes, hours, days})
        EXPECT_EQ(count(monitor, noon), 1'000);
    EXPECT_EQ(ledger_.count(everyone, smtp, Event::connections, minutes, 0, 0, at(noon)), 1'000);
}

} // namespace
} // namespace tallygate::core::test
