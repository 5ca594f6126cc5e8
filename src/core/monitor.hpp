// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace tallygate::core {

/// "60,10": windows of 60 seconds, 10 of them kept. Window 0 is now, 9 is the oldest.
/// Windows are aligned to Unix time, so that restarts and other nodes agree about them.
struct Monitor {
    static constexpr std::uint32_t window_seconds_max = 366 * 24 * 3600;
    static constexpr std::uint32_t windows_max = 10'000;

    std::uint32_t window_seconds = 0; ///< 1 to window_seconds_max
    std::uint32_t windows = 0;        ///< 1 to windows_max

    auto operator<=>(const Monitor &) const = default;

    static Result<Monitor> parse(std::string_view text);
    std::string text() const;
};

} // namespace tallygate::core
