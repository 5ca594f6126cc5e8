// SPDX-License-Identifier: BSD-2-Clause
//
// Limits in the kernel's tables: which hold at a service or a network, what they ask, and how
// much of them is used.
#pragma once

#include <tallygate/abi.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "core/seams.hpp"
#include "kernel/limit_plan.hpp"
#include "kernel/map_view.hpp"
#include "kernel/options.hpp"

struct bpf_object;

namespace tallygate::kernel {

class LimitTable {
public:
    /// In the maps of a loaded object, which must outlive this.
    static Result<LimitTable> open(const bpf_object *object);

    /// Makes the limits be exactly these. What stays as it was keeps its number and its state,
    /// and holds at every moment; what changes holds nobody while it is written. So a reload at
    /// no moment rejects what both the old limits and the new ones let pass. An error that is a
    /// limit's fault comes before anything is written.
    Result<void> apply(const std::vector<LimitOption> &limits, const LimitedThings &things);

    /// In the order of the configuration.
    std::vector<core::LimitCounts> counts() const;

    /// By a limit's number, as the programs know it; "" if there is none.
    const std::string &name_of(std::uint8_t id) const;
    const tg_limit &value_of(std::uint8_t id) const { return plan_.limits[id % TG_LIMITS_MAX]; }
    /// Whether somebody compares with what networks hold open.
    bool has_network_limits() const { return !plan_.networks.empty(); }

private:
    struct Tables;

    explicit LimitTable(std::shared_ptr<const Tables> tables) : tables_(std::move(tables)) {}

    std::shared_ptr<const Tables> tables_;
    LimitPlan plan_; ///< what is written
};

} // namespace tallygate::kernel
