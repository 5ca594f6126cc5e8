// SPDX-License-Identifier: BSD-2-Clause
//
// What a mail policy means by "/24" of a client. Pure.
#pragma once

#include <string_view>

#include "base/address.hpp"
#include "base/result.hpp"

namespace tallygate::client {

/// "192.0.2.7", "[2001:db8::7]", "2001:db8::7", and with a port as hosts write it:
/// "192.0.2.7:40312", "[2001:db8::7]:40312".
Result<Address> parse_client(std::string_view text);

/// `mask` is "/24" or "24". Policies count in IPv4 lengths: for an IPv6 client one up to 32 is
/// taken twice, so that /32 stays one client (a /64 is what one is given), /24 his neighbourhood,
/// and /0 everybody. Taken as it stands it would be a continent's providers.
Result<Block> block_of_client(const Address &client, std::string_view mask);

} // namespace tallygate::client
