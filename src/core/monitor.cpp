// SPDX-License-Identifier: BSD-2-Clause
#include "core/monitor.hpp"

#include <charconv>
#include <optional>

#include "core/wrong.hpp"

namespace tallygate::core {
namespace {

/// A decimal number from 1 to `max` without sign, blanks or leftovers, or nothing.
std::optional<std::uint32_t> parse_number(std::string_view text, std::uint32_t max)
{
    std::uint32_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);

    if (error != std::errc{} || end != text.data() + text.size() || number == 0 || number > max)
        return std::nullopt;
    return number;
}

} // namespace

Result<Monitor> Monitor::parse(std::string_view text)
{
    const auto refuse = [&](const std::string &expected) {
        return Error{"'" + std::string(text) + "' is not a monitor: expected " + expected};
    };
    const auto comma = text.find(',');

    if (comma == std::string_view::npos)
        return refuse("the seconds of a window, a comma and the number of windows, "
                      "such as \"60,10\"");
    const auto seconds = parse_number(text.substr(0, comma), window_seconds_max);
    if (!seconds)
        return refuse("the seconds of a window before the comma, from 1 to " +
                      std::to_string(window_seconds_max));
    const auto kept = parse_number(text.substr(comma + 1), windows_max);
    if (!kept)
        return refuse("the number of windows after the comma, from 1 to " +
                      std::to_string(windows_max));
    return Monitor{*seconds, *kept};
}

std::string Monitor::text() const
{
    return std::to_string(window_seconds) + "," + std::to_string(windows);
}

Result<WindowRange> find_windows(const Monitor &monitor, std::uint32_t start,
                                 std::optional<std::uint32_t> end)
{
    const WindowRange range{start, end.value_or(start)};

    if (range.start > range.end)
        return malformed("window " + std::to_string(range.start) + " comes after window " +
                         std::to_string(range.end) +
                         ": expected the newer window first, and 0 is now");
    if (range.end >= monitor.windows)
        return malformed("monitor '" + monitor.text() + "' has no window " +
                         std::to_string(range.end) + ": expected 0 (now) to " +
                         std::to_string(monitor.windows - 1) + " (the oldest)");
    return range;
}

} // namespace tallygate::core
