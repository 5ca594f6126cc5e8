// SPDX-License-Identifier: BSD-2-Clause
//
// What a value of the configuration may be: how to read it, and how to say what was expected.
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/address.hpp"
#include "config/config.hpp"
#include "core/monitor.hpp"

namespace tallygate::config {

/// A value as the file has it. A date and time with an offset is a moment. Other dates, arrays
/// and the like are monostate: no setting takes them.
using Scalar =
    std::variant<std::monostate, bool, std::int64_t, std::string, std::chrono::sys_seconds>;

template <typename T>
struct Rule {
    std::string expected; ///< goes after the word "expected": "a port from 1 to 65535"
    std::function<std::optional<T>(const Scalar &)> read;
};

/// A rule for strings alone. `parse` answers nothing for what it does not take.
template <typename T>
Rule<T> text_rule(std::string expected, std::function<std::optional<T>(const std::string &)> parse)
{
    return {std::move(expected), [parse = std::move(parse)](const Scalar &scalar) {
                const auto *text = std::get_if<std::string>(&scalar);
                return text != nullptr ? parse(*text) : std::nullopt;
            }};
}

template <std::unsigned_integral T>
Rule<T> number(const std::string &what, T min, T max)
{
    return {what + " from " + std::to_string(min) + " to " + std::to_string(max),
            [min, max](const Scalar &scalar) -> std::optional<T> {
                const auto *value = std::get_if<std::int64_t>(&scalar);
                if (value == nullptr || std::cmp_less(*value, min) || std::cmp_greater(*value, max))
                    return std::nullopt;
                return static_cast<T>(*value);
            }};
}

/// One of a few words. At least two, in the order in which messages name them.
template <typename T>
Rule<T> choice(const std::vector<std::pair<std::string, T>> &words)
{
    std::string expected = words.front().first;

    for (std::size_t i = 1; i < words.size(); i++)
        expected += (i + 1 == words.size() ? " or " : ", ") + words[i].first;
    return text_rule<T>(std::move(expected), [words](const std::string &text) -> std::optional<T> {
        for (const auto &[word, value] : words)
            if (word == text)
                return value;
        return std::nullopt;
    });
}

Rule<bool> flag();
Rule<std::uint32_t> power_of_two(std::uint32_t min, std::uint32_t max);
/// "60s", "5m", "1h", "2d". `min` and `max` in whole units, as the message prints them.
Rule<std::chrono::seconds> duration(std::chrono::seconds min, std::chrono::seconds max);
/// A duration, or nothing for "off".
Rule<std::optional<std::chrono::seconds>> duration_or_off(std::chrono::seconds min,
                                                          std::chrono::seconds max);
/// "10/s", "600/m", "3600/h": at least one, and at most 1,000,000 a second.
Rule<Limit::Rate> rate();
/// A date and time with an offset, of years that nanoseconds of Unix time can count.
Rule<std::chrono::sys_seconds> moment();
/// What a prefix length is written as: zeros and a length, such as 0.0.0.0/24.
Rule<Block> holder();
/// Why something was done: at most 200 bytes, without control characters.
Rule<std::string> reason();
/// From / on, without control characters, at most `bytes_max` long.
Rule<std::string> absolute_path(std::size_t bytes_max);
/// What a client may be told: at most 200 bytes of printable ASCII.
Rule<std::string> reply_text();
/// Who may use a socket, as chmod(1) takes it: "0660". Execution means nothing there.
Rule<std::uint32_t> socket_mode();
/// Of a service, a network or a limit: it becomes a label, a word of the CLI and a record of the
/// kernel.
Rule<std::string> name();
/// As the kernel takes it: 1 to 15 bytes, no slash, colon or blank. Whether it exists is the
/// daemon's question.
Rule<std::string> interface_name();
Rule<std::uint16_t> port();
Rule<Block> block();
Rule<Endpoint> endpoint();
/// An endpoint of one address: no packet is ever addressed to 0.0.0.0 or [::].
Rule<Endpoint> listener();
Rule<core::Monitor> monitor();

} // namespace tallygate::config
