// SPDX-License-Identifier: BSD-2-Clause
//
// Whom an ident of anvil(8) means: "smtp:192.0.2.1", "192.0.2.1:2525:192.0.2.3".
#pragma once

#include <optional>
#include <string_view>

#include "base/address.hpp"

namespace tallygate::frontend {

struct AnvilIdent {
    std::string_view service; ///< the first field of a line of master.cf, within the ident
    Block client;             ///< one address, or from Postfix 3.8 on the prefix around it
};

/// Nothing for an ident without an address, such as "smtp:unknown". Neither the first colon nor the
/// last always ends the service: it may be an address and a port, and the client's address is IPv6.
std::optional<AnvilIdent> decode_anvil_ident(std::string_view ident);

} // namespace tallygate::frontend
