// SPDX-License-Identifier: BSD-2-Clause
#include "client/client_block.hpp"

#include <gtest/gtest.h>

namespace tallygate::test {
namespace {

TEST(ClientBlock, IsWhatAPolicyMeans)
{
    const struct {
        const char *client;
        const char *mask;
        const char *block;
    } rows[] = {
        {"192.0.2.7", "/32", "192.0.2.7/32"},
        {"192.0.2.7", "32", "192.0.2.7/32"},
        {"192.0.2.7", "/24", "192.0.2.0/24"},
        {"192.0.2.7", "/0", "0.0.0.0/0"},
        {"192.0.2.7:40312", "/32", "192.0.2.7/32"},
        {"::ffff:192.0.2.7", "/24", "192.0.2.0/24"},
        {"[::ffff:192.0.2.7]:25", "/24", "192.0.2.0/24"},
        {"2001:db8:1:2:3:4:5:7", "/32", "2001:db8:1:2::/64"},
        {"[2001:db8:1:2::7]", "/24", "2001:db8:1::/48"},
        {"[2001:db8:1:2::7]:40312", "/16", "2001:db8::/32"},
        {"2001:db8:1:2::7", "/0", "::/0"},
        {"2001:db8:1:2::7", "/64", "2001:db8:1:2::/64"},
        {"2001:db8:1:2::7", "/128", "2001:db8:1:2::7/128"},
        {"2001:db8::25:25", "/128", "2001:db8::25:25/128"},
    };
    for (const auto &row : rows) {
        SCOPED_TRACE(std::string(row.client) + " " + row.mask);
        const auto client = client::parse_client(row.client);
        ASSERT_TRUE(client) << client.error().message;
        const auto block = client::block_of_client(*client, row.mask);
        ASSERT_TRUE(block) << block.error().message;
        EXPECT_EQ(block->text(), row.block);
    }
}

TEST(ClientBlock, RefusesTheRest)
{
    for (const auto *text : {"", "localhost", "localhost:25", "192.0.2.7/24", "192.0.2.7:", ":25",
                             "192.0.2.7:x", "[192.0.2.7]", "192.0.2", "2001:db8::1:"}) {
        SCOPED_TRACE(text);
        EXPECT_FALSE(client::parse_client(text));
    }
    const auto client = *Address::parse("192.0.2.7");
    for (const auto *mask : {"", "/", "/33", "/-1", "/2x", "//24", "/129", " /24", "255.255.255.0"})
        EXPECT_FALSE(client::block_of_client(client, mask)) << mask;
    EXPECT_FALSE(client::block_of_client(*Address::parse("2001:db8::1"), "/129"));
}

} // namespace
} // namespace tallygate::test
