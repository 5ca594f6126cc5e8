// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/hints.hpp"

namespace tallygate::kernel {
namespace {

constexpr std::uint32_t family_bits = TG_HINT_BITS / 2;
constexpr unsigned ipv4_bits = 96 + 16; ///< what of an address makes its bit
constexpr unsigned ipv6_bits = 32;

struct BitRange {
    std::uint32_t first;
    std::uint32_t count;
};

std::uint32_t word_at(const Address &address, std::size_t byte)
{
    std::uint32_t word = 0;
    for (std::size_t i = 0; i < 4; i++)
        word = word << 8 | address.bytes[byte + i];
    return word;
}

/// The bits of all addresses of a block; see bpf/hints.h. Those of a short IPv6 block are
/// scattered by the hash: it takes all.
BitRange bits_of(const Block &block)
{
    if (block.family() == Family::ipv4) {
        const auto first = word_at(block.first(), 12) >> 16;
        const auto length = block.length_bits();
        return {first, length >= ipv4_bits ? 1U : 1U << (ipv4_bits - length)};
    }
    if (block.length_bits() < ipv6_bits)
        return {family_bits, family_bits};
    const auto hash = word_at(block.first(), 0) * TG_HINT_IPV6_MULTIPLIER;
    return {family_bits + (hash >> TG_HINT_IPV6_SHIFT), 1};
}

} // namespace

void HintCounts::add(const Block &block)
{
    const auto [first, count] = bits_of(block);
    for (auto bit = first; bit < first + count; bit++)
        counts_[bit]++;
}

void HintCounts::remove(const Block &block)
{
    const auto [first, count] = bits_of(block);
    for (auto bit = first; bit < first + count; bit++)
        counts_[bit]--;
}

std::vector<std::uint64_t> HintCounts::words() const
{
    std::vector<std::uint64_t> words(TG_HINT_WORDS);
    for (std::size_t bit = 0; bit < counts_.size(); bit++)
        words[bit / 64] |= std::uint64_t{counts_[bit] != 0} << bit % 64;
    return words;
}

Result<HintTable> HintTable::open(int fd, tg_hint table)
{
    auto hints = MappedArray<std::uint64_t>::open(fd, "hints");
    if (!hints)
        return hints.error();
    return HintTable{std::move(*hints), table};
}

void HintTable::add(const std::vector<std::uint64_t> &words) const
{
    for (std::uint32_t i = 0; i < TG_HINT_WORDS; i++)
        if ((hints_[first_ + i] & words[i]) != words[i])
            __atomic_fetch_or(&hints_[first_ + i], words[i], __ATOMIC_SEQ_CST);
}

void HintTable::replace(const std::vector<std::uint64_t> &words) const
{
    for (std::uint32_t i = 0; i < TG_HINT_WORDS; i++)
        if (hints_[first_ + i] != words[i])
            hints_[first_ + i] = words[i];
}

} // namespace tallygate::kernel
