// SPDX-License-Identifier: BSD-2-Clause
//
// Slots of sources that stopped coming, and who gets them then.
#include "kernel/slot_recycler.hpp"

#include <gmock/gmock.h>

#include <bit>
#include <chrono>
#include <set>
#include <thread>

#include "kernel/proven_filter.hpp"
#include "kernel/sandbox.hpp"
#include "kernel/told_ledger.hpp"

namespace tallygate::test {
namespace {

using namespace std::chrono_literals;
using kernel::SlotRecycler;
using kernel::SourceWalk;

constexpr std::uint16_t smtp = 1;
constexpr unsigned nearly_all = 60; // of 64 slots

std::string source(unsigned number)
{
    return "192.0.2." + std::to_string(number);
}

class Recycler : public ProgramTest {
protected:
    void SetUp() override
    {
        ProgramTest::SetUp();
        watch(25, smtp);
        traffic_ = std::make_unique<Traffic>(program());
        walk_ = std::make_unique<SourceWalk>(must(SourceWalk::open(program())));
        recycler_ = std::make_unique<SlotRecycler>(program());
    }

    void come_and_go(unsigned first, unsigned last)
    {
        for (auto number = first; number <= last; number++)
            traffic_->disconnect(traffic_->connect(source(number)));
    }
    void walk_at(std::chrono::seconds time)
    {
        walk_->set_time(time);
        walk_->walk(ledger_.sink());
    }
    /// The step that takes sources out, and the one that releases them.
    void take_out() { must(recycler_->step(*walk_, 100s)); }
    void release()
    {
        const auto free_before = walk_->slots_free();
        const auto deadline = std::chrono::steady_clock::now() + 30s;
        while (walk_->slots_free() == free_before && std::chrono::steady_clock::now() < deadline) {
            must(recycler_->step(*walk_, 100s));
            std::this_thread::sleep_for(1ms);
        }
    }
    void save()
    {
        recycler_->note_saving();
        recycler_->note_saved();
    }
    std::uint32_t slot_of(const std::string &address) const
    {
        const tg_source_key key{.addr = kernel::from_address(must(Address::parse(address))),
                                .service = smtp,
                                .reserved = 0};
        return get<std::uint32_t>("source_index", key);
    }
    /// As a program that is at this slot counts there.
    void add_to_slot(std::uint32_t slot, unsigned opened, unsigned closed) const
    {
        auto source = get<tg_source>("sources", slot);
        source.tally.opened += opened;
        source.tally.closed += closed;
        put("sources", slot, source);
        must(kernel::DirtyBits::open(program().map_fd("dirty_sources"), "dirty_sources"))
            .mark(slot);
    }
    bool can_prove_himself(const std::string &newcomer)
    {
        const auto before = walk_->slots_free();
        traffic_->connect(newcomer);
        walk_->walk(ledger_.sink());
        return walk_->slots_free() + 1 == before;
    }

    std::unique_ptr<Traffic> traffic_;
    std::unique_ptr<SourceWalk> walk_;
    std::unique_ptr<SlotRecycler> recycler_;
    ToldLedger ledger_;
};

TEST_F(Recycler, NobodyLeavesWhileThereIsRoom)
{
    come_and_go(1, 50);
    walk_at(0s);
    walk_at(1000s);
    take_out();
    save();
    EXPECT_EQ(walk_->slots_free(), 14U);
}

TEST_F(Recycler, WhoIsIdleMakesRoomAndOthersStay)
{
    come_and_go(1, nearly_all - 2);
    traffic_->connect(source(nearly_all - 1));
    walk_at(0s);
    come_and_go(nearly_all, nearly_all);
    walk_at(950s);
    walk_at(1000s);
    take_out();
    release();
    EXPECT_EQ(walk_->slots_free(), 62U) << "one is open, and one came a moment ago";

    save();
    come_and_go(101, 162);
    walk_at(1001s);
    EXPECT_EQ(walk_->slots_free(), 0U);
    for (unsigned number = 101; number <= 162; number++) {
        EXPECT_EQ(ledger_.of(source(number)).opened, 1U) << source(number);
        EXPECT_EQ(ledger_.of(source(number)).closed, 1U) << source(number);
    }
    EXPECT_EQ(ledger_.of(source(1)).opened, 1U);
    EXPECT_EQ(ledger_.of(source(nearly_all - 1)).closed, 0U);
}

TEST_F(Recycler, NobodyGetsASlotBeforeThatIsSaved)
{
    come_and_go(1, 64);
    walk_at(0s);
    walk_at(1000s);
    take_out();
    release();
    ASSERT_EQ(walk_->slots_free(), 64U);
    EXPECT_FALSE(can_prove_himself(source(200)));
    recycler_->note_saving();
    EXPECT_FALSE(can_prove_himself(source(200)));
    recycler_->note_saved();
    EXPECT_TRUE(can_prove_himself(source(200)));
    EXPECT_EQ(recycler_->left_total(), 64U);
}

TEST_F(Recycler, WhoComesBackWhileHeIsLeavingLosesNoCount)
{
    come_and_go(1, nearly_all);
    walk_at(0s);
    walk_at(1000s);
    take_out();
    const auto again = traffic_->connect(source(7));
    release();
    save();
    walk_at(1001s);
    EXPECT_EQ(ledger_.of(source(7)).opened, 2U);
    EXPECT_EQ(ledger_.of(source(7)).closed, 1U);
    traffic_->disconnect(again);
    walk_at(1002s);
    EXPECT_EQ(ledger_.of(source(7)).closed, 2U);
}

TEST_F(Recycler, WhoComesBackWhileHeIsLeavingCountsNothingInHisOldSlot)
{
    come_and_go(1, nearly_all);
    walk_at(0s);
    walk_at(1000s);
    const auto old_slot = slot_of(source(7));
    take_out();
    EXPECT_EQ(get<tg_source>("sources", old_slot).used, unsigned{TG_SLOT_LEAVING});
    traffic_->send_syn(source(7));
    traffic_->connect(source(7));
    EXPECT_NE(slot_of(source(7)), old_slot);
    EXPECT_EQ(get<tg_source>("sources", old_slot).tally.syn, 0U);
    EXPECT_EQ(get<tg_source>("sources", old_slot).tally.opened, 1U);

    release();
    save();
    come_and_go(101, 160); // one of them in his old slot
    traffic_->send_syn(source(7));
    traffic_->connect(source(7));
    walk_at(1001s);
    EXPECT_EQ(ledger_.of(source(7)).syn, 2U);
    EXPECT_EQ(ledger_.of(source(7)).opened, 3U);
    for (unsigned number = 101; number <= 160; number++) {
        EXPECT_EQ(ledger_.of(source(number)).syn, 0U) << source(number);
        EXPECT_EQ(ledger_.of(source(number)).opened, 1U) << source(number);
    }
}

TEST_F(Recycler, ASlotThatKeptAFlowForLongIsGivenToOne)
{
    come_and_go(1, nearly_all);
    walk_at(0s);
    walk_at(1000s);
    take_out();
    // Somebody was at it, and opened a flow there.
    add_to_slot(0, 1, 0);
    release();
    EXPECT_EQ(walk_->slots_free(), 63U);
    save();
    come_and_go(101, 160);
    add_to_slot(0, 0, 1);
    walk_at(1001s);
    walk_at(3000s);
    take_out();
    release();
    ASSERT_EQ(walk_->slots_free(), 64U);
    save();

    std::set<std::uint32_t> freed;
    std::uint32_t slot = 0;
    while (bpf_map_lookup_and_delete_elem(program().map_fd("freed_slots"), nullptr, &slot) == 0)
        EXPECT_TRUE(freed.insert(slot).second) << slot << " is there twice";
    EXPECT_TRUE(freed.contains(0));
}

TEST_F(Recycler, AQuestionAboutABlockSeesTheNewOwner)
{
    come_and_go(1, nearly_all);
    walk_at(0s);
    walk_at(1000s);
    take_out();
    release();
    save();
    traffic_->connect("198.51.100.9");
    EXPECT_TRUE(walk_->walk_block(block("198.51.100.0/24"), 10, ledger_.sink()));
    EXPECT_EQ(ledger_.of("198.51.100.9").opened, 1U);
    EXPECT_TRUE(walk_->walk_block(block("192.0.2.0/24"), 100, ledger_.sink()));
    EXPECT_EQ(ledger_.of(source(1)).opened, 1U);
}

TEST_F(Recycler, ALaterDaemonFindsWhatWasNotGivenBack)
{
    come_and_go(1, 64);
    walk_at(0s);
    walk_at(1000s);
    take_out();
    release();

    walk_ = std::make_unique<SourceWalk>(must(SourceWalk::open(program())));
    recycler_ = std::make_unique<SlotRecycler>(program());
    must(recycler_->reclaim(*walk_));
    walk_at(0s);
    EXPECT_FALSE(can_prove_himself(source(200))) << "the last snapshot may know an older owner";
    save();
    EXPECT_TRUE(can_prove_himself(source(200)));
    must(recycler_->reclaim(*walk_));
    come_and_go(101, 163);
    walk_at(1s);
    EXPECT_EQ(walk_->slots_free(), 0U) << "each slot once";
    EXPECT_EQ(ledger_.of(source(200)).opened, 1U + 0U);
}

TEST_F(Recycler, TheFilterForgetsWhoLeftAndKnowsWhoStayed)
{
    const auto filter_bits = [this] {
        int bits = 0;
        for (std::uint32_t i = 0; i < program().entries_max("proven_filter"); i++)
            bits += std::popcount(get<tg_filter>("proven_filter", i).bits);
        return bits;
    };
    const auto hinted = [this] {
        int bits = 0;
        for (std::uint32_t i = 0; i < TG_HINT_WORDS; i++)
            bits += std::popcount(get<std::uint64_t>("hints", TG_HINT_PROVEN * TG_HINT_WORDS + i));
        return bits;
    };
    const std::string elsewhere = "203.0.113.1"; // in another /16 than all others
    come_and_go(1, nearly_all - 2);
    traffic_->disconnect(traffic_->connect(elsewhere));
    traffic_->connect(source(nearly_all));
    walk_at(0s);
    walk_at(1000s);
    const auto bits_before = filter_bits();
    EXPECT_EQ(hinted(), 2);
    take_out();
    release();
    must(kernel::rebuild_proven_filter(program()));
    EXPECT_GT(bits_before, 2);
    EXPECT_LE(filter_bits(), 2);
    EXPECT_EQ(hinted(), 1);

    traffic_->send_syn(source(nearly_all));
    walk_at(1001s);
    EXPECT_EQ(ledger_.of(source(nearly_all)).syn, 1U) << "in his slot: he is known";
}

} // namespace
} // namespace tallygate::test
