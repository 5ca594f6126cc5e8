// SPDX-License-Identifier: BSD-2-Clause
//
// The lists against a model that looks at every entry for every block.
#include "core/lists.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>

#include "core/support.hpp"

namespace tallygate::core::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

ListEntry entry(std::string_view cidr, ListKind kind, std::optional<UnixTime> until = {},
                ListOrigin origin = ListOrigin::control)
{
    return {block(cidr), {.kind = kind, .origin = origin, .until = until}};
}

constexpr auto allow = ListKind::allow;
constexpr auto blocked = ListKind::block;

std::vector<std::string> texts(const std::vector<ListEntry> &entries)
{
    std::vector<std::string> all;
    for (const auto &each : entries)
        all.push_back(std::string(list_kind_name(each.grounds.kind)) + " " + each.block.text());
    return all;
}

TEST(Lists, AnEntryNestedInWiderOnesCarriesTheLatestEndOfEachKind)
{
    Lists lists;
    lists.add(entry("192.0.2.0/24", blocked, at(100)));
    lists.add(entry("192.0.0.0/16", allow, at(50)));
    lists.add(entry("192.0.2.7", blocked, at(80)));

    EXPECT_THAT(lists.resolve(),
                ElementsAre(ListNode{block("192.0.0.0/16"), at(50), ListNode::never},
                            ListNode{block("192.0.2.0/24"), at(50), at(100)},
                            ListNode{block("192.0.2.7"), at(50), at(100)}));
}

TEST(Lists, AWideEntryChangesOnlyTheNodesWhoseEndsItMoves)
{
    Lists lists;
    lists.add(entry("192.0.2.0/24", blocked, at(100)));
    lists.add(entry("192.0.2.7", blocked));
    lists.add(entry("198.51.100.0/24", blocked, at(100)));

    const auto added = lists.add(entry("192.0.0.0/16", blocked, at(200)));
    EXPECT_THAT(added.put, ElementsAre(ListNode{block("192.0.0.0/16"), ListNode::never, at(200)},
                                       ListNode{block("192.0.2.0/24"), ListNode::never, at(200)}));
    EXPECT_THAT(added.removed, IsEmpty());

    const auto removed = lists.remove_control(block("192.0.0.0/16"), blocked);
    EXPECT_THAT(removed.put,
                ElementsAre(ListNode{block("192.0.2.0/24"), ListNode::never, at(100)}));
    EXPECT_THAT(removed.removed, ElementsAre(block("192.0.0.0/16")));
}

TEST(Lists, TheSameEntryOfAnotherOriginStandsBeside)
{
    Lists lists;
    lists.set_fixed(FixedLists{
        {{.grounds = {.kind = blocked, .origin = ListOrigin::file, .place = "/etc/drop.txt"},
          .blocks = {block("192.0.2.0/24"), block("192.0.2.0/24")}}}});
    EXPECT_TRUE(lists.add(entry("192.0.2.0/24", blocked, at(100))).empty());
    EXPECT_EQ(lists.count(blocked), 2U) << "a file's repeated line is one entry";
    EXPECT_TRUE(lists.add(entry("192.0.2.0/24", blocked, at(50))).empty());
    EXPECT_EQ(lists.count(blocked), 2U) << "control's entry was replaced";
    EXPECT_EQ(lists.find_control(block("192.0.2.0/24"), blocked)->grounds.until, at(50));

    EXPECT_TRUE(lists.remove_control(block("192.0.2.0/24"), blocked).empty());
    EXPECT_EQ(lists.count(blocked), 1U);
}

TEST(Lists, WhatIsSaidOfAnAddressIsTheLongestFirstWithoutWhatHasEnded)
{
    Lists lists;
    lists.set_fixed(FixedLists{{{.grounds = {.kind = allow}, .blocks = {block("0.0.0.0/0")}}}});
    lists.add(entry("192.0.2.0/24", blocked, at(100)));
    lists.add(entry("192.0.2.7", blocked, at(50)));
    lists.add(entry("192.0.2.8", blocked));
    lists.add(entry("::/0", blocked));

    EXPECT_THAT(texts(lists.find(address("192.0.2.7"), at(49))),
                ElementsAre("block 192.0.2.7/32", "block 192.0.2.0/24", "allow 0.0.0.0/0"));
    EXPECT_THAT(texts(lists.find(address("192.0.2.7"), at(50))),
                ElementsAre("block 192.0.2.0/24", "allow 0.0.0.0/0"));
    EXPECT_THAT(texts(lists.find(address("2001:db8::1"), at(0))), ElementsAre("block ::/0"));
}

TEST(Lists, AnOverlapIsFoundFromBothSides)
{
    Lists lists;
    lists.add(entry("192.0.2.1", allow, {}, ListOrigin::protection));
    lists.add(entry("127.0.0.0/8", allow, {}, ListOrigin::protection));
    lists.add(entry("198.51.100.1", allow));

    EXPECT_TRUE(lists.find_overlap(block("192.0.2.0/24"), ListOrigin::protection));
    EXPECT_TRUE(lists.find_overlap(block("192.0.2.1"), ListOrigin::protection));
    EXPECT_TRUE(lists.find_overlap(block("127.0.0.53"), ListOrigin::protection));
    EXPECT_TRUE(lists.find_overlap(block("0.0.0.0/0"), ListOrigin::protection));
    EXPECT_FALSE(lists.find_overlap(block("192.0.2.2"), ListOrigin::protection));
    EXPECT_FALSE(lists.find_overlap(block("198.51.100.1"), ListOrigin::protection));
    EXPECT_FALSE(lists.find_overlap(block("::/0"), ListOrigin::protection));
}

/// Entries in no order, and the answers by looking at all of them.
struct Model {
    std::vector<ListEntry> entries;

    std::map<Block, ListNode> nodes() const
    {
        std::map<Block, ListNode> all;
        for (const auto &each : entries)
            all[each.block] = node(each.block);
        return all;
    }

    ListNode node(const Block &of) const
    {
        ListNode node{.block = of};
        for (const auto &each : entries) {
            if (!each.block.contains(of))
                continue;
            auto &until = each.grounds.kind == allow ? node.allow_until : node.block_until;
            until = std::max(until, each.grounds.end());
        }
        return node;
    }

    void add(const ListEntry &added)
    {
        std::erase_if(entries, [&](const ListEntry &each) {
            return each.block == added.block && each.grounds.kind == added.grounds.kind &&
                   each.grounds.origin == added.grounds.origin;
        });
        entries.push_back(added);
    }

    void remove_origin(ListOrigin origin)
    {
        std::erase_if(entries,
                      [&](const ListEntry &each) { return each.grounds.origin == origin; });
    }
};

ListEntry random_entry(Dice &dice, ListOrigin origin)
{
    auto result = entry("::/0", dice.number(0, 1) == 0 ? allow : blocked, {}, origin);
    result.block = dice.next_block();
    if (origin != ListOrigin::protection && dice.number(0, 3) != 0)
        result.grounds.until = at(static_cast<double>(dice.number(1, 100)));
    return result;
}

/// Lists, the model beside them, and the trie that the changes make.
struct Twins {
    Dice dice;
    Lists lists = {};
    Model model = {};
    std::map<Block, ListNode> trie = {};
    std::vector<Block> touched = {}; ///< since the trie was last made anew

    void apply(const Lists::Change &change)
    {
        for (const auto &removed : change.removed)
            RC_ASSERT(trie.erase(removed) == 1U);
        for (const auto &put : change.put) {
            const auto old = trie.find(put.block);
            // Not within the macro, which evaluates both sides of an ||.
            const bool is_news = old == trie.end() || old->second != put;
            RC_ASSERT(is_news);
            trie[put.block] = put;
        }
    }

    void step()
    {
        switch (dice.number(0, 9)) {
        case 0:
            return set_fixed();
        case 1:
            return protect();
        case 2:
            return expire();
        case 3:
        case 4:
        case 5:
            return remove();
        default:
            return add();
        }
    }

    void add()
    {
        const auto added = random_entry(dice, ListOrigin::control);
        touched.push_back(added.block);
        model.add(added);
        apply(lists.add(added));
    }

    void remove()
    {
        if (model.entries.empty())
            return;
        const auto at = dice.number(0, static_cast<std::int64_t>(model.entries.size()) - 1);
        const auto removed = model.entries[static_cast<std::size_t>(at)];
        touched.push_back(removed.block);
        std::erase_if(model.entries, [&](const ListEntry &each) {
            return each.block == removed.block && each.grounds.origin == ListOrigin::control &&
                   each.grounds.kind == removed.grounds.kind;
        });
        apply(lists.remove_control(removed.block, removed.grounds.kind));
    }

    void protect()
    {
        std::vector<ListEntry> entries;
        for (auto i = dice.number(0, 3); i > 0; i--)
            entries.push_back(random_entry(dice, ListOrigin::protection));
        for (const auto &each : lists.of_origin(ListOrigin::protection))
            touched.push_back(each.block);
        model.remove_origin(ListOrigin::protection);
        for (const auto &each : entries) {
            touched.push_back(each.block);
            model.add(each);
        }
        apply(lists.replace(ListOrigin::protection, entries));
    }

    void expire()
    {
        const auto now = at(static_cast<double>(dice.number(0, 100)));
        const auto ends = [&](const ListEntry &each) {
            return each.grounds.origin == ListOrigin::control && !each.grounds.in_force_at(now);
        };
        const auto ended = std::ranges::count_if(model.entries, ends);
        std::erase_if(model.entries, ends);
        const auto expiry = lists.expire(now);
        RC_ASSERT(static_cast<std::ptrdiff_t>(expiry.ended.size()) == ended);
        for (const auto &each : expiry.ended)
            touched.push_back(each.block);
        apply(expiry.change);
    }

    /// As a reload does: a trie is made of what there was, entries change meanwhile, and what
    /// it lacks by then is brought to it.
    void set_fixed()
    {
        std::vector<FixedLists::Group> groups(2);
        std::vector<ListEntry> fixed;
        for (auto &group : groups) {
            group.grounds = random_entry(dice, ListOrigin::file).grounds;
            for (auto i = dice.number(0, 6); i > 0; i--) {
                group.blocks.push_back(dice.next_block());
                fixed.push_back({group.blocks.back(), group.grounds});
            }
        }
        auto aside = lists;
        aside.set_fixed(FixedLists{groups});
        touched.clear();
        std::map<Block, ListNode> made;
        for (const auto &node : aside.resolve())
            made[node.block] = node;
        for (int i = 0; i < 3; i++)
            add();
        remove();

        model.remove_origin(ListOrigin::file);
        model.entries.insert(model.entries.end(), fixed.begin(), fixed.end());
        lists.set_fixed(FixedLists{groups});
        trie = made;
        const auto lacking = lists.refresh(touched);
        for (const auto &put : lacking.put)
            trie[put.block] = put;
        for (const auto &removed : lacking.removed)
            trie.erase(removed);
    }
};

RC_GTEST_PROP(Lists, ChangesKeepTheTrieAsTheModelHasIt, ())
{
    Twins twins{Dice{*rc::gen::arbitrary<std::uint32_t>()}};
    for (int i = 0; i < 60; i++) {
        twins.step();
        const auto expected = twins.model.nodes();
        RC_ASSERT(twins.trie == expected);
        std::map<Block, ListNode> resolved;
        for (const auto &node : twins.lists.resolve())
            RC_ASSERT(resolved.emplace(node.block, node).second);
        RC_ASSERT(resolved == expected);
        RC_ASSERT(twins.lists.count(allow) + twins.lists.count(blocked) == twins.lists.size());
    }
}

RC_GTEST_PROP(Lists, WhatIsFoundForAnAddressIsWhatHoldsIt, ())
{
    Twins twins{Dice{*rc::gen::arbitrary<std::uint32_t>()}};
    for (int i = 0; i < 40; i++)
        twins.step();
    for (int i = 0; i < 20; i++) {
        const auto address = twins.dice.next_address();
        const auto now = at(static_cast<double>(twins.dice.number(0, 100)));
        std::multiset<ListEntry> expected;
        for (const auto &each : twins.model.entries)
            if (each.block.contains(address) && each.grounds.in_force_at(now))
                expected.insert(each);
        const auto found = twins.lists.find(address, now);
        std::set<ListEntry> once{expected.begin(), expected.end()};
        RC_ASSERT((std::set<ListEntry>{found.begin(), found.end()}) == once);
        RC_ASSERT(std::ranges::is_sorted(found, std::ranges::greater{}, [](const ListEntry &each) {
            return each.block.length_bits();
        }));
    }
}

TEST(Lists, AHundredThousandEntriesAreResolvedAtOnce)
{
    FixedLists::Group group;
    for (std::uint32_t i = 0; i < 100'000; i++)
        group.blocks.emplace_back(Address::from_ipv4(i * 2654435761U), 96 + 16 + i % 17);
    Lists lists;
    lists.set_fixed(FixedLists{{group}});
    EXPECT_LE(lists.resolve().size(), 100'000U);
    EXPECT_GT(lists.resolve().size(), 90'000U);
}

} // namespace
} // namespace tallygate::core::test
