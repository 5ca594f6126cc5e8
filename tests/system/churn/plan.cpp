// SPDX-License-Identifier: BSD-2-Clause
#include "churn/plan.hpp"

namespace churn {
namespace {

constexpr std::uint32_t large_bytes_max = 60'000; ///< leaves the server as one super-packet
constexpr unsigned stop_percent = 4;

} // namespace

std::uint32_t Planner::below(std::uint32_t bound)
{
    return std::uniform_int_distribution<std::uint32_t>(0, bound - 1)(random_);
}

bool Planner::chance(unsigned percent)
{
    return below(100) < percent;
}

/// Half of all say nothing, a few say a lot.
std::uint32_t Planner::payload_bytes()
{
    if (chance(50))
        return 0;
    return chance(5) ? below(large_bytes_max) : 1 + below(1200);
}

Stop Planner::next_stop()
{
    if (!chance(stop_percent))
        return Stop::nowhere;
    return static_cast<Stop>(1 + below(static_cast<std::uint32_t>(Stop::count) - 1));
}

Plan Planner::next()
{
    Plan plan;
    plan.request.ending = static_cast<Ending>(below(static_cast<std::uint32_t>(Ending::count)));
    plan.request.payload_bytes = payload_bytes();
    plan.stop = next_stop();
    return plan;
}

} // namespace churn
