// SPDX-License-Identifier: BSD-2-Clause
#include "core/snapshot.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <limits>
#include <utility>
#include <vector>

#include "core/byte_stream.hpp"
#include "core/count_bounds.hpp"
#include "core/support.hpp"

namespace tallygate::core::test {
namespace {

constexpr ServiceId smtp = 1;
constexpr ServiceId submission = 2;
constexpr Monitor seconds{1, 60};
constexpr Monitor minutes{60, 5};
const Block big = block("192.0.2.0/24");
constexpr std::array both_families = {Family::ipv4, Family::ipv6};

SourceChange next_change(Dice &dice)
{
    const auto some = [&] { return static_cast<std::uint64_t>(dice.number(0, 3)); };
    return {.source = dice.next_address(),
            .service = static_cast<ServiceId>(dice.number(smtp, submission)),
            .syn = some(),
            .opened = some(),
            .closed = some(),
            .dropped = some()};
}

/// A life of a few minutes, its end at `now`.
struct Life {
    explicit Life(std::uint32_t seed) : dice(seed), ledger({seconds, minutes})
    {
        if (dice.number(0, 1) == 1)
            ledger.prefixes().set_since(at(now));
        ledger.networks().begin(big, {.syn = 70}, at(now));
        for (auto events = dice.number(0, 1'500); events > 0; events--) {
            const auto change = next_change(dice);
            ledger.record(change, at(now));
            ledger.record_prefix(widened(Block{change.source, 128}, Detail::fine), change.syn + 1,
                                 at(now));
            report(change.source);
            if (big.contains(change.source))
                ledger.record_network(big, {.syn = change.syn, .dropped = change.dropped}, at(now));
            now += static_cast<double>(dice.number(0, 2)) / 10;
        }
        for (const ServiceId service : {smtp, submission})
            for (const Family family : both_families)
                ledger.reconcile(service, family, total, at(now));
    }

    /// Of an address, or now and then of a block around it.
    void report(const Address &client)
    {
        const auto length_bits = dice.number(0, 5) == 0 ? dice.number(96, 128) : 128;
        ledger.reported().record({static_cast<Reported>(dice.number(0, reported_count - 1)),
                                  dice.number(0, 1) == 0 ? "smtp" : "other",
                                  Block{client, static_cast<unsigned>(length_bits)},
                                  static_cast<std::uint64_t>(dice.number(0, 3))},
                                 at(now));
    }

    Tally total{.syn = 5'000, .dropped = 6'000};
    Dice dice;
    Ledger ledger;
    double now = 1'000'000;
};

Snapshot snapshot_of(const Ledger &ledger)
{
    Snapshot snapshot;
    auto books = ledger.books();

    snapshot.counting_since = at(900'000);
    snapshot.written = at(1'000'400);
    snapshot.windows_since = at(950'000);
    snapshot.services["smtp"] = books[smtp];
    snapshot.services["submission"] = books[submission];
    snapshot.prefixes = ledger.prefixes().for_snapshot();
    snapshot.networks = ledger.networks().books();
    snapshot.reported = ledger.reported().books();
    snapshot.reported_since = ledger.reported().since();
    return snapshot;
}

Ledger restored(Snapshot snapshot, std::vector<Monitor> monitors)
{
    Ledger ledger{std::move(monitors)};
    ledger.restore(smtp, std::move(snapshot.services.at("smtp")));
    ledger.restore(submission, std::move(snapshot.services.at("submission")));
    ledger.prefixes().restore(std::move(snapshot.prefixes));
    ledger.networks().restore(std::move(snapshot.networks));
    ledger.reported().restore(std::move(snapshot.reported));
    return ledger;
}

/// The same bounds: they rest on all that there is.
void expect_same_bounds(const Ledger &ledger, const Ledger &other, const Asked &asked)
{
    const auto bounds = bound_count(ledger, asked);
    const auto other_bounds = bound_count(other, asked);

    RC_ASSERT(other_bounds.lower == bounds.lower);
    RC_ASSERT(other_bounds.upper == bounds.upper);
    RC_ASSERT(other_bounds.by_prefixes == bounds.by_prefixes);
}

void expect_same_reports(const Ledger &ledger, const Ledger &other, const Asked &asked, Dice &dice)
{
    const auto event = static_cast<Reported>(dice.number(0, reported_count - 1));
    for (const auto &service : {std::optional<std::string>{}, {"smtp"}, {"other"}}) {
        const auto sum_of = [&](const Ledger &one) {
            return one.reported().sum(asked.block, service, event, asked.monitor, asked.start,
                                      asked.end, asked.now);
        };
        RC_ASSERT(sum_of(other).within == sum_of(ledger).within);
        RC_ASSERT(sum_of(other).around == sum_of(ledger).around);
    }
}

/// The same answers to a few random questions about `monitor`.
void expect_same_windows(const Ledger &ledger, const Ledger &other, const Monitor &monitor,
                         Dice &dice, double now)
{
    for (int i = 0; i < 30; i++) {
        const Block asked = dice.next_block();
        const auto end = static_cast<std::uint32_t>(dice.number(0, monitor.windows - 1));
        const auto start = static_cast<std::uint32_t>(dice.number(0, end));
        const auto event = static_cast<Event>(dice.number(0, event_count - 1));
        const auto service = static_cast<ServiceId>(dice.number(smtp, submission));
        RC_ASSERT(other.count(asked, service, event, monitor, start, end, at(now)) ==
                  ledger.count(asked, service, event, monitor, start, end, at(now)));
        RC_ASSERT(
            other.unattributed(asked.family(), service, event, monitor, start, end, at(now)) ==
            ledger.unattributed(asked.family(), service, event, monitor, start, end, at(now)));
        Asked bounded{.block = asked,
                      .service = {},
                      .event = event,
                      .monitor = monitor,
                      .start = start,
                      .end = end,
                      .now = at(now),
                      .since = at(0)};
        expect_same_bounds(ledger, other, bounded);
        expect_same_reports(ledger, other, bounded, dice);
        bounded.service = service;
        expect_same_bounds(ledger, other, bounded);
        bounded.block = big;
        bounded.service = {};
        expect_same_bounds(ledger, other, bounded);
    }
}

Told next_told(Dice &dice)
{
    Told told;
    const auto any = [&] {
        return static_cast<std::uint64_t>(dice.number(std::numeric_limits<std::int64_t>::min(),
                                                      std::numeric_limits<std::int64_t>::max())) >>
               dice.number(0, 63);
    };
    for (auto slots = dice.number(0, 50); slots > 0; slots--)
        told.slots.push_back({any(), any(), any(), any(), any()});
    for (auto claims = dice.number(0, 50); claims > 0; claims--)
        told.claims.push_back({dice.next_address(), static_cast<ServiceId>(dice.number(0, 65'535)),
                               static_cast<std::uint32_t>(any()),
                               static_cast<std::uint32_t>(any()) | 1});
    return told;
}

RC_GTEST_PROP(SnapshotProperty, a_ledger_is_the_same_after_bytes, (std::uint32_t seed))
{
    Life life{seed};
    Snapshot before = snapshot_of(life.ledger);
    before.told = next_told(life.dice);

    const auto after = decode_snapshot(encode_snapshot(before));
    RC_ASSERT(static_cast<bool>(after));
    RC_ASSERT(after->counting_since == before.counting_since);
    RC_ASSERT(after->written == before.written);
    RC_ASSERT(after->windows_since == before.windows_since);
    RC_ASSERT(after->told.slots == before.told.slots);
    RC_ASSERT(after->told.claims == before.told.claims);

    const Ledger ledger = restored(*after, {seconds, minutes});
    expect_same_windows(life.ledger, ledger, seconds, life.dice, life.now);
    expect_same_windows(life.ledger, ledger, minutes, life.dice, life.now);
    for (const ServiceId service : {smtp, submission})
        for (const Family family : both_families)
            RC_ASSERT(ledger.is_reconciled(service, family, life.total) ==
                      life.ledger.is_reconciled(service, family, life.total));
}

RC_GTEST_PROP(SnapshotProperty, a_ledger_goes_on_as_if_nothing_had_happened, (std::uint32_t seed))
{
    Life life{seed};
    Ledger ledger =
        restored(*decode_snapshot(encode_snapshot(snapshot_of(life.ledger))), {seconds, minutes});

    for (int i = 0; i < 100; i++) {
        const auto change = next_change(life.dice);
        life.ledger.record(change, at(life.now));
        ledger.record(change, at(life.now));
        life.now += 0.1;
    }
    life.total.syn += 1'000;
    for (Ledger *each : {&life.ledger, &ledger})
        each->reconcile(smtp, Family::ipv6, life.total, at(life.now));
    expect_same_windows(life.ledger, ledger, minutes, life.dice, life.now);
}

RC_GTEST_PROP(SnapshotProperty, no_changed_byte_is_believed, (std::uint32_t seed))
{
    Life life{seed};
    auto bytes = encode_snapshot(snapshot_of(life.ledger));
    for (int i = 0; i < 20; i++) {
        auto &byte = bytes[static_cast<std::size_t>(
            life.dice.number(0, static_cast<std::int64_t>(bytes.size()) - 1))];
        const char before = byte;
        byte = static_cast<char>(before ^ life.dice.number(1, 255));
        RC_ASSERT(!decode_snapshot(bytes));
        byte = before;
    }
    RC_ASSERT(static_cast<bool>(decode_snapshot(bytes)));
}

/// The checksum would tell; here it is made right again, so that the decoder has to.
RC_GTEST_PROP(SnapshotProperty, a_changed_body_is_refused_or_can_be_summed, (std::uint32_t seed))
{
    Life life{seed};
    auto body = encode_snapshot(snapshot_of(life.ledger)).substr(24);
    for (int i = 0; i < 20; i++)
        body[static_cast<std::size_t>(
            life.dice.number(0, static_cast<std::int64_t>(body.size()) - 1))] =
            static_cast<char>(life.dice.number(0, 255));

    auto snapshot = decode_snapshot(seal_snapshot(body));
    if (!snapshot)
        return;
    Ledger ledger{{seconds, minutes}};
    for (auto &[name, books] : snapshot->services)
        ledger.restore(smtp, std::move(books));
    for (const Family family : both_families)
        ledger.count(Block::all(family), std::nullopt, Event::syn, minutes, 0, 4, at(life.now));
}

/// One SYN and one connection from each family.
Ledger small_ledger()
{
    Ledger ledger{{seconds, minutes}};
    for (const char *source : {"192.0.2.1", "192.0.2.9", "2001:db8:1::"})
        ledger.record({.source = address(source), .service = smtp, .syn = 1, .opened = 1},
                      at(1'000'000));
    ledger.record({.source = address("203.0.113.5"), .service = submission, .syn = 7},
                  at(1'000'000));
    return ledger;
}

TEST(Snapshot, refuses_every_beginning_of_itself)
{
    const auto whole = encode_snapshot(snapshot_of(small_ledger()));
    for (std::size_t size = 0; size < whole.size(); size++)
        EXPECT_FALSE(decode_snapshot(whole.substr(0, size))) << size;
    EXPECT_FALSE(decode_snapshot(whole + '\0'));
    EXPECT_TRUE(decode_snapshot(whole));
}

TEST(Snapshot, refuses_every_beginning_of_a_body)
{
    const auto body = encode_snapshot(snapshot_of(small_ledger())).substr(24);
    for (std::size_t size = 0; size < body.size(); size++)
        EXPECT_FALSE(decode_snapshot(seal_snapshot(body.substr(0, size)))) << size;
    EXPECT_FALSE(decode_snapshot(seal_snapshot(body + '\0')));
    EXPECT_TRUE(decode_snapshot(seal_snapshot(body)));
}

TEST(Snapshot, says_what_is_wrong)
{
    const auto whole = encode_snapshot(snapshot_of(small_ledger()));
    auto other_format = whole;
    other_format[8] = 9;
    auto other_file = whole;
    other_file[0] = 'T';
    auto flipped = whole;
    flipped.back() ^= 1;

    const std::pair<std::string, const char *> rows[] = {
        {"", "it is no snapshot of tallygate's windows"},
        {other_file, "it is no snapshot of tallygate's windows"},
        {whole.substr(0, 10), "it ends in the middle"},
        {other_format, "it is of format 9, and this version reads 1 to 4"},
        {flipped, "its checksum is wrong"},
        {seal_snapshot(""), "it ends in the middle"},
        {seal_snapshot(std::string(11, '\xff')), "a number in it has more than 64 bits"},
    };
    for (const auto &[bytes, says] : rows) {
        const auto decoded = decode_snapshot(bytes);
        ASSERT_FALSE(decoded) << says;
        EXPECT_EQ(decoded.error().message, says);
    }
}

/// Up to the amounts of one window, all by hand.
std::string body_with_window(std::uint64_t first_low, std::uint64_t step, std::int64_t amount)
{
    ByteWriter body;
    for (int time = 0; time < 3; time++)
        body.put_signed(0);
    body.put(1);
    body.put_text("smtp");
    body.put(1);
    body.put_text("syn");
    for (const std::uint64_t number : {1, 60, 1}) // a size, 60 s, one window
        body.put(number);
    body.put_signed(16'666);
    body.put(2); // IPv4 addresses
    for (const std::uint64_t delta : {first_low, step}) {
        body.put(delta);
        body.put_signed(amount);
    }
    body.put(0); // IPv6
    body.put(0); // unattributed
    for (int total = 0; total < 4; total++)
        body.put(0);
    body.put(0); // slots
    body.put(0); // claims
    for (int zero = 0; zero < 4; zero++)
        body.put(0); // prefixes known, and since when, their sizes; networks
    for (int zero = 0; zero < 3; zero++)
        body.put(0); // reports known, and since when; services
    body.put(0);     // sizes
    return seal_snapshot(body.take());
}

TEST(Snapshot, keeps_no_claim_of_which_nothing_was_told)
{
    Snapshot before;
    before.told.claims = {{address("192.0.2.1"), 1, 0, 0}, {address("192.0.2.2"), 1, 2, 3}};

    const auto after = decode_snapshot(encode_snapshot(before));
    ASSERT_TRUE(after) << after.error().message;
    EXPECT_EQ(after->told.claims, (SharedArray<Told::Claim>{{address("192.0.2.2"), 1, 2, 3}}));
}

TEST(Snapshot, refuses_what_cannot_be_summed_or_searched)
{
    constexpr std::uint64_t mapped = 0xffff'c000'0201; // 192.0.2.1
    constexpr std::int64_t huge = (std::int64_t{1} << 61) + 1;
    EXPECT_TRUE(decode_snapshot(body_with_window(mapped, 1, 1)));
    EXPECT_FALSE(decode_snapshot(body_with_window(mapped, 0, 1))) << "an address twice";
    EXPECT_FALSE(decode_snapshot(body_with_window(mapped, ~std::uint64_t{0}, 1))) << "backwards";
    EXPECT_FALSE(decode_snapshot(body_with_window(1, 1, 1))) << "IPv6 among IPv4";
    EXPECT_FALSE(decode_snapshot(body_with_window(mapped, 1, huge))) << "too many together";
    EXPECT_FALSE(decode_snapshot(body_with_window(mapped, 1, -huge)));
    EXPECT_FALSE(
        decode_snapshot(body_with_window(mapped, 1, std::numeric_limits<std::int64_t>::min())));
}

TEST(Snapshot, of_the_first_format_has_windows_and_no_prefixes)
{
    auto ledger = small_ledger();
    ledger.prefixes().set_since(at(0));
    ledger.record_prefix(big, 9, at(1'000'000));
    auto before = snapshot_of(small_ledger());
    before.prefixes = {};
    auto body = encode_snapshot(before).substr(24);
    body.resize(body.size() - 8); // what format 4 says of no prefixes, networks, reports and sizes
    auto bytes = seal_snapshot(body);
    bytes[8] = 1;

    auto first = decode_snapshot(bytes);
    ASSERT_TRUE(first) << first.error().message;
    EXPECT_FALSE(first->prefixes.since());
    ledger = restored(*first, {minutes});
    EXPECT_EQ(ledger.count(big, smtp, Event::connections, minutes, 0, 4, at(1'000'000)), 2);
    const auto bounds = bound_count(ledger, {.block = big,
                                             .event = Event::syn,
                                             .monitor = minutes,
                                             .now = at(1'000'000),
                                             .since = at(0)});
    EXPECT_EQ(bounds.upper, 2);
    EXPECT_FALSE(bounds.by_prefixes);
}

TEST(Snapshot, of_the_first_format_says_when_a_claim_was_first_seen)
{
    ByteWriter body;
    for (int i = 0; i < 3; i++)
        body.put_time(at(0));
    for (const std::uint64_t number : {0, 0, 1}) // services, slots, claims
        body.put(number);
    body.put_address(address("192.0.2.1"));
    body.put(1); // service
    body.put(1'763'726'410'000'000'000);
    body.put(3); // SYNs
    auto bytes = seal_snapshot(body.take());
    bytes[8] = 1;

    const auto first = decode_snapshot(bytes);
    ASSERT_TRUE(first) << first.error().message;
    EXPECT_EQ(first->told.claims, (SharedArray<Told::Claim>{{address("192.0.2.1"), 1, 0, 3}}));
    bytes[8] = 2;
    EXPECT_FALSE(decode_snapshot(bytes));
}

TEST(Snapshot, of_the_second_format_has_no_reports)
{
    auto body = encode_snapshot(snapshot_of(small_ledger())).substr(24);
    body.resize(body.size() - 4);
    auto bytes = seal_snapshot(body);
    EXPECT_FALSE(decode_snapshot(bytes));
    bytes[8] = 2;
    const auto second = decode_snapshot(bytes);
    ASSERT_TRUE(second) << second.error().message;
    EXPECT_FALSE(second->reported_since);
    EXPECT_TRUE(second->reported.empty());
    EXPECT_EQ(second->networks.size(), 0U);
}

TEST(Snapshot, tells_since_when_windows_are_kept)
{
    const Monitor hours{3600, 24};
    auto ledger = small_ledger();
    ledger.set_monitors({minutes, hours}, at(1'000'100));
    auto snapshot = snapshot_of(ledger);
    snapshot.kept = ledger.kept();
    const auto bytes = encode_snapshot(snapshot);
    const auto decoded = decode_snapshot(bytes);
    ASSERT_TRUE(decoded) << decoded.error().message;

    Ledger next{{minutes, hours, seconds}};
    next.restore_kept(decoded->kept, at(1'000'200));
    EXPECT_EQ(next.kept_since(minutes), UnixTime{});
    EXPECT_EQ(next.kept_since(hours), at(1'000'100));
    EXPECT_EQ(next.kept_since(seconds), at(1'000'200)) << "it came with the restart";

    const auto body = encode_snapshot(snapshot_of(ledger)).substr(24);
    auto third = seal_snapshot(body.substr(0, body.size() - 1));
    EXPECT_FALSE(decode_snapshot(third));
    third[8] = 3;
    ASSERT_TRUE(decode_snapshot(third));
    EXPECT_TRUE(decode_snapshot(third)->kept.empty());
}

/// One report of a /24, with an address of it.
std::string body_with_report(const char *client, unsigned length_bits)
{
    auto snapshot = snapshot_of(small_ledger());
    auto &by_size = snapshot.reported["smtp"][0][length_bits];
    by_size.emplace(60, Monitor{60, 5}).first->second.add(address(client), 1, at(1'000'000));
    return encode_snapshot(snapshot);
}

TEST(Snapshot, refuses_reports_that_are_no_blocks)
{
    EXPECT_TRUE(decode_snapshot(body_with_report("192.0.2.0", 120)));
    EXPECT_FALSE(decode_snapshot(body_with_report("192.0.2.1", 120)));
    EXPECT_TRUE(decode_snapshot(body_with_report("2001:db8::", 64)));
    EXPECT_FALSE(decode_snapshot(body_with_report("2001:db8::1", 64)));
    EXPECT_FALSE(decode_snapshot(body_with_report("192.0.2.1", 129)));
}

TEST(Snapshot, leaves_out_the_fine_level_of_large_windows)
{
    Ledger ledger{{minutes}};
    const auto asked = [&](const char *text, std::uint32_t window) {
        return Asked{.block = block(text),
                     .event = Event::syn,
                     .monitor = minutes,
                     .start = window,
                     .end = window,
                     .now = at(1'000'060),
                     .since = at(0)};
    };
    ledger.prefixes().set_since(at(0));
    for (std::uint32_t i = 0; i <= PrefixWindows::snapshot_fine_max; i++)
        ledger.record_prefix({Address::from_ipv4(i << 8), 120}, 1, at(1'000'000));
    ledger.record_prefix(big, 5, at(1'000'060));

    const auto bytes = encode_snapshot(snapshot_of(ledger));
    EXPECT_LT(bytes.size(), 100'000U);
    const auto after = restored(*decode_snapshot(bytes), {minutes});
    EXPECT_EQ(bound_count(after, asked("0.0.0.0/16", 1)).upper, 256);
    EXPECT_EQ(bound_count(after, asked("0.0.0.0/16", 1)).lower, 256);
    EXPECT_EQ(bound_count(after, asked("0.0.0.0/24", 1)).lower, 0);
    EXPECT_EQ(bound_count(after, asked("0.0.0.0/24", 1)).upper, 256);
    EXPECT_EQ(bound_count(after, asked("192.0.2.0/24", 0)).lower, 5);
}

TEST(Snapshot, keeps_what_fits_other_monitors)
{
    Ledger ledger{{seconds, minutes}};
    for (const double when : {1'000'000.0, 1'000'060.0, 1'000'120.0})
        ledger.record({.source = address("192.0.2.1"), .service = smtp, .opened = 1}, at(when));
    ledger.record({.source = address("192.0.2.1"), .service = submission, .opened = 1},
                  at(1'000'120));
    const Monitor shorter{60, 2};
    const Monitor added{3600, 24};
    Ledger after =
        restored(*decode_snapshot(encode_snapshot(snapshot_of(ledger))), {shorter, added});

    after.forget_old(at(1'000'120));
    const Block all = Block::all(Family::ipv4);
    EXPECT_EQ(after.count(all, smtp, Event::connections, shorter, 0, 1, at(1'000'120)), 2);
    EXPECT_EQ(after.count(all, smtp, Event::connections, added, 0, 23, at(1'000'120)), 0);
    after.record({.source = address("192.0.2.1"), .service = smtp, .opened = 1}, at(1'000'120));
    EXPECT_EQ(after.count(all, smtp, Event::connections, shorter, 0, 1, at(1'000'120)), 3);
    EXPECT_EQ(after.count(all, smtp, Event::connections, added, 0, 23, at(1'000'120)), 1);
}

TEST(Snapshot, holds_no_live_count)
{
    Ledger after = restored(snapshot_of(small_ledger()), {minutes});
    EXPECT_EQ(after.live(block("192.0.2.0/24"), std::nullopt), 0);
    after.restore_live(address("192.0.2.1"), smtp, 3);
    EXPECT_EQ(after.live(block("192.0.2.0/24"), std::nullopt), 3);
    EXPECT_EQ(
        after.count(block("192.0.2.0/24"), smtp, Event::connections, minutes, 0, 4, at(1'000'000)),
        2);
}

TEST(Snapshot, other_tables_owe_nothing_of_the_old_ones)
{
    auto snapshot = snapshot_of(small_ledger());
    for (auto &[name, books] : snapshot.services)
        for (EventBook &book : books)
            book.forget_totals();
    Ledger after = restored(std::move(snapshot), {minutes});
    const Block all = Block::all(Family::ipv4);

    EXPECT_TRUE(after.is_reconciled(smtp, Family::ipv4, {}));
    after.reconcile(smtp, Family::ipv4, {.syn = 3}, at(1'000'000));
    EXPECT_EQ(after.unattributed(Family::ipv4, smtp, Event::syn, minutes, 0, 4, at(1'000'000)), 3);
    EXPECT_EQ(after.count(all, smtp, Event::syn, minutes, 0, 4, at(1'000'000)), 2);
}

TEST(Snapshot, totals_that_are_taken_for_recorded_are_not_owed)
{
    Ledger ledger{{minutes}};
    ledger.take_for_recorded(smtp, Family::ipv4, {.syn = 1'000, .dropped = 5});
    ledger.reconcile(smtp, Family::ipv4, {.syn = 1'000, .dropped = 5}, at(1'000'000));
    EXPECT_EQ(ledger.unattributed(Family::ipv4, smtp, Event::syn, minutes, 0, 4, at(1'000'000)), 0);
    ledger.reconcile(smtp, Family::ipv4, {.syn = 1'002, .dropped = 5}, at(1'000'000));
    EXPECT_EQ(ledger.unattributed(Family::ipv4, smtp, Event::syn, minutes, 0, 4, at(1'000'000)), 2);
}

TEST(Snapshot, a_copy_of_the_books_stays_as_it_was)
{
    Ledger ledger = small_ledger();
    const auto snapshot = snapshot_of(ledger);
    const auto before = encode_snapshot(snapshot);

    Dice dice{1};
    for (int i = 0; i < 5'000; i++)
        ledger.record(next_change(dice), at(1'000'000 + i));
    ledger.forget_old(at(1'010'000));
    EXPECT_EQ(encode_snapshot(snapshot), before);
}

} // namespace
} // namespace tallygate::core::test
