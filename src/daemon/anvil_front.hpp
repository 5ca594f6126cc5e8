// SPDX-License-Identifier: BSD-2-Clause
//
// anvil(8) of Postfix, served on a thread of its own: Postfix's clients wait for its answers, and
// the main loop may be at something that takes longer than they should.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "config/config.hpp"
#include "core/question.hpp"
#include "core/reports.hpp"
#include "core/seams.hpp"
#include "daemon/background_file.hpp"
#include "daemon/gate_counter.hpp"
#include "daemon/report_queue.hpp"
#include "daemon/socket_watch.hpp"
#include "daemon/watchdog.hpp"
#include "frontend/anvil_service.hpp"
#include "frontend/anvil_table.hpp"
#include "frontend/daemon_facts.hpp"
#include "net/listener.hpp"
#include "net/loop.hpp"
#include "net/stream_server.hpp"

namespace tallygate::daemon {

class AnvilFront {
public:
    /// All borrowed. What lives on the main loop is touched there alone.
    struct Parts {
        net::Loop &loop;
        core::Questions &questions;
        core::Reporter &reporter;
        const core::Clock &clock;
        Watchdog &watchdog;
        std::string state_dir;
    };

    /// Takes up what was saved. Answers after start().
    AnvilFront(net::Listener listener, const config::Anvil &config, const Parts &parts);
    AnvilFront(const AnvilFront &) = delete;
    AnvilFront &operator=(const AnvilFront &) = delete;
    ~AnvilFront();

    void start();
    /// Answers no more, saves, and hands over what is still to be reported. On the main thread,
    /// when the main loop has stopped.
    void stop();

    /// A reload. The socket and the bounds stay as they were at the start.
    void configure(const config::Anvil &config);

    /// As they were when the thread last told, within a second.
    frontend::AnvilFacts facts() const;
    std::vector<std::string> warnings() const;

private:
    using Steady = std::chrono::steady_clock;

    void restore();
    void schedule();
    void tick();
    void log_peaks();
    void begin_saving();
    void save_slice(std::size_t from);
    void warn(const std::string &sentence);
    void tell();
    std::chrono::sys_seconds now() const;

    const core::Clock &clock_;
    ReportQueue reports_;
    GateCounter gate_counter_;
    net::Loop loop_; ///< the thread's
    SocketWatch socket_;
    frontend::AnvilTable table_;
    std::unique_ptr<frontend::AnvilService> service_;
    std::unique_ptr<net::StreamServer> server_;
    BackgroundFile file_;
    std::shared_ptr<std::deque<frontend::AnvilSaved>> saving_; ///< null: not under way
    Steady::time_point saved_at_{};                            ///< when the last save began
    std::uint64_t requests_saved_ = 0; ///< so many had been served when the last save began
    std::chrono::seconds statistics_interval_;
    std::chrono::seconds until_statistics_;
    core::UnixTime warned_at_{};
    std::uint64_t warnings_withheld_ = 0;

    mutable std::mutex told_mutex_;
    frontend::AnvilFacts told_;              ///< under the mutex
    std::vector<std::string> told_warnings_; ///< the same
    std::thread thread_;
};

} // namespace tallygate::daemon
