// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/proven_filter.hpp"

#include <tallygate/abi.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "kernel/constants.hpp"
#include "kernel/convert.hpp"
#include "kernel/grace.hpp"
#include "kernel/hints.hpp"
#include "kernel/map_view.hpp"
#include "kernel/mix.hpp"

namespace tallygate::kernel {
namespace {

/// As in bpf/claims.h.
std::uint64_t hash_source(const TableConstants &constants, const volatile tg_source_key &key)
{
    const auto words = [&key](std::size_t first) {
        return std::uint64_t{key.addr.words[first]} << 32 | key.addr.words[first + 1];
    };
    auto hash = mix(constants.hash_seed[0], words(0));
    hash = mix(hash, words(2));
    return mix(hash ^ constants.hash_seed[1], key.service);
}

/// As find_filter() and filter_bits() of bpf/sources.h have them.
std::vector<std::uint64_t> filter_of(const MappedArray<tg_source> &sources, std::uint32_t used,
                                     const TableConstants &constants)
{
    std::vector<std::uint64_t> words(std::size_t{constants.filter_mask} + 1);

    for (std::uint32_t slot = 0; slot < used; slot++) {
        if (sources[slot].used == 0)
            continue;
        const auto hash = hash_source(constants, sources[slot].key);
        words[hash >> 20 & constants.filter_mask] |=
            std::uint64_t{1} << (hash >> 8 & 63) | std::uint64_t{1} << (hash >> 14 & 63);
    }
    return words;
}

std::vector<std::uint64_t> hints_of(const MappedArray<tg_source> &sources, std::uint32_t used)
{
    HintCounts counts;

    for (std::uint32_t slot = 0; slot < used; slot++) {
        if (sources[slot].used == 0)
            continue;
        tg_addr addr;
        for (std::size_t i = 0; i < 4; i++)
            addr.words[i] = sources[slot].key.addr.words[i];
        counts.add(Block{to_address(addr), 128});
    }
    return counts.words();
}

} // namespace

Result<void> rebuild_proven_filter(const Program &program)
{
    auto sources = MappedArray<tg_source>::open(program.map_fd("sources"), "sources");
    if (!sources)
        return sources.error();
    auto filter = MappedArray<tg_filter>::open(program.map_fd("proven_filter"), "proven_filter");
    if (!filter)
        return filter.error();
    const auto progress = MappedArray<tg_progress>::open(program.map_fd("progress"), "progress");
    if (!progress)
        return progress.error();

    const auto used = [&] {
        const std::uint64_t reached = (*progress)[0].sources_high_water;
        return static_cast<std::uint32_t>(std::min<std::uint64_t>(reached, sources->entries_max()));
    };
    const auto hints = HintTable::open(program.map_fd("hints"), TG_HINT_PROVEN);
    if (!hints)
        return hints.error();

    hints->replace(hints_of(*sources, used()));
    auto words = filter_of(*sources, used(), program.constants());
    for (std::uint32_t i = 0; i < words.size() && i < filter->entries_max(); i++)
        if ((*filter)[i].bits != words[i])
            __atomic_store_n(&(*filter)[i].bits, words[i], __ATOMIC_SEQ_CST);
    // Whoever was proving himself meanwhile, by a bit that he found set or has set before, is done.
    if (const auto waited = wait_for_programs(); !waited)
        return waited;
    // Who came since the first look.
    hints->add(hints_of(*sources, used()));
    words = filter_of(*sources, used(), program.constants());
    for (std::uint32_t i = 0; i < words.size() && i < filter->entries_max(); i++)
        if (((*filter)[i].bits & words[i]) != words[i])
            __atomic_fetch_or(&(*filter)[i].bits, words[i], __ATOMIC_SEQ_CST);
    return {};
}

} // namespace tallygate::kernel
