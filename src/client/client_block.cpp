// SPDX-License-Identifier: BSD-2-Clause
#include "client/client_block.hpp"

#include <charconv>
#include <optional>
#include <string>

namespace tallygate::client {
namespace {

constexpr unsigned ipv4_length_max = 32;
constexpr unsigned length_max = 128;
constexpr unsigned ipv4_bits_before = 96;

std::optional<unsigned> parse_length(std::string_view text)
{
    unsigned length = 0;
    if (text.starts_with('/'))
        text.remove_prefix(1);
    const auto *const last = text.data() + text.size();
    const auto [end, error] = std::from_chars(text.data(), last, length);
    if (text.empty() || error != std::errc{} || end != last || length > length_max)
        return std::nullopt;
    return length;
}

/// Behind an IPv4 address, or an IPv6 address in brackets: alone it is part of the address.
std::string_view without_port(std::string_view text)
{
    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos || colon == 0)
        return text;
    const auto port = text.substr(colon + 1);
    const bool has_digits_only =
        !port.empty() && port.find_first_not_of("0123456789") == std::string_view::npos;
    const bool is_ipv4 = text.find(':') == colon;
    return has_digits_only && (is_ipv4 || text[colon - 1] == ']') ? text.substr(0, colon) : text;
}

} // namespace

Result<Address> parse_client(std::string_view text)
{
    return Address::parse(without_port(text));
}

Result<Block> block_of_client(const Address &client, std::string_view mask)
{
    const auto length = parse_length(mask);
    if (!length)
        return Error{"'" + std::string(mask) + "' is not a mask: expected a length such as /24"};
    if (client.is_ipv4() && *length > ipv4_length_max)
        return Error{"'" + std::string(mask) + "' is not a mask of " + client.text() +
                     ": the length must be a number from 0 to 32"};
    if (client.is_ipv4())
        return Block{client.masked(*length + ipv4_bits_before), *length + ipv4_bits_before};
    const unsigned bits = *length <= ipv4_length_max ? 2 * *length : *length;
    return Block{client.masked(bits), bits};
}

} // namespace tallygate::client
