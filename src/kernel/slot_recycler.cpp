// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/slot_recycler.hpp"

#include <bpf/bpf.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <system_error>
#include <utility>

#include "base/log.hpp"
#include "kernel/grace.hpp"
#include "kernel/proven_filter.hpp"

namespace tallygate::kernel {
namespace {

using namespace std::chrono_literals;

/// On a thread; where none can be had, the future holds the reason.
std::future<Result<void>> run_aside(std::function<Result<void>()> work)
{
    try {
        return std::async(std::launch::async, work);
    } catch (const std::system_error &error) {
        std::promise<Result<void>> failed;
        failed.set_value(Error{std::string("start a thread: ") + error.what()});
        return failed.get_future();
    }
}

bool is_ready(const std::future<Result<void>> &future)
{
    return future.wait_for(0s) == std::future_status::ready;
}

} // namespace

SlotRecycler::SlotRecycler(const Program &program) : program_(program) {}

bool SlotRecycler::is_wanted(const SourceWalk &walk)
{
    return walk.slots_free() < walk.slots_max() / 8 && walk.slots_unused() < released_wanted;
}

Result<void> SlotRecycler::step(SourceWalk &walk, std::chrono::seconds idle)
{
    if (filter_.valid() && is_ready(filter_))
        if (const auto made = filter_.get(); !made)
            spdlog::warn("{}", made.error().message);

    if (grace_.valid()) {
        if (!is_ready(grace_))
            return {};
        if (auto waited = grace_.get(); !waited)
            return waited; // and again in the next step
        release(walk);
        return {};
    }
    auto slots = is_wanted(walk) ? walk.find_idle(idle, looked_at_max, released_wanted) : Slots{};
    if (slots.empty() && leaving_.empty())
        return {};
    if (const auto taken = take_out(walk, slots); !taken)
        return taken;
    add_leaving(slots);
    grace_ = run_aside(wait_for_programs);
    return {};
}

/// Of one that came back meanwhile the index has another slot, or this one's flow is open. First
/// nobody may find the slot without the index.
Result<void> SlotRecycler::take_out(const SourceWalk &walk, const Slots &slots)
{
    const int index = program_.map_fd("source_index");

    for (const auto slot : slots) {
        walk.mark_leaving(slot);
        const auto key = walk.key_of(slot);
        std::uint32_t found = 0;
        if (bpf_map_lookup_elem(index, &key, &found) != 0 || found != slot)
            continue;
        if (bpf_map_delete_elem(index, &key) != 0 && errno != ENOENT)
            return Error::system("remove from source_index");
    }
    return {};
}

/// One that is idle may be leaving already: it had an open flow when the others were released, or
/// nobody knows yet whether a program holds it.
void SlotRecycler::add_leaving(const Slots &slots)
{
    leaving_.insert(leaving_.end(), slots.begin(), slots.end());
    std::ranges::sort(leaving_);
    leaving_.erase(std::unique(leaving_.begin(), leaving_.end()), leaving_.end());
}

void SlotRecycler::release(SourceWalk &walk)
{
    std::erase_if(leaving_, [&](std::uint32_t slot) {
        if (!walk.is_over(slot))
            return false;
        walk.release(slot);
        released_.push_back(slot);
        return true;
    });
}

void SlotRecycler::note_saving()
{
    saving_.insert(saving_.end(), released_.begin(), released_.end());
    released_.clear();
}

void SlotRecycler::note_saved()
{
    const auto slots = std::exchange(saving_, {});

    if (const auto given = give_back(slots); !given)
        spdlog::warn("{}", given.error().message);
    left_total_ += slots.size();
    clean_filter();
}

Result<void> SlotRecycler::give_back(const Slots &slots)
{
    const int freed = program_.map_fd("freed_slots");

    for (const auto slot : slots)
        if (bpf_map_update_elem(freed, nullptr, &slot, BPF_ANY) != 0)
            return Error::system("give back a source's slot");
    return {};
}

/// Who left is still in the filter, which costs each of his likes a look into the index.
void SlotRecycler::clean_filter()
{
    const auto sources_max = program_.constants().sources_max;

    if (filter_.valid() || left_total_ - filter_made_at_ <= sources_max / 4)
        return;
    filter_made_at_ = left_total_;
    filter_ = run_aside([this] { return rebuild_proven_filter(program_); });
}

Result<SlotRecycler::Slots> SlotRecycler::drain()
{
    const int freed = program_.map_fd("freed_slots");
    Slots slots;
    std::uint32_t slot = 0;

    while (bpf_map_lookup_and_delete_elem(freed, nullptr, &slot) == 0)
        slots.push_back(slot);
    if (errno != ENOENT)
        return Error::system("read freed_slots");
    return slots;
}

/// Twice, around the grace period: a program that had taken a slot has used it by then, or given it
/// back. Who proves himself meanwhile gets one that was never used.
///
/// What was on the stack may go back to it. What is empty besides was not given back, because no
/// snapshot knew yet; the one that this daemon goes on from may be older than that.
Result<void> SlotRecycler::reclaim(SourceWalk &walk)
{
    const auto reached = walk.slots_used();
    auto drained = drain();
    if (!drained)
        return drained.error();
    if (const auto waited = wait_for_programs(); !waited) {
        static_cast<void>(give_back(*drained));
        return waited;
    }
    const auto again = drain();
    if (!again)
        return again.error();
    drained->insert(drained->end(), again->begin(), again->end());
    std::vector<bool> was_given(reached);
    for (const auto slot : *drained)
        if (slot < reached)
            was_given[slot] = true;
    Slots given;
    for (std::uint32_t slot = 0; slot < reached; slot++)
        if (!walk.is_used(slot))
            (was_given[slot] ? given : released_).push_back(slot);
    return give_back(given);
}

} // namespace tallygate::kernel
