// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/prefix_walk.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "kernel/convert.hpp"
#include "kernel/mix.hpp"

namespace tallygate::kernel {
namespace {

constexpr unsigned ipv4_prefix_bits = 96 + 24;
constexpr unsigned ipv6_prefix_bits = 48;
constexpr std::uint32_t page_pairs = 4096 / sizeof(tg_prefix_pair);
constexpr std::uint32_t page_numbers = page_pairs * 2;
static_assert(TG_PREFIX_PAIRS % page_pairs == 0);
static_assert(PrefixWalk::slice_pairs % page_pairs == 0);

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

/// Counts wrap. One that is behind what was told waits for a CPU's own counts to move.
void PrefixWalk::tell_ipv4(std::uint32_t number, std::uint32_t syn, const PrefixSink &sink)
{
    auto &told = told_of(number);
    const auto difference = static_cast<std::int32_t>(syn - told);
    if (difference <= 0)
        return;
    const std::array news{static_cast<std::uint32_t>(difference)};
    told = syn;
    sink.ipv4(number, news);
}

/// As tell_ipv4() of each /24 in it; says how many there were to tell. Where everything is forged
/// all pages have changed, and of a page every other counter: there is no branch for each, and of
/// local arrays a compiler takes several counters at a time.
std::uint32_t PrefixWalk::tell_page(std::uint32_t first, const PrefixSink &sink)
{
    std::array<std::uint32_t, page_numbers> counted;
    std::array<std::uint32_t, page_numbers> told;
    std::array<std::uint32_t, page_numbers> news;
    std::uint32_t changes = 0;

    // Programs add to them as we look: each is read whole.
    const auto *const pairs = reinterpret_cast<const volatile std::uint64_t *>(&ipv4_[first / 2]);
    for (std::uint32_t i = 0; i < page_pairs; i++) {
        const auto pair = __atomic_load_n(&pairs[i], __ATOMIC_RELAXED);
        std::memcpy(&counted[std::size_t{2} * i], &pair, sizeof(pair));
    }
    std::memcpy(told.data(), &told_ipv4_[first / 2], sizeof(told));
    for (std::uint32_t i = 0; i < page_numbers; i++) {
        const auto difference = static_cast<std::int32_t>(counted[i] - told[i]);
        news[i] = difference > 0 ? static_cast<std::uint32_t>(difference) : 0;
        told[i] += news[i];
        changes += difference > 0 ? 1 : 0;
    }
    if (changes == 0)
        return 0;
    std::memcpy(&told_ipv4_[first / 2], told.data(), sizeof(told));
    sink.ipv4(first, news);
    return changes;
}

/// Most pages have not changed since they were told, and most of those hold nothing at all: they
/// are compared, and nothing is written into the copy.
void PrefixWalk::walk_ipv4(const PrefixSink &sink)
{
    constexpr auto page_bytes = page_pairs * sizeof(tg_prefix_pair);
    const auto end = std::min(ipv4_.entries_max() - next_pair_, slice_pairs) + next_pair_;
    std::uint32_t changes = 0;
    std::uint32_t pages = 0;

    for (; next_pair_ < end && changes < slice_changes && pages < slice_pages;
         next_pair_ += page_pairs) {
        const auto *const counted = const_cast<const tg_prefix_pair *>(&ipv4_[next_pair_]);
        if (std::memcmp(counted, &told_ipv4_[next_pair_], page_bytes) == 0)
            continue;
        changes += tell_page(next_pair_ * 2, sink);
        pages++;
    }
}

void PrefixWalk::tell_ipv6(std::uint32_t place, std::uint64_t syn, const PrefixSink &sink)
{
    auto &told = told_ipv6_[place];
    if (syn <= told.syn)
        return;
    sink.ipv6(ipv6_block(told.prefix), syn - told.syn);
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

    tell_held_back(held_back, repeats, sink);
    return is_last;
}

bool PrefixWalk::walk_slice(const PrefixSink &sink)
{
    if (next_pair_ < ipv4_.entries_max()) {
        walk_ipv4(sink);
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

/// What the tables have of the prefixes in `residuals`, in order, each prefix once.
std::vector<PrefixWalk::Sum> PrefixWalk::table_sums(const std::vector<Residual> &residuals) const
{
    std::vector<Sum> sums;

    for (const auto &residual : residuals)
        if (residual.prefix_syn != 0)
            sums.push_back({residual.prefix, 0});
    std::ranges::sort(sums, {}, &Sum::prefix);
    const auto is_same = [](const Sum &one, const Sum &other) {
        return one.prefix == other.prefix;
    };
    sums.erase(std::unique(sums.begin(), sums.end(), is_same), sums.end());
    std::erase_if(sums, [this](Sum &sum) {
        if (sum.prefix & is_ipv4_bit) {
            sum.syn = counted_of(number_of(sum.prefix));
            return false;
        }
        const auto place = find_ipv6(sum.prefix);
        if (place)
            sum.syn = ipv6_[*place / TG_BUCKET_WAYS].syn[*place % TG_BUCKET_WAYS];
        return !place;
    });
    return sums;
}

/// Of the prefixes that CPUs held counts back of `before` the tables were looked at. What is held
/// back now is read after the tables, so that nothing is counted twice while it moves.
void PrefixWalk::tell_held_back(const std::vector<Residual> &before, const RepeatsReader &repeats,
                                const PrefixSink &sink)
{
    auto sums = table_sums(before);

    for (const auto &residual : repeats.read()) {
        const auto sum = std::ranges::lower_bound(sums, residual.prefix, {}, &Sum::prefix);
        if (sum != sums.end() && sum->prefix == residual.prefix)
            sum->syn += residual.prefix_syn;
    }
    for (const auto &[prefix, syn] : sums) {
        if (prefix & is_ipv4_bit) {
            tell_ipv4(number_of(prefix), static_cast<std::uint32_t>(syn), sink);
            // What moved between the two readings.
            tell_ipv4(number_of(prefix), counted_of(number_of(prefix)), sink);
            continue;
        }
        const auto place = find_ipv6(prefix);
        if (place && told_ipv6_[*place].prefix == prefix && told_ipv6_[*place].is_settled)
            tell_ipv6(*place, syn, sink);
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
    const auto held_back = repeats.read();
    const auto first = prefix_word(block.first());
    if (is_ipv4)
        look_at_ipv4(number_of(first), 1U << missing_bits, sink);
    else if (const auto place = find_ipv6(first))
        look_at_ipv6(*place, sink);
    tell_held_back(held_back, repeats, sink);
    // What was moving into the table as we began.
    if (is_ipv4)
        look_at_ipv4(number_of(first), 1U << missing_bits, sink);
    return true;
}

/// `count` is a power of two, and divides `first`.
void PrefixWalk::look_at_ipv4(std::uint32_t first, std::uint32_t count, const PrefixSink &sink)
{
    const auto end = first + count;

    while (first < end && count % page_numbers == 0) {
        tell_page(first, sink);
        first += page_numbers;
    }
    for (; first < end; first++)
        tell_ipv4(first, counted_of(first), sink);
}

void PrefixWalk::skip_to_present(const RepeatsReader &repeats)
{
    const auto held_back = repeats.read();
    const PrefixSink nobody{.ipv4 = [](std::uint32_t, std::span<const std::uint32_t>) {},
                            .ipv6 = [](const Block &, std::uint64_t) {}};

    for (std::uint32_t number = 0; number < 2 * ipv4_.entries_max(); number++)
        if (const auto syn = counted_of(number); syn != told_of(number))
            told_of(number) = syn;
    // Twice: a prefix is told when it is met again.
    for (std::uint32_t i = 0; i < 2 * ipv6_.entries_max() * TG_BUCKET_WAYS; i++)
        look_at_ipv6(i % static_cast<std::uint32_t>(told_ipv6_.size()), nobody);
    tell_held_back(held_back, repeats, nobody);
}

} // namespace tallygate::kernel
