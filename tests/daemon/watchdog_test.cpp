// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/watchdog.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <string>

#include "base/fd.hpp"
#include "net/loop_thread.hpp"
#include "net/temp_dir.hpp"

namespace tallygate::daemon {
namespace {

using namespace std::chrono_literals;

[[noreturn]] void hang()
{
    net::Loop loop;
    Watchdog watchdog;

    watchdog.watch(loop, "main", 2s);
    watchdog.start();
    loop.post([] {
        for (;;)
            ::pause();
    });
    loop.run();
    std::exit(0);
}

TEST(WatchdogDeathTest, ends_a_process_whose_loop_hangs)
{
    testing::FLAGS_gtest_death_test_style = "threadsafe";
    EXPECT_EXIT(hang(), testing::KilledBySignal(SIGABRT), "the main loop has not run for 2 s");
}

/// Where systemd listens.
class WatchdogTest : public testing::Test {
protected:
    WatchdogTest()
    {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        const std::string path = dir_ / "notify";
        std::memcpy(address.sun_path, path.data(), path.size());
        systemd_ = Fd{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
        ::bind(systemd_.get(), reinterpret_cast<const sockaddr *>(&address), sizeof(address));
        ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
        ::setenv("WATCHDOG_USEC", "300000", 1);
        ::unsetenv("WATCHDOG_PID");
    }

    ~WatchdogTest() override
    {
        ::unsetenv("NOTIFY_SOCKET");
        ::unsetenv("WATCHDOG_USEC");
    }

    std::string heard()
    {
        std::array<char, 100> text{};
        const auto size = ::recv(systemd_.get(), text.data(), text.size(), 0);
        return {text.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0))};
    }

    test::TempDir dir_;
    Fd systemd_;
};

TEST_F(WatchdogTest, tells_systemd_while_all_loops_run)
{
    net::Loop loop;
    Watchdog watchdog;
    watchdog.watch(loop, "main", 60s);
    test::LoopThread thread{loop};
    thread.start();
    watchdog.start();
    EXPECT_EQ(heard(), "WATCHDOG=1");
    EXPECT_EQ(heard(), "WATCHDOG=1") << "and again";
    watchdog.stop();
}

} // namespace
} // namespace tallygate::daemon
