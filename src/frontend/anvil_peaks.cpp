// SPDX-License-Identifier: BSD-2-Clause
#include "frontend/anvil_peaks.hpp"

#include <ctime>

namespace tallygate::frontend {
namespace {

/// "Nov 20 12:14:43"; a day below 10 has a space in front.
std::string local_text(std::chrono::sys_seconds time)
{
    const auto seconds = std::chrono::system_clock::to_time_t(time);
    std::tm parts{};
    std::array<char, 32> text{};

    ::localtime_r(&seconds, &parts);
    std::strftime(text.data(), text.size(), "%b %e %H:%M:%S", &parts);
    return text.data();
}

/// An ident is whatever a client of the socket says: it must not write lines of its own.
std::string printable(std::string_view ident)
{
    std::string text{ident};

    for (char &each : text)
        if (static_cast<unsigned char>(each) < 0x20 || each == 0x7f)
            each = '?';
    return text;
}

constexpr std::array<std::string_view, anvil_peak_count> names{
    "connection rate", "connection count", "message rate",
    "recipient rate",  "newtls rate",      "auth rate",
};

} // namespace

void AnvilPeaks::note(AnvilPeak peak, std::uint32_t value, std::string_view ident, Time now)
{
    Highest &highest = highest_[static_cast<std::size_t>(peak)];

    if (value <= highest.value)
        return;
    highest.value = value;
    if (highest.ident != ident)
        highest.ident = ident;
    highest.at = now;
}

void AnvilPeaks::note_cache_size(std::size_t size, Time now)
{
    if (size <= cache_size_)
        return;
    cache_size_ = size;
    cache_size_at_ = now;
}

std::vector<std::string> AnvilPeaks::lines(std::chrono::seconds time_unit) const
{
    std::vector<std::string> lines;

    for (std::size_t i = 0; i < anvil_peak_count; i++) {
        const Highest &highest = highest_[i];
        if (highest.value == 0)
            continue;
        const bool is_rate = i != static_cast<std::size_t>(AnvilPeak::connection_count);
        lines.push_back("statistics: max " + std::string(names[i]) + " " +
                        std::to_string(highest.value) +
                        (is_rate ? "/" + std::to_string(time_unit.count()) + "s" : "") + " for (" +
                        printable(highest.ident) + ") at " + local_text(highest.at));
    }
    if (cache_size_ > 0)
        lines.push_back("statistics: max cache size " + std::to_string(cache_size_) + " at " +
                        local_text(cache_size_at_));
    return lines;
}

} // namespace tallygate::frontend
