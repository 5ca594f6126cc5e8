// SPDX-License-Identifier: BSD-2-Clause
#include "config/rules.hpp"

#include <algorithm>
#include <bit>
#include <charconv>

namespace tallygate::config {
namespace {

constexpr std::size_t name_bytes_max = 63;
constexpr std::size_t interface_bytes_max = 15; ///< IFNAMSIZ without its zero

struct Unit {
    char letter;
    std::chrono::seconds length;
};

/// Longest first, so that a duration prints in the largest unit that divides it.
constexpr Unit units[] = {
    {'d', std::chrono::days{1}},
    {'h', std::chrono::hours{1}},
    {'m', std::chrono::minutes{1}},
    {'s', std::chrono::seconds{1}},
};

std::string duration_text(std::chrono::seconds duration)
{
    for (const auto &unit : units)
        if (duration % unit.length == std::chrono::seconds{0})
            return std::to_string(duration / unit.length) + unit.letter;
    return {};
}

std::optional<std::chrono::seconds> parse_duration(const std::string &text)
{
    std::uint32_t count = 0; // 32 bits of days are far from overflowing 64 bits of seconds
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);

    if (error != std::errc{} || end + 1 != text.data() + text.size())
        return std::nullopt;
    for (const auto &unit : units)
        if (*end == unit.letter)
            return count * unit.length;
    return std::nullopt;
}

bool is_control(char c)
{
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

bool is_name_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

bool is_interface_character(char c)
{
    return !is_control(c) && c != ' ' && c != '/' && c != ':';
}

template <typename T>
std::optional<T> optional(const Result<T> &result)
{
    return result ? std::optional<T>{*result} : std::nullopt;
}

} // namespace

Rule<bool> flag()
{
    return {"true or false", [](const Scalar &scalar) -> std::optional<bool> {
                const auto *value = std::get_if<bool>(&scalar);
                return value != nullptr ? std::optional{*value} : std::nullopt;
            }};
}

Rule<std::uint32_t> power_of_two(std::uint32_t min, std::uint32_t max)
{
    auto rule = number<std::uint32_t>("a power of two", min, max);

    rule.read = [read = rule.read](const Scalar &scalar) {
        const auto value = read(scalar);
        return value && std::has_single_bit(*value) ? value : std::nullopt;
    };
    return rule;
}

Rule<std::chrono::seconds> duration(std::chrono::seconds min, std::chrono::seconds max)
{
    const auto expected = "a duration from \"" + duration_text(min) + "\" to \"" +
                          duration_text(max) + "\", in s, m, h or d";

    return text_rule<std::chrono::seconds>(expected, [min, max](const std::string &text) {
        const auto parsed = parse_duration(text);
        return parsed && *parsed >= min && *parsed <= max ? parsed : std::nullopt;
    });
}

Rule<std::optional<std::chrono::seconds>> duration_or_off(std::chrono::seconds min,
                                                          std::chrono::seconds max)
{
    using Interval = std::optional<std::chrono::seconds>;
    const auto length = duration(min, max);

    return {length.expected + ", or \"off\"",
            [length](const Scalar &scalar) -> std::optional<Interval> {
                const auto *text = std::get_if<std::string>(&scalar);
                if (text != nullptr && *text == "off")
                    return Interval{};
                const auto value = length.read(scalar);
                return value ? std::optional<Interval>{*value} : std::nullopt;
            }};
}

Rule<std::string> absolute_path(std::size_t bytes_max)
{
    const auto expected = "an absolute path of at most " + std::to_string(bytes_max) + " bytes";

    return text_rule<std::string>(expected, [bytes_max](const std::string &text) {
        const bool good = text.starts_with('/') && text.size() <= bytes_max &&
                          std::none_of(text.begin(), text.end(), is_control);
        return good ? std::optional{text} : std::nullopt;
    });
}

Rule<std::string> name()
{
    const auto expected = "1 to " + std::to_string(name_bytes_max) + " of a-z 0-9 - _ .";

    return text_rule<std::string>(expected, [](const std::string &text) {
        const bool good = !text.empty() && text.size() <= name_bytes_max &&
                          std::all_of(text.begin(), text.end(), is_name_character);
        return good ? std::optional{text} : std::nullopt;
    });
}

Rule<std::string> interface_name()
{
    const auto expected = "an interface's name, 1 to " + std::to_string(interface_bytes_max) +
                          " bytes without blanks, slashes and colons";

    return text_rule<std::string>(expected, [](const std::string &text) {
        const bool good = !text.empty() && text.size() <= interface_bytes_max && text != "." &&
                          text != ".." &&
                          std::all_of(text.begin(), text.end(), is_interface_character);
        return good ? std::optional{text} : std::nullopt;
    });
}

Rule<std::uint16_t> port()
{
    return number<std::uint16_t>("a port", 1, 65535);
}

Rule<Block> block()
{
    return text_rule<Block>("a CIDR block such as \"192.0.2.0/24\" or \"2001:db8::/32\"",
                            [](const std::string &text) { return optional(Block::parse(text)); });
}

Rule<Endpoint> endpoint()
{
    return text_rule<Endpoint>(
        "an address and port such as \"192.0.2.1:25\" or \"[2001:db8::1]:25\"",
        [](const std::string &text) { return optional(Endpoint::parse(text)); });
}

Rule<Endpoint> listener()
{
    auto rule = endpoint();

    rule.expected += " (ports is for all addresses)";
    rule.read = [read = rule.read](const Scalar &scalar) {
        const auto value = read(scalar);
        const bool is_wildcard =
            value && (value->address == Address{} || value->address == Address::from_ipv4(0));
        return is_wildcard ? std::nullopt : value;
    };
    return rule;
}

Rule<core::Monitor> monitor()
{
    const auto expected = "SECONDS,WINDOWS such as \"60,10\", from 1,1 to " +
                          std::to_string(core::Monitor::window_seconds_max) + "," +
                          std::to_string(core::Monitor::windows_max);

    return text_rule<core::Monitor>(
        expected, [](const std::string &text) { return optional(core::Monitor::parse(text)); });
}

} // namespace tallygate::config
