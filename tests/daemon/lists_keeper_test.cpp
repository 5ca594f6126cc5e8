// SPDX-License-Identifier: BSD-2-Clause
//
// The lists as the daemon brings them to the gate, which here is a map.
#include "daemon/lists_keeper.hpp"

#include <sys/stat.h>

#include <future>
#include <memory>

#include "daemon/keeper_fixture.hpp"

namespace tallygate::test {
namespace {

using namespace std::chrono_literals;
using core::ListKind;
using core::ListNode;
using daemon::ListsKeeper;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Block block(const char *text)
{
    return *Block::parse(text);
}

ListsKeeper::Groups drop_list(std::vector<Block> blocks)
{
    return {{.grounds = {.kind = ListKind::block,
                         .origin = core::ListOrigin::file,
                         .place = "/etc/drop.txt"},
             .blocks = std::move(blocks)}};
}

class ListsKeeperTest : public KeeperTest {
protected:
    void start(ListsKeeper::Groups groups = {})
    {
        if (keeper_)
            keeper_->finish();
        keeper_ = std::make_unique<ListsKeeper>(dir_ / "state", clock_, audit_);
        keeper_->protect({{block("192.0.2.25"), "address of eth0"}});
        gate_.listed.clear();
        const auto started = keeper_->start(gate_, build(), policy_, std::move(groups));
        EXPECT_TRUE(started) << started.error().message;
    }

    /// As a trie is built: beside the one in force, once `hold_` lets it.
    ListsKeeper::Build build()
    {
        return [this](const std::vector<ListNode> &nodes) -> Result<ListsKeeper::Publish> {
            if (hold_)
                hold_->get_future().wait();
            if (build_fails_)
                return Error{"make a trie: Cannot allocate memory"};
            return ListsKeeper::Publish{[this, nodes]() -> Result<void> {
                gate_.listed.clear();
                for (const auto &node : nodes)
                    gate_.listed[node.block] = node;
                return {};
            }};
        };
    }

    Result<core::ListEntry> add(const char *cidr, std::optional<std::chrono::seconds> span = {},
                                ListKind kind = ListKind::block)
    {
        return keeper_->add(
            {.kind = kind, .block = block(cidr), .span = span, .reason = "spam run"}, ada_);
    }

    /// What the gate has is what the lists come to.
    void expect_in_force() const
    {
        std::map<Block, ListNode> expected;
        for (const auto &node : keeper_->lists().resolve())
            expected[node.block] = node;
        EXPECT_EQ(gate_.listed, expected);
    }

    core::ListPolicy policy_{.blocks_max = 3, .entries_max = 100};
    bool build_fails_ = false;
    std::unique_ptr<std::promise<void>> hold_;
    std::unique_ptr<ListsKeeper> keeper_;
};

TEST_F(ListsKeeperTest, StartsWithTheConfigurationsListsAndProtection)
{
    start(drop_list({block("203.0.113.0/24"), block("192.0.2.0/24")}));
    expect_in_force();
    EXPECT_EQ(gate_.listed.at(block("192.0.2.25")).allow_until, ListNode::for_good);
    EXPECT_EQ(keeper_->facts().block, 2U);
    EXPECT_EQ(keeper_->facts().swapped_at, noon);
    EXPECT_THAT(audited(), IsEmpty());
}

TEST_F(ListsKeeperTest, ABlockByControlIsInForceForAnHourAndEndsByItself)
{
    start();
    const auto added = add("203.0.113.0/24");
    ASSERT_TRUE(added) << added.error().message;
    EXPECT_EQ(added->grounds.until, noon + 1h);
    EXPECT_EQ(gate_.listed.at(block("203.0.113.0/24")).block_until, noon + 1h);

    clock_.time = noon + 1h - 1ns;
    keeper_->tick();
    EXPECT_TRUE(gate_.listed.contains(block("203.0.113.0/24")));
    clock_.time = noon + 1h;
    keeper_->tick();
    EXPECT_FALSE(gate_.listed.contains(block("203.0.113.0/24")));
    EXPECT_THAT(audited(),
                ElementsAre("block_add 203.0.113.0/24:  -> until 2025-11-21T13:00:00Z (spam run): "
                            "done",
                            "block_end 203.0.113.0/24: until 2025-11-21T13:00:00Z (spam run) -> : "
                            "done"));
}

TEST_F(ListsKeeperTest, WhatIsRefusedChangesNothingAndIsAudited)
{
    start();
    const auto before = gate_.listed;
    const auto refused = add("192.0.2.0/24");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, static_cast<int>(core::Refused::by_protection));
    EXPECT_EQ(gate_.listed, before);
    EXPECT_THAT(audited(), ElementsAre("block_add 192.0.2.0/24:  -> : 192.0.2.0/24 covers "
                                       "192.0.2.25/32, which is protected: address of eth0"));
}

TEST_F(ListsKeeperTest, AFullBreakerTakesNoMoreUntilABlockIsRemoved)
{
    start();
    for (const auto *cidr : {"203.0.113.1", "203.0.113.2", "203.0.113.3"})
        EXPECT_TRUE(add(cidr));
    EXPECT_TRUE(keeper_->facts().is_breaker_open);
    ASSERT_EQ(keeper_->warnings().size(), 1U);
    EXPECT_THAT(keeper_->warnings().front(), HasSubstr("the circuit breaker is open: 3 blocks"));
    EXPECT_FALSE(add("203.0.113.4"));
    EXPECT_TRUE(add("203.0.113.5", {}, ListKind::allow)) << "who is let in trips nothing";

    ASSERT_TRUE(keeper_->remove(ListKind::block, block("203.0.113.1"), ada_));
    EXPECT_FALSE(keeper_->facts().is_breaker_open);
    EXPECT_THAT(keeper_->warnings(), IsEmpty());
    EXPECT_TRUE(add("203.0.113.4"));
    expect_in_force();
    EXPECT_THAT(audited(), testing::Contains("breaker 3 blocks by control: closed -> open: done"));
    EXPECT_THAT(audited(), testing::Contains("breaker 2 blocks by control: open -> closed: done"));
}

TEST_F(ListsKeeperTest, WhatControlHasNotSetItCannotRemove)
{
    start(drop_list({block("203.0.113.0/24")}));
    const auto removed = keeper_->remove(ListKind::block, block("203.0.113.0/24"), ada_);
    ASSERT_FALSE(removed);
    EXPECT_EQ(removed.error().code, static_cast<int>(core::Refused::unknown));
    EXPECT_EQ(removed.error().message, "control has not put 203.0.113.0/24 on the list of blocks: "
                                       "it is there as 203.0.113.0/24 by /etc/drop.txt");
    EXPECT_TRUE(gate_.listed.contains(block("203.0.113.0/24")));
}

TEST_F(ListsKeeperTest, WhatControlHasSetOutlivesTheDaemon)
{
    start();
    ASSERT_TRUE(add("203.0.113.0/24", 2h));
    ASSERT_TRUE(add("198.51.100.7", 60s));
    ASSERT_TRUE(add("2001:db8::/32", {}, ListKind::allow));
    clock_.time = noon + 60s;
    start(drop_list({block("100.64.0.0/16")}));
    expect_in_force();
    EXPECT_EQ(gate_.listed.at(block("203.0.113.0/24")).block_until, noon + 2h);
    EXPECT_EQ(gate_.listed.at(block("2001:db8::/32")).allow_until, ListNode::for_good);
    EXPECT_FALSE(gate_.listed.contains(block("198.51.100.7"))) << "it ended meanwhile";
    EXPECT_EQ(
        keeper_->lists().find_control(block("203.0.113.0/24"), ListKind::block)->grounds.reason,
        "spam run");
}

TEST_F(ListsKeeperTest, AFileThatIsNotOursIsKeptAside)
{
    const std::string one = R"({"schema":1,"entries":[{"kind":"block","cidr":"203.0.113.9/32",)";
    for (const auto &text :
         {std::string("{"), std::string(R"({"schema":2,"entries":[]})"),
          one + R"("reason":"for ever","added_ns":1}]})", one + R"("until_ns":"x","added_ns":1}]})",
          one + R"("until_ns":1763726400000000001,"reason":"\n","added_ns":1}]})"}) {
        SCOPED_TRACE(text);
        start();
        keeper_->finish();
        ASSERT_TRUE(daemon::SnapshotFile(dir_ / "state", "lists.json").write(text));
        start();
        EXPECT_EQ(keeper_->facts().control_blocks, 0U);
        EXPECT_EQ(read(dir_ / "state/lists.json.damaged"), text);
        ASSERT_EQ(keeper_->warnings().size(), 1U);
        EXPECT_THAT(keeper_->warnings().front(), HasSubstr("lists.json is of no use"));
    }
}

TEST_F(ListsKeeperTest, AReloadTakesTheNewListsWithWhatControlSetMeanwhile)
{
    start(drop_list({block("203.0.113.0/24")}));
    ASSERT_TRUE(add("198.51.100.1"));
    hold_ = std::make_unique<std::promise<void>>();
    keeper_->take(policy_, drop_list({block("100.64.0.0/16")}));
    keeper_->tick();
    EXPECT_TRUE(keeper_->facts().is_swap_under_way);
    EXPECT_FALSE(keeper_->are_in_force());
    EXPECT_TRUE(gate_.listed.contains(block("203.0.113.0/24"))) << "the old ones hold meanwhile";

    ASSERT_TRUE(add("100.64.7.0/24"));
    ASSERT_TRUE(keeper_->remove(ListKind::block, block("198.51.100.1"), ada_));
    keeper_->protect_operator(*Address::parse("100.64.9.9"));
    hold_->set_value();
    keeper_->finish();
    expect_in_force();
    EXPECT_FALSE(gate_.listed.contains(block("203.0.113.0/24")));
    EXPECT_FALSE(gate_.listed.contains(block("198.51.100.1")));
    EXPECT_EQ(gate_.listed.at(block("100.64.7.0/24")).block_until, ListNode::for_good);
    EXPECT_EQ(gate_.listed.at(block("100.64.9.9")).allow_until, ListNode::for_good);
}

TEST_F(ListsKeeperTest, WhatNewListsLackIsTriedAgain)
{
    start();
    hold_ = std::make_unique<std::promise<void>>();
    keeper_->take(policy_, drop_list({block("100.64.0.0/16")}));
    keeper_->protect_operator(*Address::parse("100.64.9.9"));
    gate_.lists_fail = true;
    hold_->set_value();
    keeper_->finish();
    EXPECT_FALSE(gate_.listed.contains(block("100.64.9.9")));
    EXPECT_THAT(keeper_->warnings(), ElementsAre(HasSubstr("No space left")));
    gate_.lists_fail = false;
    keeper_->tick();
    expect_in_force();
    EXPECT_TRUE(gate_.listed.contains(block("100.64.9.9")));
    EXPECT_THAT(keeper_->warnings(), IsEmpty());
}

TEST_F(ListsKeeperTest, OfTwoReloadsTheLastOneCounts)
{
    start();
    keeper_->take(policy_, drop_list({block("203.0.113.0/24")}));
    keeper_->take(policy_, drop_list({block("203.0.114.0/24")}));
    keeper_->take(policy_, drop_list({block("203.0.115.0/24")}));
    keeper_->finish();
    expect_in_force();
    EXPECT_TRUE(gate_.listed.contains(block("203.0.115.0/24")));
    EXPECT_EQ(keeper_->facts().block, 1U);
    EXPECT_THAT(audited(),
                ElementsAre(HasSubstr(" ms: 1 allowed and 0 blocked -> 1 allowed and 1 blocked: "
                                      "done"),
                            HasSubstr("lists_swap all lists, in ")));
}

TEST_F(ListsKeeperTest, ListsThatCannotBeBuiltLeaveTheOldOnesAndAWarning)
{
    start(drop_list({block("203.0.113.0/24")}));
    const auto before = gate_.listed;
    build_fails_ = true;
    keeper_->take(policy_, drop_list({block("100.64.0.0/16")}));
    keeper_->finish();
    EXPECT_EQ(gate_.listed, before);
    expect_in_force();
    EXPECT_THAT(keeper_->warnings(),
                ElementsAre("the new lists are not in force: make a trie: Cannot allocate memory"));
    EXPECT_FALSE(keeper_->are_in_force());
    EXPECT_THAT(audited(), ElementsAre(HasSubstr("1 allowed and 1 blocked -> 1 allowed and 1 "
                                                 "blocked: make a trie: Cannot allocate memory")));
    build_fails_ = false;
    keeper_->take(policy_, drop_list({block("100.64.0.0/16")}));
    keeper_->finish();
    EXPECT_THAT(keeper_->warnings(), IsEmpty());
}

TEST_F(ListsKeeperTest, WhatTheGateDoesNotTakeIsNotOnTheList)
{
    start();
    ASSERT_TRUE(add("203.0.113.9", 60s));
    gate_.lists_fail = true;
    const auto added = add("203.0.113.10");
    ASSERT_FALSE(added);
    EXPECT_EQ(added.error().code, 0) << "an errno would be taken for a refusal";
    EXPECT_THAT(added.error().message, HasSubstr("No space left"));
    EXPECT_FALSE(add("203.0.113.9", 120s));
    EXPECT_FALSE(keeper_->remove(ListKind::block, block("203.0.113.9"), ada_));
    gate_.lists_fail = false;
    expect_in_force();
    EXPECT_EQ(keeper_->facts().control_blocks, 1U);
    EXPECT_THAT(audited().back(), HasSubstr("No space left"));
}

TEST_F(ListsKeeperTest, OperatorsStayProtectedAndTheOldestOfTooManyDoesNot)
{
    start();
    keeper_->protect_operator(*Address::parse("203.0.113.9"));
    keeper_->protect({{block("192.0.2.26"), "address of eth1"}});
    EXPECT_FALSE(add("203.0.113.0/24"));
    EXPECT_TRUE(gate_.listed.contains(block("203.0.113.9")));
    EXPECT_TRUE(gate_.listed.contains(block("192.0.2.26")));
    EXPECT_FALSE(gate_.listed.contains(block("192.0.2.25"))) << "an address that has gone";

    for (std::uint32_t i = 0; i < ListsKeeper::operators_max; i++)
        keeper_->protect_operator(Address::from_ipv4(0x0a000000 + i));
    EXPECT_TRUE(add("203.0.113.0/24"));
    expect_in_force();
}

TEST_F(ListsKeeperTest, AnOperatorWhoWritesAgainIsNoLongerTheOldest)
{
    start();
    const auto operator_at = [](std::uint32_t i) { return Address::from_ipv4(0x0a000000 + i); };
    for (std::uint32_t i = 0; i < ListsKeeper::operators_max; i++)
        keeper_->protect_operator(operator_at(i));
    for (int i = 0; i < 3; i++)
        keeper_->protect_operator(operator_at(0));
    EXPECT_TRUE(gate_.listed.contains(Block{operator_at(1), 128})) << "it takes one place";
    keeper_->protect_operator(*Address::parse("203.0.113.9"));
    EXPECT_TRUE(gate_.listed.contains(Block{operator_at(0), 128}));
    EXPECT_FALSE(gate_.listed.contains(Block{operator_at(1), 128}));
    EXPECT_TRUE(gate_.listed.contains(Block{operator_at(2), 128}));
    expect_in_force();
}

TEST_F(ListsKeeperTest, ProtectionThatTheGateDoesNotTakeIsTriedAgain)
{
    start();
    gate_.lists_fail = true;
    keeper_->protect_operator(*Address::parse("203.0.113.50"));
    keeper_->protect({{block("192.0.2.26"), "address of eth1"}});
    keeper_->tick();
    expect_in_force();
    EXPECT_TRUE(gate_.listed.contains(block("192.0.2.25"))) << "whom it had it keeps";
    EXPECT_THAT(keeper_->warnings(), ElementsAre("protected addresses are not all allowed: write "
                                                 "to lists: No space left on device"));
    gate_.lists_fail = false;
    keeper_->tick();
    expect_in_force();
    EXPECT_EQ(gate_.listed.at(block("203.0.113.50")).allow_until, ListNode::for_good);
    EXPECT_TRUE(gate_.listed.contains(block("192.0.2.26")));
    EXPECT_FALSE(gate_.listed.contains(block("192.0.2.25")));
    EXPECT_THAT(keeper_->warnings(), IsEmpty());
}

TEST_F(ListsKeeperTest, ControlLeavesRoomForAnOperator)
{
    policy_ = {.entries_max = 8};
    start();
    std::size_t taken = 0;
    for (std::uint32_t i = 0; i < 8; i++)
        taken += add(Address::from_ipv4(0x0a000000 + i).text().c_str()) ? 1 : 0;
    EXPECT_EQ(taken, 5U) << "beside its own address";
    keeper_->protect_operator(*Address::parse("203.0.113.50"));
    EXPECT_LE(gate_.listed.size(), policy_.entries_max);
}

TEST_F(ListsKeeperTest, ASavedBlockThatIsWiderThanMayBeIsNotTaken)
{
    start();
    ASSERT_TRUE(add("10.0.0.0/8"));
    ASSERT_TRUE(add("203.0.113.0/24"));
    ASSERT_TRUE(add("100.0.0.0/8", {}, ListKind::allow));
    policy_.widest_ipv4 = 16;
    start();
    expect_in_force();
    EXPECT_FALSE(gate_.listed.contains(block("10.0.0.0/8")));
    EXPECT_TRUE(gate_.listed.contains(block("203.0.113.0/24")));
    EXPECT_TRUE(gate_.listed.contains(block("100.0.0.0/8"))) << "an allowance may be wide";
    const std::string why = "10.0.0.0/8 is wider than /16, the widest that lists.widest_ipv4 lets "
                            "anybody block";
    EXPECT_THAT(keeper_->warnings(),
                ElementsAre("a block that control had set is no longer in force: " + why));
    EXPECT_EQ(audited().back(), "block_remove 10.0.0.0/8: until 2025-11-21T13:00:00Z (spam run) "
                                "-> : " +
                                    why);
    keeper_->take(policy_, {});
    keeper_->finish();
    EXPECT_THAT(keeper_->warnings(), IsEmpty());
}

TEST_F(ListsKeeperTest, WideBlocksOpenTheBreakerToo)
{
    policy_ = {.widest_ipv4 = 4};
    start();
    ASSERT_TRUE(add("16.0.0.0/4"));
    EXPECT_FALSE(add("203.0.113.9"));
    EXPECT_TRUE(keeper_->facts().is_breaker_open);
    EXPECT_THAT(keeper_->warnings(),
                ElementsAre(HasSubstr("the circuit breaker is open: 1 blocks set by control hold a "
                                      "sixteenth of all IPv4 addresses")));
}

TEST_F(KeeperTest, ALineIsAddedForEachRecordAndAFailureIsCounted)
{
    audit_.write({.time = {}, .who = ada_, .action = "reload", .result = "done"});
    EXPECT_EQ(read(audit_.path()),
              R"({"time":1763726400,"who":{"uid":1000,"user":"ada","pid":812,"address":null},)"
              R"("action":"reload","what":"","before":"","after":"","result":"done"})"
              "\n");
    EXPECT_EQ(audit_.failures(), 0U);

    ASSERT_EQ(::rename(audit_.path().c_str(), (dir_ / "old").c_str()), 0);
    ASSERT_EQ(::mkdir(audit_.path().c_str(), 0700), 0);
    audit_.write({.time = {}, .who = ada_, .action = "reload", .result = "done"});
    EXPECT_EQ(audit_.failures(), 1U);
    ASSERT_TRUE(audit_.warning());
    EXPECT_THAT(*audit_.warning(), HasSubstr("the audit log is not written: open "));

    ASSERT_EQ(::rmdir(audit_.path().c_str()), 0);
    audit_.write({.time = {}, .who = {}, .action = "mode_revert", .what = "\"quoted\"\n"});
    EXPECT_EQ(audit_.warning(), std::nullopt);
    EXPECT_THAT(audited(), ElementsAre("mode_revert \"quoted\"\n:  -> : "))
        << "after it was rotated away";
}

} // namespace
} // namespace tallygate::test
