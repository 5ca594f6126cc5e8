// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/trie_remover.hpp"

#include <bpf/bpf.h>
#include <sys/resource.h>
#include <tallygate/abi.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "base/log.hpp"
#include "kernel/convert.hpp"

namespace tallygate::kernel {
namespace {

using namespace std::chrono_literals;

constexpr int thread_nice = 10;
// The kernel gathers what is taken out over a grace period of a quarter of a second, and frees that
// in one go. So little at a time is gathered, and the last of it waited for, or closing the trie
// would free it in one go as well.
constexpr std::size_t entries_a_slice = 250;
constexpr auto slice_pause = 5ms;
constexpr auto last_pause = 600ms;
// A million entries take twenty seconds. Where lists are replaced more often than that, the kernel
// frees them as it likes.
constexpr std::size_t waiting_max = 2;

struct Remains {
    Fd trie;
    std::vector<Block> blocks;
};

} // namespace

struct TrieRemover::State {
    std::mutex mutex;
    std::deque<Remains> waiting;
    bool is_running = false; ///< the thread will look at `waiting` again
    bool is_stopping = false;
    std::condition_variable stopping;
    std::thread thread;

    State() = default;
    State(const State &) = delete;
    State &operator=(const State &) = delete;
    ~State()
    {
        {
            const std::lock_guard guard{mutex};
            is_stopping = true;
        }
        stopping.notify_all();
        if (thread.joinable())
            thread.join();
    }

    std::optional<Remains> next()
    {
        const std::lock_guard guard{mutex};
        if (waiting.empty() || is_stopping) {
            is_running = false;
            return std::nullopt;
        }
        auto remains = std::move(waiting.front());
        waiting.pop_front();
        return remains;
    }

    /// Answers whether to go on.
    bool rest(std::chrono::milliseconds time)
    {
        std::unique_lock lock{mutex};
        return !stopping.wait_for(lock, time, [this] { return is_stopping; });
    }

    void empty(const Remains &remains)
    {
        std::size_t taken = 0;
        for (const auto &block : remains.blocks) {
            const auto key = from_block(block);
            if (bpf_map_delete_elem(remains.trie.get(), &key) != 0 && errno != ENOENT)
                return;
            if (++taken % entries_a_slice == 0 && !rest(slice_pause))
                return;
        }
        if (taken >= entries_a_slice)
            rest(last_pause);
    }

    void run()
    {
        ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), thread_nice);
        while (const auto remains = next())
            empty(*remains);
    }
};

TrieRemover::TrieRemover() : state_(std::make_unique<State>()) {}
TrieRemover::TrieRemover(TrieRemover &&) noexcept = default;
TrieRemover &TrieRemover::operator=(TrieRemover &&) noexcept = default;
TrieRemover::~TrieRemover() = default;

void TrieRemover::remove(Fd trie, std::vector<Block> blocks)
{
    const std::lock_guard guard{state_->mutex};

    if (state_->waiting.size() >= waiting_max)
        return;
    state_->waiting.push_back({std::move(trie), std::move(blocks)});
    if (state_->is_running)
        return;
    if (state_->thread.joinable())
        state_->thread.join(); // it has ended, or is about to: it holds no lock any more
    try {
        state_->thread = std::thread([state = state_.get()] { state->run(); });
        state_->is_running = true;
    } catch (const std::system_error &error) {
        state_->waiting.clear();
        spdlog::warn("take old lists away: start a thread: {}", error.what());
    }
}

} // namespace tallygate::kernel
