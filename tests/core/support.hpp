// SPDX-License-Identifier: BSD-2-Clause
//
// What the tests of the core share: short names for values, and random addresses and blocks
// that meet often enough for sums to be interesting.
#pragma once

#include <array>
#include <chrono>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>

#include "base/address.hpp"
#include "core/seams.hpp"

namespace tallygate::core::test {

inline Address address(std::string_view text)
{
    const auto parsed = Address::parse(text);
    if (!parsed)
        throw std::invalid_argument(parsed.error().message);
    return *parsed;
}

inline Block block(std::string_view text)
{
    const auto parsed = Block::parse(text);
    if (!parsed)
        throw std::invalid_argument(parsed.error().message);
    return *parsed;
}

/// So many seconds after 1970.
inline UnixTime at(double seconds)
{
    return UnixTime{std::chrono::duration_cast<std::chrono::nanoseconds>(
        std::chrono::duration<double>{seconds})};
}

/// Random choices from one seed: rapidcheck picks the seed, so that a case has thousands of
/// events and is still found again.
class Dice {
public:
    explicit Dice(std::uint32_t seed) : engine_(seed) {}

    /// From `low` to `high`, inclusive.
    std::int64_t number(std::int64_t low, std::int64_t high)
    {
        return std::uniform_int_distribution<std::int64_t>{low, high}(engine_);
    }

    /// Of both families: clustered in a few blocks, and now and then at the edge of a family.
    Address next_address()
    {
        static const std::array clusters = {
            block("192.0.2.0/24"),         block("198.51.100.0/26"),    block("203.0.113.7"),
            block("0.0.0.0/30"),           block("255.255.255.0/30"),   block("2001:db8::/120"),
            block("2001:db8:0:1::"),       block("2001:db8:8000::/34"), block("::/126"),
            block("::fffe:ffff:fffc/126"), block("::1:0:0:0/126"),      block("ffff::/16"),
        };
        const Block &cluster = clusters[static_cast<std::size_t>(
            number(0, static_cast<std::int64_t>(clusters.size()) - 1))];
        Address result = cluster.first();
        const Address last = cluster.last();
        for (std::size_t i = 0; i < result.bytes.size(); i++) {
            const auto free_bits = static_cast<std::uint8_t>(result.bytes[i] ^ last.bytes[i]);
            result.bytes[i] |= static_cast<std::uint8_t>(number(0, 255)) & free_bits;
        }
        return result;
    }

    /// Of any length, around an address that may have been added.
    Block next_block()
    {
        const Address inside = next_address();
        return {inside, static_cast<unsigned>(number(inside.is_ipv4() ? 96 : 0, 128))};
    }

private:
    std::mt19937 engine_;
};

} // namespace tallygate::core::test
