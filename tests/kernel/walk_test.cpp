// SPDX-License-Identifier: BSD-2-Clause
//
// Walks over real tables: every change is told, and once. Going on where another walk was is
// resume_test.cpp's matter.
#include "kernel/walk.hpp"

#include <gmock/gmock.h>

#include <map>
#include <random>
#include <tuple>

#include "kernel/convert.hpp"
#include "kernel/sandbox.hpp"
#include "kernel/told_ledger.hpp"

namespace tallygate::test {
namespace {

tg_progress reached(std::uint64_t slots)
{
    tg_progress progress{};
    progress.sources_high_water = slots;
    return progress;
}

using kernel::SourceWalk;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::uint16_t smtp = 1;
constexpr std::uint16_t submission = 2;

class Walk : public ProgramTest {
protected:
    void SetUp() override
    {
        ProgramTest::SetUp();
        watch(25, smtp);
        watch(587, submission);
        traffic_ = std::make_unique<Traffic>(program());
    }

    Traffic &traffic() { return *traffic_; }
    SourceWalk open_walk() const { return must(SourceWalk::open(program())); }

    /// As a program would change it.
    void change(std::uint32_t slot, const tg_source &value) const
    {
        put("sources", slot, value);
        must(kernel::DirtyBits::open(program().map_fd("dirty_sources"), "dirty_sources"))
            .mark(slot);
    }

    /// 40 SYNs of a client whose source has, or had, the first slot.
    static tg_repeat held_back_of(const std::string &client)
    {
        tg_repeat held_back{};
        held_back.client = kernel::from_address(address(client));
        held_back.service = smtp;
        held_back.is_proven = 1;
        held_back.rejected = 40;
        return held_back;
    }

    std::unique_ptr<Traffic> traffic_;
};

TEST_F(Walk, TellsAChangeOnce)
{
    auto walk = open_walk();
    ToldLedger ledger;
    walk.walk(ledger.sink());
    EXPECT_EQ(ledger.take_changes(), 0U) << "nobody came yet";

    const auto conversation = traffic().connect("192.0.2.1");
    walk.walk(ledger.sink());
    EXPECT_EQ(ledger.take_changes(), 1U);
    EXPECT_EQ(ledger.of("192.0.2.1").opened, 1U);
    walk.walk(ledger.sink());
    EXPECT_EQ(ledger.take_changes(), 0U);

    traffic().disconnect(conversation);
    traffic().send_syn("192.0.2.1");
    walk.walk(ledger.sink());
    EXPECT_EQ(ledger.take_changes(), 1U);
    EXPECT_EQ(ledger.of("192.0.2.1").closed, 1U);
    EXPECT_EQ(ledger.of("192.0.2.1").syn, 1U) << "the first SYN was a claim's";
}

TEST_F(Walk, KeepsServicesAndFamiliesApart)
{
    auto walk = open_walk();
    ToldLedger ledger;
    traffic().connect("192.0.2.1", 25);
    traffic().connect("192.0.2.1", 587);
    traffic().connect("192.0.2.1", 587);
    traffic().connect("2001:db8:1:2::3", 25);
    walk.walk(ledger.sink());
    EXPECT_EQ(ledger.of("192.0.2.1", smtp).opened, 1U);
    EXPECT_EQ(ledger.of("192.0.2.1", submission).opened, 2U);
    EXPECT_EQ(ledger.of("2001:db8:1:2::").opened, 1U) << "an IPv6 source is its /64";
    EXPECT_EQ(ledger.totals().size(), 3U);
    EXPECT_EQ(walk.slots_used(), 3U);
}

TEST_F(Walk, OfABlockTellsOfThatBlockAlone)
{
    auto walk = open_walk();
    ToldLedger ledger;
    for (const auto *source : {"192.0.2.1", "192.0.2.200", "198.51.100.1", "2001:db8::1"})
        traffic().connect(source);

    EXPECT_TRUE(walk.walk_block(block("192.0.2.0/25"), 10, ledger.sink()));
    EXPECT_EQ(ledger.take_changes(), 1U);
    EXPECT_EQ(ledger.of("192.0.2.1").opened, 1U);
    EXPECT_TRUE(walk.walk_block(block("::/0"), 10, ledger.sink()));
    EXPECT_EQ(ledger.take_changes(), 1U);
    EXPECT_EQ(ledger.of("2001:db8::").opened, 1U);
    EXPECT_TRUE(walk.walk_block(block("203.0.113.0/24"), 10, ledger.sink()));
    EXPECT_EQ(ledger.take_changes(), 0U);
    EXPECT_TRUE(walk.walk_block(block("0.0.0.0/0"), 10, ledger.sink()));
    EXPECT_EQ(ledger.take_changes(), 2U) << "what the first walk told is not told again";
}

TEST_F(Walk, SkipsToThePresentAndTellsWhatIsOpen)
{
    traffic().connect("192.0.2.1");
    const auto closed = traffic().connect("192.0.2.1");
    traffic().disconnect(closed);

    auto walk = open_walk();
    ToldLedger ledger;
    std::int64_t live = 0;
    walk.skip_to_present(
        [&](const Address &, core::ServiceId, std::int64_t open) { live += open; });
    EXPECT_EQ(live, 1);
    walk.walk(ledger.sink());
    EXPECT_EQ(ledger.take_changes(), 0U);
    traffic().connect("192.0.2.1");
    walk.walk(ledger.sink());
    EXPECT_EQ(ledger.of("192.0.2.1").opened, 1U);
}

TEST_F(Walk, TellsWhatACpuHoldsBackOnce)
{
    auto walk = open_walk();
    const auto repeats = must(kernel::RepeatsReader::open(program()));
    ToldLedger ledger;
    traffic().connect("192.0.2.1"); // slot 0
    walk.walk(ledger.sink());
    ledger.take_changes();

    put("repeats", 3U, held_back_of("192.0.2.1"));
    walk.walk_repeats(repeats, ledger.sink());
    EXPECT_EQ(ledger.take_changes(), 1U);
    EXPECT_EQ(ledger.of("192.0.2.1").dropped, 40U);
    walk.walk(ledger.sink());
    EXPECT_EQ(ledger.take_changes(), 0U) << "the slot has less than was told";

    auto slot = get<tg_source>("sources", 0U);
    slot.tally.syn += 41;
    slot.tally.dropped += 41;
    change(0, slot);
    put("repeats", 3U, tg_repeat{});
    walk.walk(ledger.sink());
    EXPECT_EQ(ledger.of("192.0.2.1").dropped, 41U);
    EXPECT_EQ(ledger.of("192.0.2.1").syn, 41U);
}

TEST_F(Walk, OfASlotTellsNothingThatACpuHoldsBackOfWhoHadItBefore)
{
    auto walk = open_walk();
    const auto repeats = must(kernel::RepeatsReader::open(program()));
    ToldLedger ledger;
    traffic().connect("192.0.2.1"); // slot 0
    walk.walk(ledger.sink());

    put("repeats", 3U, held_back_of("203.0.113.9"));
    walk.walk_repeats(repeats, ledger.sink());
    EXPECT_EQ(ledger.of("192.0.2.1").dropped, 0U);

    put("repeats", 3U, held_back_of("192.0.2.1"));
    walk.walk_repeats(repeats, ledger.sink());
    EXPECT_EQ(ledger.of("192.0.2.1").dropped, 40U);
}

TEST_F(Walk, WaitsForASlotThatIsHandedOutAndNotYetInUse)
{
    auto walk = open_walk();
    ToldLedger ledger;
    put("progress", 0U, reached(2));
    walk.walk(ledger.sink());
    EXPECT_EQ(ledger.take_changes(), 0U);

    tg_source source{};
    source.key = {
        .addr = kernel::from_address(address("192.0.2.1")), .service = smtp, .reserved = 0};
    source.tally.opened = 1;
    source.used = TG_SLOT_USED;
    put("sources", 1U, source);
    EXPECT_TRUE(walk.walk_block(block("192.0.2.1/32"), 1, ledger.sink()));
    EXPECT_EQ(ledger.of("192.0.2.1").opened, 1U);
}

/// Every writer in the gate marks what it changes: dirty_test.cpp.
TEST_F(Walk, LooksOnlyAtWhatIsMarked)
{
    auto walk = open_walk();
    ToldLedger ledger;
    traffic().connect("192.0.2.1"); // slot 0
    traffic().connect("192.0.2.2");
    walk.walk(ledger.sink());
    ledger.take_changes();

    auto slot = get<tg_source>("sources", 0U);
    slot.tally.syn += 5;
    put("sources", 0U, slot);
    traffic().send_syn("192.0.2.2");
    walk.walk(ledger.sink());
    EXPECT_EQ(ledger.take_changes(), 1U);
    EXPECT_EQ(ledger.of("192.0.2.1").syn, 0U);
    change(0, slot);
    walk.walk(ledger.sink());
    EXPECT_EQ(ledger.take_changes(), 1U);
    EXPECT_EQ(ledger.of("192.0.2.1").syn, 5U);
}

TEST_F(Walk, OfABlockTakesNothingFromTheNextWalk)
{
    auto walk = open_walk();
    ToldLedger ledger;
    traffic().connect("192.0.2.1");
    EXPECT_TRUE(walk.walk_block(block("192.0.2.1/32"), 1, ledger.sink()));
    traffic().send_syn("192.0.2.1");
    walk.walk(ledger.sink());
    EXPECT_EQ(ledger.of("192.0.2.1").syn, 1U);
    EXPECT_EQ(ledger.of("192.0.2.1").opened, 1U);
}

/// The mark that a program sets before the daemon sees the slot in use is nobody's.
TEST_F(Walk, LooksAtASlotThatWasMarkedBeforeItWasInUse)
{
    auto walk = open_walk();
    ToldLedger ledger;
    traffic().connect("192.0.2.1");
    auto slot = get<tg_source>("sources", 0U);
    slot.used = TG_SLOT_FREE;
    put("sources", 0U, slot);
    walk.walk(ledger.sink());
    EXPECT_EQ(ledger.take_changes(), 0U);
    slot.used = TG_SLOT_USED;
    put("sources", 0U, slot);
    walk.walk(ledger.sink());
    EXPECT_EQ(ledger.of("192.0.2.1").opened, 1U);
}

TEST_F(Walk, TellsOfASlotThatIsLeaving)
{
    auto walk = open_walk();
    ToldLedger ledger;
    const auto conversation = traffic().connect("192.0.2.1");
    walk.walk(ledger.sink());
    walk.mark_leaving(0);
    traffic().disconnect(conversation);
    walk.walk(ledger.sink());
    EXPECT_EQ(ledger.of("192.0.2.1").closed, 1U);
}

TEST_F(Walk, IsNotMisledByAHighWaterMarkBeyondTheTable)
{
    put("progress", 0U, reached(1U << 20));
    auto walk = open_walk();
    EXPECT_EQ(walk.slots_used(), walk.slots_max());
    ToldLedger ledger;
    walk.walk(ledger.sink());
    EXPECT_EQ(ledger.take_changes(), 0U);
}

/// Written straight into the slots: thousands of handshakes would take their time.
class ManySources : public Walk {
protected:
    static constexpr std::uint32_t sources_max = 4096;

    kernel::TableSizes sizes() const override
    {
        auto sizes = small_sizes();
        sizes.sources_max = sources_max;
        return sizes;
    }

    void prove(std::uint32_t slot, const Address &source) const
    {
        tg_source value{};
        value.key = {.addr = kernel::from_address(source), .service = smtp, .reserved = 0};
        value.tally.opened = 1;
        value.used = TG_SLOT_USED;
        put("sources", slot, value);
        put("progress", 0U, reached(slot + 1));
    }
};

TEST_F(ManySources, AreTooManyToWaitForBeyondTheLimit)
{
    for (const std::uint32_t count : {5U, 2000U}) { // new ones, and ones in order
        auto walk = open_walk();
        ToldLedger ledger;
        for (std::uint32_t i = 0; i < count; i++)
            prove(i, Address::from_ipv4(0xc0000200 + i)); // 192.0.2.0 and on
        EXPECT_FALSE(walk.walk_block(block("192.0.0.0/16"), count - 1, ledger.sink())) << count;
        EXPECT_EQ(ledger.take_changes(), 0U);
        EXPECT_TRUE(walk.walk_block(block("192.0.2.0/30"), 4, ledger.sink())) << count;
        EXPECT_EQ(ledger.take_changes(), 4U);
        EXPECT_FALSE(walk.walk_block(block("192.0.2.0/30"), 3, ledger.sink())) << count;
        EXPECT_TRUE(walk.walk_block(block("192.0.0.0/16"), count, ledger.sink())) << count;
        EXPECT_EQ(ledger.take_changes(), count - 4);
    }
}

/// What a walk tells must add up to what the slots hold: for all, or for a block's sources.
TEST_F(ManySources, AddUpHoweverTheyAreWalked)
{
    for (const unsigned seed : {1U, 2U, 3U}) {
        SCOPED_TRACE(seed);
        std::mt19937 random{seed};
        put("progress", 0U, tg_progress{});
        auto walk = open_walk();
        ToldLedger ledger;
        Totals counted;
        std::vector<ToldSource> slots;

        for (unsigned step = 0; step < 300; step++) {
            for (unsigned i = random() % 12; i > 0 && slots.size() < sources_max; i--) {
                const auto source =
                    random() % 3 != 0
                        ? Address::from_ipv4(0xc6336400 + random() % 0x20000)
                        : address("2001:db8:0:" + std::to_string(random() % 9999) + "::");
                if (counted.contains({source, smtp}))
                    continue;
                prove(static_cast<std::uint32_t>(slots.size()), source);
                counted[{source, smtp}].opened = 1;
                slots.emplace_back(source, smtp);
            }
            for (unsigned i = random() % 8; i > 0 && !slots.empty(); i--) {
                const auto slot = static_cast<std::uint32_t>(random() % slots.size());
                auto &tally = counted[slots[slot]];
                tally.syn += random() % 3;
                tally.opened += 1;
                tally.closed += tally.opened > tally.closed ? 1 : 0;
                tg_source value{};
                value.key = {.addr = kernel::from_address(slots[slot].first),
                             .service = smtp,
                             .reserved = 0};
                value.tally = {tally.syn, tally.opened, tally.closed, 0, 0};
                value.used = TG_SLOT_USED;
                change(slot, value);
            }

            if (random() % 10 == 0) {
                walk.walk(ledger.sink());
                ASSERT_EQ(ledger.totals(), counted) << step;
                continue;
            }
            const Block some{slots.empty() ? address("192.0.2.1")
                                           : slots[random() % slots.size()].first,
                             96 + static_cast<unsigned>(random() % 33)};
            const auto limit = random() % 40;
            auto expected = ledger.totals();
            std::size_t inside = 0;
            for (const auto &[source, tally] : counted)
                if (some.contains(source.first)) {
                    inside++;
                    expected[source] = tally;
                }
            ASSERT_EQ(walk.walk_block(some, limit, ledger.sink()), inside <= limit) << some.text();
            if (inside <= limit) {
                ASSERT_EQ(ledger.totals(), expected) << some.text();
            }
        }
        EXPECT_GT(slots.size(), 1200U) << "enough to be put in order once";
    }
}

} // namespace
} // namespace tallygate::test
