// SPDX-License-Identifier: BSD-2-Clause
//
// Amounts by address as bytes: what all files of windows have in common. docs/state.md has the
// form.
#pragma once

#include <cstdint>
#include <vector>

#include "core/block_sums.hpp"
#include "core/byte_stream.hpp"

namespace tallygate::core {

/// All amounts of a file together. No sum over any part of it can overflow, and a packet a
/// nanosecond for a hundred years stays below.
inline constexpr std::uint64_t amounts_max = std::uint64_t{1} << 62;

/// Those of one family, in order, each address by what it is more than the one before it.
void put_sums(ByteWriter &writer, const BlockSums &sums, Family family);

/// Takes them off again. `amounts_left` is what is left of amounts_max. Addresses are in order and
/// have nothing behind their first `length_bits`; anything else is a failure of the reader.
std::vector<BlockSums::Amount> take_sums(ByteReader &reader, Family family, unsigned length_bits,
                                         std::uint64_t &amounts_left);

/// An amount, which is taken from `amounts_left`.
std::int64_t take_amount(ByteReader &reader, std::uint64_t &amounts_left);

} // namespace tallygate::core
