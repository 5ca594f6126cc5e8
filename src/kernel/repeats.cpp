// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/repeats.hpp"

#include <optional>

#include "kernel/convert.hpp"

namespace tallygate::kernel {
namespace {

/// The counts first: as long as one is not 0, whose it is does not change but under another
/// sequence number.
std::optional<Residual> read_once(const volatile tg_repeat &repeat)
{
    const auto sequence = __atomic_load_n(&repeat.sequence, __ATOMIC_ACQUIRE);
    Residual residual;
    residual.prefix_syn = __atomic_load_n(&repeat.prefix_syn, __ATOMIC_ACQUIRE);
    residual.rejected = __atomic_load_n(&repeat.rejected, __ATOMIC_ACQUIRE);
    residual.prefix = repeat.prefix;
    for (std::size_t i = 0; i < 4; i++)
        residual.source.addr.words[i] = repeat.client.words[i];
    residual.source.service = repeat.service;
    residual.place = repeat.place;
    residual.is_proven = repeat.is_proven != 0;
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (sequence % 2 != 0 || repeat.sequence != sequence)
        return std::nullopt;
    return residual;
}

} // namespace

Result<RepeatsReader> RepeatsReader::open(const Program &program)
{
    auto repeats = MappedArray<tg_repeat>::open(program.map_fd("repeats"), "repeats");
    if (!repeats)
        return repeats.error();
    return RepeatsReader{std::move(*repeats), program.constants().ipv6_source_mask};
}

/// As source_key_of() in bpf/sources.h.
tg_source_key RepeatsReader::cut_to_source(tg_source_key client) const
{
    if (!to_address(client.addr).is_ipv4())
        for (std::size_t i = 0; i < ipv6_source_mask_.size(); i++)
            client.addr.words[2 + i] &= ipv6_source_mask_[i];
    return client;
}

std::vector<Residual> RepeatsReader::read() const
{
    std::vector<Residual> found;
    for (std::uint32_t i = 0; i < repeats_.entries_max(); i++) {
        if (repeats_[i].prefix_syn == 0 && repeats_[i].rejected == 0)
            continue;
        auto residual = read_once(repeats_[i]);
        if (!residual)
            continue;
        residual->source = cut_to_source(residual->source);
        found.push_back(*residual);
    }
    return found;
}

} // namespace tallygate::kernel
