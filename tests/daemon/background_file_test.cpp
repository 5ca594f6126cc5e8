// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/background_file.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <ctime>
#include <memory>
#include <string>
#include <thread>

#include "net/temp_dir.hpp"

namespace tallygate::daemon {
namespace {

using namespace std::chrono_literals;

int nice_of_this_thread()
{
    return ::getpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()));
}

void take_cpu_time(std::chrono::nanoseconds time)
{
    const auto now = [] {
        timespec spent{};
        ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
        return std::chrono::seconds{spent.tv_sec} + std::chrono::nanoseconds{spent.tv_nsec};
    };
    const auto end = now() + time;
    while (now() < end) {
    }
}

class BackgroundFiles : public testing::Test {
protected:
    test::TempDir dir_;
    BackgroundFile file_{SnapshotFile{dir_ / "state"}, "windows are"};
};

TEST_F(BackgroundFiles, LetOthersGoFirstAndSayWhatTheyCost)
{
    std::atomic<int> nice_of_writer{-100};
    const auto nice_before = nice_of_this_thread();

    file_.write_aside([&] {
        nice_of_writer = nice_of_this_thread();
        take_cpu_time(20ms);
        return std::string("windows");
    });
    file_.finish();
    EXPECT_EQ(nice_of_writer, std::min(nice_before + 10, 19));
    EXPECT_EQ(nice_of_this_thread(), nice_before) << "who answers questions goes on as before";
    EXPECT_GE(file_.cost(), 20ms);
    EXPECT_FALSE(file_.warning());
    EXPECT_EQ(**file_.file().read(), "windows");

    file_.write_aside([] { return std::string(); });
    file_.finish();
    EXPECT_LT(file_.cost(), 20ms) << "of the last one";
}

/// What a snapshot shares with the daemon is copied when the daemon changes it.
TEST_F(BackgroundFiles, LetGoOfWhatTheyAreMadeOf)
{
    const auto made_of = std::make_shared<std::string>("windows");

    file_.write_aside([made_of] { return *made_of; });
    while (file_.is_busy())
        std::this_thread::yield();
    EXPECT_EQ(made_of.use_count(), 1);
    file_.finish();
    EXPECT_EQ(**file_.file().read(), "windows");
}

} // namespace
} // namespace tallygate::daemon
