// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/prefix_walk.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "kernel/convert.hpp"

namespace tallygate::kernel {
namespace {

constexpr std::uint64_t hash_multiplier = 0x9e3779b97f4a7c15;
constexpr unsigned ipv4_prefix_bits = 96 + 24;
constexpr unsigned ipv6_prefix_bits = 48;

/// As mix() in bpf/hash.h: a test finds by it what a program has put there.
std::uint64_t mix(std::uint64_t hash, std::uint64_t word)
{
    hash = (hash ^ word) * hash_multiplier;
    return hash ^ hash >> 29;
}

Block ipv4_block(std::uint32_t number)
{
    return Block{Address::from_ipv4(number << 8), ipv4_prefix_bits};
}

Block ipv6_block(std::uint64_t prefix)
{
    Address address;
    for (std::size_t i = 0; i < 6; i++)
        address.bytes[i] = static_cast<std::uint8_t>(prefix >> (56 - 8 * i));
    return Block{address, ipv6_prefix_bits};
}

std::uint32_t number_of(std::uint64_t word)
{
    return static_cast<std::uint32_t>(word >> 8) & (2 * TG_PREFIX_PAIRS - 1);
}

} // namespace

Result<PrefixWalk> PrefixWalk::open(const Program &program)
{
    auto ipv4 = MappedArray<tg_prefix_pair>::open(program.map_fd("prefixes"), "prefixes");
    if (!ipv4)
        return ipv4.error();
    auto ipv6 =
        MappedArray<tg_ipv6_prefixes>::open(program.map_fd("ipv6_prefixes"), "ipv6_prefixes");
    if (!ipv6)
        return ipv6.error();
    return PrefixWalk{std::move(*ipv4), std::move(*ipv6), program.constants()};
}

std::uint32_t &PrefixWalk::told_of(std::uint32_t number)
{
    return told_ipv4_[number / 2].syn[number % 2];
}

std::uint32_t PrefixWalk::counted_of(std::uint32_t number) const
{
    return ipv4_[number / 2].syn[number % 2];
}

/// Counts wrap. One that is behind what was told waits for a CPU's own counts to move. Says
/// whether there was something to tell.
bool PrefixWalk::tell_ipv4(std::uint32_t number, std::uint32_t syn, const PrefixSink &sink)
{
    auto &told = told_of(number);
    const auto difference = static_cast<std::int32_t>(syn - told);
    if (difference <= 0)
        return false;
    told = syn;
    sink(ipv4_block(number), static_cast<std::uint64_t>(difference));
    return true;
}

/// Says how far it came. Most pages have not changed since they were told, and most of those hold
/// nothing at all: they are compared, and nothing is written into the copy. Where everything is
/// forged every counter changes, and to tell them takes a hundred times as long as to look.
std::uint32_t PrefixWalk::walk_ipv4(std::uint32_t first, std::uint32_t end, const PrefixSink &sink)
{
    constexpr std::uint32_t page_pairs = 4096 / sizeof(tg_prefix_pair);
    std::uint32_t changes = 0;
    auto page = first;

    for (; page < end && changes < slice_changes; page = std::min(page + page_pairs, end)) {
        const auto page_end = std::min(page + page_pairs, end);
        const auto *const counted = const_cast<const tg_prefix_pair *>(&ipv4_[page]);
        if (std::memcmp(counted, &told_ipv4_[page], (page_end - page) * sizeof(tg_prefix_pair)) ==
            0)
            continue;
        for (auto number = page * 2; number < page_end * 2; number++)
            changes += tell_ipv4(number, counted_of(number), sink) ? 1 : 0;
    }
    return page;
}

void PrefixWalk::tell_ipv6(std::uint32_t place, std::uint64_t syn, const PrefixSink &sink)
{
    auto &told = told_ipv6_[place];
    if (syn <= told.syn)
        return;
    sink(ipv6_block(told.prefix), syn - told.syn);
    told.syn = syn;
}

/// A way that is given to another prefix has for a moment the count of the one before, because the
/// name is written first. So a prefix that is new to its way is told at the next look: a round
/// late, and never with what was another's.
void PrefixWalk::look_at_ipv6(std::uint32_t place, const PrefixSink &sink)
{
    const volatile auto &bucket = ipv6_[place / TG_BUCKET_WAYS];
    const auto way = place % TG_BUCKET_WAYS;
    const auto prefix = __atomic_load_n(&bucket.prefixes[way], __ATOMIC_ACQUIRE);
    const auto syn = __atomic_load_n(&bucket.syn[way], __ATOMIC_ACQUIRE);
    auto &told = told_ipv6_[place];

    if (prefix == 0 || bucket.prefixes[way] != prefix)
        return;
    if (told.prefix != prefix) {
        told = {prefix, 0, false};
        return;
    }
    told.is_settled = true;
    tell_ipv6(place, syn, sink);
}

bool PrefixWalk::walk_some(const RepeatsReader &repeats, const PrefixSink &sink)
{
    const auto held_back = repeats.read();
    const bool is_last = walk_slice(sink);

    walk_repeats(repeats, sink);
    // What was held back before, and moved behind the look at its page.
    for (const auto &residual : held_back)
        if (residual.prefix & is_ipv4_bit)
            tell_ipv4(number_of(residual.prefix), counted_of(number_of(residual.prefix)), sink);
    return is_last;
}

bool PrefixWalk::walk_slice(const PrefixSink &sink)
{
    if (const auto pairs = ipv4_.entries_max(); next_pair_ < pairs) {
        next_pair_ =
            walk_ipv4(next_pair_, std::min(pairs - next_pair_, slice_pairs) + next_pair_, sink);
        return false;
    }
    const auto ways = static_cast<std::uint32_t>(told_ipv6_.size());
    const auto end = std::min(ways - next_way_, slice_ways) + next_way_;
    for (; next_way_ < end; next_way_++)
        look_at_ipv6(next_way_, sink);
    if (next_way_ < ways)
        return false;
    next_pair_ = 0;
    next_way_ = 0;
    return true;
}

std::optional<std::uint32_t> PrefixWalk::find_ipv6(std::uint64_t prefix) const
{
    const auto bucket = static_cast<std::uint32_t>(mix(constants_.hash_seed[0], prefix) >> 32) &
                        constants_.ipv6_prefixes_mask;
    for (std::uint32_t way = 0; way < TG_BUCKET_WAYS; way++)
        if (ipv6_[bucket].prefixes[way] == prefix)
            return bucket * TG_BUCKET_WAYS + way;
    return std::nullopt;
}

void PrefixWalk::walk_repeats(const RepeatsReader &repeats, const PrefixSink &sink)
{
    const auto prefix_of = [](const Residual &residual) -> std::optional<std::uint64_t> {
        if (residual.prefix_syn == 0)
            return std::nullopt;
        return residual.prefix;
    };
    const auto sums = sums_with_residuals(
        repeats, prefix_of,
        [&](const Residual &residual) -> std::optional<std::uint64_t> {
            if (residual.prefix & is_ipv4_bit)
                return counted_of(number_of(residual.prefix));
            const auto place = find_ipv6(residual.prefix);
            if (!place)
                return std::nullopt;
            return ipv6_[*place / TG_BUCKET_WAYS].syn[*place % TG_BUCKET_WAYS];
        },
        [](std::uint64_t &sum, const Residual &residual) { sum += residual.prefix_syn; });

    for (const auto &[prefix, sum] : sums) {
        if (prefix & is_ipv4_bit) {
            tell_ipv4(number_of(prefix), static_cast<std::uint32_t>(sum), sink);
            continue;
        }
        const auto place = find_ipv6(prefix);
        if (place && told_ipv6_[*place].prefix == prefix && told_ipv6_[*place].is_settled)
            tell_ipv6(*place, sum, sink);
    }
}

bool PrefixWalk::walk_block(const Block &block, std::uint32_t prefixes_max,
                            const RepeatsReader &repeats, const PrefixSink &sink)
{
    const bool is_ipv4 = block.family() == Family::ipv4;
    const unsigned prefix_bits = is_ipv4 ? ipv4_prefix_bits : ipv6_prefix_bits;
    const unsigned missing_bits = prefix_bits - std::min(prefix_bits, block.length_bits());

    if (missing_bits >= 32 || 1U << missing_bits > (is_ipv4 ? prefixes_max : 1))
        return false;
    const auto first = prefix_word(block.first());
    const auto look = [&] {
        if (is_ipv4)
            for (std::uint32_t i = 0; i < 1U << missing_bits; i++)
                tell_ipv4(number_of(first) + i, counted_of(number_of(first) + i), sink);
        else if (const auto place = find_ipv6(first))
            look_at_ipv6(*place, sink);
    };
    look();
    walk_repeats(repeats, sink);
    // What moved into the table between the two looks.
    if (is_ipv4)
        look();
    return true;
}

void PrefixWalk::skip_to_present(const RepeatsReader &repeats)
{
    const PrefixSink nobody = [](const Block &, std::uint64_t) {};

    for (std::uint32_t number = 0; number < 2 * ipv4_.entries_max(); number++)
        if (const auto syn = counted_of(number); syn != told_of(number))
            told_of(number) = syn;
    // Twice: a prefix is told when it is met again.
    for (std::uint32_t i = 0; i < 2 * ipv6_.entries_max() * TG_BUCKET_WAYS; i++)
        look_at_ipv6(i % static_cast<std::uint32_t>(told_ipv6_.size()), nobody);
    walk_repeats(repeats, nobody);
}

} // namespace tallygate::kernel
