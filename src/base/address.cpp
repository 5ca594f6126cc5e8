// SPDX-License-Identifier: BSD-2-Clause
#include "base/address.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace tallygate {
namespace {

constexpr unsigned ipv4_bits_before = 96;
constexpr std::array<std::uint8_t, 12> ipv4_prefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

/// A decimal number without sign, blanks or leftovers, or nothing.
std::optional<unsigned> parse_number(std::string_view text, unsigned max)
{
    unsigned number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);

    if (text.empty() || error != std::errc{} || end != text.data() + text.size() || number > max)
        return std::nullopt;
    return number;
}

std::string_view without_brackets(std::string_view text)
{
    if (text.size() >= 2 && text.front() == '[' && text.back() == ']' &&
        text.find(':') != std::string_view::npos)
        return text.substr(1, text.size() - 2);
    return text;
}

struct SplitBlock {
    Address address;
    unsigned length_bits;
};

Result<SplitBlock> split_block(std::string_view text)
{
    const auto slash = text.find('/');
    const auto address_text = text.substr(0, slash);
    auto address = Address::parse(address_text);
    if (!address)
        return Error{"'" + std::string(text) + "' is not a CIDR block: expected an address, " +
                     "optionally with a /length, such as 192.0.2.0/24 or 2001:db8::/32"};
    if (slash == std::string_view::npos)
        return SplitBlock{*address, 128};

    // What counts is how the address was written: ::ffff:192.0.2.0 takes an IPv6 length.
    const bool written_as_ipv4 = address_text.find(':') == std::string_view::npos;
    const unsigned max = written_as_ipv4 ? 32 : 128;
    const auto length_text = text.substr(slash + 1);
    const auto length = parse_number(length_text, max);
    // "/024" is 20 to those who read octal.
    const bool has_leading_zero = length_text.size() > 1 && length_text.front() == '0';
    if (!length || has_leading_zero)
        return Error{"'" + std::string(text) + "' is not a CIDR block: the length after '/' " +
                     "must be a number from 0 to " + std::to_string(max) +
                     (length ? " without leading zeros" : "")};
    if (written_as_ipv4)
        return SplitBlock{*address, *length + ipv4_bits_before};
    if (address->is_ipv4() && *length < ipv4_bits_before)
        return Error{"'" + std::string(text) + "' is not a CIDR block: an address in ::ffff: " +
                     "form takes a length from 96 to 128"};
    return SplitBlock{*address, *length};
}

} // namespace

Result<Address> Address::parse(std::string_view text)
{
    const std::string bare{without_brackets(text)};
    Address address;

    // inet_pton reads up to a NUL and cannot see what is behind it.
    const bool has_nul = bare.find('\0') != std::string::npos;

    if (!has_nul && inet_pton(AF_INET6, bare.c_str(), address.bytes.data()) == 1)
        return address;
    std::copy(ipv4_prefix.begin(), ipv4_prefix.end(), address.bytes.begin());
    if (!has_nul && bare.size() == text.size() &&
        inet_pton(AF_INET, bare.c_str(), address.bytes.data() + 12) == 1)
        return address;
    return Error{"'" + std::string(text) + "' is not an IPv4 or IPv6 address"};
}

Address Address::from_ipv4(std::uint32_t host_order)
{
    Address address;
    const std::uint32_t network_order = htonl(host_order);

    std::copy(ipv4_prefix.begin(), ipv4_prefix.end(), address.bytes.begin());
    std::memcpy(address.bytes.data() + 12, &network_order, sizeof(network_order));
    return address;
}

Family Address::family() const
{
    return std::equal(ipv4_prefix.begin(), ipv4_prefix.end(), bytes.begin()) ? Family::ipv4
                                                                             : Family::ipv6;
}

Address Address::masked(unsigned length_bits) const
{
    Address result = *this;
    const unsigned whole_bytes = length_bits / 8;

    if (whole_bytes >= result.bytes.size())
        return result;
    result.bytes[whole_bytes] &= static_cast<std::uint8_t>(0xff00U >> length_bits % 8);
    std::fill(result.bytes.begin() + whole_bytes + 1, result.bytes.end(), std::uint8_t{0});
    return result;
}

std::string Address::text() const
{
    char buffer[INET6_ADDRSTRLEN] = "";

    if (is_ipv4())
        inet_ntop(AF_INET, bytes.data() + 12, buffer, sizeof(buffer));
    else
        inet_ntop(AF_INET6, bytes.data(), buffer, sizeof(buffer));
    return buffer;
}

Block Block::all(Family family)
{
    return family == Family::ipv4 ? Block{Address::from_ipv4(0), ipv4_bits_before}
                                  : Block{Address{}, 0};
}

Block::Block(const Address &address, unsigned length_bits)
    : first_(address.masked(length_bits)), length_bits_(length_bits)
{
}

Result<Block> Block::parse(std::string_view text)
{
    const auto split = split_block(text);
    if (!split)
        return split.error();
    return Block{split->address, split->length_bits};
}

bool Block::has_host_bits(std::string_view text)
{
    const auto split = split_block(text);
    return split && split->address.masked(split->length_bits) != split->address;
}

Address Block::last() const
{
    Address last = first_;
    const Address mask = [this] {
        Address ones;
        ones.bytes.fill(0xff);
        return ones.masked(length_bits_);
    }();

    for (unsigned i = 0; i < 16; i++)
        last.bytes[i] |= static_cast<std::uint8_t>(~mask.bytes[i]);
    return last;
}

Family Block::family() const
{
    return length_bits_ >= ipv4_bits_before ? first_.family() : Family::ipv6;
}

unsigned Block::text_length_bits() const
{
    return family() == Family::ipv4 ? length_bits_ - ipv4_bits_before : length_bits_;
}

bool Block::contains(const Address &address) const
{
    return address.family() == family() && address.masked(length_bits_) == first_;
}

bool Block::contains(const Block &other) const
{
    return other.family() == family() && other.length_bits_ >= length_bits_ &&
           other.first_.masked(length_bits_) == first_;
}

std::string Block::text() const
{
    return first_.text() + "/" + std::to_string(text_length_bits());
}

Result<Endpoint> Endpoint::parse(std::string_view text)
{
    const auto colon = text.rfind(':');
    const auto refuse = [&] {
        return Error{"'" + std::string(text) +
                     "' is not an address and port: expected 192.0.2.1:25 or [2001:db8::1]:25"};
    };

    if (colon == std::string_view::npos)
        return refuse();
    const auto host = text.substr(0, colon);
    // Without brackets nobody can tell an IPv6 address's last group from a port.
    if (host.find(':') != std::string_view::npos && (host.front() != '[' || host.back() != ']'))
        return refuse();
    const auto address = Address::parse(host);
    const auto port = parse_number(text.substr(colon + 1), 65535);
    if (!address || !port || *port == 0)
        return refuse();
    return Endpoint{*address, static_cast<std::uint16_t>(*port)};
}

std::string Endpoint::text() const
{
    const auto host = address.is_ipv4() ? address.text() : "[" + address.text() + "]";
    return host + ":" + std::to_string(port);
}

} // namespace tallygate
