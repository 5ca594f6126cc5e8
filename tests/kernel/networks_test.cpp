// SPDX-License-Identifier: BSD-2-Clause
//
// The operator's networks in the real trie: what they count, and what they keep when they go.
#include <gmock/gmock.h>

#include <algorithm>
#include <map>

#include "kernel/convert.hpp"
#include "kernel/map_view.hpp"
#include "kernel/sandbox.hpp"

namespace tallygate::test {
namespace {

using kernel::NetworkTable;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

using Counts = std::vector<std::pair<std::string, std::uint64_t>>;

std::vector<kernel::NetworkOption>
networks(const std::vector<std::pair<std::string, std::string>> &rows)
{
    std::vector<kernel::NetworkOption> options;
    for (const auto &[name, cidr] : rows)
        options.push_back({name, block(cidr)});
    return options;
}

class Networks : public ProgramTest {
protected:
    void SetUp() override
    {
        ProgramTest::SetUp();
        watch(25);
        traffic_ = std::make_unique<Traffic>(program());
    }

    NetworkTable open() const { return must(NetworkTable::open(program())); }

    /// As the daemon does it: with no network configured, packets are spared the trie.
    void apply(NetworkTable &table, const std::vector<kernel::NetworkOption> &options) const
    {
        must(table.apply(options));
        tg_settings settings{};
        settings.networks_configured = static_cast<std::uint32_t>(table.configured());
        put("settings", 0U, settings);
    }

    void send_syns(const std::string &client, unsigned count) const
    {
        for (unsigned i = 0; i < count; i++)
            traffic_->send_syn(client);
    }

    static Counts syns(const NetworkTable &table)
    {
        Counts rows;
        for (const auto &network : table.counts())
            rows.emplace_back(network.name + " " + network.block.text(), network.tally.syn);
        return rows;
    }

    /// What the trie answers for a client; of id 0 if it knows no network.
    tg_network look_up(const std::string &client) const
    {
        const tg_prefix key{.length_bits = 128, .addr = kernel::from_address(address(client))};
        tg_network network{};
        bpf_map_lookup_elem(program().map_fd("networks"), &key, &network);
        return network;
    }

    std::uint32_t find_in_trie(const std::string &client) const { return look_up(client).id; }

    std::map<std::string, std::uint32_t> ids() const
    {
        std::map<std::string, std::uint32_t> found;
        const auto view = must(kernel::MapView<std::uint32_t, tg_network_record>::open(
            program().map_fd("network_records"), "network_records"));
        must(view.for_each([&](std::uint32_t id, const tg_network_record &record) {
            if (record.name[0] != '\0')
                found[kernel::to_block(record.prefix).text()] = id;
        }));
        return found;
    }

    std::unique_ptr<Traffic> traffic_;
};

TEST_F(Networks, CountWhatTheirNestedNetworksCount)
{
    auto table = open();
    apply(table, networks({{"wide", "198.0.0.0/8"},
                           {"middle", "198.51.0.0/16"},
                           {"narrow", "198.51.100.0/24"},
                           {"other", "203.0.113.0/24"},
                           {"six", "2001:db8::/32"}}));

    send_syns("198.51.100.1", 1);
    send_syns("198.51.7.1", 2);
    send_syns("198.7.7.7", 4);
    send_syns("203.0.113.1", 8);
    send_syns("2001:db8:7::1", 16);
    send_syns("192.0.2.1", 32);
    EXPECT_THAT(syns(table),
                ElementsAre(Pair("wide 198.0.0.0/8", 7), Pair("middle 198.51.0.0/16", 3),
                            Pair("narrow 198.51.100.0/24", 1), Pair("other 203.0.113.0/24", 8),
                            Pair("six 2001:db8::/32", 16)));
    EXPECT_EQ(table.configured(), 5U);
}

TEST_F(Networks, CountOpenedAndClosedToo)
{
    auto table = open();
    apply(table, networks({{"wide", "198.51.0.0/16"}, {"narrow", "198.51.100.0/24"}}));
    const auto closed = traffic_->connect("198.51.100.1");
    traffic_->connect("198.51.100.1");
    traffic_->disconnect(closed);

    for (const auto &network : table.counts()) {
        EXPECT_EQ(network.tally.opened, 2U) << network.name;
        EXPECT_EQ(network.tally.closed, 1U) << network.name;
    }
}

TEST_F(Networks, OfOneNameAreOneRowABlock)
{
    auto table = open();
    apply(table, networks({{"sender", "198.51.100.0/25"}, {"sender", "198.51.100.128/25"}}));
    send_syns("198.51.100.1", 1);
    send_syns("198.51.100.200", 2);
    EXPECT_THAT(syns(table), ElementsAre(Pair("sender 198.51.100.0/25", 1),
                                         Pair("sender 198.51.100.128/25", 2)));
}

TEST_F(Networks, HaveNumbersThatDiffer)
{
    auto table = open();
    apply(table, networks({{"a", "192.0.2.0/24"}, {"b", "198.51.100.0/24"}}));
    apply(table,
          networks({{"c", "203.0.113.0/25"}, {"d", "203.0.113.128/25"}, {"e", "2001::/16"}}));

    std::vector<std::uint32_t> numbers;
    for (const auto &[text, id] : ids())
        numbers.push_back(id);
    EXPECT_THAT(numbers, testing::UnorderedElementsAre(1, 2, 3, 4, 5));
    EXPECT_NE(find_in_trie("203.0.113.1"), find_in_trie("203.0.113.129"));
}

TEST_F(Networks, ThatAreTakenOutLeaveTheirTotalToTheOneAround)
{
    auto table = open();
    const auto both = networks({{"wide", "198.51.0.0/16"}, {"narrow", "198.51.100.0/24"}});
    apply(table, both);
    send_syns("198.51.100.1", 3);

    apply(table, networks({{"wide", "198.51.0.0/16"}}));
    EXPECT_THAT(syns(table), ElementsAre(Pair("wide 198.51.0.0/16", 3)));
    EXPECT_EQ(table.configured(), 1U);
    send_syns("198.51.100.1", 1);
    EXPECT_THAT(syns(table), ElementsAre(Pair("wide 198.51.0.0/16", 4)));

    apply(table, both);
    send_syns("198.51.100.1", 1);
    EXPECT_THAT(syns(table),
                ElementsAre(Pair("wide 198.51.0.0/16", 5), Pair("narrow 198.51.100.0/24", 4)));
}

TEST_F(Networks, NestedInOneThatIsTakenOutCountForTheNextWider)
{
    auto table = open();
    apply(table, networks({{"wide", "198.0.0.0/8"},
                           {"middle", "198.51.0.0/16"},
                           {"narrow", "198.51.100.0/24"}}));
    send_syns("198.51.100.1", 1);
    send_syns("198.51.7.1", 2);

    apply(table, networks({{"wide", "198.0.0.0/8"}, {"narrow", "198.51.100.0/24"}}));
    send_syns("198.51.100.1", 1);
    EXPECT_THAT(syns(table),
                ElementsAre(Pair("wide 198.0.0.0/8", 4), Pair("narrow 198.51.100.0/24", 2)));
    EXPECT_EQ(look_up("198.51.100.1").parent, ids().at("198.0.0.0/8"));
}

TEST_F(Networks, GoOnFromTheirRecordsInTheNextDaemon)
{
    {
        auto table = open();
        apply(table, networks({{"wide", "198.51.0.0/16"}, {"narrow", "198.51.100.0/24"}}));
        send_syns("198.51.100.1", 3);
        apply(table, networks({{"wide", "198.51.0.0/16"}}));
    }
    auto table = open();
    EXPECT_THAT(syns(table), ElementsAre(Pair("wide 198.51.0.0/16", 3)));

    const auto before = ids();
    apply(table, networks({{"renamed", "198.51.0.0/16"}, {"new", "203.0.113.0/24"}}));
    EXPECT_EQ(ids().at("198.51.0.0/16"), before.at("198.51.0.0/16"));
    EXPECT_EQ(ids().at("203.0.113.0/24"), 3U) << "a retired network keeps its number";
    EXPECT_THAT(syns(table),
                ElementsAre(Pair("renamed 198.51.0.0/16", 3), Pair("new 203.0.113.0/24", 0)));
}

TEST_F(Networks, OfAllIpv6DoNotHoldIpv4)
{
    auto table = open();
    apply(table, networks({{"six", "::/0"}}));
    send_syns("198.51.100.1", 1);
    send_syns("2001:db8::1", 2);
    EXPECT_THAT(syns(table), ElementsAre(Pair("six ::/0", 2)));

    apply(table, networks({{"six", "::/0"}, {"four", "0.0.0.0/0"}}));
    send_syns("198.51.100.1", 1);
    apply(table, networks({{"six", "::/0"}}));
    send_syns("198.51.100.1", 1);
    EXPECT_THAT(syns(table), ElementsAre(Pair("six ::/0", 2)))
        << "IPv4 that nobody asks for any more is not IPv6 either";
}

TEST_F(Networks, CanAllBeTakenOut)
{
    auto table = open();
    apply(table, networks({{"wide", "198.51.0.0/16"}}));
    apply(table, {});
    EXPECT_THAT(table.counts(), IsEmpty());
    EXPECT_EQ(table.configured(), 0U);
    EXPECT_EQ(find_in_trie("198.51.100.1"), 0U);
}

TEST_F(Networks, SparePacketsTheTrieWhereThereIsNone)
{
    const auto bit_of = [this](std::uint32_t bit) {
        return get<std::uint64_t>("hints", TG_HINT_NETWORKS * TG_HINT_WORDS + bit / 64) >>
                   bit % 64 &
               1;
    };
    auto table = open();
    apply(table, networks({{"narrow", "198.51.100.0/24"}, {"wide", "10.0.0.0/14"}}));
    EXPECT_EQ(bit_of(198U << 8 | 51), 1U);
    for (const std::uint32_t second : {0U, 1U, 2U, 3U})
        EXPECT_EQ(bit_of(10U << 8 | second), 1U) << second;
    EXPECT_EQ(bit_of(10U << 8 | 4), 0U);
    apply(table, networks({{"wide", "10.0.0.0/14"}}));
    EXPECT_EQ(bit_of(198U << 8 | 51), 0U);
    EXPECT_EQ(bit_of(10U << 8 | 3), 1U);
}

TEST_F(Networks, MendWhatTheyHoldOpenAtTheSecondLook)
{
    auto table = open();
    apply(table, networks({{"wide", "198.51.0.0/16"}, {"narrow", "198.51.100.0/24"}}));
    traffic_->connect("198.51.100.1");
    const auto live_of = [this](const std::string &cidr) {
        return get<tg_network_node>("network_nodes", ids().at(cidr)).live;
    };
    const auto spoil = [this](const std::string &cidr, std::uint64_t live) {
        auto node = get<tg_network_node>("network_nodes", ids().at(cidr));
        node.live = live;
        put("network_nodes", ids().at(cidr), node);
    };
    EXPECT_EQ(live_of("198.51.0.0/16"), 1U);

    spoil("198.51.0.0/16", 9);
    spoil("198.51.100.0/24", 0);
    table.settle_live();
    EXPECT_EQ(live_of("198.51.0.0/16"), 9U) << "it may be a connection on its way";
    spoil("198.51.0.0/16", 8);
    table.settle_live();
    EXPECT_EQ(live_of("198.51.0.0/16"), 8U) << "another difference";
    EXPECT_EQ(live_of("198.51.100.0/24"), 1U);
    table.settle_live();
    EXPECT_EQ(live_of("198.51.0.0/16"), 1U);
}

class FewNetworks : public Networks {
protected:
    static constexpr unsigned networks_max = 16;

    kernel::TableSizes sizes() const override
    {
        auto sizes = small_sizes();
        sizes.networks_max = networks_max;
        return sizes;
    }

    /// Every second /32: the trie needs a node between each pair, and pays for it with memory
    /// and not with its entries.
    static std::vector<kernel::NetworkOption> scattered(unsigned first, unsigned count)
    {
        std::vector<kernel::NetworkOption> options;
        for (unsigned i = first; i < first + count; i++)
            options.push_back({"n" + std::to_string(i),
                               block("198.51.100." + std::to_string(i * 7 % 256) + "/32")});
        return options;
    }
};

TEST_F(FewNetworks, MayBeAsManyAsConfigured)
{
    auto table = open();
    must(table.apply(scattered(0, networks_max)));
    EXPECT_EQ(table.configured(), networks_max);
    must(table.apply(scattered(0, networks_max)));
    for (unsigned i = 0; i < networks_max; i++)
        EXPECT_NE(find_in_trie("198.51.100." + std::to_string(i * 7 % 256)), 0U) << i;
}

TEST_F(FewNetworks, StayAsTheyWereWhenMoreDoNotFit)
{
    auto table = open();
    const auto served = scattered(0, networks_max - 1);
    apply(table, served);
    send_syns("198.51.100.7", 2);
    const auto before = syns(table);
    const auto ids_before = ids();

    const auto refused = table.apply(scattered(5, networks_max));
    EXPECT_THAT(message_of(refused), HasSubstr("no room for network"));
    EXPECT_THAT(message_of(refused), HasSubstr("detach"));
    EXPECT_EQ(syns(table), before);
    EXPECT_EQ(table.configured(), served.size());
    EXPECT_EQ(ids(), ids_before);
    EXPECT_EQ(syns(open()), before);
    send_syns("198.51.100.7", 1);
    EXPECT_EQ(table.counts().at(1).tally.syn, 3U);

    // The one number that was left is still to be had.
    must(table.apply(scattered(0, networks_max)));
}

TEST_F(FewNetworks, ThatTheTrieRefusesLeaveTheOldOnes)
{
    auto table = open();
    apply(table, scattered(0, 4));
    const auto before = syns(table);

    // Somebody else's entries fill the trie, as a smaller pinned one would.
    const std::uint32_t stranger = 77;
    for (unsigned i = 0; i < 2 * networks_max; i++) {
        const tg_prefix key{.length_bits = 128,
                            .addr =
                                kernel::from_address(address("203.0.113." + std::to_string(i)))};
        const tg_network value{.id = stranger, .parent = 0};
        if (bpf_map_update_elem(program().map_fd("networks"), &key, &value, BPF_ANY) != 0)
            break;
    }

    const auto refused = table.apply(scattered(4, 8));
    EXPECT_THAT(message_of(refused), HasSubstr("write to networks"));
    EXPECT_EQ(syns(table), before);
    EXPECT_EQ(syns(open()), before);
    for (unsigned i = 0; i < 4; i++)
        EXPECT_NE(find_in_trie("198.51.100." + std::to_string(i * 7)), 0U) << i;
}

} // namespace
} // namespace tallygate::test
