// SPDX-License-Identifier: BSD-2-Clause
#include "core/window.hpp"

#include <chrono>
#include <utility>

namespace tallygate::core {

std::int64_t window_index(std::uint32_t window_seconds, UnixTime now)
{
    const std::int64_t seconds =
        std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count();
    const std::int64_t size = window_seconds;

    // A clock before 1970 is wrong, but it must not make one window twice as long.
    return seconds / size - (seconds % size < 0 ? 1 : 0);
}

void Windows::add(const Address &address, std::int64_t amount, UnixTime now)
{
    if (amount != 0)
        by_index_[window_index(monitor_.window_seconds, now)].add(address, amount);
}

std::int64_t Windows::sum(const Block &block, std::uint32_t start, std::uint32_t end,
                          UnixTime now) const
{
    const auto index = window_index(monitor_.window_seconds, now);
    const auto after = by_index_.upper_bound(index - start);
    std::int64_t sum = 0;

    for (auto window = by_index_.lower_bound(index - end); window != after; ++window)
        sum += window->second.sum(block);
    return sum;
}

void Windows::add_to(BlockSums &sums, const Block &block, std::uint32_t start, std::uint32_t end,
                     UnixTime now) const
{
    const auto index = window_index(monitor_.window_seconds, now);
    const auto after = by_index_.upper_bound(index - start);

    for (auto window = by_index_.lower_bound(index - end); window != after; ++window)
        sums.add_all(window->second, block);
}

void Windows::forget_old(UnixTime now, UnixTime before)
{
    const auto index = window_index(monitor_.window_seconds, now);

    forget_far(by_index_, monitor_, now, before);
    for (auto window = by_index_.begin(); window != by_index_.lower_bound(index); ++window)
        window->second.compact();
}

void Windows::restore(std::int64_t index, BlockSums sums)
{
    by_index_[index] = std::move(sums);
}

BlockSums Windows::take(std::int64_t index)
{
    auto node = by_index_.extract(index);
    return node ? std::move(node.mapped()) : BlockSums{};
}

std::size_t Windows::bytes() const
{
    std::size_t bytes = 0;

    for (const auto &[index, sums] : by_index_)
        bytes += sizeof(index) + sizeof(sums) + sums.bytes();
    return bytes;
}

KeptBySize kept_from(const KeptBySize &before,
                     const std::map<std::uint32_t, std::uint32_t> &windows_by_size, UnixTime now)
{
    KeptBySize kept;

    for (const auto &[size, windows] : windows_by_size) {
        const auto known = before.find(size);
        auto since = known == before.end() ? now : known->second.since;
        if (known != before.end() && windows > known->second.windows) {
            // In seconds: long windows reach further back than nanoseconds do.
            const auto oldest = window_index(size, now) - known->second.windows + 1;
            const std::chrono::sys_seconds begin{std::chrono::seconds{oldest * size}};
            if (begin > std::chrono::floor<std::chrono::seconds>(since))
                since = begin;
        }
        kept.emplace(size, Kept{windows, since});
    }
    return kept;
}

void fit_sizes(WindowsBySize &by_size,
               const std::map<std::uint32_t, std::uint32_t> &windows_by_size)
{
    std::erase_if(by_size,
                  [&](const auto &entry) { return !windows_by_size.contains(entry.first); });
    for (const auto &[size, windows] : windows_by_size)
        by_size.try_emplace(size, Monitor{size, windows}).first->second.set_windows(windows);
}

} // namespace tallygate::core
