// SPDX-License-Identifier: BSD-2-Clause
//
// The programs' hash (bpf/hash.h): by it is found here what they have put into their tables.
#pragma once

#include <cstdint>

namespace tallygate::kernel {

/// A word more in `hash`, which begins with a seed.
constexpr std::uint64_t mix(std::uint64_t hash, std::uint64_t word)
{
    constexpr std::uint64_t multiplier = 0x9e3779b97f4a7c15;

    hash = (hash ^ word) * multiplier;
    return hash ^ hash >> 29;
}

} // namespace tallygate::kernel
