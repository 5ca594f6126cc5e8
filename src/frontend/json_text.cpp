// SPDX-License-Identifier: BSD-2-Clause
#include "frontend/json_text.hpp"

#include <array>
#include <charconv>
#include <cmath>

namespace tallygate::frontend {
namespace {

namespace json = boost::json;

/// Boost writes 1.5e9 as "1.5E9": right, and no joy in a shell. The shortest decimal that
/// reads back as the same number, without an exponent.
std::string number_text(double number)
{
    std::array<char, 512> buffer;

    if (!std::isfinite(number))
        return "null";
    const auto [end, error] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number,
                                            std::chars_format::fixed);
    return {buffer.data(), end};
}

std::string value_text(const json::value &value)
{
    if (const auto *object = value.if_object()) {
        std::string text = "{";
        for (const auto &[key, each] : *object) {
            text += text.size() > 1 ? "," : "";
            text += json::serialize(key) + ":" + value_text(each);
        }
        return text + "}";
    }
    if (const auto *array = value.if_array()) {
        std::string text = "[";
        for (const auto &each : *array) {
            text += text.size() > 1 ? "," : "";
            text += value_text(each);
        }
        return text + "]";
    }
    return value.is_double() ? number_text(value.get_double()) : json::serialize(value);
}

} // namespace

std::string line(const json::object &object)
{
    return value_text(object) + "\n";
}

double seconds(core::UnixTime time)
{
    const auto whole =
        std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch());
    return static_cast<double>(whole.count()) / 1e6;
}

double seconds(std::chrono::nanoseconds span)
{
    return std::chrono::duration<double>(span).count();
}

json::value optional_text(const std::optional<std::string> &text)
{
    return text ? json::value(json::string(*text)) : json::value(nullptr);
}

json::value optional_number(const std::optional<std::uint64_t> &number)
{
    return number ? json::value(*number) : json::value(nullptr);
}

json::value optional_time(const std::optional<core::UnixTime> &time)
{
    return time ? json::value(seconds(*time)) : json::value(nullptr);
}

json::array array_of(const std::vector<std::string> &texts)
{
    json::array array;
    for (const auto &text : texts)
        array.emplace_back(text);
    return array;
}

json::object tally_object(const core::Tally &tally)
{
    return {{"live", tally.live()}, {"opened", tally.opened},   {"closed", tally.closed},
            {"syn", tally.syn},     {"dropped", tally.dropped}, {"would_drop", tally.would_drop}};
}

} // namespace tallygate::frontend
