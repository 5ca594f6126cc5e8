// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/report_queue.hpp"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "net/loop_thread.hpp"

namespace tallygate::daemon {
namespace {

struct Noted : core::Reporter {
    void report(const core::Report &report) override
    {
        total += report.amount;
        calls++;
        last = report;
    }
    std::uint64_t total = 0;
    std::uint64_t calls = 0;
    core::Report last;
};

core::Report report_of(std::uint32_t address, core::Reported event = core::Reported::receptions)
{
    return {event, "smtp", Block{Address::from_ipv4(address), 128}, 1};
}

class ReportQueueTest : public testing::Test {
protected:
    /// What the loop has to do, now.
    void settle()
    {
        loop_.post([this] { loop_.post([this] { loop_.stop(); }); });
        loop_.run();
    }

    net::Loop loop_;
    Noted noted_;
    ReportQueue queue_{loop_, noted_};
};

TEST_F(ReportQueueTest, equal_ones_become_one)
{
    for (int i = 0; i < 1000; i++)
        queue_.report(report_of(1));
    queue_.report(report_of(1, core::Reported::auth));
    EXPECT_EQ(noted_.calls, 0U) << "the loop has not run";
    settle();
    EXPECT_EQ(noted_.calls, 2U);
    EXPECT_EQ(noted_.total, 1001U);
    EXPECT_EQ(noted_.last.client.text(), "0.0.0.1/32");
    EXPECT_EQ(noted_.last.service, "smtp");
}

TEST_F(ReportQueueTest, what_comes_later_comes_too)
{
    for (int i = 0; i < 3; i++) {
        queue_.report(report_of(1));
        settle();
    }
    EXPECT_EQ(noted_.calls, 3U);
}

TEST_F(ReportQueueTest, what_finds_no_room_is_counted)
{
    for (std::uint32_t i = 0; i < ReportQueue::waiting_max + 10; i++)
        queue_.report(report_of(i));
    queue_.report(report_of(5));
    queue_.finish();
    EXPECT_EQ(queue_.lost_total(), 10U);
    EXPECT_EQ(noted_.total, ReportQueue::waiting_max + 1) << "a known one always has room";
}

TEST_F(ReportQueueTest, nothing_is_lost_between_threads)
{
    constexpr std::uint32_t reports = 200'000;
    test::LoopThread thread{loop_};
    thread.start();
    std::vector<std::thread> reporters;
    for (std::uint32_t first = 0; first < 2; first++)
        reporters.emplace_back([this, first] {
            for (std::uint32_t i = 0; i < reports; i++)
                queue_.report(report_of(i % 5'000 + first));
        });
    for (auto &each : reporters)
        each.join();
    thread.stop();
    queue_.finish();
    EXPECT_EQ(noted_.total + queue_.lost_total(), 2 * reports);
    EXPECT_EQ(queue_.lost_total(), 0U);
}

} // namespace
} // namespace tallygate::daemon
