// SPDX-License-Identifier: BSD-2-Clause
//
// The lists in the real trie: what they stop, and that nobody ever sees half of one.
#include "kernel/lists.hpp"

#include <bpf/bpf.h>
#include <gmock/gmock.h>

#include <atomic>
#include <thread>

#include "kernel/sandbox.hpp"
#include "kernel/totals.hpp"

namespace tallygate::test {
namespace {

using core::ListNode;
using core::UnixTime;
using kernel::ListTable;
using testing::HasSubstr;
using namespace std::chrono_literals;

UnixTime now()
{
    return std::chrono::system_clock::now();
}

ListNode blocked(const std::string &cidr, UnixTime until = ListNode::for_good)
{
    return {block(cidr), ListNode::never, until};
}

ListNode allowed(const std::string &cidr, UnixTime block_until = ListNode::for_good)
{
    return {block(cidr), ListNode::for_good, block_until};
}

class Lists : public ProgramTest {
protected:
    static constexpr std::uint32_t lists_max = 64;

    void SetUp() override
    {
        ProgramTest::SetUp();
        watch(25);
        traffic_ = std::make_unique<Traffic>(program());
        tg_settings settings{};
        settings.mode = TG_MODE_ENFORCE;
        settings.lease_until_ns = ~0ULL;
        settings.ipv6_source_bits = 64;
        settings.lists_configured = 1;
        put("settings", 0U, settings);
    }

    ListTable open() const { return must(ListTable::open(program().object(), lists_max)); }

    void publish(ListTable &table, const std::vector<ListNode> &nodes)
    {
        must(table.publish(must(ListTable::build(nodes, lists_max))));
        end_rejections();
    }

    void change(ListTable &table, const std::vector<ListNode> &put_nodes,
                const std::vector<Block> &removed)
    {
        must(table.change(put_nodes, removed));
        end_rejections();
    }

    /// As the gate does it.
    void end_rejections()
    {
        auto settings = get<tg_settings>("settings", 0U);
        settings.generation++;
        put("settings", 0U, settings);
    }

    std::uint64_t dropped() const
    {
        return must(kernel::Totals::open(program().object()))
            .packets(TG_HOOK_INGRESS, TG_DROP_BLOCKED);
    }

    bool is_blocked(const std::string &client) const
    {
        const auto before = dropped();
        traffic_->send_syn(client);
        return dropped() != before;
    }

    std::size_t hint_words_set() const
    {
        std::size_t count = 0;
        for (std::uint32_t i = 0; i < TG_HINT_WORDS; i++)
            count += get<std::uint64_t>("hints", TG_HINT_LISTS * TG_HINT_WORDS + i) != 0;
        return count;
    }

    std::unique_ptr<Traffic> traffic_;
};

TEST_F(Lists, ThatAreEmptyStopNobody)
{
    auto table = open();
    EXPECT_TRUE(table.is_empty());
    EXPECT_FALSE(is_blocked("192.0.2.1"));
    publish(table, {});
    EXPECT_FALSE(is_blocked("192.0.2.1"));
}

struct Listed {
    const char *name;
    std::vector<ListNode> nodes;
    std::vector<const char *> stopped;
    std::vector<const char *> passed;
};

TEST_F(Lists, StopWhomTheyName)
{
    const Listed rows[] = {
        {"one address", {blocked("192.0.2.1/32")}, {"192.0.2.1"}, {"192.0.2.2", "2001:db8::1"}},
        {"a /24", {blocked("192.0.2.0/24")}, {"192.0.2.1", "192.0.2.255"}, {"192.0.3.1"}},
        {"a /8, wider than a hint",
         {blocked("10.0.0.0/8")},
         {"10.0.0.1", "10.255.0.1"},
         {"11.0.0.1"}},
        {"all of IPv4", {blocked("0.0.0.0/0")}, {"192.0.2.1", "1.1.1.1"}, {"2001:db8::1"}},
        {"all of IPv6", {blocked("::/0")}, {"2001:db8::1", "fe80::1"}, {"192.0.2.1"}},
        {"all of both", {blocked("::/0"), blocked("0.0.0.0/0")}, {"2001:db8::1", "192.0.2.1"}, {}},
        {"an IPv6 /16", {blocked("2001::/16")}, {"2001:db8::1", "2001:1::1"}, {"2002:db8::1"}},
        {"an IPv6 /64", {blocked("2001:db8::/64")}, {"2001:db8::1"}, {"2001:db8:0:1::1"}},
        {"allowed inside of blocked",
         {blocked("192.0.2.0/24"), allowed("192.0.2.8/29")},
         {"192.0.2.1"},
         {"192.0.2.9"}},
        {"a block with an end to come", {blocked("192.0.2.0/24", now() + 1h)}, {"192.0.2.1"}, {}},
        {"a block that has ended", {blocked("192.0.2.0/24", now() - 1s)}, {}, {"192.0.2.1"}},
        {"a block that ended before 1970",
         {blocked("192.0.2.0/24", UnixTime{-1h})},
         {},
         {"192.0.2.1"}},
        {"an allowance that has ended",
         {{block("192.0.2.0/24"), now() - 1s, ListNode::for_good}},
         {"192.0.2.1"},
         {}},
        {"a block to the end of time",
         {blocked("192.0.2.0/24", ListNode::for_good - 1ns)},
         {"192.0.2.1"},
         {}},
    };
    auto table = open();
    for (const auto &row : rows) {
        publish(table, row.nodes);
        EXPECT_EQ(table.entries(), row.nodes.size());
        for (const auto *client : row.stopped)
            EXPECT_TRUE(is_blocked(client)) << row.name << ": " << client;
        for (const auto *client : row.passed)
            EXPECT_FALSE(is_blocked(client)) << row.name << ": " << client;
    }
    publish(table, {});
    EXPECT_EQ(hint_words_set(), 0U) << "nobody is asked for who is in no list";
}

TEST_F(Lists, ChangeInPlace)
{
    auto table = open();
    publish(table, {blocked("192.0.2.0/24")});
    change(table, {blocked("198.51.100.1/32"), blocked("2001:db8::/64")}, {block("192.0.2.0/24")});
    EXPECT_FALSE(is_blocked("192.0.2.1"));
    EXPECT_TRUE(is_blocked("198.51.100.1"));
    EXPECT_TRUE(is_blocked("2001:db8::1"));
    EXPECT_EQ(table.entries(), 2U);

    change(table, {allowed("198.51.100.1/32")}, {});
    EXPECT_FALSE(is_blocked("198.51.100.1"));
    EXPECT_EQ(table.entries(), 2U);
    change(table, {blocked("198.51.100.2/32")}, {block("198.51.100.1/32")});
    EXPECT_TRUE(is_blocked("198.51.100.2")) << "the hint of the /16 is still needed";
    change(table, {}, {block("198.51.100.2/32"), block("2001:db8::/64"), block("192.0.2.0/24")});
    EXPECT_TRUE(table.is_empty());
    EXPECT_EQ(hint_words_set(), 0U);
}

TEST_F(Lists, OfAllIpv6NeverHoldIpv4)
{
    auto table = open();
    publish(table, {});
    change(table, {blocked("::/0"), blocked("0.0.0.0/0")}, {});
    EXPECT_TRUE(is_blocked("192.0.2.1"));
    change(table, {blocked("192.0.2.1/32")}, {block("0.0.0.0/0")});
    EXPECT_FALSE(is_blocked("192.0.2.2"));
    EXPECT_TRUE(is_blocked("192.0.2.1"));
    EXPECT_TRUE(is_blocked("2001:db8::1"));
}

std::vector<ListNode> many(std::uint32_t count)
{
    std::vector<ListNode> nodes;
    for (std::uint32_t i = 0; i < count; i++)
        nodes.push_back({Block{Address::from_ipv4(0x0a000000 + i * 7), 128}, ListNode::never,
                         ListNode::for_good});
    return nodes;
}

TEST_F(Lists, TakeAsManyAsThereIsRoomForAndNoMore)
{
    auto table = open();
    publish(table, many(lists_max));
    EXPECT_EQ(message_of(ListTable::build(many(lists_max + 1), lists_max)),
              "65 listed blocks are too many: gate.lists_max is 64");
    EXPECT_EQ(message_of(table.change({blocked("192.0.2.1/32")}, {})),
              "65 listed blocks are too many: gate.lists_max is 64");
    EXPECT_FALSE(is_blocked("192.0.2.1"));
    EXPECT_EQ(table.entries(), lists_max);
    change(table, {allowed("10.0.0.0/32")}, {}); // one that is there: nothing more
    EXPECT_FALSE(is_blocked("10.0.0.0"));
    change(table, {}, {block("10.0.0.7/32")});
    change(table, {blocked("192.0.2.1/32")}, {});
    EXPECT_TRUE(is_blocked("192.0.2.1"));
}

TEST_F(Lists, OfTheLastDaemonStayUntilOthersArePublished)
{
    {
        auto table = open();
        publish(table, {blocked("192.0.2.1/32")});
    }
    auto table = open();
    EXPECT_TRUE(is_blocked("192.0.2.1"));
    EXPECT_FALSE(table.is_empty());
    EXPECT_THAT(message_of(table.change({blocked("192.0.2.2/32")}, {})),
                HasSubstr("the last daemon left"));
    publish(table, {blocked("192.0.2.2/32")});
    EXPECT_FALSE(is_blocked("192.0.2.1"));
    EXPECT_TRUE(is_blocked("192.0.2.2"));
    EXPECT_EQ(hint_words_set(), 1U);
}

TEST_F(Lists, OfTheLastDaemonThatAreEmptyMayBeChanged)
{
    {
        auto table = open();
    }
    auto table = open();
    EXPECT_TRUE(table.is_empty());
    change(table, {blocked("192.0.2.2/32")}, {});
    EXPECT_TRUE(is_blocked("192.0.2.2"));
}

/// What is in all lists is stopped at every moment, while one takes the place of the other.
TEST_F(Lists, ThatAreReplacedAreEmptiedBeforeTheKernelFreesThem)
{
    auto table = open();
    publish(table, {blocked("192.0.2.0/24"), blocked("192.0.2.1/32"), allowed("2001:db8::/32")});
    const Fd old{bpf_map_get_fd_by_id(get<std::uint32_t>("lists", 0U))};
    ASSERT_TRUE(old);
    publish(table, {blocked("198.51.100.1/32")});

    const auto entries = [&old] {
        tg_prefix key{};
        std::size_t count = 0;
        for (const void *last = nullptr; bpf_map_get_next_key(old.get(), last, &key) == 0;
             last = &key)
            count++;
        return count;
    };
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    constexpr std::size_t place_of_ipv4 = 1;
    while (entries() > place_of_ipv4 && std::chrono::steady_clock::now() < deadline)
        std::this_thread::sleep_for(1ms);
    EXPECT_EQ(entries(), place_of_ipv4);
    EXPECT_TRUE(is_blocked("198.51.100.1"));
}

TEST_F(Lists, AreNeverEmptyForAPacketWhileTheyAreReplaced)
{
    constexpr std::uint32_t entries = 20000;
    auto table = must(ListTable::open(program().object(), entries));
    auto nodes = many(entries - 2);
    nodes.push_back(blocked("203.0.113.9/32"));
    must(table.publish(must(ListTable::build(nodes, entries))));

    std::atomic<bool> is_over = false;
    std::uint64_t sent = 0;
    const auto before = dropped();
    std::thread client{[&] {
        while (!is_over) {
            traffic_->send_syn("203.0.113.9");
            sent++;
        }
    }};
    bool is_well = true;
    for (int i = 0; i < 5; i++) {
        is_well = table.publish(must(ListTable::build(nodes, entries))) && is_well;
        end_rejections();
        is_well = table.change({blocked("203.0.113.10/32")}, {}) && is_well;
        end_rejections();
        is_well = table.change({}, {block("203.0.113.10/32")}) && is_well;
        end_rejections();
    }
    is_over = true;
    client.join();
    EXPECT_TRUE(is_well);
    EXPECT_GT(sent, 100U);
    EXPECT_EQ(dropped() - before, sent);
}

} // namespace
} // namespace tallygate::test
