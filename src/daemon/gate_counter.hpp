// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "base/address.hpp"
#include "core/question.hpp"
#include "net/loop.hpp"

namespace tallygate::daemon {

/// Live connections for a thread that must not wait: asked on the main loop, which answers within
/// microseconds unless it is at something long.
class GateCounter {
public:
    /// Borrows both; both live on the main loop.
    GateCounter(net::Loop &loop, core::Questions &questions);

    /// Connections of `client`, of which `own` are known already; nothing if the main loop is busy.
    /// From one other thread than the loop's.
    std::optional<std::uint32_t> live(const Block &client, std::uint32_t own);

    /// How often nothing was to be had.
    std::uint64_t busy_total() const { return busy_total_; }

private:
    struct Question;

    net::Loop &loop_;
    core::Questions &questions_;
    std::shared_ptr<Question> question_; ///< shared with the loop's work
    std::uint64_t busy_total_ = 0;
};

/// What the gate counts of `client` now. An IPv6 client of less than a source is looked for among
/// all flows, if they are few; else it is the source that is counted, which holds it.
std::optional<std::uint32_t> count_live(core::Questions &questions, const Block &client,
                                        std::uint32_t own);

} // namespace tallygate::daemon
