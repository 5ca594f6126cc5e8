// SPDX-License-Identifier: BSD-2-Clause
//
// What is set in the programs before they are loaded: every object of ours must see the same
// sizes and the same seed, or it looks for its sources in other places than the gate.
#pragma once

#include <linux/types.h>

#include <array>
#include <cstdint>

struct bpf_object;

namespace tallygate::kernel {

struct TableConstants {
    std::array<std::uint64_t, 2> hash_seed{};
    std::array<__be32, 2> ipv6_source_mask{};
    std::uint32_t pending_mask = 0;
    std::uint32_t sources_max = 0;
    std::uint32_t claims_mask = 0;
    std::uint32_t rates_mask = 0;
    std::uint32_t ipv6_prefixes_mask = 0;
    std::uint32_t filter_mask = 0;
};

/// Of an object whose maps have their sizes. `ipv6_source_bits` is 64 to 128.
TableConstants table_constants(const bpf_object *object, const std::array<std::uint64_t, 2> &seed,
                               unsigned ipv6_source_bits);

/// Puts them into the read-only data of a skeleton that is not loaded yet. Each object has those
/// that its headers name.
template <typename ReadOnlyData>
void set_constants(ReadOnlyData &data, const TableConstants &constants)
{
    const auto copy = [](auto &to, const auto &from) {
        to[0] = from[0];
        to[1] = from[1];
    };
    if constexpr (requires { data.hash_seed; })
        copy(data.hash_seed, constants.hash_seed);
    if constexpr (requires { data.ipv6_source_mask; })
        copy(data.ipv6_source_mask, constants.ipv6_source_mask);
    if constexpr (requires { data.pending_mask; })
        data.pending_mask = constants.pending_mask;
    if constexpr (requires { data.sources_max; })
        data.sources_max = constants.sources_max;
    if constexpr (requires { data.claims_mask; })
        data.claims_mask = constants.claims_mask;
    if constexpr (requires { data.rates_mask; })
        data.rates_mask = constants.rates_mask;
    if constexpr (requires { data.ipv6_prefixes_mask; })
        data.ipv6_prefixes_mask = constants.ipv6_prefixes_mask;
    if constexpr (requires { data.filter_mask; })
        data.filter_mask = constants.filter_mask;
}

} // namespace tallygate::kernel
