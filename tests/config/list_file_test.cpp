// SPDX-License-Identifier: BSD-2-Clause
//
// Files of block and allow lists, as they are published, and as they are broken.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>

#include "config/list_file.hpp"

namespace tallygate::test {
namespace {

std::string texts(const std::vector<Block> &blocks)
{
    std::string result;
    for (const auto &block : blocks)
        result += (result.empty() ? "" : " ") + block.text();
    return result;
}

// clang-format off
const struct {
    const char *name;
    std::string text;
    const char *expected;
    std::size_t folded = 0;
} good_rows[] = {
    {"nothing", "", ""},
    {"a line break alone", "\n", ""},
    {"no line break at the end", "192.0.2.0/24\n198.51.100.0/24",
     "192.0.2.0/24 198.51.100.0/24"},
    {"lines that end as on Windows", "# list\r\n192.0.2.0/24\r\n\r\n198.51.100.7\r\n",
     "192.0.2.0/24 198.51.100.7/32"},
    {"a byte order mark", "\xef\xbb\xbf" "192.0.2.0/24\n", "192.0.2.0/24"},
    {"all kinds of comments",
     "# a\n; b\n// c\n   # d\n\t\n192.0.2.1#e\n192.0.2.2;f\n192.0.2.3 g\n",
     "192.0.2.1/32 192.0.2.2/32 192.0.2.3/32"},
    {"the order of the file, each once",
     "192.0.2.9\n192.0.2.1\n192.0.2.9\n2001:db8::/32\n192.0.2.1/32",
     "192.0.2.9/32 192.0.2.1/32 2001:db8::/32"},
    {"host bits are folded, and counted each time", "192.0.2.9/24\n192.0.2.8/24\n2001:db8::1/32\n",
     "192.0.2.0/24 2001:db8::/32", 3},
    {"any width", "0.0.0.0/0\n::/0\n", "0.0.0.0/0 ::/0"},
    {"IPv4 in IPv6's form", "::ffff:192.0.2.0/120\n", "192.0.2.0/24"},
    {"Spamhaus drop.txt",
     "; Spamhaus DROP List 2026/11/21 - (c) 2026 The Spamhaus Project SLU\n"
     "; Last-Modified: Sat, 21 Nov 2026 10:03:13 GMT\n"
     "192.0.2.0/24 ; SBL256894\n203.0.113.0/25 ; SBL434604\n",
     "192.0.2.0/24 203.0.113.0/25"},
    {"Spamhaus drop_v4.json",
     "{\"cidr\":\"192.0.2.0/24\",\"sblid\":\"SBL256894\",\"rir\":\"apnic\"}\n"
     "{\"cidr\":\"2001:db8::/32\",\"sblid\":\"SBL1\",\"rir\":\"arin\"}\n"
     "{\"type\":\"metadata\",\"timestamp\":1763719393,\"size\":100,\"records\":2,"
     "\"copyright\":\"(c) The Spamhaus Project\",\"terms\":\"https://example.com/\"}\n",
     "192.0.2.0/24 2001:db8::/32"},
    {"FireHOL netset",
     "#\n# firehol_level1\n#\n# ipv4 hash:net ipset\n#\n# Category        : attacks\n#\n"
     "0.0.0.0/8\n192.0.2.44\n198.51.100.0/24\n",
     "0.0.0.0/8 192.0.2.44/32 198.51.100.0/24"},
    {"Emerging Threats fwip",
     "#\n# $Id: emerging-Block-IPs.txt\n# Rules to block Dshield and Spamhaus\n\n"
     "#Spamhaus DROP Nets\n192.0.2.0/24\n\n\n#Dshield Top Attackers\n198.51.100.0/24\n",
     "192.0.2.0/24 198.51.100.0/24"},
    {"blocklist.de", "192.0.2.17\n2001:db8:0:1::5\n203.0.113.200\n",
     "192.0.2.17/32 2001:db8:0:1::5/128 203.0.113.200/32"},
    {"DShield block.txt",
     "#\n#\tDShield.org Recommended Block List\n#\n"
     "Start\tEnd\tNetblock\tAttacks\tName\tCountry\temail\n"
     "192.0.2.0\t192.0.2.255\t24\t1234\tEXAMPLE - Network\tUS\tabuse@example.com\n"
     "198.51.100.0\t198.51.100.127\t25\n",
     "192.0.2.0/24 198.51.100.0/25"},
    {"a CIDR block, a tab and an address", "192.0.2.0/24\t198.51.100.1\n", "192.0.2.0/24"},
    {"an address, a tab and a word", "192.0.2.1\tbot\n", "192.0.2.1/32"},
    {"a range that is one block", "192.0.2.0-192.0.2.255\n", "192.0.2.0/24"},
    {"a range of one address", "192.0.2.1-192.0.2.1\n", "192.0.2.1/32"},
    {"a range with blanks and a comment", "192.0.2.0 - 192.0.2.127 ; half\n", "192.0.2.0/25"},
    {"a range with one blank", "192.0.2.0- 192.0.2.1\n192.0.2.4 -192.0.2.5\n",
     "192.0.2.0/31 192.0.2.4/31"},
    {"a range that is split", "192.0.2.1-192.0.2.9\n",
     "192.0.2.1/32 192.0.2.2/31 192.0.2.4/30 192.0.2.8/31"},
    {"all of IPv4 as a range", "0.0.0.0-255.255.255.255\n", "0.0.0.0/0"},
    {"all but two of IPv4", "0.0.0.1-255.255.255.254\n",
     "0.0.0.1/32 0.0.0.2/31 0.0.0.4/30 0.0.0.8/29 0.0.0.16/28 0.0.0.32/27 0.0.0.64/26 0.0.0.128/25 "
     "0.0.1.0/24 0.0.2.0/23 0.0.4.0/22 0.0.8.0/21 0.0.16.0/20 0.0.32.0/19 0.0.64.0/18 0.0.128.0/17 "
     "0.1.0.0/16 0.2.0.0/15 0.4.0.0/14 0.8.0.0/13 0.16.0.0/12 0.32.0.0/11 0.64.0.0/10 0.128.0.0/9 "
     "1.0.0.0/8 2.0.0.0/7 4.0.0.0/6 8.0.0.0/5 16.0.0.0/4 32.0.0.0/3 64.0.0.0/2 128.0.0.0/2 "
     "192.0.0.0/3 224.0.0.0/4 240.0.0.0/5 248.0.0.0/6 252.0.0.0/7 254.0.0.0/8 255.0.0.0/9 "
     "255.128.0.0/10 255.192.0.0/11 255.224.0.0/12 255.240.0.0/13 255.248.0.0/14 255.252.0.0/15 "
     "255.254.0.0/16 255.255.0.0/17 255.255.128.0/18 255.255.192.0/19 255.255.224.0/20 "
     "255.255.240.0/21 255.255.248.0/22 255.255.252.0/23 255.255.254.0/24 255.255.255.0/25 "
     "255.255.255.128/26 255.255.255.192/27 255.255.255.224/28 255.255.255.240/29 "
     "255.255.255.248/30 255.255.255.252/31 255.255.255.254/32"},
    {"a range of IPv6", "2001:db8::-2001:db8:0:1:ffff:ffff:ffff:ffff\n", "2001:db8::/63"},
    {"all of IPv6 as a range", "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff\n", "::/0"},
    {"a CIDR block, a blank and an address", "192.0.2.0/24 198.51.100.1\n", "192.0.2.0/24"},
    {"an address and remarks with slashes", "192.0.2.1 // 24\n192.0.2.2 /relay\n",
     "192.0.2.1/32 192.0.2.2/32"},
    {"an address and one in a comment", "192.0.2.1 ; 192.0.2.2\n", "192.0.2.1/32"},
    {"an address and words behind a dash", "192.0.2.1 - seen in May\n", "192.0.2.1/32"},
    {"an address and a name behind a dash", "192.0.2.1 - mx.example\n", "192.0.2.1/32"},
    {"a range in brackets", "[2001:db8::] - [2001:db8::ff]\n", "2001:db8::/120"},
    {"a block and a name behind a dash", "192.0.2.0/24 - mx.example\n", "192.0.2.0/24"},
};

const struct {
    const char *name;
    std::string text;
    const char *expected;
} bad_rows[] = {
    {"a name", "192.0.2.1\nexample.com\n",
     "t.txt:2: expected a CIDR block, not 'example.com'"},
    {"the first of two wrong lines", "\n\n  two \r\none\n",
     "t.txt:3: expected a CIDR block, not 'two'"},
    {"an address with a number too many", "192.0.2.300",
     "t.txt:1: expected a CIDR block, not '192.0.2.300'"},
    {"a length too many", "192.0.2.0/33 ; SBL1",
     "t.txt:1: expected a CIDR block, not '192.0.2.0/33 ; SBL1'"},
    {"a length that is a mask", "192.0.2.0/255.255.255.0",
     "t.txt:1: expected a CIDR block, not '192.0.2.0/255.255.255.0'"},
    {"a command", "deny from 192.0.2.0/24",
     "t.txt:1: expected a CIDR block, not 'deny from 192.0.2.0/24'"},
    {"a comma", "192.0.2.1,192.0.2.2",
     "t.txt:1: expected a CIDR block, not '192.0.2.1,192.0.2.2'"},
    {"a page instead of a list", "<!DOCTYPE html>\n<html>",
     "t.txt:1: expected a CIDR block, not '<!DOCTYPE html>'"},
    {"bytes", std::string("\x1f\x8b\x08\0\x9b\x07", 6),
     "t.txt:1: expected a CIDR block, not '\\x1F\\x8B\\x08\\x00\\x9B\\x07'"},
    {"a zero byte in an address", std::string("192.0.2.1\0", 10),
     "t.txt:1: expected a CIDR block, not '192.0.2.1\\x00'"},
    {"a long line", std::string(61, 'x'),
     "t.txt:1: expected a CIDR block, not "
         "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...'"},
    {"an address and its length apart", "192.0.2.0 /24",
     "t.txt:1: expected a CIDR block, not '192.0.2.0 /24'"},
    {"an address and a mask", "192.0.2.0\t 255.255.255.0 # half",
     "t.txt:1: expected a CIDR block, not '192.0.2.0\\x09 255.255.255.0 # half'"},
    {"two addresses", "2001:db8::1 2001:db8::2",
     "t.txt:1: expected a CIDR block, not '2001:db8::1 2001:db8::2'"},
    {"an address and its length apart from both", "192.0.2.0 / 24",
     "t.txt:1: expected a CIDR block, not '192.0.2.0 / 24'"},
    {"a range and a comma", "192.0.2.0 - 192.0.2.255, SBL1",
     "t.txt:1: expected a CIDR block, not '192.0.2.0 - 192.0.2.255, SBL1'"},
    {"a range of blocks", "192.0.2.0/25 - 192.0.2.128/25",
     "t.txt:1: expected a CIDR block, not '192.0.2.0/25 - 192.0.2.128/25'"},
    {"a range with a zone", "fe80::1 - fe80::ff%eth0",
     "t.txt:1: expected a CIDR block, not 'fe80::1 - fe80::ff%eth0'"},
    {"a range whose end is no address", "192.0.2.1 - 192.0.2.300",
     "t.txt:1: expected a CIDR block, not '192.0.2.1 - 192.0.2.300'"},
    {"a range backwards", "192.0.2.9-192.0.2.1",
     "t.txt:1: expected a CIDR block, not '192.0.2.9-192.0.2.1'"},
    {"a range of two families", "192.0.2.1-2001:db8::",
     "t.txt:1: expected a CIDR block, not '192.0.2.1-2001:db8::'"},
    {"a range of IPv6 around IPv4", "::fffe:0:1-::1:0:0:1",
     "t.txt:1: expected a CIDR block, not '::fffe:0:1-::1:0:0:1'"},
    {"a range without an end", "192.0.2.1-", "t.txt:1: expected a CIDR block, not '192.0.2.1-'"},
    {"a range to a wrong address", "192.0.2.1 - 192.0.2.300",
     "t.txt:1: expected a CIDR block, not '192.0.2.1 - 192.0.2.300'"},
    {"a range from a block", "192.0.2.0/24 - 192.0.2.9",
     "t.txt:1: expected a CIDR block, not '192.0.2.0/24 - 192.0.2.9'"},
    {"a row whose length is not its last address's", "192.0.2.0\t192.0.2.255\t25",
     "t.txt:1: expected a CIDR block, not '192.0.2.0\\x09192.0.2.255\\x0925'"},
    {"a row without a length", "192.0.2.0\t192.0.2.255",
     "t.txt:1: expected a CIDR block, not '192.0.2.0\\x09192.0.2.255'"},
    {"a row that begins inside its block", "192.0.2.1\t192.0.2.255\t24",
     "t.txt:1: expected a CIDR block, not '192.0.2.1\\x09192.0.2.255\\x0924'"},
    {"a heading of something else", "Start here",
     "t.txt:1: expected a CIDR block, not 'Start here'"},
    {"JSON without a CIDR block", "{\"ip\":\"192.0.2.1\"}",
     "t.txt:1: expected a CIDR block, not '{\"ip\":\"192.0.2.1\"}'"},
    {"JSON with a wrong one", "{\"cidr\":\"all\"}",
     "t.txt:1: expected a CIDR block, not '{\"cidr\":\"all\"}'"},
    {"JSON with a number", "{\"cidr\":24}", "t.txt:1: expected a CIDR block, not '{\"cidr\":24}'"},
    {"JSON cut off", "{\"cidr\":\"192.0.2.0/24\"",
     "t.txt:1: expected a CIDR block, not '{\"cidr\":\"192.0.2.0/24\"'"},
    {"a JSON array", "[\"192.0.2.0/24\"]",
     "t.txt:1: expected a CIDR block, not '[\"192.0.2.0/24\"]'"},
};
// clang-format on

TEST(ListText, IsReadInThePublicFormats)
{
    for (const auto &row : good_rows) {
        SCOPED_TRACE(row.name);
        const auto parsed = config::parse_list(row.text, "t.txt");
        ASSERT_TRUE(parsed) << parsed.error().message;
        EXPECT_EQ(texts(parsed->blocks), row.expected);
        EXPECT_EQ(parsed->folded, row.folded);
    }
}

TEST(ListText, OfGarbageIsRefusedWithItsLine)
{
    for (const auto &row : bad_rows) {
        SCOPED_TRACE(row.name);
        const auto parsed = config::parse_list(row.text, "t.txt");
        ASSERT_FALSE(parsed);
        EXPECT_EQ(parsed.error().message, row.expected);
    }
}

TEST(ListText, MayHaveFiveMillionLinesAndNoMore)
{
    std::string text(config::list_lines_max, '\n');
    EXPECT_TRUE(config::parse_list(text, "t.txt"));

    text.append(5'000'000, '\n');
    const auto parsed = config::parse_list(text, "t.txt");
    ASSERT_FALSE(parsed);
    EXPECT_EQ(parsed.error().message,
              "t.txt:5000001: the list has too many lines: expected at most 5000000");
}

TEST(ListText, MayNotBecomeMoreBlocksByRanges)
{
    std::string text;
    for (int i = 0; i < 25'000; i++)
        text += "1::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe\n";

    const auto parsed = config::parse_list(text, "t.txt");
    ASSERT_FALSE(parsed);
    EXPECT_TRUE(parsed.error().message.ends_with(
        ": the list has too many blocks: expected at most 5000000"))
        << parsed.error().message;
}

class ListFile : public testing::Test {
protected:
    ListFile()
    {
        std::string pattern = testing::TempDir() + "tallygate-list-XXXXXX";
        EXPECT_NE(mkdtemp(pattern.data()), nullptr);
        dir_ = pattern;
    }
    ~ListFile() override { std::filesystem::remove_all(dir_); }

    std::string path(const std::string &name) const { return dir_ + "/" + name; }

private:
    std::string dir_;
};

TEST_F(ListFile, IsRead)
{
    std::string text = "192.0.2.1/24\n";
    for (std::uint32_t i = 0; i < 100'000; i++)
        text += Address::from_ipv4(0x0b000000 + i).text() + "\n";
    std::ofstream{path("drop.txt")} << text;

    const auto loaded = config::load_list(path("drop.txt"));
    ASSERT_TRUE(loaded) << loaded.error().message;
    EXPECT_EQ(loaded->blocks.size(), 100'001U);
    EXPECT_EQ(loaded->blocks.back().text(), "11.1.134.159/32");
    EXPECT_EQ(loaded->folded, 1U);
}

TEST_F(ListFile, NamesItsPathInMistakes)
{
    std::ofstream{path("drop.txt")} << "all\n";

    const auto loaded = config::load_list(path("drop.txt"));
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().message, path("drop.txt") + ":1: expected a CIDR block, not 'all'");
}

TEST_F(ListFile, ThatIsMissingIsToldWithTheReason)
{
    const auto loaded = config::load_list(path("none.txt"));
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().message, "read " + path("none.txt") + ": No such file or directory");
    EXPECT_EQ(loaded.error().code, ENOENT);
}

TEST_F(ListFile, ThatIsADirectoryIsTold)
{
    const auto loaded = config::load_list(path("."));
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().message, "read " + path(".") + ": Is a directory");
}

TEST_F(ListFile, ThatIsAPipeKeepsNobodyWaiting)
{
    ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
    const auto loaded = config::load_list(path("pipe"));
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().message, "read " + path("pipe") + ": not a regular file");
}

TEST_F(ListFile, MayNotBeLargerThanTheMemoryAllows)
{
    std::ofstream{path("drop.txt")} << "# sparse\n";
    std::filesystem::resize_file(path("drop.txt"), config::list_bytes_max + 1);

    const auto loaded = config::load_list(path("drop.txt"));
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().message,
              "read " + path("drop.txt") + ": larger than a list may be, 268435456 bytes");
}

} // namespace
} // namespace tallygate::test
