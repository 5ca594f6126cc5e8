// SPDX-License-Identifier: BSD-2-Clause
#include "core/window.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "core/support.hpp"

namespace tallygate::core::test {
namespace {

const Block everyone = Block::all(Family::ipv4);
const Address source = address("192.0.2.1");

// clang-format off
const struct {
    const char *name;
    std::uint32_t window_seconds;
    double now;
    std::int64_t index;
} index_cases[] = {
    {"1970",                          60,   0,             0},
    {"the end of a window",           60,   59.999,        0},
    {"the begin of the next",         60,   60,            1},
    {"an hour",                       3600, 7200,          2},
    {"a second",                      1,    1700000000.5,  1700000000},
    {"before 1970",                   60,   -0.5,          -1},
    {"a whole window before 1970",    60,   -60,           -1},
    {"more than that",                60,   -60.5,         -2},
};

// Monitor "60,5". Events at the times on the left, a question at the time on the right.
const struct {
    const char *name;
    std::vector<double> events;
    double now;
    std::uint32_t start;
    std::uint32_t end;
    std::int64_t sum;
} window_cases[] = {
    {"now",                              {600, 659},           659,   0, 0, 2},
    {"the window of a moment ago",       {599.9},              600,   0, 0, 0},
    {"and one back",                     {599.9},              600,   1, 1, 1},
    {"both",                             {599.9, 600},         600,   0, 1, 2},
    {"the oldest",                       {360},                659,   4, 4, 1},
    {"older than that",                  {359.9},              659,   0, 4, 0},
    {"all of them",                      {400, 450, 500, 600}, 630,   0, 4, 4},
    {"some of them",                     {400, 450, 500, 600}, 630,   2, 3, 2},
    {"a window that nothing fell in",    {400, 600},           630,   1, 2, 0},
    {"a clock set back: the older one",  {600, 590},           610,   1, 1, 1},
    {"a clock set back: the newer one",  {600, 590},           610,   0, 0, 1},
    {"asked after it was set back",      {610, 550},           599,   0, 4, 1},
    {"and when that time has come",      {610, 550},           610,   0, 4, 2},
};

// Monitor "60,5". One event, then forget_old, then the question that could still reach it.
const struct {
    const char *name;
    double event;
    double forget_at;
    double now;
    bool is_kept;
} forget_cases[] = {
    {"the window of now",                    600, 600,    600, true},
    {"the oldest of the monitor",            600, 899,    899, true},
    {"one more, for a clock set back",       600, 959,    899, true},
    {"older than that",                      600, 960,    899, false},
    {"from a clock a little ahead",          600, 540,    600, true},
    {"from a clock ahead by the monitor",    600, 300,    600, true},
    {"from a clock further ahead",           600, 299,    600, false},
};
// clang-format on

TEST(WindowsTest, CountsWindowsFrom1970)
{
    for (const auto &row : index_cases) {
        SCOPED_TRACE(row.name);
        EXPECT_EQ(window_index(row.window_seconds, at(row.now)), row.index);
    }
}

TEST(WindowsTest, SumsTheWindowsThatAreAskedFor)
{
    for (const auto &row : window_cases) {
        SCOPED_TRACE(row.name);
        Windows windows{{60, 5}};
        for (const double event : row.events)
            windows.add(source, 1, at(event));
        EXPECT_EQ(windows.sum(everyone, row.start, row.end, at(row.now)), row.sum);

        BlockSums sums;
        windows.add_to(sums, everyone, row.start, row.end, at(row.now));
        EXPECT_EQ(sums.sum(everyone), row.sum);
    }
}

TEST(WindowsTest, ForgetsWhatNoQuestionReaches)
{
    for (const auto &row : forget_cases) {
        SCOPED_TRACE(row.name);
        Windows windows{{60, 5}};
        windows.add(source, 1, at(row.event));
        windows.forget_old(at(row.forget_at));
        EXPECT_EQ(windows.sum(everyone, 0, 4, at(row.now)), row.is_kept ? 1 : 0);
        EXPECT_EQ(windows.bytes() != 0, row.is_kept);
    }
}

TEST(WindowsTest, CompactsWindowsThatHaveClosed)
{
    Windows windows{{60, 5}};
    for (int i = 0; i < 50; i++) { // in turns: what comes to one source at once is one entry
        windows.add(source, 1, at(600));
        windows.add(address("192.0.2.200"), 1, at(600));
    }

    const auto open = windows.bytes();
    windows.forget_old(at(600));
    EXPECT_EQ(windows.bytes(), open);
    windows.forget_old(at(660));
    EXPECT_LT(windows.bytes(), open);
    EXPECT_EQ(windows.sum(everyone, 1, 1, at(660)), 100);
}

TEST(WindowsTest, SumsOneBlock)
{
    Windows windows{{60, 5}};
    windows.add(source, 1, at(600));
    windows.add(address("192.0.2.2"), 2, at(600));
    windows.add(address("2001:db8::1"), 4, at(600));

    EXPECT_EQ(windows.sum(block("192.0.2.2"), 0, 0, at(600)), 2);
    EXPECT_EQ(windows.sum(block("192.0.2.0/24"), 0, 0, at(600)), 3);
    EXPECT_EQ(windows.sum(block("::/0"), 0, 0, at(600)), 4);
}

TEST(WindowsTest, StandsAClockAtTheEndOfTime)
{
    Windows windows{{1, 10'000}};
    for (const auto now : {UnixTime::min(), UnixTime::max()}) {
        windows.add(source, 1, now);
        EXPECT_EQ(windows.sum(everyone, 0, 9'999, now), 1);
        windows.forget_old(now);
        EXPECT_EQ(windows.sum(everyone, 0, 9'999, now), 1);
    }
}

} // namespace
} // namespace tallygate::core::test
