// SPDX-License-Identifier: BSD-2-Clause
//
// The highest values since the last report, and the lines that Postfix logs of them.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tallygate::frontend {

/// In the order in which they are logged.
enum class AnvilPeak : std::uint8_t {
    connection_rate,
    connection_count,
    message_rate,
    recipient_rate,
    newtls_rate,
    auth_rate,
};
inline constexpr std::size_t anvil_peak_count = 6;

class AnvilPeaks {
public:
    using Time = std::chrono::sys_seconds;

    /// Kept if it is higher than all before.
    void note(AnvilPeak peak, std::uint32_t value, std::string_view ident, Time now);
    void note_cache_size(std::size_t size, Time now);

    /// As anvil(8) logs them, in local time; nothing of what never was above 0.
    std::vector<std::string> lines(std::chrono::seconds time_unit) const;

private:
    struct Highest {
        std::uint32_t value = 0;
        std::string ident;
        Time at{};
    };

    std::array<Highest, anvil_peak_count> highest_;
    std::size_t cache_size_ = 0;
    Time cache_size_at_{};
};

} // namespace tallygate::frontend
