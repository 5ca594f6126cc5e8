// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <map>

#include "base/address.hpp"
#include "core/block_sums.hpp"
#include "core/monitor.hpp"
#include "core/seams.hpp"

namespace tallygate::core {

/// The windows of one monitor for one event: sparse, kept by absolute index (Unix seconds /
/// window size), so that a clock set back or forth moves where events land and loses none.
class Windows {
public:
    explicit Windows(Monitor monitor) : monitor_(monitor) {}

    const Monitor &monitor() const { return monitor_; }

    void add(const Address &address, std::int64_t amount, UnixTime now);
    /// Windows start (newer) to end (older), inclusive, counted back from the one of `now`.
    std::int64_t sum(const Block &block, std::uint32_t start, std::uint32_t end,
                     UnixTime now) const;
    void forget_old(UnixTime now);

private:
    Monitor monitor_;
    std::map<std::int64_t, BlockSums> by_index_;
};

} // namespace tallygate::core
