// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/gate_counter.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>

namespace tallygate::daemon {
namespace {

using namespace std::chrono_literals;

// Postfix's client waits meanwhile, and is promised a millisecond.
constexpr auto patience = 500us;

// Walking so many flows takes a millisecond or so.
constexpr std::int64_t walked_flows_max = 10'000;

std::uint32_t clamped(std::int64_t value)
{
    return static_cast<std::uint32_t>(std::clamp<std::int64_t>(value, 0, INT32_MAX));
}

} // namespace

struct GateCounter::Question {
    std::mutex mutex;
    std::condition_variable answered;
    bool is_open = false; ///< asked, and not answered yet
    std::optional<std::uint32_t> answer;
};

GateCounter::GateCounter(net::Loop &loop, core::Questions &questions)
    : loop_(loop), questions_(questions), question_(std::make_shared<Question>())
{
}

std::optional<std::uint32_t> GateCounter::live(const Block &client, std::uint32_t own)
{
    std::unique_lock lock{question_->mutex};
    // Whoever did not wait for the last answer left the loop busy: the next need not wait at all.
    if (question_->is_open) {
        busy_total_++;
        return std::nullopt;
    }
    question_->is_open = true;
    loop_.post([question = question_, &questions = questions_, client, own] {
        auto answer = count_live(questions, client, own);
        const std::lock_guard guard{question->mutex};
        question->answer = answer;
        question->is_open = false;
        question->answered.notify_one();
    });
    if (!question_->answered.wait_for(lock, patience, [this] { return !question_->is_open; })) {
        busy_total_++;
        return std::nullopt;
    }
    return question_->answer;
}

std::optional<std::uint32_t> count_live(core::Questions &questions, const Block &client,
                                        std::uint32_t own)
{
    const unsigned source_bits = questions.gate().ipv6_source_bits();

    if (client.family() == Family::ipv6 && client.length_bits() > source_bits) {
        const auto source = questions.live({.block = Block{client.first(), source_bits}});
        if (!source)
            return std::nullopt;
        if (source->value <= own)
            return own;
        const auto all = questions.live({.block = Block::all(Family::ipv6)});
        if (!all || all->value > walked_flows_max)
            return clamped(source->value);
    }
    const auto live = questions.live({.block = client});
    if (!live)
        return std::nullopt;
    return clamped(live->value);
}

} // namespace tallygate::daemon
