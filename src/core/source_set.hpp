// SPDX-License-Identifier: BSD-2-Clause
//
// Which claimed sources a window takes in, when anybody can make up more of them than there is
// memory for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/address.hpp"

namespace tallygate::core {

/// A set of at most `sources_max` sources, kept by 32 bits each: an IPv4 source exactly, an IPv6
/// one by a hash, so that one in some billions is taken for another. A look-up takes at most
/// `probes_max` steps, whatever addresses somebody chooses; one who finds many that collide
/// finds the set full for those.
class SourceSet {
public:
    static constexpr std::size_t sources_max = std::size_t{1} << 16;

    /// Whether `source` is in the set; puts it there if there is room.
    bool admit(const Address &source);

    std::size_t size() const { return size_; }
    std::size_t bytes() const { return slots_.capacity() * sizeof(std::uint32_t); }

private:
    static constexpr std::size_t probes_max = 32;

    bool put(std::uint32_t mark);
    void grow();

    std::vector<std::uint32_t> slots_; ///< 0 is free; a power of two of them
    std::size_t size_ = 0;
};

} // namespace tallygate::core
