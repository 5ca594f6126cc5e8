// SPDX-License-Identifier: BSD-2-Clause
//
// Text to addresses, blocks and endpoints, and back. To add a case, add a row.
#include "base/address.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace tallygate {
namespace {

using namespace std::string_literals;

Address address(std::string_view text)
{
    const auto parsed = Address::parse(text);
    EXPECT_TRUE(parsed) << text;
    return parsed ? *parsed : Address{};
}

Block block(std::string_view text)
{
    const auto parsed = Block::parse(text);
    EXPECT_TRUE(parsed) << text;
    return parsed ? *parsed : Block::all(Family::ipv4);
}

const std::string very_long(100'000, '1');

// clang-format off
const struct {
    const char *name;
    std::string text;
    const char *printed;
    Family family;
} good_addresses[] = {
    {"IPv4",                         "192.0.2.1",              "192.0.2.1",       Family::ipv4},
    {"the lowest IPv4",              "0.0.0.0",                "0.0.0.0",         Family::ipv4},
    {"the highest IPv4",             "255.255.255.255",        "255.255.255.255", Family::ipv4},
    {"IPv4 in mapped form",          "::ffff:192.0.2.1",       "192.0.2.1",       Family::ipv4},
    {"mapped, in capitals",          "::FFFF:192.0.2.1",       "192.0.2.1",       Family::ipv4},
    {"mapped, in hexadecimal",       "::ffff:c000:201",        "192.0.2.1",       Family::ipv4},
    {"mapped, in full",              "0:0:0:0:0:ffff:c000:201", "192.0.2.1",      Family::ipv4},
    {"mapped, in brackets",          "[::ffff:192.0.2.1]",     "192.0.2.1",       Family::ipv4},
    {"IPv6",                         "2001:db8::1",            "2001:db8::1",     Family::ipv6},
    {"IPv6 in brackets",             "[2001:db8::1]",          "2001:db8::1",     Family::ipv6},
    {"IPv6 in full and capitals",    "2001:0DB8:0:0:0:0:0:1",  "2001:db8::1",     Family::ipv6},
    {"the lowest IPv6",              "::",                     "::",              Family::ipv6},
    {"the highest IPv6",             "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                                     "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",   Family::ipv6},
    {"just below the mapped ones",   "::fffe:ffff:ffff",       "::fffe:ffff:ffff", Family::ipv6},
    {"just above the mapped ones",   "::1:0:0:0",              "::1:0:0:0",       Family::ipv6},
    {"the longest text there is",    "2001:0db8:1111:2222:3333:4444:198.51.100.255",
                                     "2001:db8:1111:2222:3333:4444:c633:64ff",    Family::ipv6},
};

const struct {
    const char *name;
    std::string text;
} bad_addresses[] = {
    {"nothing",                  ""},
    {"a blank",                  " "},
    {"a host name",              "mail.example.com"},
    {"three octets",             "192.0.2"},
    {"five octets",              "192.0.2.1.1"},
    {"an octet past 255",        "192.0.2.256"},
    {"an octet with a zero",     "192.0.2.01"},
    {"hexadecimal octets",       "0xc0.0.2.1"},
    {"one number",               "3221225985"},
    {"a sign",                   "192.0.2.-1"},
    {"a blank before",           " 192.0.2.1"},
    {"a blank after",            "192.0.2.1 "},
    {"a line end",               "192.0.2.1\n"},
    {"IPv4 in brackets",         "[192.0.2.1]"},
    {"a length",                 "192.0.2.1/32"},
    {"a port",                   "192.0.2.1:25"},
    {"an IPv6 length",           "2001:db8::1/128"},
    {"a scope",                  "fe80::1%eth0"},
    {"two gaps",                 "2001::db8::1"},
    {"three colons",             "2001:db8:::1"},
    {"seven groups",             "1:2:3:4:5:6:7"},
    {"nine groups",              "1:2:3:4:5:6:7:8:9"},
    {"a group of five digits",   "2001:db8::12345"},
    {"a letter past f",          "2001:db8::g"},
    {"a bracket open",           "[2001:db8::1"},
    {"a bracket closed",         "2001:db8::1]"},
    {"two pairs of brackets",    "[[2001:db8::1]]"},
    {"a bracket and a port",     "[2001:db8::1]:25"},
    {"brackets around nothing",  "[]"},
    {"brackets around a colon",  "[:]"},
    {"a NUL inside IPv4",        "192.0.2.1\0"s},
    {"text behind a NUL, IPv4",  "192.0.2.1\0.5"s},
    {"a NUL inside IPv6",        "2001:db8::1\0"s},
    {"text behind a NUL, IPv6",  "2001:db8::1\0:5"s},
    {"a NUL inside brackets",    "[2001:db8::1\0]"s},
    {"a NUL alone",              "\0"s},
    {"a byte that is no ASCII",  "192.0.2.\xb2"},
    {"very long digits",         very_long},
    {"very long behind IPv6",    "2001:db8::" + very_long},
};

const struct {
    const char *name;
    std::string text;
    const char *printed;
    unsigned length_bits;
    bool has_host_bits;
} good_blocks[] = {
    {"an IPv4 block",                 "192.0.2.0/24",             "192.0.2.0/24",     120, false},
    {"a bare IPv4 address",           "192.0.2.1",                "192.0.2.1/32",     128, false},
    {"one IPv4 address",              "192.0.2.1/32",             "192.0.2.1/32",     128, false},
    {"all of IPv4",                   "0.0.0.0/0",                "0.0.0.0/0",        96,  false},
    {"all of IPv4, mapped",           "::ffff:0:0/96",            "0.0.0.0/0",        96,  false},
    {"all of IPv4 with host bits",    "192.0.2.1/0",              "0.0.0.0/0",        96,  true},
    {"half of IPv4",                  "128.0.0.0/1",              "128.0.0.0/1",      97,  false},
    {"IPv4 with host bits",           "192.0.2.77/24",            "192.0.2.0/24",     120, true},
    {"host bits inside an octet",     "192.0.2.255/25",           "192.0.2.128/25",   121, true},
    {"mapped, with an IPv6 length",   "::ffff:192.0.2.0/120",     "192.0.2.0/24",     120, false},
    {"mapped, with host bits",        "::ffff:192.0.2.1/120",     "192.0.2.0/24",     120, true},
    {"mapped, bare",                  "::ffff:192.0.2.1",         "192.0.2.1/32",     128, false},
    {"mapped, in brackets",           "[::ffff:192.0.2.1]/128",   "192.0.2.1/32",     128, false},
    {"an IPv6 block",                 "2001:db8::/32",            "2001:db8::/32",    32,  false},
    {"an IPv6 block in brackets",     "[2001:db8::]/32",          "2001:db8::/32",    32,  false},
    {"a bare IPv6 address",           "2001:db8::1",              "2001:db8::1/128",  128, false},
    {"a bare one in brackets",        "[2001:db8::1]",            "2001:db8::1/128",  128, false},
    {"all of IPv6",                   "::/0",                     "::/0",             0,   false},
    {"all of IPv6 with host bits",    "2001:db8::1/0",            "::/0",             0,   true},
    {"IPv6 with host bits",           "2001:db8::1/64",           "2001:db8::/64",    64,  true},
    {"host bits inside a byte",       "2001:db8:0:3::/63",        "2001:db8:0:2::/63", 63, true},
    {"around the mapped ones",        "::/80",                    "::/80",            80,  false},
    {"beside the mapped ones",        "::/96",                    "::/96",            96,  false},
};

const struct {
    const char *name;
    std::string text;
    const char *expected; ///< what the error must speak of
} bad_blocks[] = {
    {"nothing",                     "",                      "expected an address"},
    {"a slash alone",               "/",                     "expected an address"},
    {"a length alone",              "/24",                   "expected an address"},
    {"a host name",                 "example.com/24",        "expected an address"},
    {"three octets",                "192.0.2/24",            "expected an address"},
    {"IPv4 in brackets",            "[192.0.2.0]/24",        "expected an address"},
    {"brackets around the length",  "[2001:db8::/32]",       "expected an address"},
    {"a blank before the slash",    "192.0.2.0 /24",         "expected an address"},
    {"a NUL before the slash",      "192.0.2.0\0/24"s,       "expected an address"},
    {"a NUL in IPv6",               "2001:db8::\0/32"s,      "expected an address"},
    {"no length",                   "192.0.2.0/",            "from 0 to 32"},
    {"a length past 32",            "192.0.2.0/33",          "from 0 to 32"},
    {"an IPv6 length for IPv4",     "192.0.2.0/120",         "from 0 to 32"},
    {"a negative length",           "192.0.2.0/-1",          "from 0 to 32"},
    {"a length with a sign",        "192.0.2.0/+24",         "from 0 to 32"},
    {"a length with a blank",       "192.0.2.0/ 24",         "from 0 to 32"},
    {"a blank after the length",    "192.0.2.0/24 ",         "from 0 to 32"},
    {"a netmask",                   "192.0.2.0/255.255.255.0", "from 0 to 32"},
    {"a hexadecimal length",        "192.0.2.0/0x18",        "from 0 to 32"},
    {"a leading zero",              "10.0.0.0/08",           "from 0 to 32 without leading zeros"},
    {"two zeros",                   "0.0.0.0/00",            "without leading zeros"},
    {"a leading zero for IPv6",     "2001:db8::/032",        "from 0 to 128 without leading zeros"},
    {"two lengths",                 "192.0.2.0/24/24",       "from 0 to 32"},
    {"a NUL after the length",      "192.0.2.0/24\0"s,       "from 0 to 32"},
    {"a length that overflows",     "192.0.2.0/4294967320",  "from 0 to 32"},
    {"a very long length",          "192.0.2.0/" + very_long, "from 0 to 32"},
    {"an IPv6 length past 128",     "2001:db8::/129",        "from 0 to 128"},
    {"no IPv6 length",              "2001:db8::/",           "from 0 to 128"},
    {"mapped, with an IPv4 length", "::ffff:192.0.2.0/24",   "from 96 to 128"},
    {"mapped, wider than IPv4",     "::ffff:0:0/95",         "from 96 to 128"},
};

const struct {
    const char *name;
    std::string text;
    const char *printed;
} good_endpoints[] = {
    {"IPv4",                 "192.0.2.1:25",           "192.0.2.1:25"},
    {"IPv6",                 "[2001:db8::1]:25",       "[2001:db8::1]:25"},
    {"mapped IPv4",          "[::ffff:192.0.2.1]:25",  "192.0.2.1:25"},
    {"any IPv4",             "0.0.0.0:25",             "0.0.0.0:25"},
    {"any IPv6",             "[::]:25",                "[::]:25"},
    {"the lowest port",      "192.0.2.1:1",            "192.0.2.1:1"},
    {"the highest port",     "192.0.2.1:65535",        "192.0.2.1:65535"},
};

const struct {
    const char *name;
    std::string text;
} bad_endpoints[] = {
    {"nothing",                  ""},
    {"a colon alone",            ":"},
    {"a port alone",             ":25"},
    {"a number alone",           "25"},
    {"no port",                  "192.0.2.1"},
    {"an empty port",            "192.0.2.1:"},
    {"port 0",                   "192.0.2.1:0"},
    {"a port past 65535",        "192.0.2.1:65536"},
    {"a negative port",          "192.0.2.1:-25"},
    {"a blank before the port",  "192.0.2.1: 25"},
    {"a blank after the port",   "192.0.2.1:25 "},
    {"a service name",           "192.0.2.1:smtp"},
    {"two ports",                "192.0.2.1:25:25"},
    {"IPv4 in brackets",         "[192.0.2.1]:25"},
    {"IPv6 without brackets",    "2001:db8::1:25"},
    {"mapped, without brackets", "::ffff:192.0.2.1:25"},
    {"IPv6 without a port",      "[2001:db8::1]"},
    {"half a bracket",           "[2001:db8::1:25"},
    {"the other half",           "2001:db8::1]:25"},
    {"a block",                  "192.0.2.0/24:25"},
    {"a host name",              "mail.example.com:25"},
    {"a NUL in the port",        "192.0.2.1:25\0"s},
    {"a NUL in the address",     "[2001:db8::1\0]:25"s},
    {"a very long port",         "192.0.2.1:" + very_long},
};

const struct {
    const char *name;
    const char *outer;
    const char *inner;
    bool contains;
} containments[] = {
    {"itself",                        "192.0.2.0/24",     "192.0.2.0/24",       true},
    {"one of its addresses",          "192.0.2.0/24",     "192.0.2.255",        true},
    {"the address after it",          "192.0.2.0/24",     "192.0.3.0",          false},
    {"the address before it",         "192.0.2.0/24",     "192.0.1.255",        false},
    {"the block around it",           "192.0.2.0/24",     "192.0.2.0/23",       false},
    {"all of IPv4, one of them",      "0.0.0.0/0",        "255.255.255.255",    true},
    {"all of IPv4, not IPv6",         "0.0.0.0/0",        "2001:db8::/32",      false},
    {"all of IPv6, one of them",      "::/0",             "2001:db8::1",        true},
    {"all of IPv6, not IPv4",         "::/0",             "192.0.2.1",          false},
    {"all of IPv6, not all of IPv4",  "::/0",             "0.0.0.0/0",          false},
    {"::/80, not IPv4",               "::/80",            "::ffff:192.0.2.1",   false},
    {"::/80, beside IPv4",            "::/80",            "::1",                true},
    {"an IPv6 source",                "2001:db8::/64",    "2001:db8::1",        true},
    {"its neighbour",                 "2001:db8::/64",    "2001:db8:0:1::1",    false},
};

const struct {
    const char *block;
    const char *first;
    const char *last;
} edges[] = {
    {"192.0.2.0/24",   "192.0.2.0",    "192.0.2.255"},
    {"192.0.2.77/30",  "192.0.2.76",   "192.0.2.79"},
    {"192.0.2.1/32",   "192.0.2.1",    "192.0.2.1"},
    {"0.0.0.0/0",      "0.0.0.0",      "255.255.255.255"},
    {"2001:db8::/61",  "2001:db8::",   "2001:db8:0:7:ffff:ffff:ffff:ffff"},
    {"2001:db8::/127", "2001:db8::",   "2001:db8::1"},
    {"::/0",           "::",           "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
};
// clang-format on

TEST(AddressTest, ReadsBothFamilies)
{
    for (const auto &row : good_addresses) {
        SCOPED_TRACE(row.name);
        const auto parsed = Address::parse(row.text);
        ASSERT_TRUE(parsed) << parsed.error().message;
        EXPECT_EQ(parsed->text(), row.printed);
        EXPECT_EQ(parsed->family(), row.family);
        EXPECT_EQ(parsed->is_ipv4(), row.family == Family::ipv4);
        EXPECT_EQ(address(parsed->text()), *parsed) << "what we print, we read";
    }
}

TEST(AddressTest, RefusesEverythingElse)
{
    for (const auto &row : bad_addresses) {
        SCOPED_TRACE(row.name);
        const auto parsed = Address::parse(row.text);
        ASSERT_FALSE(parsed) << "read as " << parsed->text();
        EXPECT_NE(parsed.error().message.find("is not an IPv4 or IPv6 address"), std::string::npos);
    }
}

TEST(AddressTest, KeepsIpv4InMappedForm)
{
    const Address expected{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1}};

    EXPECT_EQ(address("192.0.2.1"), expected);
    EXPECT_EQ(address("::ffff:192.0.2.1"), expected);
    EXPECT_EQ(Address::from_ipv4(0xc0000201), expected);
}

TEST(AddressTest, OrdersAsANumber)
{
    EXPECT_LT(address("192.0.2.9"), address("192.0.2.10"));
    EXPECT_LT(address("9.0.0.0"), address("10.0.0.0"));
    EXPECT_LT(address("::fffe:ffff:ffff"), address("0.0.0.0"));
    EXPECT_LT(address("255.255.255.255"), address("::1:0:0:0"));
    EXPECT_LT(address("2001:db8::ff"), address("2001:db8::100"));
}

TEST(AddressTest, MasksAnyLength)
{
    const Address ones = address("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");

    EXPECT_EQ(ones.masked(0).text(), "::");
    EXPECT_EQ(ones.masked(1).text(), "8000::");
    EXPECT_EQ(ones.masked(7).text(), "fe00::");
    EXPECT_EQ(ones.masked(8).text(), "ff00::");
    EXPECT_EQ(ones.masked(9).text(), "ff80::");
    EXPECT_EQ(ones.masked(64).text(), "ffff:ffff:ffff:ffff::");
    EXPECT_EQ(ones.masked(127).text(), "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe");
    EXPECT_EQ(ones.masked(128), ones);
}

TEST(BlockTest, ReadsBothFamilies)
{
    for (const auto &row : good_blocks) {
        SCOPED_TRACE(row.name);
        const auto parsed = Block::parse(row.text);
        ASSERT_TRUE(parsed) << parsed.error().message;
        EXPECT_EQ(parsed->text(), row.printed);
        EXPECT_EQ(parsed->length_bits(), row.length_bits);
        EXPECT_EQ(Block::has_host_bits(row.text), row.has_host_bits);
        EXPECT_EQ(block(parsed->text()), *parsed) << "what we print, we read";
    }
}

TEST(BlockTest, SaysWhatItExpected)
{
    for (const auto &row : bad_blocks) {
        SCOPED_TRACE(row.name);
        const auto parsed = Block::parse(row.text);
        ASSERT_FALSE(parsed) << "read as " << parsed->text();
        EXPECT_NE(parsed.error().message.find("is not a CIDR block"), std::string::npos);
        EXPECT_NE(parsed.error().message.find(row.expected), std::string::npos)
            << parsed.error().message.substr(0, 200);
        EXPECT_FALSE(Block::has_host_bits(row.text));
    }
}

TEST(BlockTest, ReadsEveryLength)
{
    for (unsigned length = 0; length <= 32; length++) {
        const auto parsed = block("255.255.255.255/" + std::to_string(length));
        EXPECT_EQ(parsed.text_length_bits(), length);
        EXPECT_EQ(parsed.family(), Family::ipv4) << length;
    }
    for (unsigned length = 0; length <= 128; length++) {
        const auto parsed = block("2001:db8::1/" + std::to_string(length));
        EXPECT_EQ(parsed.text_length_bits(), length);
        EXPECT_EQ(parsed.family(), Family::ipv6) << length;
    }
}

TEST(BlockTest, ContainsItsAddressesAlone)
{
    for (const auto &row : containments) {
        SCOPED_TRACE(row.name);
        const Block inner = block(row.inner);
        EXPECT_EQ(block(row.outer).contains(inner), row.contains);
        if (inner.length_bits() == 128) {
            EXPECT_EQ(block(row.outer).contains(inner.first()), row.contains);
        }
    }
}

TEST(BlockTest, HasAFirstAndALast)
{
    for (const auto &row : edges) {
        SCOPED_TRACE(row.block);
        EXPECT_EQ(block(row.block).first(), address(row.first));
        EXPECT_EQ(block(row.block).last(), address(row.last));
    }
}

TEST(BlockTest, KnowsAllOfAFamily)
{
    EXPECT_EQ(Block::all(Family::ipv4), block("0.0.0.0/0"));
    EXPECT_EQ(Block::all(Family::ipv6), block("::/0"));
}

TEST(EndpointTest, ReadsBothFamilies)
{
    for (const auto &row : good_endpoints) {
        SCOPED_TRACE(row.name);
        const auto parsed = Endpoint::parse(row.text);
        ASSERT_TRUE(parsed) << parsed.error().message;
        EXPECT_EQ(parsed->text(), row.printed);
    }
}

TEST(EndpointTest, RefusesEverythingElse)
{
    for (const auto &row : bad_endpoints) {
        SCOPED_TRACE(row.name);
        const auto parsed = Endpoint::parse(row.text);
        ASSERT_FALSE(parsed) << "read as " << parsed->text();
        EXPECT_NE(parsed.error().message.find("expected 192.0.2.1:25 or [2001:db8::1]:25"),
                  std::string::npos);
    }
}

} // namespace
} // namespace tallygate
