// SPDX-License-Identifier: BSD-2-Clause
//
// A header for what is kept on disk: what it is, of which format, and whether it is whole.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace tallygate::core {

/// A kind of file: its first eight bytes, what it is in words ("it is no ..."), and the formats
/// that are read. The last is the one that is written.
struct SealKind {
    std::string_view magic;
    const char *what;
    std::uint64_t version_min;
    std::uint64_t version;
};

struct Unsealed {
    std::uint64_t version;
    std::string_view body; ///< within what was unsealed
};

/// Magic, version (4 bytes), length of the body (8), CRC-32 of the body (4), and the body.
std::string seal(const SealKind &kind, std::string_view body);

/// Anything that seal() of this kind did not make is an error that says what is wrong with it: "its
/// checksum is wrong".
Result<Unsealed> unseal(const SealKind &kind, std::string_view bytes);

} // namespace tallygate::core
