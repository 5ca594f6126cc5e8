// SPDX-License-Identifier: BSD-2-Clause
#include "core/snapshot.hpp"

#include <array>
#include <utility>

#include "core/byte_stream.hpp"
#include "core/sealed.hpp"
#include "core/sums_bytes.hpp"

namespace tallygate::core {
namespace {

constexpr SealKind kind{"tgwindow", "snapshot of tallygate's windows", 1, 4};

constexpr std::array families = {Family::ipv4, Family::ipv6};

// What a window of prefixes says of itself.
constexpr std::uint64_t is_whole_flag = 1;
constexpr std::uint64_t has_fine_ipv4_flag = 2;
constexpr std::uint64_t has_fine_ipv6_flag = 4;
constexpr std::uint64_t flags_max = 7;

constexpr std::uint64_t ipv6_coarse_numbers = std::uint64_t{1} << 32;
constexpr std::uint64_t ipv6_fine_numbers = std::uint64_t{1} << 48;

class Encoder {
public:
    std::string encode(const Snapshot &snapshot)
    {
        writer_.put_time(snapshot.counting_since);
        writer_.put_time(snapshot.written);
        writer_.put_time(snapshot.windows_since);
        writer_.put(snapshot.services.size());
        for (const auto &[name, books] : snapshot.services) {
            writer_.put_text(name);
            put_books(books);
        }
        put_told(snapshot.told);
        put_prefixes(snapshot.prefixes);
        put_networks(snapshot.networks);
        put_reported(snapshot);
        put_kept(snapshot.kept);
        return seal_snapshot(writer_.take());
    }

private:
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
                    put_sums(writer_, sums, family);
            }
        }
    }

    void put_told(const Told &told)
    {
        writer_.put(told.slots.size());
        for (std::size_t slot = 0; slot < told.slots.size(); slot++)
            put_tally(told.slots[slot]);
        put_told_claims(told.claims);
    }

    void put_told_claims(const SharedArray<Told::Claim> &claims)
    {
        std::size_t count = 0;
        for (std::size_t i = 0; i < claims.size(); i++)
            count += claims[i].syn != 0 ? 1 : 0;
        writer_.put(count);
        for (std::size_t i = 0; i < claims.size(); i++) {
            const Told::Claim &claim = claims[i];
            if (claim.syn == 0)
                continue;
            writer_.put_address(claim.source);
            writer_.put(claim.service);
            writer_.put(claim.dropped);
            writer_.put(claim.syn);
        }
    }

    void put_tally(const Tally &tally)
    {
        for (const auto total :
             {tally.syn, tally.opened, tally.closed, tally.dropped, tally.would_drop})
            writer_.put(total);
    }

    void put_prefixes(const PrefixWindows &prefixes)
    {
        writer_.put(prefixes.since() ? 1 : 0);
        writer_.put_time(prefixes.since().value_or(UnixTime{}));
        writer_.put(prefixes.by_size().size());
        for (const auto &[size, windows] : prefixes.by_size()) {
            writer_.put(size);
            writer_.put(windows.size());
            for (const auto &[index, window] : windows) {
                writer_.put_signed(index);
                writer_.put((window.is_whole ? is_whole_flag : 0) |
                            (window.has_fine[0] ? has_fine_ipv4_flag : 0) |
                            (window.has_fine[1] ? has_fine_ipv6_flag : 0));
                put_counts(window.coarse_ipv4);
                put_counts(window.fine_ipv4);
                put_counts(window.coarse_ipv6, ipv6_coarse_numbers);
                put_counts(window.fine_ipv6, ipv6_fine_numbers);
            }
        }
    }

    void put_counts(const PrefixCounts &counts)
    {
        std::uint64_t numbers = 0;
        std::uint64_t last = 0;

        counts.for_each([&](std::uint64_t, std::uint64_t) { numbers++; });
        writer_.put(numbers);
        counts.for_each([&](std::uint64_t number, std::uint64_t amount) {
            writer_.put(number - std::exchange(last, number));
            writer_.put(amount);
        });
    }

    void put_counts(const SortedRuns<std::uint64_t> &counts, std::uint64_t numbers)
    {
        std::uint64_t last = 0;

        writer_.put(counts.keys(0, numbers - 1));
        counts.for_each(0, numbers - 1, [&](std::uint64_t number, std::int64_t amount) {
            writer_.put(number - std::exchange(last, number));
            writer_.put(static_cast<std::uint64_t>(amount));
        });
    }

    void put_networks(const NetworkBooks &networks)
    {
        writer_.put(networks.size());
        for (const auto &[network, book] : networks) {
            writer_.put_address(network.first());
            writer_.put(network.length_bits());
            writer_.put_time(book.since);
            put_tally(book.told);
            writer_.put(book.by_size.size());
            for (const auto &[size, windows] : book.by_size) {
                writer_.put(size);
                writer_.put(windows.size());
                for (const auto &[index, counts] : windows) {
                    writer_.put_signed(index);
                    writer_.put(counts.syn);
                    writer_.put(counts.dropped);
                }
            }
        }
    }

    void put_reported(const Snapshot &snapshot)
    {
        writer_.put(snapshot.reported_since ? 1 : 0);
        writer_.put_time(snapshot.reported_since.value_or(UnixTime{}));
        writer_.put(snapshot.reported.size());
        for (const auto &[service, book] : snapshot.reported) {
            writer_.put_text(service);
            writer_.put(book.size());
            for (std::size_t i = 0; i < book.size(); i++) {
                writer_.put_text(reported_name(static_cast<Reported>(i)));
                writer_.put(book[i].size());
                for (const auto &[length_bits, by_size] : book[i]) {
                    writer_.put(length_bits);
                    put_windows(by_size);
                }
            }
        }
    }

    void put_kept(const KeptBySize &kept)
    {
        writer_.put(kept.size());
        for (const auto &[size, windows] : kept) {
            writer_.put(size);
            writer_.put(windows.windows);
            writer_.put_time(windows.since);
        }
    }

    ByteWriter writer_;
};

class Decoder {
public:
    Decoder(std::string_view body, std::uint64_t version) : reader_(body), version_(version) {}

    Result<Snapshot> decode()
    {
        Snapshot snapshot;

        snapshot.counting_since = reader_.take_time();
        snapshot.written = reader_.take_time();
        snapshot.windows_since = reader_.take_time();
        for (auto count = reader_.take_count(1, "a number of services"); count > 0; count--) {
            auto name = reader_.take_text();
            if (!snapshot.services.try_emplace(std::move(name), take_books()).second)
                reader_.fail("a service stands in it twice");
        }
        snapshot.told = take_told();
        if (version_ >= 2) {
            snapshot.prefixes = take_prefixes();
            snapshot.networks = take_networks();
        }
        if (version_ >= 3)
            take_reported(snapshot);
        if (version_ >= 4)
            snapshot.kept = take_kept();
        if (reader_.left() != 0)
            reader_.fail("it goes on after its end");
        if (reader_.failed())
            return Error{reader_.failure()};
        return snapshot;
    }

private:
    std::uint32_t take_size()
    {
        const auto size = static_cast<std::uint32_t>(
            reader_.take_at_most(Monitor::window_seconds_max, "a window's size"));
        if (size == 0)
            reader_.fail("a window's size in it is 0");
        return size;
    }

    std::uint64_t take_count_of_syns()
    {
        const auto amount = reader_.take_at_most(amounts_left_, "an amount");
        amounts_left_ -= amount;
        return amount;
    }

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

    /// Of addresses that have nothing behind their first `length_bits`.
    WindowsBySize take_windows(unsigned length_bits = 128)
    {
        WindowsBySize by_size;

        for (auto sizes = reader_.take_count(2, "a number of sizes"); sizes > 0; sizes--) {
            const auto size = take_size();
            // How many are kept, the ledger says that takes them.
            Windows &windows = by_size.try_emplace(size, Monitor{size, 1}).first->second;
            for (auto count = reader_.take_count(3, "a number of windows"); count > 0; count--)
                take_window(windows, length_bits);
        }
        return by_size;
    }

    void take_window(Windows &windows, unsigned length_bits)
    {
        const auto index = reader_.take_window_index();
        BlockSums sums;

        for (const Family family : families)
            sums.add_sorted(family, take_sums(reader_, family, length_bits, amounts_left_));
        windows.restore(index, std::move(sums));
    }

    std::int64_t take_amount() { return core::take_amount(reader_, amounts_left_); }

    Told take_told()
    {
        Told told;

        for (auto count = reader_.take_count(5, "a number of slots"); count > 0; count--)
            told.slots.push_back(take_tally());
        for (auto count = reader_.take_count(19, "a number of claims"); count > 0; count--)
            told.claims.push_back(take_told_claim());
        return told;
    }

    Told::Claim take_told_claim()
    {
        Told::Claim claim;
        claim.source = reader_.take_address();
        claim.service = static_cast<ServiceId>(reader_.take_at_most(0xffff, "a service"));
        if (version_ >= 2)
            claim.dropped = take_claimed("a claim's drops");
        else
            reader_.take(); // when it was first seen
        claim.syn = take_claimed("a claim's SYNs");
        return claim;
    }

    std::uint32_t take_claimed(const char *what)
    {
        return static_cast<std::uint32_t>(reader_.take_at_most(0xffffffff, what));
    }

    Tally take_tally()
    {
        Tally tally;
        for (auto *total :
             {&tally.syn, &tally.opened, &tally.closed, &tally.dropped, &tally.would_drop})
            *total = reader_.take();
        return tally;
    }

    PrefixWindows take_prefixes()
    {
        PrefixWindows prefixes;

        const bool has_since = reader_.take_at_most(1, "a yes or no") != 0;
        const UnixTime since = reader_.take_time();
        if (has_since)
            prefixes.set_since(since);
        for (auto sizes = reader_.take_count(2, "a number of sizes"); sizes > 0; sizes--) {
            const auto size = take_size();
            for (auto count = reader_.take_count(6, "a number of windows"); count > 0; count--) {
                const auto index = reader_.take_window_index();
                auto window = take_prefix_window();
                if (reader_.failed())
                    return {};
                prefixes.restore(size, index, std::move(window));
            }
        }
        return prefixes;
    }

    PrefixWindows::Window take_prefix_window()
    {
        PrefixWindows::Window window;

        const auto flags = reader_.take_at_most(flags_max, "what a window says of itself");
        window.is_whole = (flags & is_whole_flag) != 0;
        window.has_fine = {(flags & has_fine_ipv4_flag) != 0, (flags & has_fine_ipv6_flag) != 0};
        take_counts(std::uint64_t{1} << 16, [&](std::uint64_t number, std::uint64_t amount) {
            window.coarse_ipv4.add(static_cast<PrefixCounts::Number>(number), amount);
        });
        take_counts(std::uint64_t{1} << 24, [&](std::uint64_t number, std::uint64_t amount) {
            window.fine_ipv4.add(static_cast<PrefixCounts::Number>(number), amount);
        });
        take_counts(ipv6_coarse_numbers, [&](std::uint64_t number, std::uint64_t amount) {
            window.coarse_ipv6.add(number, static_cast<std::int64_t>(amount));
        });
        take_counts(ipv6_fine_numbers, [&](std::uint64_t number, std::uint64_t amount) {
            window.fine_ipv6.add(number, static_cast<std::int64_t>(amount));
        });
        return window;
    }

    /// Hands on each number and its amount; all of them are below `numbers`, in order.
    template <typename Add>
    void take_counts(std::uint64_t numbers, Add &&add)
    {
        std::uint64_t last = 0;
        bool first = true;

        for (auto count = reader_.take_count(2, "a number of prefixes"); count > 0; count--) {
            const auto step = reader_.take_at_most(numbers - 1 - last, "a prefix");
            const auto amount = take_count_of_syns();
            if (!std::exchange(first, false) && step == 0)
                reader_.fail("a prefix stands in it twice");
            if (reader_.failed())
                return;
            last += step;
            add(last, amount);
        }
    }

    NetworkBooks take_networks()
    {
        NetworkBooks networks;

        for (auto count = reader_.take_count(24, "a number of networks"); count > 0; count--) {
            const Address address = reader_.take_address();
            const auto bits =
                static_cast<unsigned>(reader_.take_at_most(128, "a network's length"));
            NetworkBook book = take_network_book();
            if (reader_.failed())
                return {};
            if (!networks.try_emplace(Block{address, bits}, std::move(book)).second)
                reader_.fail("a network stands in it twice");
        }
        return networks;
    }

    NetworkBook take_network_book()
    {
        NetworkBook book;

        book.since = reader_.take_time();
        book.told = take_tally();
        for (auto sizes = reader_.take_count(2, "a number of sizes"); sizes > 0; sizes--) {
            auto &windows = book.by_size[take_size()];
            for (auto count = reader_.take_count(3, "a number of windows"); count > 0; count--) {
                const auto index = reader_.take_window_index();
                const auto syn = take_count_of_syns();
                windows[index] = {syn, take_count_of_syns()};
            }
        }
        return book;
    }

    void take_reported(Snapshot &snapshot)
    {
        const bool has_since = reader_.take_at_most(1, "a yes or no") != 0;
        const UnixTime since = reader_.take_time();
        if (has_since)
            snapshot.reported_since = since;
        for (auto count = reader_.take_count(2, "a number of services"); count > 0; count--) {
            auto service = reader_.take_text();
            if (!snapshot.reported.try_emplace(std::move(service), take_reported_book()).second)
                reader_.fail("a service stands in it twice");
        }
    }

    ReportedWindows::Book take_reported_book()
    {
        ReportedWindows::Book book;

        for (auto count = reader_.take_count(2, "a number of events"); count > 0; count--) {
            const auto event = parse_reported(reader_.take_text());
            ReportedWindows::ByLength by_length;
            for (auto lengths = reader_.take_count(2, "a number of lengths"); lengths > 0;
                 lengths--) {
                const auto length_bits =
                    static_cast<unsigned>(reader_.take_at_most(128, "a block's length"));
                if (!by_length.try_emplace(length_bits, take_windows(length_bits)).second)
                    reader_.fail("a length stands in it twice");
            }
            // Another version may know events that we do not.
            if (event)
                book[static_cast<std::size_t>(*event)] = std::move(by_length);
        }
        return book;
    }

    KeptBySize take_kept()
    {
        KeptBySize kept;

        for (auto sizes = reader_.take_count(3, "a number of sizes"); sizes > 0; sizes--) {
            const auto size = take_size();
            const auto windows = static_cast<std::uint32_t>(
                reader_.take_at_most(Monitor::windows_max, "a number of windows"));
            if (windows == 0)
                reader_.fail("no windows are kept of a size in it");
            if (!kept.try_emplace(size, Kept{windows, reader_.take_time()}).second)
                reader_.fail("a size stands in it twice");
        }
        return kept;
    }

    ByteReader reader_;
    std::uint64_t version_;
    std::uint64_t amounts_left_ = amounts_max;
};

} // namespace

std::string encode_snapshot(const Snapshot &snapshot)
{
    return Encoder{}.encode(snapshot);
}

std::string seal_snapshot(std::string_view body)
{
    return seal(kind, body);
}

Result<Snapshot> decode_snapshot(std::string_view bytes)
{
    const auto unsealed = unseal(kind, bytes);
    if (!unsealed)
        return unsealed.error();
    return Decoder{unsealed->body, unsealed->version}.decode();
}

} // namespace tallygate::core
