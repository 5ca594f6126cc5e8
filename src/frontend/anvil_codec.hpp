// SPDX-License-Identifier: BSD-2-Clause
//
// How Postfix and anvil(8) speak: plain attributes, a line each, in a fixed order, and an empty
// line at the end. Pure functions over bytes. docs/anvil.md is their contract.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "frontend/anvil_table.hpp"

namespace tallygate::frontend {

inline constexpr std::string_view anvil_greeting = "protocol=anvil_protocol\n\n";

enum class AnvilVerb : std::uint8_t { connect, disconnect, add, read, lookup };

struct AnvilAction {
    AnvilVerb verb = AnvilVerb::lookup;
    AnvilRate rate = AnvilRate::connection; ///< of add and read
};

/// What the word after request= asks for; nothing if there is no such request.
std::optional<AnvilAction> find_anvil_action(std::string_view request);

struct AnvilRequest {
    std::string_view request;
    std::string_view ident;
};

/// What stands at the front of the input.
struct AnvilDecoded {
    enum class Kind : std::uint8_t { incomplete, request, malformed };

    Kind kind = Kind::incomplete;
    std::size_t taken = 0;
    AnvilRequest request; ///< within the input
    std::string wrong;    ///< malformed, or what follows a request that is served all the same
};

/// Looks at bytes as Postfix's own reader does: `request` and then `ident`, and nothing else. Where
/// something stands in the place of the end, the request stands, and all that has come is taken:
/// Postfix's own loses what it has read when it answers.
AnvilDecoded decode_anvil(std::string_view input);

std::string encode_anvil_failure();
std::string encode_anvil_done();
std::string encode_anvil_rate(std::uint32_t rate);
std::string encode_anvil_connected(const AnvilCounts &counts);
std::string encode_anvil_lookup(const AnvilCounts &counts);

} // namespace tallygate::frontend
