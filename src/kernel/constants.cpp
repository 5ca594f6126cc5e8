// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/constants.hpp"

#include <arpa/inet.h>
#include <bpf/libbpf.h>

namespace tallygate::kernel {
namespace {

std::array<__be32, 2> source_mask(unsigned ipv6_source_bits)
{
    const unsigned bits = ipv6_source_bits - 64;
    const std::uint64_t mask = bits == 0 ? 0 : ~std::uint64_t{0} << (64 - bits);
    return {htonl(static_cast<std::uint32_t>(mask >> 32)), htonl(static_cast<std::uint32_t>(mask))};
}

} // namespace

TableConstants table_constants(const bpf_object *object, const std::array<std::uint64_t, 2> &seed,
                               unsigned ipv6_source_bits)
{
    const auto entries_max = [object](const char *name) {
        return bpf_map__max_entries(bpf_object__find_map_by_name(object, name));
    };
    return {.hash_seed = seed,
            .ipv6_source_mask = source_mask(ipv6_source_bits),
            .pending_mask = entries_max("pending") - 1,
            .sources_max = entries_max("sources"),
            .claims_mask = entries_max("claims") - 1,
            .rates_mask = entries_max("rates") - 1,
            .ipv6_prefixes_mask = entries_max("ipv6_prefixes") - 1,
            .filter_mask = entries_max("proven_filter") - 1};
}

} // namespace tallygate::kernel
