// SPDX-License-Identifier: BSD-2-Clause
//
// The walk over prefixes in the real tables.
#include "kernel/prefix_walk.hpp"

#include <gmock/gmock.h>

#include <array>
#include <fstream>
#include <map>
#include <random>
#include <utility>

#include "kernel/sandbox.hpp"

namespace tallygate::test {
namespace {

using kernel::PrefixWalk;
using kernel::RepeatsReader;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

using Syns = std::map<std::string, std::uint64_t>;

class Prefixes : public ProgramTest {
protected:
    void SetUp() override
    {
        ProgramTest::SetUp();
        watch(25);
        traffic_ = std::make_unique<Traffic>(program());
    }

    Traffic &traffic() { return *traffic_; }
    PrefixWalk open_walk() const { return must(PrefixWalk::open(program())); }

    static kernel::PrefixSink into(Syns &syns)
    {
        return {.ipv4 =
                    [&syns](std::uint32_t first, std::span<const std::uint32_t> counts) {
                        for (std::uint32_t i = 0; i < counts.size(); i++)
                            if (counts[i] != 0)
                                syns[text_of(first + i)] += counts[i];
                    },
                .ipv6 = [&syns](const Block &prefix,
                                std::uint64_t syn) { syns[prefix.text()] += syn; }};
    }

    static std::string text_of(std::uint32_t number)
    {
        return Block{Address::from_ipv4(number << 8), 120}.text();
    }

    /// What a round tells, with what the CPUs hold back.
    Syns told_by(PrefixWalk &walk) const
    {
        Syns syns;
        const auto repeats = must(RepeatsReader::open(program()));
        while (!walk.walk_some(repeats, into(syns))) {
        }
        return syns;
    }

    /// A whole round.
    struct Slices {
        std::uint64_t syns = 0;
        std::size_t most_changes = 0; ///< in one of them
    };

    Slices slices_of(PrefixWalk &walk) const
    {
        const auto repeats = must(RepeatsReader::open(program()));
        Slices slices;
        bool is_last = false;
        while (!is_last) {
            Syns syns;
            is_last = walk.walk_some(repeats, into(syns));
            slices.most_changes = std::max(slices.most_changes, syns.size());
            for (const auto &[prefix, syn] : syns)
                slices.syns += syn;
        }
        return slices;
    }

    void set_ipv4(std::uint32_t number, std::uint32_t syn) const
    {
        auto pair = get<tg_prefix_pair>("prefixes", number / 2);
        pair.syn[number % 2] = syn;
        put("prefixes", number / 2, pair);
    }

    std::unique_ptr<Traffic> traffic_;
};

TEST_F(Prefixes, TellSynsOfEach24Once)
{
    auto walk = open_walk();
    EXPECT_THAT(told_by(walk), IsEmpty());
    for (const char *client :
         {"192.0.2.1", "192.0.2.200", "192.0.3.1", "203.0.113.1", "1.0.0.1", "223.255.255.1"})
        traffic().send_syn(client);
    EXPECT_THAT(told_by(walk),
                ElementsAre(Pair("1.0.0.0/24", 1), Pair("192.0.2.0/24", 2), Pair("192.0.3.0/24", 1),
                            Pair("203.0.113.0/24", 1), Pair("223.255.255.0/24", 1)));
    EXPECT_THAT(told_by(walk), IsEmpty());
    traffic().send_syn("192.0.3.1");
    EXPECT_THAT(told_by(walk), ElementsAre(Pair("192.0.3.0/24", 1)));
}

TEST_F(Prefixes, TellSynsOfEach48AtTheSecondLook)
{
    auto walk = open_walk();
    traffic().send_syn("2001:db8:1::1");
    traffic().send_syn("2001:db8:2::1");
    EXPECT_THAT(told_by(walk), IsEmpty());
    traffic().send_syn("2001:db8:1:7::1");
    EXPECT_THAT(told_by(walk), ElementsAre(Pair("2001:db8:1::/48", 2), Pair("2001:db8:2::/48", 1)));
    EXPECT_THAT(told_by(walk), IsEmpty());
    traffic().send_syn("2001:db8:2::1");
    EXPECT_THAT(told_by(walk), ElementsAre(Pair("2001:db8:2::/48", 1)));
}

TEST_F(Prefixes, TellWhatACpuHoldsBackOnce)
{
    auto walk = open_walk();
    Syns all;
    for (int i = 0; i < 1000; i++) {
        traffic().send_syn("192.0.2.1"); // the CPU writes after a thousand of them
        traffic().send_syn("2001:db8:1::1");
        if (i % 7 == 0)
            for (const auto &[prefix, syn] : told_by(walk))
                all[prefix] += syn;
    }
    for (int round = 0; round < 2; round++)
        for (const auto &[prefix, syn] : told_by(walk))
            all[prefix] += syn;
    EXPECT_THAT(all, ElementsAre(Pair("192.0.2.0/24", 1000), Pair("2001:db8:1::/48", 1000)));
}

TEST_F(Prefixes, TellWhatACpuRejectsAgainAndAgain)
{
    auto walk = open_walk();
    tg_repeat repeat{};
    repeat.client = kernel::from_address(address("192.0.2.1"));
    repeat.rejected = 40;
    repeat.prefix = std::uint64_t{0xc00002} << 8 | kernel::is_ipv4_bit;
    repeat.prefix_syn = 2;
    put("repeats", 3U, repeat);
    repeat.prefix = std::uint64_t{0xc00003} << 8 | kernel::is_ipv4_bit;
    put("repeats", 4U, repeat);
    EXPECT_THAT(told_by(walk), ElementsAre(Pair("192.0.2.0/24", 82), Pair("192.0.3.0/24", 2)));
    EXPECT_THAT(told_by(walk), IsEmpty());

    for (const auto slot : {3U, 4U})
        put("repeats", slot, tg_repeat{});
    set_ipv4(0xc00002, 83);
    EXPECT_THAT(told_by(walk), ElementsAre(Pair("192.0.2.0/24", 1)));
}

TEST_F(Prefixes, OfACounterThatWrapsGoOn)
{
    set_ipv4(0xc00002, 0xfffffff0);
    auto walk = open_walk();
    walk.skip_to_present(must(RepeatsReader::open(program())));
    EXPECT_THAT(told_by(walk), IsEmpty());
    set_ipv4(0xc00002, 0x10);
    EXPECT_THAT(told_by(walk), ElementsAre(Pair("192.0.2.0/24", 0x20)));
}

TEST_F(Prefixes, OfAWayThatIsGivenToAnotherBeginAtZero)
{
    auto walk = open_walk();
    tg_ipv6_prefixes bucket{};
    const auto prefix_of = [](std::uint64_t first48) { return first48 << 16 | 1; };

    bucket.prefixes[2] = prefix_of(0x20010db80001);
    bucket.syn[2] = 100;
    put("ipv6_prefixes", 5U, bucket);
    told_by(walk);
    EXPECT_THAT(told_by(walk), ElementsAre(Pair("2001:db8:1::/48", 100)));

    // The name comes first: for a moment the count is the other's.
    bucket.prefixes[2] = prefix_of(0x20010db80002);
    put("ipv6_prefixes", 5U, bucket);
    EXPECT_THAT(told_by(walk), IsEmpty());
    bucket.syn[2] = 3;
    put("ipv6_prefixes", 5U, bucket);
    EXPECT_THAT(told_by(walk), ElementsAre(Pair("2001:db8:2::/48", 3)));
}

TEST_F(Prefixes, SkipToThePresent)
{
    traffic().send_syn("192.0.2.1");
    traffic().send_syn("2001:db8:1::1");
    auto walk = open_walk();
    walk.skip_to_present(must(RepeatsReader::open(program())));
    EXPECT_THAT(told_by(walk), IsEmpty());
    traffic().send_syn("192.0.2.1");
    traffic().send_syn("2001:db8:1::1");
    EXPECT_THAT(told_by(walk), ElementsAre(Pair("192.0.2.0/24", 1), Pair("2001:db8:1::/48", 1)));
}

TEST_F(Prefixes, OfABlockAreToldAtOnceIfTheyAreFew)
{
    auto walk = open_walk();
    const auto repeats = must(RepeatsReader::open(program()));
    const auto told_of = [&](const std::string &cidr) -> std::optional<Syns> {
        Syns syns;
        if (!walk.walk_block(block(cidr), 4, repeats, into(syns)))
            return std::nullopt;
        return syns;
    };
    for (const auto number : {0xc00002U, 0xc00003U, 0xc00004U})
        set_ipv4(number, 1);
    traffic().send_syn("2001:db8:1::1");
    EXPECT_THAT(*told_of("192.0.2.7/32"), ElementsAre(Pair("192.0.2.0/24", 1)));
    EXPECT_THAT(*told_of("192.0.0.0/22"), ElementsAre(Pair("192.0.3.0/24", 1)));
    EXPECT_FALSE(told_of("192.0.0.0/21")) << "eight of them";
    EXPECT_FALSE(told_of("0.0.0.0/0"));
    EXPECT_FALSE(told_of("2001:db8::/47"));
    EXPECT_THAT(*told_of("2001:db8:1::/64"), IsEmpty()) << "it is met for the first time";
    EXPECT_THAT(*told_of("2001:db8:1::/64"), ElementsAre(Pair("2001:db8:1::/48", 1)));
    EXPECT_THAT(told_by(walk), ElementsAre(Pair("192.0.4.0/24", 1)));
    traffic().send_syn("192.0.2.9"); // waits on its CPU
    EXPECT_THAT(*told_of("192.0.2.7/32"), ElementsAre(Pair("192.0.2.0/24", 1)));
}

/// A batch whose CPU moves it when 0.0.3.0/24 is told, after 0.0.2.0/24 was looked at.
class MovingBatch : public Prefixes {
protected:
    void SetUp() override
    {
        Prefixes::SetUp();
        tg_batch batch{};
        batch.count = 2;
        for (const std::size_t i : {0, 1}) {
            batch.syns[i].key.addr = kernel::from_address(address("0.0.2." + std::to_string(i)));
            batch.syns[i].bucket = kernel::Residual::no_bucket;
        }
        put("batches", last_cpu(), batch);
        set_ipv4(3, 1);
    }

    std::uint32_t last_cpu() const { return program().entries_max("batches") - 1; }

    kernel::PrefixSink moving_into(Syns &syns) const
    {
        auto sink = into(syns);
        sink.ipv4 = [this, tell = sink.ipv4, has_moved = false](
                        std::uint32_t first, std::span<const std::uint32_t> counts) mutable {
            tell(first, counts);
            const bool has_3 = first <= 3 && 3 < first + counts.size() && counts[3 - first] != 0;
            if (!has_3 || std::exchange(has_moved, true))
                return;
            set_ipv4(2, 2);
            put("batches", last_cpu(), tg_batch{});
        };
        return sink;
    }
};

TEST_F(MovingBatch, IsToldWithItsBlock)
{
    auto walk = open_walk();
    Syns syns;
    EXPECT_TRUE(walk.walk_block(block("0.0.2.0/23"), 4, must(RepeatsReader::open(program())),
                                moving_into(syns)));
    EXPECT_THAT(syns, ElementsAre(Pair("0.0.2.0/24", 2), Pair("0.0.3.0/24", 1)));
    EXPECT_THAT(told_by(walk), IsEmpty());
}

TEST_F(MovingBatch, IsToldWithItsSlice)
{
    auto walk = open_walk();
    Syns syns;
    walk.walk_some(must(RepeatsReader::open(program())), moving_into(syns));
    EXPECT_THAT(syns, ElementsAre(Pair("0.0.2.0/24", 2), Pair("0.0.3.0/24", 1)));
    EXPECT_THAT(told_by(walk), IsEmpty());
}

TEST_F(Prefixes, OfABatchThatIsMovingWaitForIt)
{
    auto walk = open_walk();
    tg_batch batch{};
    batch.sequence = 1;
    batch.count = 1;
    batch.syns[0].key.addr = kernel::from_address(address("192.0.2.1"));
    put("batches", 0U, batch);
    EXPECT_THAT(told_by(walk), IsEmpty()) << "for ever: its CPU has stopped";
    batch.sequence = 2;
    put("batches", 0U, batch);
    EXPECT_THAT(told_by(walk), ElementsAre(Pair("192.0.2.0/24", 1)));
}

TEST_F(Prefixes, ThatAllHaveChangedAreToldInMoreSlices)
{
    auto walk = open_walk();
    const auto end = 3 * PrefixWalk::slice_changes;
    for (std::uint32_t number = 0; number < end; number++)
        set_ipv4(number, number + 1);
    const auto slices = slices_of(walk);
    EXPECT_EQ(slices.syns, std::uint64_t{end} * (end + 1) / 2);
    EXPECT_LE(slices.most_changes, PrefixWalk::slice_changes + 1024) << "which is a page of them";
    EXPECT_THAT(told_by(walk), IsEmpty());
}

TEST_F(Prefixes, ThatHaveChangedInAllPagesAreToldInMoreSlices)
{
    auto walk = open_walk();
    const auto pages = 3 * PrefixWalk::slice_pages;
    for (std::uint32_t page = 0; page < pages; page++)
        set_ipv4(page * 1024 + page % 1024, 1);
    const auto slices = slices_of(walk);
    EXPECT_EQ(slices.syns, pages);
    EXPECT_EQ(slices.most_changes, PrefixWalk::slice_pages);
    EXPECT_THAT(told_by(walk), IsEmpty());
}

/// Of each counter, what a round told of it must be what came since the round before.
TEST_F(Prefixes, AreToldAsTheyAreWhateverTheirNeighboursDo)
{
    auto walk = open_walk();
    std::mt19937 dice{7};
    std::map<std::uint32_t, std::uint32_t> counts;
    const std::array firsts = {0U, 1024U * 4 - 300, 0xc00000U, (1U << 24) - 600};
    for (int round = 0; round < 10; round++) {
        Syns news;
        for (int i = 0; i < 400; i++) {
            const auto number = firsts[dice() % firsts.size()] + dice() % 600;
            const auto more = dice() % 3 == 0 ? dice() >> 2 : 1 + dice() % 300;
            counts[number] += more; // wraps now and then
            news[text_of(number)] += more;
            set_ipv4(number, counts[number]);
            if (news[text_of(number)] > 0x7fffffff) { // further than anybody can tell
                counts[number] -= more;
                news[text_of(number)] -= more;
                set_ipv4(number, counts[number]);
            }
        }
        std::erase_if(news, [](const auto &entry) { return entry.second == 0; });
        EXPECT_EQ(told_by(walk), news);
    }
}

TEST_F(Prefixes, OfAPageThatAreBehindWhatWasToldWait)
{
    auto walk = open_walk();
    tg_batch batch{};
    batch.count = 1;
    batch.syns[0].key.addr = kernel::from_address(address("192.0.2.1"));
    batch.syns[0].bucket = kernel::Residual::no_bucket;
    put("batches", 0U, batch);
    EXPECT_THAT(told_by(walk), ElementsAre(Pair("192.0.2.0/24", 1)));
    put("batches", 0U, tg_batch{});
    set_ipv4(0xc00003, 1);
    EXPECT_THAT(told_by(walk), ElementsAre(Pair("192.0.3.0/24", 1))) << "it has not arrived";
    set_ipv4(0xc00002, 3);
    EXPECT_THAT(told_by(walk), ElementsAre(Pair("192.0.2.0/24", 2)));
}

TEST_F(Prefixes, OfABlockOfManyPagesAreToldAtOnce)
{
    auto walk = open_walk();
    const auto repeats = must(RepeatsReader::open(program()));
    for (const auto number : {0xc00000U, 0xc003ffU, 0xc00400U, 0xc007ffU, 0xc00800U})
        set_ipv4(number, number - 0xbfffff);
    Syns syns;
    EXPECT_TRUE(walk.walk_block(block("192.0.0.0/13"), 2048, repeats, into(syns)));
    EXPECT_THAT(syns, ElementsAre(Pair("192.0.0.0/24", 1), Pair("192.3.255.0/24", 0x400),
                                  Pair("192.4.0.0/24", 0x401), Pair("192.7.255.0/24", 0x800)));
    EXPECT_THAT(told_by(walk), ElementsAre(Pair("192.8.0.0/24", 0x801)));
}

/// Memory of this process that is its own.
std::size_t own_kilobytes()
{
    std::ifstream status{"/proc/self/status"};
    std::string word;
    while (status >> word)
        if (word == "RssAnon:") {
            std::size_t kilobytes = 0;
            status >> kilobytes;
            return kilobytes;
        }
    return 0;
}

TEST_F(Prefixes, TakeNoMemoryWhereNobodyCameFrom)
{
    auto walk = open_walk();
    const auto before = own_kilobytes();
    for (int i = 0; i < 3; i++)
        told_by(walk);
    traffic().send_syn("192.0.2.1");
    told_by(walk);
    EXPECT_LT(own_kilobytes(), before + 4096) << "of 67 MB";
}

} // namespace
} // namespace tallygate::test
