// SPDX-License-Identifier: BSD-2-Clause
#include "net/loop.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <vector>

namespace tallygate::test {
namespace {

using namespace std::chrono_literals;

TEST(Loop, TicksUntilItIsStopped)
{
    net::Loop loop;
    int ticks = 0;
    loop.every(1ms, [&] {
        if (++ticks == 3)
            loop.stop();
    });
    loop.run();
    EXPECT_EQ(ticks, 3);
}

TEST(Loop, RunsAgainAfterAStop)
{
    net::Loop loop;
    int runs = 0;
    for (int i = 0; i < 2; i++) {
        loop.post([&] {
            runs++;
            loop.stop();
        });
        loop.run();
    }
    EXPECT_EQ(runs, 2);
}

TEST(Loop, MindsAStopThatCameFirst)
{
    net::Loop loop;
    loop.stop();
    loop.run();
    SUCCEED();
}

TEST(Loop, HandsOverEverySignal)
{
    net::Loop loop;
    std::vector<int> seen;
    loop.on_signals({SIGHUP, SIGUSR1}, [&](int signal) {
        seen.push_back(signal);
        if (signal == SIGUSR1)
            loop.stop();
        else
            std::raise(seen.size() < 2 ? SIGHUP : SIGUSR1);
    });
    loop.post([] { std::raise(SIGHUP); });
    loop.run();
    EXPECT_EQ(seen, (std::vector{SIGHUP, SIGHUP, SIGUSR1}));
}

TEST(Loop, HandsOverADescriptorForAsLongAsItCanBeRead)
{
    net::Loop loop;
    std::array<int, 2> pipe{};
    ASSERT_EQ(::pipe(pipe.data()), 0);
    std::string seen;
    loop.on_readable(pipe[0], [&] {
        char next = 0;
        EXPECT_EQ(::read(pipe[0], &next, 1), 1);
        seen += next;
        if (next == 'b') {
            EXPECT_EQ(::write(pipe[1], "c", 1), 1);
        }
        if (next == 'c')
            loop.stop();
    });
    ASSERT_EQ(::write(pipe[1], "ab", 2), 2);
    loop.run();
    EXPECT_EQ(seen, "abc");
    for (const int end : pipe)
        EXPECT_EQ(::close(end), 0) << "it stays ours";
}

} // namespace
} // namespace tallygate::test
