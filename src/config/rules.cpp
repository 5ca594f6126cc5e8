// SPDX-License-Identifier: BSD-2-Clause
#include "config/rules.hpp"

#include <algorithm>
#include <bit>
#include <charconv>

namespace tallygate::config {
namespace {

constexpr std::size_t name_bytes_max = 63;
constexpr std::size_t interface_bytes_max = 15; ///< IFNAMSIZ without its zero
constexpr std::size_t reason_bytes_max = 200;
constexpr std::uint64_t rate_second_max = 1'000'000;

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

/// "10/s". Spans of a day and more are for windows: a budget that fills so slowly limits nobody.
std::optional<Limit::Rate> parse_rate(const std::string &text)
{
    const auto slash = text.find('/');
    std::uint32_t count = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);

    if (slash == std::string::npos || slash + 2 != text.size())
        return std::nullopt;
    if (error != std::errc{} || end != text.data() + slash)
        return std::nullopt;
    for (const auto &unit : units) {
        const auto seconds = static_cast<std::uint64_t>(unit.length.count());
        if (text.back() == unit.letter && unit.letter != 'd' && count >= 1 &&
            count <= rate_second_max * seconds)
            return Limit::Rate{count, unit.length};
    }
    return std::nullopt;
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

/// Also the control characters beyond ASCII, U+0080 to U+009F: terminals know them too.
bool has_control(std::string_view text)
{
    for (std::size_t i = 0; i < text.size(); i++) {
        const bool is_beyond_ascii = text[i] == '\xc2' && i + 1 < text.size() &&
                                     static_cast<unsigned char>(text[i + 1]) < 0xa0;
        if (is_control(text[i]) || is_beyond_ascii)
            return true;
    }
    return false;
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

Rule<Limit::Rate> rate()
{
    return text_rule<Limit::Rate>("a rate in s, m or h such as \"10/s\", from \"1/h\" to \"" +
                                      std::to_string(rate_second_max) + "/s\"",
                                  parse_rate);
}

Rule<std::chrono::sys_seconds> moment()
{
    using namespace std::chrono;
    static constexpr sys_seconds first{};
    static constexpr sys_seconds end = sys_days{year{2200} / January / 1};

    return {"a date and time with an offset, such as 2026-12-31T00:00:00Z, of the years 1970 to "
            "2199",
            [](const Scalar &scalar) -> std::optional<sys_seconds> {
                const auto *value = std::get_if<sys_seconds>(&scalar);
                const bool good = value != nullptr && *value >= first && *value < end;
                return good ? std::optional{*value} : std::nullopt;
            }};
}

Rule<Block> holder()
{
    return text_rule<Block>("a prefix length of one holder, such as \"0.0.0.0/32\" or \"::/64\"",
                            [](const std::string &text) -> std::optional<Block> {
                                const auto parsed = Block::parse(text);
                                const bool good =
                                    parsed && text.find('/') != std::string::npos &&
                                    !Block::has_host_bits(text) &&
                                    parsed->first() == Block::all(parsed->family()).first();
                                return good ? std::optional{*parsed} : std::nullopt;
                            });
}

Rule<std::string> reason()
{
    const auto expected =
        "at most " + std::to_string(reason_bytes_max) + " bytes without control characters";

    return text_rule<std::string>(expected, [](const std::string &text) {
        const bool good = text.size() <= reason_bytes_max && !has_control(text);
        return good ? std::optional{text} : std::nullopt;
    });
}

Rule<std::string> reply_text()
{
    const auto expected = "at most " + std::to_string(reason_bytes_max) + " bytes of ASCII";

    return text_rule<std::string>(expected, [](const std::string &text) {
        const bool good = text.size() <= reason_bytes_max &&
                          std::all_of(text.begin(), text.end(),
                                      [](char each) { return each >= 0x20 && each < 0x7f; });
        return good ? std::optional{text} : std::nullopt;
    });
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

Rule<std::uint32_t> socket_mode()
{
    return text_rule<std::uint32_t>(
        "a mode in quotes such as \"0660\", of reading and writing alone",
        [](const std::string &text) -> std::optional<std::uint32_t> {
            constexpr std::uint32_t useful = 0666;
            std::uint32_t mode = 0;
            const auto *const last = text.data() + text.size();
            const auto [end, error] = std::from_chars(text.data(), last, mode, 8);
            if (error != std::errc{} || end != last || text.size() < 3 || (mode & ~useful) != 0)
                return std::nullopt;
            return mode;
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
