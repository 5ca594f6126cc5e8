// SPDX-License-Identifier: BSD-2-Clause
#include "frontend/sessions_table.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <vector>

namespace tallygate::test {
namespace {

using frontend::SessionsTable;

Address address(std::string_view text)
{
    return *Address::parse(text);
}

Block block(std::string_view text)
{
    return *Block::parse(text);
}

TEST(SessionsTable, CountsByAddressAndByAnyPrefix)
{
    SessionsTable table;
    const auto client = table.add_client();

    EXPECT_TRUE(table.open(client, "a", address("192.0.2.1")));
    EXPECT_TRUE(table.open(client, "b", address("192.0.2.1")));
    EXPECT_TRUE(table.open(client, "c", address("192.0.2.200")));
    EXPECT_TRUE(table.open(client, "d", address("2001:db8::1")));
    EXPECT_TRUE(table.open(client, "e", address("2001:db8::2")));
    EXPECT_EQ(table.live(block("192.0.2.1")), 2U);
    EXPECT_EQ(table.live(block("192.0.2.0/24")), 3U);
    EXPECT_EQ(table.live(block("192.0.2.0/25")), 2U);
    EXPECT_EQ(table.live(block("0.0.0.0/0")), 3U);
    EXPECT_EQ(table.live(block("2001:db8::1")), 1U);
    EXPECT_EQ(table.live(block("2001:db8::/64")), 2U);
    EXPECT_EQ(table.live(block("::/0")), 2U);
    EXPECT_EQ(table.sessions(), 5U);
}

TEST(SessionsTable, ASessionOpenedTwiceCountsOnceAndWhereItWasOpenedLast)
{
    SessionsTable table;
    const auto client = table.add_client();

    table.open(client, "a", address("192.0.2.1"));
    table.open(client, "a", address("192.0.2.1"));
    EXPECT_EQ(table.live(block("192.0.2.1")), 1U);
    // A proxy has told the client's own address.
    table.open(client, "a", address("198.51.100.7"));
    EXPECT_EQ(table.live(block("192.0.2.1")), 0U);
    EXPECT_EQ(table.live(block("198.51.100.7")), 1U);
}

TEST(SessionsTable, ClosingTwiceOrWhatIsNotOpenCountsNothingBelowZero)
{
    SessionsTable table;
    const auto client = table.add_client();

    table.open(client, "a", address("192.0.2.1"));
    EXPECT_TRUE(table.close(client, "a"));
    EXPECT_FALSE(table.close(client, "a"));
    EXPECT_FALSE(table.close(client, "never"));
    EXPECT_EQ(table.live(block("0.0.0.0/0")), 0U);
    EXPECT_EQ(table.sessions(), 0U);
}

TEST(SessionsTable, SessionsOfTwoClientsHaveNothingToDoWithEachOther)
{
    SessionsTable table;
    const auto one = table.add_client();
    const auto other = table.add_client();

    table.open(one, "a", address("192.0.2.1"));
    table.open(other, "a", address("192.0.2.1"));
    EXPECT_EQ(table.live(block("192.0.2.1")), 2U);
    EXPECT_TRUE(table.close(other, "a"));
    EXPECT_EQ(table.live(block("192.0.2.1")), 1U);
}

TEST(SessionsTable, AClientThatGoesTakesItsSessionsAlong)
{
    SessionsTable table;
    const auto one = table.add_client();
    const auto other = table.add_client();

    for (int i = 0; i < 100; i++)
        table.open(one, std::to_string(i), address("192.0.2.1"));
    table.open(one, "delivery", "example.com", std::nullopt);
    table.open(other, "a", address("192.0.2.1"));
    table.remove_client(one);
    EXPECT_EQ(table.live(block("192.0.2.1")), 1U);
    EXPECT_EQ(table.live("example.com"), 0U);
    EXPECT_EQ(table.sessions(), 1U);
    EXPECT_EQ(table.clients(), 1U);
    table.remove_client(one);
    EXPECT_EQ(table.sessions(), 1U);
}

TEST(SessionsTable, ADeliveryBeyondTheMaximumIsNotOpened)
{
    SessionsTable table;
    const auto client = table.add_client();

    for (const auto *name : {"a", "b", "c"})
        EXPECT_TRUE(table.open(client, name, "example.com", 3)->opened);
    const auto fourth = table.open(client, "d", "example.com", 3);
    EXPECT_FALSE(fourth->opened);
    EXPECT_EQ(fourth->live, 4U);
    EXPECT_EQ(table.live("example.com"), 3U);
    EXPECT_TRUE(table.open(client, "e", "example.net", 3)->opened);
    table.close(client, "b");
    EXPECT_TRUE(table.open(client, "d", "example.com", 3)->opened);
    // One that is told anew takes its own place.
    EXPECT_TRUE(table.open(client, "d", "example.com", 3)->opened);
    EXPECT_EQ(table.live("example.com"), 3U);
}

TEST(SessionsTable, WhatHasNoRoomIsNotOpenedAndNothingElseIsLost)
{
    SessionsTable table{{.sessions_max = 3, .client_sessions_max = 2}};
    const auto greedy = table.add_client();
    const auto other = table.add_client();

    EXPECT_TRUE(table.open(greedy, "a", address("192.0.2.1")));
    EXPECT_TRUE(table.open(greedy, "b", address("192.0.2.1")));
    EXPECT_FALSE(table.open(greedy, "c", address("192.0.2.1")));
    EXPECT_FALSE(table.open(greedy, "d", "example.com", std::nullopt));
    EXPECT_TRUE(table.open(other, "a", address("192.0.2.1")));
    EXPECT_FALSE(table.open(other, "b", address("192.0.2.1")));
    EXPECT_EQ(table.sessions(), 3U);
    table.close(greedy, "a");
    EXPECT_TRUE(table.open(other, "b", address("192.0.2.1")));
}

/// Whatever happens in whatever order, a count is the number of sessions that are open.
TEST(SessionsTable, AgreesWithAPlainModel)
{
    std::mt19937 random{7};
    SessionsTable table;
    std::vector<SessionsTable::Client> clients{table.add_client(), table.add_client()};
    std::map<std::pair<SessionsTable::Client, std::string>, std::string> model;

    for (int i = 0; i < 20'000; i++) {
        auto &client = clients[random() % clients.size()];
        const auto session = std::to_string(random() % 50);
        const auto host = "192.0.2." + std::to_string(random() % 4);
        const auto what = random() % 50;
        if (what == 0) {
            table.remove_client(client);
            std::erase_if(model, [&](const auto &each) { return each.first.first == client; });
            client = table.add_client();
        } else if (what < 25) {
            table.close(client, session);
            model.erase({client, session});
        } else {
            table.open(client, session, address(host));
            model[{client, session}] = host;
        }
    }
    for (int host = 0; host < 4; host++) {
        const auto name = "192.0.2." + std::to_string(host);
        const auto expected = std::count_if(model.begin(), model.end(),
                                            [&](const auto &each) { return each.second == name; });
        EXPECT_EQ(table.live(block(name)), static_cast<std::uint64_t>(expected)) << name;
    }
    EXPECT_EQ(table.live(block("192.0.2.0/24")), model.size());
    EXPECT_EQ(table.sessions(), model.size());
}

} // namespace
} // namespace tallygate::test
