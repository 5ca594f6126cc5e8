// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/report_queue.hpp"

#include <map>
#include <mutex>
#include <string>
#include <tuple>
#include <utility>

namespace tallygate::daemon {
namespace {

// Recording one takes a microsecond or so, and others wait meanwhile.
constexpr std::size_t reports_a_turn = 500;

} // namespace

struct ReportQueue::State {
    using Key = std::tuple<core::Reported, std::string, Block>;

    State(net::Loop &on, core::Reporter &to) : loop(on), reporter(to) {}

    net::Loop &loop;
    core::Reporter &reporter;
    mutable std::mutex mutex;
    std::map<Key, std::uint64_t> waiting; ///< how many of each
    bool is_posted = false;
    std::uint64_t lost_total = 0;

    /// Some of them, to be recorded without the lock; `more`: others stay.
    struct Taken {
        std::map<Key, std::uint64_t> reports;
        bool more = false;
    };
    Taken take(std::size_t count)
    {
        const std::lock_guard guard{mutex};
        Taken taken;
        while (!waiting.empty() && taken.reports.size() < count)
            taken.reports.insert(waiting.extract(waiting.begin()));
        taken.more = is_posted = !waiting.empty();
        return taken;
    }

    void record(const std::map<Key, std::uint64_t> &taken)
    {
        for (const auto &[key, amount] : taken)
            reporter.report({std::get<0>(key), std::get<1>(key), std::get<2>(key), amount});
    }

    static void take_turn(const std::shared_ptr<State> &state)
    {
        const auto taken = state->take(reports_a_turn);
        state->record(taken.reports);
        if (taken.more)
            state->loop.post([state] { take_turn(state); });
    }
};

ReportQueue::ReportQueue(net::Loop &loop, core::Reporter &reporter)
    : state_(std::make_shared<State>(loop, reporter))
{
}

void ReportQueue::report(const core::Report &report)
{
    const std::lock_guard guard{state_->mutex};
    State::Key key{report.event, report.service, report.client};
    auto found = state_->waiting.find(key);

    if (found == state_->waiting.end()) {
        if (state_->waiting.size() >= waiting_max) {
            state_->lost_total += report.amount;
            return;
        }
        found = state_->waiting.emplace(std::move(key), 0).first;
    }
    found->second += report.amount;
    if (!std::exchange(state_->is_posted, true))
        state_->loop.post([state = state_] { State::take_turn(state); });
}

void ReportQueue::finish()
{
    state_->record(state_->take(waiting_max).reports);
}

std::uint64_t ReportQueue::lost_total() const
{
    const std::lock_guard guard{state_->mutex};
    return state_->lost_total;
}

} // namespace tallygate::daemon
