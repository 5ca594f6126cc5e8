// SPDX-License-Identifier: BSD-2-Clause
//
// From limits as the operator writes them to what the gate's tables must hold. Pure: nothing is
// written here.
#pragma once

#include <tallygate/abi.h>

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "core/seams.hpp"
#include "kernel/networks.hpp"
#include "kernel/options.hpp"

namespace tallygate::kernel {

/// All that the tables say of limits, or should say.
struct LimitPlan {
    static constexpr std::size_t rules_max = std::size_t{TG_SERVICES_MAX} * TG_FAMILY_COUNT;

    std::array<std::string, TG_LIMITS_MAX> names; ///< by id; empty: free, as 0 is
    std::array<tg_limit, TG_LIMITS_MAX> limits{};
    std::vector<tg_rules> rules = std::vector<tg_rules>(rules_max);
    std::map<NetworkTable::Id, std::vector<tg_network_rule>> networks;
    std::vector<tg_budget_record> budgets = std::vector<tg_budget_record>(TG_BUDGETS_MAX);
    std::vector<std::uint8_t> order; ///< ids as the configuration has them

    static std::size_t rules_index(core::ServiceId service, tg_family family)
    {
        return std::size_t{service} * TG_FAMILY_COUNT + family;
    }
};

/// What limits speak of.
struct LimitedThings {
    std::map<std::string, core::ServiceId> services;
    std::vector<NetworkTable::Node> networks;
    unsigned ipv6_source_bits = 64;
};

/// Limits and budgets keep the numbers that they have in `before`. An error is a sentence.
Result<LimitPlan> plan_limits(const std::vector<LimitOption> &options, const LimitedThings &things,
                              const LimitPlan &before);

/// How far ahead of now a state may be due that this limit has made; 0 if it has none.
std::uint64_t horizon_ns(const tg_limit &limit);

} // namespace tallygate::kernel
