// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <cstdlib>
#include <map>

#include "base/address.hpp"
#include "core/block_sums.hpp"
#include "core/monitor.hpp"
#include "core/seams.hpp"

namespace tallygate::core {

/// The window that `now` is in, counted from 1970: the same on every node.
std::int64_t window_index(std::uint32_t window_seconds, UnixTime now);

/// Drops of windows by absolute index those more than monitor.windows before or after that of
/// `now`, and of `before`: see Windows::forget_old().
template <typename Window>
void forget_far(std::map<std::int64_t, Window> &by_index, const Monitor &monitor, UnixTime now,
                UnixTime before)
{
    const auto index = window_index(monitor.window_seconds, now);
    const auto index_before = window_index(monitor.window_seconds, before);
    const std::int64_t reach = monitor.windows;

    std::erase_if(by_index, [&](const auto &window) {
        return std::abs(window.first - index) > reach &&
               std::abs(window.first - index_before) > reach;
    });
}

/// The windows of one monitor for one event: sparse, kept by absolute index (Unix seconds /
/// window size), so that a clock set back or forth moves where events land and loses none.
class Windows {
public:
    explicit Windows(Monitor monitor) : monitor_(monitor) {}

    const Monitor &monitor() const { return monitor_; }
    /// Keeps another number of windows from now on; forget_old drops what is then too much.
    void set_windows(std::uint32_t windows) { monitor_.windows = windows; }

    void add(const Address &address, std::int64_t amount, UnixTime now);

    /// Windows start (newer) to end (older), inclusive, counted back from the one of `now`.
    std::int64_t sum(const Block &block, std::uint32_t start, std::uint32_t end,
                     UnixTime now) const;

    /// Adds what the same windows hold of `block` to `sums`, address by address.
    void add_to(BlockSums &sums, const Block &block, std::uint32_t start, std::uint32_t end,
                UnixTime now) const;

    /// Drops windows more than monitor().windows before or after that of `now`, and of `before`,
    /// when this was last asked; and compacts those that have closed.
    ///
    /// One window more than can be asked for stays, for a clock that is set back a little. A
    /// window of the future is what a clock left behind that was set back. Near ones stay: when
    /// their time comes, what is in them is no older than what the monitor may speak of. From
    /// further away it would come back as news long after it happened. Two times, and not one: a
    /// clock that jumps away and is set right before the next time has cost no window.
    void forget_old(UnixTime now, UnixTime before);
    void forget_old(UnixTime now) { forget_old(now, now); }

    /// What is kept, by absolute index.
    const std::map<std::int64_t, BlockSums> &by_index() const { return by_index_; }
    /// Puts back a window that by_index() showed.
    void restore(std::int64_t index, BlockSums sums);
    /// Takes a window out; an empty one if it is not there.
    BlockSums take(std::int64_t index);
    /// A window to add to, whatever the time.
    BlockSums &at_index(std::int64_t index) { return by_index_[index]; }

    std::size_t bytes() const;

private:
    Monitor monitor_;
    std::map<std::int64_t, BlockSums> by_index_;
};

/// Windows by their size: monitors of one size share them, as many as the longest keeps.
using WindowsBySize = std::map<std::uint32_t, Windows>;

/// How many windows of a size are kept, and since when: what is older is missing from them.
struct Kept {
    std::uint32_t windows = 0;
    UnixTime since;
};
using KeptBySize = std::map<std::uint32_t, Kept>;

/// The sizes of `windows_by_size` from now on, where those of `before` were kept until now. A new
/// size begins now; one that is to reach further back than before does not reach there yet.
KeptBySize kept_from(const KeptBySize &before,
                     const std::map<std::uint32_t, std::uint32_t> &windows_by_size, UnixTime now);

/// Drops the sizes that are not in `windows_by_size`, adds those that are missing, and keeps so
/// many windows of each from now on.
void fit_sizes(WindowsBySize &by_size,
               const std::map<std::uint32_t, std::uint32_t> &windows_by_size);

} // namespace tallygate::core
