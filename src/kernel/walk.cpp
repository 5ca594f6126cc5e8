// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/walk.hpp"

#include <tallygate/abi.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <optional>

#include "kernel/convert.hpp"

namespace tallygate::kernel {
namespace {

// A new source waits in a short unsorted list; sorting it in costs a pass over all of them.
constexpr std::size_t recent_max = 1024;

bool is_ahead(const core::Tally &one, const core::Tally &other)
{
    return one.syn > other.syn || one.opened > other.opened || one.closed > other.closed ||
           one.dropped > other.dropped || one.would_drop > other.would_drop;
}

core::Tally larger_of(const core::Tally &one, const core::Tally &other)
{
    return {.syn = std::max(one.syn, other.syn),
            .opened = std::max(one.opened, other.opened),
            .closed = std::max(one.closed, other.closed),
            .dropped = std::max(one.dropped, other.dropped),
            .would_drop = std::max(one.would_drop, other.would_drop)};
}

} // namespace

Result<SourceWalk> SourceWalk::open(const Program &program)
{
    auto slots = MappedArray<tg_source>::open(program.map_fd("sources"), "sources");
    if (!slots)
        return slots.error();
    auto progress = MappedArray<tg_progress>::open(program.map_fd("progress"), "progress");
    if (!progress)
        return progress.error();
    auto dirty = DirtyBits::open(program.map_fd("dirty_sources"), "dirty_sources");
    if (!dirty)
        return dirty.error();
    return SourceWalk{std::move(*slots), std::move(*progress), std::move(*dirty)};
}

std::uint32_t SourceWalk::slots_used() const
{
    const std::uint64_t reached = progress_[0].sources_high_water;
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(reached, slots_.entries_max()));
}

tg_source_key SourceWalk::key_of(std::uint32_t slot) const
{
    tg_source_key key{};
    std::memcpy(&key, const_cast<const tg_source_key *>(&slots_[slot].key), sizeof(key));
    return key;
}

/// A slot is in use a moment after it was handed out, or is given back; until then we keep it
/// in mind.
void SourceWalk::find_new_slots()
{
    for (auto slot = static_cast<std::uint32_t>(told_.size()); slot < slots_used(); slot++) {
        told_.push_back({});
        told_at_.push_back(0);
        is_listed_.push_back(false);
        unlisted_.push_back(slot);
    }
    std::erase_if(unlisted_, [this](std::uint32_t slot) {
        if (slots_[slot].used == 0)
            return false;
        list_slot(slot);
        return true;
    });
    if (recent_.size() > recent_max)
        sort_recent();
}

/// The next walk looks at it, whether it changes again or not.
void SourceWalk::list_slot(std::uint32_t slot)
{
    dirty_.mark(slot);
    recent_.push_back({to_address(key_of(slot).addr), slot});
    is_listed_[slot] = true;
    told_at_[slot] = static_cast<std::uint32_t>(time_.count());
}

std::vector<std::uint32_t> SourceWalk::find_idle(std::chrono::seconds idle,
                                                 std::uint32_t looked_at_max, std::size_t rows_max)
{
    const auto slots = static_cast<std::uint32_t>(told_.size());
    std::vector<std::uint32_t> found;

    for (std::uint32_t i = 0; i < std::min(slots, looked_at_max) && found.size() < rows_max; i++) {
        const auto slot = idle_cursor_ = idle_cursor_ + 1 < slots ? idle_cursor_ + 1 : 0;
        if (is_listed_[slot] && time_ - std::chrono::seconds{told_at_[slot]} > idle &&
            is_over(slot))
            found.push_back(slot);
    }
    return found;
}

bool SourceWalk::is_over(std::uint32_t slot) const
{
    const auto present = tally(slot);

    return present.opened == present.closed && larger_of(present, told_[slot]) == told_[slot];
}

void SourceWalk::mark_leaving(std::uint32_t slot) const
{
    __atomic_store_n(&slots_[slot].used, TG_SLOT_LEAVING, __ATOMIC_SEQ_CST);
}

/// Where it stands in the order is forgotten when that is next made: until then somebody looks at a
/// slot of nobody, or at another's, and tells what is true of that.
void SourceWalk::release(std::uint32_t slot)
{
    volatile tg_source &source = slots_[slot];
    auto *bytes = reinterpret_cast<volatile std::byte *>(&source);

    source.used = TG_SLOT_FREE;
    std::fill(bytes, bytes + sizeof(source), std::byte{0});
    told_.change(slot) = {};
    is_listed_[slot] = false;
    released_.push_back(slot);
    unlisted_.push_back(slot);
}

/// What is in sorted_ of a slot that was released was there before that.
void SourceWalk::drop_released()
{
    if (released_.empty())
        return;
    std::vector<bool> is_released(told_.size());
    for (const auto slot : released_)
        is_released[slot] = true;
    std::erase_if(sorted_, [&](const Entry &entry) { return is_released[entry.slot]; });
    std::erase_if(recent_, [&](const Entry &entry) {
        return !is_listed_[entry.slot] || to_address(key_of(entry.slot).addr) != entry.source;
    });
    released_.clear();
}

void SourceWalk::sort_recent()
{
    drop_released();
    const auto middle = static_cast<std::ptrdiff_t>(sorted_.size());
    std::sort(recent_.begin(), recent_.end());
    std::move(recent_.begin(), recent_.end(), std::back_inserter(sorted_));
    std::inplace_merge(sorted_.begin(), sorted_.begin() + middle, sorted_.end());
    // A slot that was released and went to the same source again within this list.
    sorted_.erase(std::unique(sorted_.begin(), sorted_.end()), sorted_.end());
    recent_.clear();
}

core::Tally SourceWalk::tally(std::uint32_t slot) const
{
    const volatile tg_source &source = slots_[slot];
    return to_tally(source.tally);
}

void SourceWalk::visit(const ProvenVisitor &visitor) const
{
    for (std::uint32_t slot = 0; slot < told_.size(); slot++) {
        if (!is_listed_[slot])
            continue;
        const auto key = key_of(slot);
        visitor(slot, {to_address(key.addr), key.service, tally(slot)});
    }
}

void SourceWalk::look_at(std::uint32_t slot, const ChangeSink &sink)
{
    tell(slot, tally(slot), sink);
}

/// What was told with a CPU's own counts is ahead of the slot until they have moved there.
void SourceWalk::tell(std::uint32_t slot, const core::Tally &tally, const ChangeSink &sink)
{
    const core::Tally told = told_[slot];
    const auto reached = larger_of(tally, told);
    if (reached == told)
        return;

    const auto key = key_of(slot);
    sink({.source = to_address(key.addr),
          .service = key.service,
          .syn = reached.syn - told.syn,
          .opened = reached.opened - told.opened,
          .closed = reached.closed - told.closed,
          .dropped = reached.dropped - told.dropped});
    told_.change(slot) = reached;
    told_at_[slot] = static_cast<std::uint32_t>(time_.count());
}

bool SourceWalk::is_of(const Residual &residual, std::uint32_t slot) const
{
    const auto key = key_of(slot);
    return key.service == residual.source.service &&
           std::memcmp(&key.addr, &residual.source.addr, sizeof(key.addr)) == 0;
}

/// By slot, what sources have of which the CPUs hold counts back, with those. Not if the slot is
/// another's by now: a CPU may hold them back for days.
std::map<std::uint32_t, core::Tally> SourceWalk::sums_with(const RepeatsReader &repeats) const
{
    const auto slot_of = [this](const Residual &residual) -> std::optional<std::uint32_t> {
        const auto slot = residual.place;
        if (residual.rejected == 0 || !residual.is_proven || slot >= told_.size() ||
            !is_listed_[slot] || !is_of(residual, slot))
            return std::nullopt;
        return slot;
    };
    return sums_with_residuals(
        repeats, slot_of,
        [this](const Residual &residual) -> std::optional<core::Tally> {
            return tally(residual.place);
        },
        [](core::Tally &sum, const Residual &residual) {
            sum.syn += residual.rejected;
            sum.dropped += residual.rejected;
        });
}

void SourceWalk::walk_repeats(const RepeatsReader &repeats, const ChangeSink &sink)
{
    for (const auto &[slot, sum] : sums_with(repeats))
        tell(slot, sum, sink);
}

void SourceWalk::walk(const ChangeSink &sink)
{
    find_new_slots();
    for (std::uint32_t word = 0; word < dirty_.words(); word++)
        dirty_.take(word, [&](std::uint32_t slot) {
            if (slot < told_.size() && is_listed_[slot])
                look_at(slot, sink);
        });
}

bool SourceWalk::walk_block(const Block &block, std::size_t sources_max, const ChangeSink &sink)
{
    find_new_slots();
    const auto first = std::lower_bound(sorted_.begin(), sorted_.end(), Entry{block.first(), 0});
    auto last = first;
    auto seen = static_cast<std::size_t>(
        std::count_if(recent_.begin(), recent_.end(),
                      [&](const auto &entry) { return block.contains(entry.source); }));
    for (; last != sorted_.end() && block.contains(last->source) && seen <= sources_max; ++last)
        seen++;
    if (seen > sources_max)
        return false;

    for (auto entry = first; entry != last; ++entry)
        look_at(entry->slot, sink);
    for (const auto &entry : recent_)
        if (block.contains(entry.source))
            look_at(entry.slot, sink);
    return true;
}

void SourceWalk::begin_at(std::uint32_t slot, const core::Tally &told, const LiveSink &sink)
{
    const auto key = key_of(slot);

    told_.change(slot) = told;
    sink(to_address(key.addr), key.service,
         static_cast<std::int64_t>(told.opened) - static_cast<std::int64_t>(told.closed));
}

void SourceWalk::resume(const core::SharedArray<core::Tally> &told, const RepeatsReader &repeats,
                        const LiveSink &sink)
{
    find_new_slots();
    const auto sums = sums_with(repeats);
    for (std::uint32_t slot = 0; slot < told_.size() && slot < told.size(); slot++) {
        if (!is_listed_[slot])
            continue;
        // Totals only grow. What is ahead of them was never told of this slot.
        const auto sum = sums.find(slot);
        const auto present = sum == sums.end() ? tally(slot) : sum->second;
        begin_at(slot, is_ahead(told[slot], present) ? present : told[slot], sink);
    }
}

void SourceWalk::skip_to_present(const LiveSink &sink)
{
    find_new_slots();
    for (std::uint32_t slot = 0; slot < told_.size(); slot++)
        if (is_listed_[slot])
            begin_at(slot, tally(slot), sink);
}

} // namespace tallygate::kernel
