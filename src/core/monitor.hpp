// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
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

/// Windows of a monitor, both included: `start` is the newer one.
struct WindowRange {
    std::uint32_t start = 0;
    std::uint32_t end = 0;
};

/// `end` is `start` if it is not given. A window that the monitor does not have, or the older one
/// first, is a Wrong::malformed that says so.
Result<WindowRange> find_windows(const Monitor &monitor, std::uint32_t start,
                                 std::optional<std::uint32_t> end);

} // namespace tallygate::core
