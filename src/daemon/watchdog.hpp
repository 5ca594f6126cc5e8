// SPDX-License-Identifier: BSD-2-Clause
//
// A loop that hangs ends the process: whoever waits for a dead daemon goes on after a second, and
// whoever waits for a hung one waits for hours.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <thread>

#include "net/loop.hpp"

namespace tallygate::daemon {

/// Watches loops from a thread of its own, and tells systemd, if it asked to be told, as long as
/// all of them run.
///
/// What is counted are looks of the thread at which a loop had not run since the one before, and
/// not time: a process that was stopped or a machine that slept has not hung.
class Watchdog {
public:
    Watchdog();
    Watchdog(const Watchdog &) = delete;
    Watchdog &operator=(const Watchdog &) = delete;
    ~Watchdog();

    /// From now on, `loop` must come to its timers within `patience`. Begin before start(). The
    /// loop must not run when this is destroyed.
    void watch(net::Loop &loop, std::string name, std::chrono::seconds patience);
    void start();
    /// Loops may stop from now on.
    void stop();

private:
    struct Watched {
        std::string name;
        std::chrono::seconds patience{0};
        std::atomic<std::uint64_t> beats = 0;
        std::uint64_t beats_seen = 0;
        std::chrono::milliseconds silent{0};
    };

    void look_after_them();
    void look();

    std::deque<Watched> watched_; ///< not moved: its beats are the loops'
    std::chrono::milliseconds interval_;
    bool tells_systemd_ = false;
    std::mutex mutex_;
    std::condition_variable stopping_;
    bool is_stopping_ = false;
    std::thread thread_;
};

} // namespace tallygate::daemon
