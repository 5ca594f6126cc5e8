// SPDX-License-Identifier: BSD-2-Clause
#include "core/snapshot.hpp"

#include <array>
#include <boost/crc.hpp>
#include <utility>

#include "core/byte_stream.hpp"

namespace tallygate::core {
namespace {

constexpr std::string_view magic = "tgwindow";
constexpr std::uint64_t format_version = 1;
constexpr std::size_t header_bytes = 8 + 4 + 8 + 4;

constexpr std::array families = {Family::ipv4, Family::ipv6};

// All amounts of a snapshot together. No sum over any part of it can overflow, and a packet a
// nanosecond for a hundred years stays below.
constexpr std::uint64_t amounts_max = std::uint64_t{1} << 62;

std::uint32_t checksum(std::string_view bytes)
{
    boost::crc_32_type crc;
    crc.process_bytes(bytes.data(), bytes.size());
    return crc.checksum();
}

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

class Encoder {
public:
    std::string encode(const Snapshot &snapshot)
    {
        put_time(snapshot.counting_since);
        put_time(snapshot.written);
        put_time(snapshot.windows_since);
        writer_.put(snapshot.services.size());
        for (const auto &[name, books] : snapshot.services) {
            writer_.put_text(name);
            put_books(books);
        }
        put_told(snapshot.told);
        return seal_snapshot(writer_.take());
    }

private:
    void put_time(UnixTime time) { writer_.put_signed(time.time_since_epoch().count()); }

    void put_books(const EventBooks &books)
    {
        writer_.put(books.size());
        for (std::size_t i = 0; i < books.size(); i++) {
            writer_.put_text(event_name(static_cast<Event>(i)));
            put_windows(books[i].attributed);
            put_windows(books[i].unattributed);
            for (const auto total : books[i].attributed_total)
                writer_.put(total);
            for (const auto total : books[i].unattributed_total)
                writer_.put_signed(total);
        }
    }

    void put_windows(const WindowsBySize &by_size)
    {
        writer_.put(by_size.size());
        for (const auto &[size, windows] : by_size) {
            writer_.put(size);
            writer_.put(windows.by_index().size());
            for (const auto &[index, sums] : windows.by_index()) {
                writer_.put_signed(index);
                for (const Family family : families)
                    put_sums(sums, family);
            }
        }
    }

    /// In order, each address by what it is more than the one before it.
    void put_sums(const BlockSums &sums, Family family)
    {
        const Block all = Block::all(family);
        Halves last;

        writer_.put(sums.addresses(all));
        sums.for_each(all, [&](const Address &address, std::int64_t amount) {
            const Halves halves = halves_of(address);
            const bool same_high = halves.high == last.high;
            if (family == Family::ipv6)
                writer_.put(halves.high - last.high);
            writer_.put(halves.low - (same_high ? last.low : 0));
            writer_.put_signed(amount);
            last = halves;
        });
    }

    void put_told(const Told &told)
    {
        writer_.put(told.slots.size());
        for (const Tally &tally : told.slots)
            for (const auto total :
                 {tally.syn, tally.opened, tally.closed, tally.dropped, tally.would_drop})
                writer_.put(total);
        writer_.put(told.claims.size());
        for (const Told::Claim &claim : told.claims) {
            writer_.put_address(claim.source);
            writer_.put(claim.service);
            writer_.put(claim.first_ns);
            writer_.put(claim.syn);
        }
    }

    ByteWriter writer_;
};

class Decoder {
public:
    explicit Decoder(std::string_view body) : reader_(body) {}

    Result<Snapshot> decode()
    {
        Snapshot snapshot;

        snapshot.counting_since = take_time();
        snapshot.written = take_time();
        snapshot.windows_since = take_time();
        for (auto count = reader_.take_count(1, "a number of services"); count > 0; count--) {
            auto name = reader_.take_text();
            if (!snapshot.services.try_emplace(std::move(name), take_books()).second)
                reader_.fail("a service stands in it twice");
        }
        snapshot.told = take_told();
        if (reader_.left() != 0)
            reader_.fail("it goes on after its end");
        if (reader_.failed())
            return Error{reader_.failure()};
        return snapshot;
    }

private:
    UnixTime take_time() { return UnixTime{std::chrono::nanoseconds{reader_.take_signed()}}; }

    EventBooks take_books()
    {
        EventBooks books;

        for (auto count = reader_.take_count(1, "a number of events"); count > 0; count--) {
            const auto event = parse_event(reader_.take_text());
            EventBook book = take_book();
            // Another version may know events that we do not.
            if (event)
                books[static_cast<std::size_t>(*event)] = std::move(book);
        }
        return books;
    }

    EventBook take_book()
    {
        EventBook book;

        book.attributed = take_windows();
        book.unattributed = take_windows();
        for (auto &total : book.attributed_total)
            total = reader_.take_at_most(amounts_max, "a total");
        for (auto &total : book.unattributed_total)
            total = take_amount();
        return book;
    }

    WindowsBySize take_windows()
    {
        WindowsBySize by_size;

        for (auto sizes = reader_.take_count(2, "a number of sizes"); sizes > 0; sizes--) {
            const auto size = static_cast<std::uint32_t>(
                reader_.take_at_most(Monitor::window_seconds_max, "a window's size"));
            if (size == 0)
                reader_.fail("a window's size in it is 0");
            // How many are kept, the ledger says that takes them.
            Windows &windows = by_size.try_emplace(size, Monitor{size, 1}).first->second;
            for (auto count = reader_.take_count(3, "a number of windows"); count > 0; count--)
                take_window(windows);
        }
        return by_size;
    }

    void take_window(Windows &windows)
    {
        const auto index = reader_.take_signed();
        BlockSums sums;

        for (const Family family : families)
            sums.add_sorted(family, take_sums(family));
        windows.restore(index, std::move(sums));
    }

    std::vector<BlockSums::Amount> take_sums(Family family)
    {
        std::vector<BlockSums::Amount> amounts;
        const bool ipv6 = family == Family::ipv6;
        const auto count = reader_.take_count(ipv6 ? 3 : 2, "a number of addresses");
        Halves last;

        amounts.reserve(count);
        for (std::size_t i = 0; i < count; i++) {
            Halves halves{last.high, 0};
            if (ipv6)
                halves.high += reader_.take();
            halves.low = (halves.high == last.high ? last.low : 0) + reader_.take();
            const Address address = address_of(halves);
            const auto amount = take_amount();
            if (reader_.failed())
                return {};
            if ((i != 0 && halves <= last) || address.family() != family)
                reader_.fail("an address in it stands in the wrong place");
            amounts.push_back({address, amount});
            last = halves;
        }
        return amounts;
    }

    std::int64_t take_amount()
    {
        const auto amount = reader_.take_signed();
        const auto size = amount < 0 ? 0 - static_cast<std::uint64_t>(amount)
                                     : static_cast<std::uint64_t>(amount);
        if (size > amounts_left_) {
            reader_.fail("an amount in it is out of range");
            return 0;
        }
        amounts_left_ -= size;
        return amount;
    }

    Told take_told()
    {
        Told told;

        told.slots.resize(reader_.take_count(5, "a number of slots"));
        for (Tally &tally : told.slots)
            for (auto *total :
                 {&tally.syn, &tally.opened, &tally.closed, &tally.dropped, &tally.would_drop})
                *total = reader_.take();
        told.claims.resize(reader_.take_count(19, "a number of claims"));
        for (Told::Claim &claim : told.claims) {
            claim.source = reader_.take_address();
            claim.service = static_cast<ServiceId>(reader_.take_at_most(0xffff, "a service"));
            claim.first_ns = reader_.take();
            claim.syn = reader_.take();
        }
        return told;
    }

    ByteReader reader_;
    std::uint64_t amounts_left_ = amounts_max;
};

} // namespace

std::string encode_snapshot(const Snapshot &snapshot)
{
    return Encoder{}.encode(snapshot);
}

std::string seal_snapshot(std::string_view body)
{
    ByteWriter header;
    std::string sealed;

    header.put_fixed(format_version, 4);
    header.put_fixed(body.size(), 8);
    header.put_fixed(checksum(body), 4);
    sealed.reserve(header_bytes + body.size());
    return sealed.append(magic).append(header.take()).append(body);
}

Result<Snapshot> decode_snapshot(std::string_view bytes)
{
    if (!bytes.starts_with(magic))
        return Error{"it is no snapshot of tallygate's windows"};
    if (bytes.size() < header_bytes)
        return Error{"it ends in the middle"};

    ByteReader header{bytes.substr(magic.size())};
    const auto version = header.take_fixed(4);
    const auto body_bytes = header.take_fixed(8);
    const auto sum = header.take_fixed(4);
    const auto body = bytes.substr(header_bytes);
    if (version != format_version)
        return Error{"it is of format " + std::to_string(version) + ", and this version reads " +
                     std::to_string(format_version)};
    if (body.size() != body_bytes)
        return Error{"it has " + std::to_string(body.size()) + " bytes of " +
                     std::to_string(body_bytes)};
    if (checksum(body) != sum)
        return Error{"its checksum is wrong"};
    return Decoder{body}.decode();
}

} // namespace tallygate::core
