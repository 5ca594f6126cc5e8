// SPDX-License-Identifier: BSD-2-Clause
#include "core/block_sums.hpp"

#include <type_traits>

namespace tallygate::core {
namespace {

/// `count` bytes of an address from `begin` on, as a number in host order.
std::uint64_t number_at(const Address &address, std::size_t begin, std::size_t count)
{
    std::uint64_t number = 0;

    for (std::size_t i = begin; i < begin + count; i++)
        number = number << 8 | address.bytes[i];
    return number;
}

} // namespace

std::uint32_t BlockSums::ipv4_key(const Address &address)
{
    return static_cast<std::uint32_t>(number_at(address, 12, 4));
}

BlockSums::Ipv6Key BlockSums::ipv6_key(const Address &address)
{
    return {number_at(address, 0, 8), number_at(address, 8, 8)};
}

Address BlockSums::address_of(const Ipv6Key &key)
{
    Address address;

    for (unsigned i = 0; i < 8; i++) {
        address.bytes[i] = static_cast<std::uint8_t>(key.high >> (56 - 8 * i));
        address.bytes[8 + i] = static_cast<std::uint8_t>(key.low >> (56 - 8 * i));
    }
    return address;
}

void BlockSums::add(const Address &address, std::int64_t amount)
{
    if (address.is_ipv4())
        ipv4_.add(ipv4_key(address), amount);
    else
        ipv6_.add(ipv6_key(address), amount);
}

void BlockSums::add_all(const BlockSums &other, const Block &block)
{
    if (block.family() == Family::ipv4)
        ipv4_.add_all(other.ipv4_, ipv4_key(block.first()), ipv4_key(block.last()));
    else
        ipv6_.add_all(other.ipv6_, ipv6_key(block.first()), ipv6_key(block.last()));
}

void BlockSums::add_sorted(Family family, const std::vector<Amount> &amounts)
{
    const auto add_to = [&](auto &runs, auto key_of) {
        std::vector<typename std::decay_t<decltype(runs)>::Entry> entries;
        entries.reserve(amounts.size());
        for (const Amount &amount : amounts)
            entries.push_back({key_of(amount.address), amount.amount});
        runs.add_sorted(entries);
    };
    if (family == Family::ipv4)
        add_to(ipv4_, ipv4_key);
    else
        add_to(ipv6_, ipv6_key);
}

std::int64_t BlockSums::sum(const Block &block) const
{
    if (block.family() == Family::ipv4)
        return ipv4_.sum(ipv4_key(block.first()), ipv4_key(block.last()));
    return ipv6_.sum(ipv6_key(block.first()), ipv6_key(block.last()));
}

std::size_t BlockSums::addresses(const Block &block) const
{
    if (block.family() == Family::ipv4)
        return ipv4_.keys(ipv4_key(block.first()), ipv4_key(block.last()));
    return ipv6_.keys(ipv6_key(block.first()), ipv6_key(block.last()));
}

void BlockSums::for_each(const Block &block,
                         const std::function<void(const Address &, std::int64_t)> &visit) const
{
    if (block.family() == Family::ipv4)
        ipv4_.for_each(
            ipv4_key(block.first()), ipv4_key(block.last()),
            [&](std::uint32_t key, std::int64_t sum) { visit(Address::from_ipv4(key), sum); });
    else
        ipv6_.for_each(ipv6_key(block.first()), ipv6_key(block.last()),
                       [&](const Ipv6Key &key, std::int64_t sum) { visit(address_of(key), sum); });
}

void BlockSums::compact()
{
    ipv4_.compact();
    ipv6_.compact();
}

} // namespace tallygate::core
