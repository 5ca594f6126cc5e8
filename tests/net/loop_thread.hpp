// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <future>
#include <memory>
#include <thread>
#include <utility>

#include "net/loop.hpp"

namespace tallygate::test {

/// Runs a loop beside the test from start() on. Servers on it must be destroyed after stop().
class LoopThread {
public:
    explicit LoopThread(net::Loop &loop) : loop_(loop) {}
    LoopThread(const LoopThread &) = delete;
    LoopThread &operator=(const LoopThread &) = delete;
    ~LoopThread() { stop(); }

    void start()
    {
        thread_ = std::thread([this] { loop_.run(); });
    }

    void stop()
    {
        loop_.stop();
        if (thread_.joinable())
            thread_.join();
    }

    /// Runs `work` on the loop and waits for what it returns.
    template <typename Work>
    auto ask(Work work)
    {
        // Shared: the loop may still be on its way out of the task when the answer is there.
        using Task = std::packaged_task<decltype(work())()>;
        const auto task = std::make_shared<Task>(std::move(work));
        auto answer = task->get_future();
        loop_.post([task] { (*task)(); });
        return answer.get();
    }

private:
    net::Loop &loop_;
    std::thread thread_;
};

} // namespace tallygate::test
