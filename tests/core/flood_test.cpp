// SPDX-License-Identifier: BSD-2-Clause
//
// What a ledger says, and what it weighs, when sources are made up faster than anybody can
// remember them.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <chrono>
#include <cstdint>
#include <random>
#include <vector>

#include "core/count_bounds.hpp"
#include "core/support.hpp"

namespace tallygate::core::test {
namespace {

constexpr ServiceId smtp = 1;
constexpr ServiceId submission = 2;
constexpr Monitor minutes{60, 5};
constexpr Monitor quarters{900, 3};
constexpr std::array both_families = {Family::ipv4, Family::ipv6};
constexpr std::size_t mebibyte = std::size_t{1} << 20;
const Block big = block("192.0.2.0/24");

/// SYNs and what the gate forgot of them, kept one by one; and a ledger that was told the rest.
class World {
public:
    explicit World(std::uint32_t seed) : dice(seed)
    {
        ledger.prefixes().set_since(at(0));
        ledger.networks().begin(big, {}, at(0));
        if (dice.number(0, 3) == 0)
            ledger.set_syn_memory(static_cast<std::size_t>(dice.number(0, 40'000)));
    }

    /// One source sends; the gate may forget it, or its prefix if that is of IPv6.
    void happen()
    {
        const Address source = dice.next_address();
        const auto service = static_cast<ServiceId>(dice.number(smtp, services));
        const auto syn = static_cast<std::uint64_t>(dice.number(1, 5));
        const auto dropped = static_cast<std::uint64_t>(dice.number(0, 2));
        Tally &total = totals[{service, source.family()}];

        syns_.push_back({source, service, syn, dropped, now});
        total.syn += syn;
        total.dropped += dropped;
        if (dice.number(0, 99) >= forgets_percent)
            ledger.record({.source = source,
                           .service = service,
                           .syn = syn,
                           .dropped = dropped,
                           .claimed = dice.number(0, 1) == 1},
                          at(now));
        ledger.reconcile(service, source.family(), total, at(now));
        if (source.is_ipv4() || dice.number(0, 99) >= forgets_percent)
            ledger.record_prefix(widened(Block{source, 128}, Detail::fine), syn, at(now));
        if (big.contains(source))
            ledger.record_network(big, {.syn = syn, .dropped = dropped}, at(now));
    }

    std::int64_t truth(const Asked &asked) const
    {
        const auto index = window_index(asked.monitor.window_seconds, asked.now);
        std::int64_t truth = 0;
        for (const Sent &sent : syns_) {
            const auto window = window_index(asked.monitor.window_seconds, at(sent.when));
            if (asked.block.contains(sent.source) &&
                (!asked.service || *asked.service == sent.service) && index - asked.end <= window &&
                window <= index - asked.start)
                truth +=
                    static_cast<std::int64_t>(asked.event == Event::syn ? sent.syn : sent.dropped);
        }
        return truth;
    }

    Asked next_asked()
    {
        const Monitor monitor = dice.number(0, 1) == 1 ? minutes : quarters;
        const auto end = static_cast<std::uint32_t>(dice.number(0, monitor.windows - 1));
        const auto service = dice.number(0, 2);
        return {.block = dice.number(0, 9) == 0   ? big
                         : dice.number(0, 9) == 0 ? Block::all(both_families[dice.number(0, 1)])
                                                  : dice.next_block(),
                .service =
                    service == 0 ? std::nullopt : std::optional{static_cast<ServiceId>(service)},
                .event = dice.number(0, 3) == 0 ? Event::dropped : Event::syn,
                .monitor = monitor,
                .start = static_cast<std::uint32_t>(dice.number(0, end)),
                .end = end,
                .now = at(now),
                .since = at(0)};
    }

    Dice dice;
    Ledger ledger{{minutes, quarters}};
    double now = 1'700'000'000;
    ServiceId services = submission;
    int forgets_percent = 30;
    std::map<std::pair<ServiceId, Family>, Tally> totals;

private:
    struct Sent {
        Address source;
        ServiceId service;
        std::uint64_t syn;
        std::uint64_t dropped;
        double when;
    };
    std::vector<Sent> syns_;
};

/// What must be exact, whatever was forgotten.
bool must_be_exact(const Asked &asked, const World &world)
{
    const bool is_syn = asked.event == Event::syn;
    const bool all_services = !asked.service || (world.services == smtp && *asked.service == smtp);

    return asked.block == Block::all(asked.block.family()) ||
           (asked.block == big && !asked.service) ||
           (is_syn && all_services && asked.block.family() == Family::ipv4 &&
            asked.block.length_bits() <= prefix_bits(Family::ipv4, Detail::coarse));
}

RC_GTEST_PROP(FloodProperty, the_truth_is_between_the_bounds, (std::uint32_t seed))
{
    World world{seed};
    const auto happenings = world.dice.number(0, 600);
    world.services = static_cast<ServiceId>(world.dice.number(smtp, submission));
    world.forgets_percent = static_cast<int>(world.dice.number(0, 100));

    for (auto left = happenings; left > 0; left--) {
        // Set back and forth, as clocks are.
        world.now += static_cast<double>(world.dice.number(-100, 200)) / 10;
        world.happen();
        if (world.dice.number(0, 50) == 0)
            world.ledger.forget_old(at(world.now));
    }
    for (int i = 0; i < 60; i++) {
        const auto asked = world.next_asked();
        const auto bounds = bound_count(world.ledger, asked);
        const auto truth = world.truth(asked);
        RC_ASSERT(bounds.lower <= truth);
        RC_ASSERT(truth <= bounds.upper);
        if (must_be_exact(asked, world) || world.forgets_percent == 0)
            RC_ASSERT(bounds.lower == bounds.upper);
    }
}

/// A flood of sources that nobody sees twice, and of what is told of it.
class Flood {
public:
    explicit Flood(std::vector<Monitor> monitors) : ledger(std::move(monitors))
    {
        ledger.prefixes().set_since(at(0));
    }

    void send(std::uint32_t sources, double now)
    {
        for (std::uint32_t i = 0; i < sources; i++) {
            const auto address = static_cast<std::uint32_t>(engine_());
            ledger.record({.source = Address::from_ipv4(address),
                           .service = smtp,
                           .syn = 1,
                           .dropped = 1,
                           .claimed = true},
                          at(now));
            ledger.record_prefix({Address::from_ipv4(address), 120}, 1, at(now));
            sent_in_[address >> 8]++;
        }
        sent += sources;
        total.syn += sources;
        total.dropped += sources;
        ledger.reconcile(smtp, Family::ipv4, total, at(now));
    }

    std::int64_t sent_in(std::uint32_t prefix) const { return sent_in_[prefix]; }

    Ledger ledger;
    std::int64_t sent = 0;
    Tally total;

private:
    std::mt19937 engine_{7};
    std::vector<std::uint16_t> sent_in_ = std::vector<std::uint16_t>(1U << 24);
};

TEST(FloodTest, weighs_no_more_the_longer_it_lasts_and_stays_exact_by_prefix)
{
    Flood flood{{{60, 10}, {900, 4}, {3600, 24}}};
    flood.send(1'000'000, 3'600);
    const auto bytes_at_first = flood.ledger.bytes();
    flood.send(1'000'000, 3'601);
    const auto bytes_then = flood.ledger.bytes();

    // Three dense tables, and for syn and dropped 65,536 sources in each of three windows.
    EXPECT_LT(bytes_at_first, 70 * mebibyte);
    EXPECT_LT(bytes_then, bytes_at_first + mebibyte);

    Asked asked{.event = Event::syn, .monitor = {3600, 24}, .now = at(3'601), .since = at(0)};
    auto bounds = bound_count(flood.ledger, asked);
    EXPECT_EQ(bounds.lower, flood.sent);
    EXPECT_EQ(bounds.upper, flood.sent);
    for (std::uint32_t prefix = 0; prefix < 1U << 24; prefix += 1'234'567) {
        asked.block = {Address::from_ipv4(prefix << 8), 120};
        bounds = bound_count(flood.ledger, asked);
        EXPECT_EQ(bounds.lower, flood.sent_in(prefix)) << asked.block.text();
        EXPECT_EQ(bounds.upper, flood.sent_in(prefix)) << asked.block.text();
    }
}

TEST(FloodTest, a_proven_source_is_taken_in_when_a_window_is_full)
{
    Flood flood{{minutes}};
    const auto known = [&](const char *text, Event event) {
        return flood.ledger.count(block(text), smtp, event, minutes, 0, 0, at(60));
    };
    const auto send = [&](const char *text, bool claimed) {
        flood.ledger.record(
            {.source = address(text), .service = smtp, .syn = 3, .claimed = claimed}, at(60));
    };
    send("192.0.2.1", true);
    flood.send(200'000, 60);
    const auto taken_in = known("0.0.0.0/0", Event::syn);
    // A few of the random ones are sent twice.
    EXPECT_LE(taken_in, 100 + static_cast<std::int64_t>(SourceSet::sources_max));
    EXPECT_GT(taken_in, 60'000);

    send("192.0.2.1", true);
    EXPECT_EQ(known("192.0.2.1", Event::syn), 6) << "it was there before";
    send("192.0.2.2", false);
    EXPECT_EQ(known("192.0.2.2", Event::syn), 3) << "it is proven";
    send("2001:db8::", true);
    EXPECT_EQ(known("2001:db8::/64", Event::syn), 0);
    EXPECT_EQ(flood.ledger.unattributed(Family::ipv6, smtp, Event::syn, minutes, 0, 0, at(60)), 3);
    flood.ledger.record(
        {.source = address("192.0.2.3"), .service = smtp, .syn = 1, .opened = 1, .claimed = true},
        at(60));
    EXPECT_EQ(known("192.0.2.3", Event::connections), 1) << "connections are always taken in";
}

TEST(FloodTest, the_next_window_has_room_again)
{
    Flood flood{{minutes}};
    flood.send(200'000, 60);
    flood.ledger.record(
        {.source = address("192.0.2.1"), .service = smtp, .syn = 3, .claimed = true}, at(120));
    EXPECT_EQ(flood.ledger.count(block("192.0.2.1"), smtp, Event::syn, minutes, 0, 0, at(120)), 3);
}

TEST(FloodTest, the_oldest_windows_lose_their_fine_level_first)
{
    Flood flood{{minutes}};
    const auto is_exact = [&](std::uint32_t window) {
        const auto bounds = bound_count(flood.ledger, {.block = block("203.0.113.0/24"),
                                                       .event = Event::syn,
                                                       .monitor = minutes,
                                                       .start = window,
                                                       .end = window,
                                                       .now = at(300),
                                                       .since = at(0)});
        return bounds.lower == bounds.upper;
    };
    // A dense table takes 17 MiB. 203.0.113.0/24 is hit at least by a whole /16 of others.
    flood.ledger.set_syn_memory(40 * mebibyte);
    for (const double now : {60, 120, 180, 240, 300}) {
        flood.send(600'000, now);
        EXPECT_LT(flood.ledger.prefixes().bytes(), 41 * mebibyte);
    }
    EXPECT_TRUE(is_exact(0));
    EXPECT_TRUE(is_exact(1));
    EXPECT_FALSE(is_exact(2));
    EXPECT_FALSE(is_exact(4));
    const auto all = bound_count(flood.ledger, {.block = block("128.0.0.0/1"),
                                                .event = Event::syn,
                                                .monitor = minutes,
                                                .end = 4,
                                                .now = at(300),
                                                .since = at(0)});
    EXPECT_EQ(all.lower, all.upper) << "the coarse level stays";

    flood.ledger.set_syn_memory(0);
    flood.send(10'000, 300);
    EXPECT_FALSE(is_exact(0)) << "even that of now, if it does not fit";
}

TEST(FloodTest, ipv6_prefixes_beyond_the_bound_are_in_the_upper_bound)
{
    Ledger ledger{{minutes}};
    ledger.prefixes().set_since(at(0));
    Tally total;
    std::mt19937_64 engine{3};
    for (int i = 0; i < 200'000; i++) {
        Address address;
        for (auto left = engine(); auto &byte : address.bytes) {
            byte = static_cast<std::uint8_t>(left);
            left >>= 8;
        }
        ledger.record_prefix({address, 48}, 1, at(60));
        total.syn++;
    }
    ledger.reconcile(smtp, Family::ipv6, total, at(60));
    EXPECT_LT(ledger.bytes(), 8 * mebibyte);

    const auto bounds = [&](const char *text) {
        return bound_count(ledger, {.block = block(text),
                                    .event = Event::syn,
                                    .monitor = minutes,
                                    .now = at(60),
                                    .since = at(0)});
    };
    EXPECT_EQ(bounds("::/0").lower, 200'000);
    EXPECT_EQ(bounds("::/0").upper, 200'000);
    EXPECT_EQ(bounds("2001:db8::/32").lower, 0);
    EXPECT_GT(bounds("2001:db8::/32").upper, 100'000);
}

} // namespace
} // namespace tallygate::core::test
