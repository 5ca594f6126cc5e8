// SPDX-License-Identifier: BSD-2-Clause
//
// Addresses and CIDR blocks of both families in one form: 16 bytes in network order, IPv4 as
// ::ffff:a.b.c.d. Everything outside the text of an address works on that form.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace tallygate {

enum class Family : std::uint8_t { ipv4, ipv6 };

/// One address. Ordered as a 128-bit number, so the addresses of a block are neighbours.
struct Address {
    std::array<std::uint8_t, 16> bytes{};

    auto operator<=>(const Address &) const = default;

    /// IPv4 also in ::ffff: form; IPv6 bare or in brackets. No host names, no scopes.
    static Result<Address> parse(std::string_view text);
    static Address from_ipv4(std::uint32_t host_order);

    Family family() const;
    bool is_ipv4() const { return family() == Family::ipv4; }
    /// The first `length_bits` (0 to 128, of the 16-byte form) kept, the rest zero.
    Address masked(unsigned length_bits) const;
    /// "192.0.2.1" or RFC 5952 IPv6, never in ::ffff: form.
    std::string text() const;
};

/// A CIDR block of one family. A block shorter than ::ffff:0:0/96 holds IPv6 alone.
class Block {
public:
    /// All of one family: 0.0.0.0/0 or ::/0.
    static Block all(Family family);
    /// `length_bits` counts in the 16-byte form: an IPv4 /24 is 120.
    Block(const Address &address, unsigned length_bits);

    /// "192.0.2.0/24", "2001:db8::/32", "[2001:db8::]/32", a bare address (one address), and
    /// IPv4 in ::ffff: form. Host bits are cleared; `folded` tells.
    static Result<Block> parse(std::string_view text);

    auto operator<=>(const Block &) const = default;

    const Address &first() const { return first_; }
    Address last() const;
    unsigned length_bits() const { return length_bits_; }
    Family family() const;
    /// The length as people write it: 24 for an IPv4 /24.
    unsigned text_length_bits() const;
    bool contains(const Address &address) const;
    bool contains(const Block &other) const;
    /// "192.0.2.0/24": always with a length, IPv4 never in ::ffff: form.
    std::string text() const;

    /// Whether `text`, as parsed, had host bits that were cleared.
    static bool has_host_bits(std::string_view text);

private:
    Address first_;
    unsigned length_bits_ = 128;
};

/// One address and port of a service: "192.0.2.1:25" or "[2001:db8::1]:25".
struct Endpoint {
    Address address;
    std::uint16_t port = 0; ///< host order, 1 to 65535

    auto operator<=>(const Endpoint &) const = default;

    static Result<Endpoint> parse(std::string_view text);
    std::string text() const;
};

} // namespace tallygate
