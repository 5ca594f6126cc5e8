// SPDX-License-Identifier: BSD-2-Clause
#include "core/source_set.hpp"

#include <algorithm>
#include <utility>

namespace tallygate::core {
namespace {

constexpr std::size_t slots_min = 256;

std::uint64_t number_at(const Address &address, std::size_t begin, std::size_t count)
{
    std::uint64_t number = 0;

    for (std::size_t i = begin; i < begin + count; i++)
        number = number << 8 | address.bytes[i];
    return number;
}

/// The finish of MurmurHash3: every bit of the result hangs on every bit of the number, and no
/// two numbers have one result.
std::uint32_t mixed(std::uint32_t number)
{
    number = (number ^ number >> 16) * 0x85eb'ca6bU;
    number = (number ^ number >> 13) * 0xc2b2'ae35U;
    return number ^ number >> 16;
}

std::uint32_t mark_of(const Address &source)
{
    std::uint32_t mark = 0;

    if (source.is_ipv4()) {
        mark = mixed(static_cast<std::uint32_t>(number_at(source, 12, 4)));
    } else {
        for (std::size_t begin = 0; begin < source.bytes.size(); begin += 4)
            mark = mixed(mark * 31 + static_cast<std::uint32_t>(number_at(source, begin, 4)));
    }
    return std::max(mark, 1U);
}

} // namespace

bool SourceSet::admit(const Address &source)
{
    if (size_ >= slots_.size() / 2 && size_ < sources_max)
        grow();
    return put(mark_of(source));
}

bool SourceSet::put(std::uint32_t mark)
{
    for (std::size_t probe = 0; probe < probes_max; probe++) {
        auto &slot = slots_[(mark + probe) & (slots_.size() - 1)];
        if (slot == mark)
            return true;
        if (slot != 0)
            continue;
        if (size_ >= sources_max)
            return false;
        slot = mark;
        size_++;
        return true;
    }
    return false;
}

void SourceSet::grow()
{
    const auto before =
        std::exchange(slots_, std::vector<std::uint32_t>(std::max(slots_min, slots_.size() * 2)));

    size_ = 0;
    for (const auto mark : before)
        if (mark != 0)
            put(mark);
}

} // namespace tallygate::core
