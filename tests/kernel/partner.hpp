// SPDX-License-Identifier: BSD-2-Clause
//
// A second CPU. What two packets of one connection do to each other there, no single thread of
// a test can show.
#pragma once

#include <sched.h>

#include <atomic>
#include <functional>
#include <random>
#include <thread>
#include <vector>

namespace tallygate::test {

/// Runs one thing here and another there at the same moment, each on a CPU of its own. Which is
/// ahead, and by how much up to the length of a packet's program, is drawn anew each time.
class Partner {
public:
    explicit Partner(std::uint32_t seed) : random_(seed)
    {
        pin(cpus_.at(0));
        thread_ = std::thread([this] { serve(); });
    }

    ~Partner()
    {
        ends_ = true;
        asked_.fetch_add(1);
        thread_.join();
        sched_setaffinity(0, sizeof(allowed_before_), &allowed_before_);
    }

    Partner(const Partner &) = delete;
    Partner &operator=(const Partner &) = delete;

    static bool has_room() { return cpus_of(allowed()).size() > 1; }

    template <typename Mine, typename Theirs>
    void race(const Mine &mine, Theirs theirs)
    {
        work_ = std::move(theirs);
        delay_ = static_cast<int>(random_() % delay_max);
        const int my_delay = static_cast<int>(random_() % delay_max);
        const auto turn = asked_.fetch_add(1) + 1;
        spin(my_delay);
        mine();
        while (done_.load() != turn)
            std::this_thread::yield();
    }

private:
    static constexpr int delay_max = 400;

    static cpu_set_t allowed()
    {
        cpu_set_t allowed;
        CPU_ZERO(&allowed);
        sched_getaffinity(0, sizeof(allowed), &allowed);
        return allowed;
    }

    static std::vector<int> cpus_of(const cpu_set_t &set)
    {
        std::vector<int> cpus;
        for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
            if (CPU_ISSET(cpu, &set))
                cpus.push_back(cpu);
        return cpus;
    }

    static void pin(int cpu)
    {
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        sched_setaffinity(0, sizeof(one), &one);
    }

    static void spin(int turns)
    {
        for (; turns > 0; turns--)
            std::atomic_signal_fence(std::memory_order_seq_cst);
    }

    void serve()
    {
        pin(cpus_.at(1));
        for (unsigned turn = 1;; turn++) {
            while (asked_.load() < turn)
                std::this_thread::yield();
            if (ends_)
                return;
            spin(delay_);
            work_();
            done_.store(turn);
        }
    }

    const cpu_set_t allowed_before_ = allowed();
    const std::vector<int> cpus_ = cpus_of(allowed_before_);
    std::mt19937 random_;
    std::function<void()> work_;
    int delay_ = 0;
    std::atomic<bool> ends_ = false;
    std::atomic<unsigned> asked_ = 0;
    std::atomic<unsigned> done_ = 0;
    std::thread thread_;
};

} // namespace tallygate::test
