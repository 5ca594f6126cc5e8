// SPDX-License-Identifier: BSD-2-Clause
//
// Limits as tests write them.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "kernel/options.hpp"
#include "kernel/sandbox.hpp"

namespace tallygate::test {

/// By prefixes: "0.0.0.0/32" is each address, "0.0.0.0/0" all together.
inline kernel::LimitOption of(const std::string &name, const std::vector<std::string> &per,
                              std::chrono::nanoseconds interval = std::chrono::seconds{1},
                              std::uint32_t burst = 1)
{
    kernel::LimitOption option;
    option.name = name;
    for (const auto &prefix : per)
        option.per.push_back(block(prefix));
    option.rate = kernel::LimitRate{.interval = interval, .burst = burst};
    return option;
}

inline kernel::LimitOption live_of(const std::string &name, const std::vector<std::string> &per,
                                   std::uint32_t live_max)
{
    auto option = of(name, per);
    option.rate.reset();
    option.live_max = live_max;
    return option;
}

inline kernel::LimitOption of_networks(const std::string &name,
                                       const std::vector<std::string> &networks,
                                       std::chrono::nanoseconds interval = std::chrono::seconds{1},
                                       std::uint32_t burst = 1)
{
    auto option = of(name, {}, interval, burst);
    option.networks = networks;
    return option;
}

} // namespace tallygate::test
