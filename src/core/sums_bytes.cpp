// SPDX-License-Identifier: BSD-2-Clause
#include "core/sums_bytes.hpp"

#include <compare>

namespace tallygate::core {
namespace {

/// The two halves of an address as numbers: neighbours in a window differ by little.
struct Halves {
    std::uint64_t high = 0;
    std::uint64_t low = 0;

    auto operator<=>(const Halves &) const = default;
};

Halves halves_of(const Address &address)
{
    Halves halves;

    for (std::size_t i = 0; i < 8; i++) {
        halves.high = halves.high << 8 | address.bytes[i];
        halves.low = halves.low << 8 | address.bytes[8 + i];
    }
    return halves;
}

Address address_of(const Halves &halves)
{
    Address address;

    for (unsigned i = 0; i < 8; i++) {
        address.bytes[i] = static_cast<std::uint8_t>(halves.high >> (56 - 8 * i));
        address.bytes[8 + i] = static_cast<std::uint8_t>(halves.low >> (56 - 8 * i));
    }
    return address;
}

} // namespace

void put_sums(ByteWriter &writer, const BlockSums &sums, Family family)
{
    const Block all = Block::all(family);
    Halves last;

    writer.put(sums.addresses(all));
    sums.for_each(all, [&](const Address &address, std::int64_t amount) {
        const Halves halves = halves_of(address);
        const bool same_high = halves.high == last.high;
        if (family == Family::ipv6)
            writer.put(halves.high - last.high);
        writer.put(halves.low - (same_high ? last.low : 0));
        writer.put_signed(amount);
        last = halves;
    });
}

std::vector<BlockSums::Amount> take_sums(ByteReader &reader, Family family, unsigned length_bits,
                                         std::uint64_t &amounts_left)
{
    std::vector<BlockSums::Amount> amounts;
    const bool ipv6 = family == Family::ipv6;
    const auto count = reader.take_count(ipv6 ? 3 : 2, "a number of addresses");
    Halves last;

    amounts.reserve(count);
    for (std::size_t i = 0; i < count; i++) {
        Halves halves{last.high, 0};
        if (ipv6)
            halves.high += reader.take();
        halves.low = (halves.high == last.high ? last.low : 0) + reader.take();
        const Address address = address_of(halves);
        const auto amount = take_amount(reader, amounts_left);
        if (reader.failed())
            return {};
        if ((i != 0 && halves <= last) || address.family() != family ||
            address.masked(length_bits) != address)
            reader.fail("an address in it stands in the wrong place");
        amounts.push_back({address, amount});
        last = halves;
    }
    return amounts;
}

std::int64_t take_amount(ByteReader &reader, std::uint64_t &amounts_left)
{
    const auto amount = reader.take_signed();
    const auto size =
        amount < 0 ? 0 - static_cast<std::uint64_t>(amount) : static_cast<std::uint64_t>(amount);
    if (size > amounts_left) {
        reader.fail("an amount in it is out of range");
        return 0;
    }
    amounts_left -= size;
    return amount;
}

} // namespace tallygate::core
