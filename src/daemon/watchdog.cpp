// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/watchdog.hpp"

#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace tallygate::daemon {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds look_interval = 1s;
constexpr auto beat_interval = 250ms;

/// Not through the log: whoever hangs may hold its lock.
[[noreturn]] void give_up(const std::string &name, std::chrono::seconds patience)
{
    const auto sentence = "tallygated: the " + name + " loop has not run for " +
                          std::to_string(patience.count()) +
                          " s: ending, so that nobody waits for it\n";
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, sentence.data(), sentence.size());
    std::abort();
}

} // namespace

Watchdog::Watchdog() : interval_(look_interval)
{
    std::uint64_t span_us = 0;

    tells_systemd_ = ::sd_watchdog_enabled(0, &span_us) > 0;
    // systemd's advice is to tell it twice in each span.
    if (tells_systemd_)
        interval_ = std::clamp(std::chrono::duration_cast<std::chrono::milliseconds>(
                                   std::chrono::microseconds{span_us / 3}),
                               1ms, look_interval);
}

Watchdog::~Watchdog()
{
    stop();
}

void Watchdog::watch(net::Loop &loop, std::string name, std::chrono::seconds patience)
{
    Watched &watched = watched_.emplace_back();

    watched.name = std::move(name);
    watched.patience = patience;
    loop.every(beat_interval,
               [&watched] { watched.beats.fetch_add(1, std::memory_order_relaxed); });
}

void Watchdog::start()
{
    thread_ = std::thread([this] { look_after_them(); });
}

void Watchdog::stop()
{
    {
        const std::lock_guard guard{mutex_};
        is_stopping_ = true;
    }
    stopping_.notify_all();
    if (thread_.joinable())
        thread_.join();
}

void Watchdog::look_after_them()
{
    std::unique_lock lock{mutex_};
    while (!stopping_.wait_for(lock, interval_, [this] { return is_stopping_; }))
        look();
}

void Watchdog::look()
{
    bool all_run = true;

    for (Watched &each : watched_) {
        const auto beats = each.beats.load(std::memory_order_relaxed);
        each.silent = beats == each.beats_seen ? each.silent + interval_ : 0ms;
        each.beats_seen = beats;
        if (each.silent >= each.patience)
            give_up(each.name, each.patience);
        all_run = all_run && each.silent < look_interval * 2;
    }
    if (tells_systemd_ && all_run)
        ::sd_notify(0, "WATCHDOG=1");
}

} // namespace tallygate::daemon
