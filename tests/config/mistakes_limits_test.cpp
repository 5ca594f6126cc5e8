// SPDX-License-Identifier: BSD-2-Clause
//
// Mistakes in limits and lists: what the gate could not do, and what nobody can have meant.
#include <gtest/gtest.h>

#include <string>

#include "config/config_toml.hpp"
#include "config/texts.hpp"

namespace tallygate::test {
namespace {

struct Row {
    const char *name;
    std::string text;
    const char *expected;
};

void expect_mistakes(const Row &row)
{
    SCOPED_TRACE(row.name);
    const auto parsed = config::parse_config(row.text, "t.toml");

    ASSERT_FALSE(parsed) << row.text;
    EXPECT_EQ(parsed.error().message, row.expected) << row.text;
}

/// A limit of each source by `lines`, from line 9 on.
std::string of_sources(const std::string &lines)
{
    return in_limit("per = [\"0.0.0.0/32\", \"::/64\"]\n" + lines);
}

/// A limit of SYNs with `lines`, from line 9 on.
std::string of_syns(const std::string &lines)
{
    return in_limit("syn_rate = \"10/s\"\n" + lines);
}

/// `line` in the only [[block]], on line 8.
std::string in_block(const std::string &line)
{
    return after("[[block]]\ncidrs = [\"192.0.2.0/24\"]\n" + line);
}

/// Networks of so many addresses each, ten lines before a limit of them.
std::string wide_network(const std::string &name, int address_count)
{
    std::string text = "[[network]]\nname = \"" + name + "\"\ncidrs = [";
    for (int i = 0; i < address_count; i++)
        text += "\"2001:db8:" + std::to_string(i) + "::/48\",";
    return text + "]\n";
}

// clang-format off
const Row holder_rows[] = {
    {"a limit without a name", after("[[limit]]\nper = [\"::/0\"]\nsyn_rate = \"1/s\""),
     "t.toml:6:1: limit.name is missing: expected 1 to 63 of a-z 0-9 - _ ."},
    {"two limits of one name",
     after(limit("a", "per = [\"::/0\"]") + limit("a", "per = [\"::/64\"]")),
     "t.toml:11:8: limit.name is \"a\": line 7 has it already, expected it once in the file"},
    {"a limit of nobody", in_limit("syn_rate = \"1/s\""),
     "t.toml:6:1: limit has neither per nor networks: expected one of them"},
    {"a limit of prefixes and networks",
     after("[[network]]\nname = \"n\"\ncidrs = [\"192.0.2.0/24\"]") +
         limit("a", "networks = [\"n\"]\nper = [\"::/0\"]"),
     "t.toml:9:1: limit has both per and networks: expected one of them"},
    {"a service that nobody named", of_syns("per = [\"::/0\"]\nservices = [\"www\", \"smpt\"]"),
     "t.toml:10:13: limit.services has \"www\", which no [[service]] is called: "
         "expected the name of one\n"
     "t.toml:10:20: limit.services has \"smpt\", which no [[service]] is called: "
         "did you mean smtp?"},
    {"no services in the list", of_syns("per = [\"::/0\"]\nservices = []"),
     "t.toml:10:12: limit.services is empty: "
         "expected at least one element, 1 to 63 of a-z 0-9 - _ ."},
    {"a service twice", of_syns("per = [\"::/0\"]\nservices = [\"smtp\", \"smtp\"]"),
     "t.toml:10:21: limit.services has \"smtp\": "
         "line 10 has it already, expected it once in the file"},
    {"a network that nobody named", of_syns("networks = [\"big\"]"),
     "t.toml:9:13: limit.networks has \"big\", which no [[network]] is called: "
         "expected the name of one"},
    {"a prefix that is a network", of_syns("per = [\"192.0.2.0/24\"]"),
     "t.toml:9:8: limit.per has \"192.0.2.0/24\": "
         "expected a prefix length of one holder, such as \"0.0.0.0/32\" or \"::/64\""},
    {"a prefix whose host bits are set", of_syns("per = [\"0.0.0.1/24\"]"),
     "t.toml:9:8: limit.per has \"0.0.0.1/24\": "
         "expected a prefix length of one holder, such as \"0.0.0.0/32\" or \"::/64\""},
    {"a prefix without a length", of_syns("per = [\"0.0.0.0\"]"),
     "t.toml:9:8: limit.per has \"0.0.0.0\": "
         "expected a prefix length of one holder, such as \"0.0.0.0/32\" or \"::/64\""},
    {"a prefix as a number", of_syns("per = 32"),
     "t.toml:9:7: limit.per is 32: expected an array, each element "
         "a prefix length of one holder, such as \"0.0.0.0/32\" or \"::/64\""},
    {"two prefixes of one family", of_syns("per = [\"0.0.0.0/32\", \"0.0.0.0/24\"]"),
     "t.toml:9:22: limit.per has 0.0.0.0/24 beside another of its family on line 9: "
         "expected at most one of IPv4 and one of IPv6"},
    {"a part of an IPv6 source", of_syns("per = [\"::/65\"]"),
     "t.toml:9:8: limit.per has ::/65, which is a part of a source: "
         "expected at most ::/64, as gate.ipv6_source_bits has it"},
    {"an unknown who", of_syns("per = [\"::/0\"]\nwho = \"new\""),
     "t.toml:10:7: limit.who is \"new\": expected all, claimed or proven"},
    {"an unknown action", of_syns("per = [\"::/0\"]\naction = \"reject\""),
     "t.toml:10:10: limit.action is \"reject\": expected drop or count"},
    {"a misspelt key", of_syns("per = [\"::/0\"]\nsyn_brust = 2"),
     "t.toml:10:1: limit.syn_brust is no setting: did you mean syn_burst?"},
};

#define RATE_EXPECTED "expected a rate in s, m or h such as \"10/s\", from \"1/h\" to \"1000000/s\""
const Row rate_rows[] = {
    {"a limit to nothing", of_sources(""),
     "t.toml:6:1: limit has neither syn_rate nor live_max: expected at least one of them"},
    {"a rate of 0", of_sources("syn_rate = \"0/s\""),
     "t.toml:9:12: limit.syn_rate is \"0/s\": " RATE_EXPECTED},
    {"a rate without a span", of_sources("syn_rate = 10"),
     "t.toml:9:12: limit.syn_rate is 10: " RATE_EXPECTED},
    {"a rate without a span in quotes", of_sources("syn_rate = \"5\""),
     "t.toml:9:12: limit.syn_rate is \"5\": " RATE_EXPECTED},
    {"a rate without a number", of_sources("syn_rate = \"/s\""),
     "t.toml:9:12: limit.syn_rate is \"/s\": " RATE_EXPECTED},
    {"a rate without a unit", of_sources("syn_rate = \"5/\""),
     "t.toml:9:12: limit.syn_rate is \"5/\": " RATE_EXPECTED},
    {"a rate of a number of seconds", of_sources("syn_rate = \"5/2s\""),
     "t.toml:9:12: limit.syn_rate is \"5/2s\": " RATE_EXPECTED},
    {"a rate in words", of_sources("syn_rate = \"10 per second\""),
     "t.toml:9:12: limit.syn_rate is \"10 per second\": " RATE_EXPECTED},
    {"a rate in days", of_sources("syn_rate = \"10/d\""),
     "t.toml:9:12: limit.syn_rate is \"10/d\": " RATE_EXPECTED},
    {"a negative rate", of_sources("syn_rate = \"-1/s\""),
     "t.toml:9:12: limit.syn_rate is \"-1/s\": " RATE_EXPECTED},
    {"a rate beyond what the clock can tell", of_sources("syn_rate = \"1000001/s\""),
     "t.toml:9:12: limit.syn_rate is \"1000001/s\": " RATE_EXPECTED},
    {"a rate beyond it in minutes", of_sources("syn_rate = \"60000001/m\""),
     "t.toml:9:12: limit.syn_rate is \"60000001/m\": " RATE_EXPECTED},
    {"a rate beyond all numbers", of_sources("syn_rate = \"4294967296/h\""),
     "t.toml:9:12: limit.syn_rate is \"4294967296/h\": " RATE_EXPECTED},
    {"a burst of 0", of_sources("syn_rate = \"10/s\"\nsyn_burst = 0"),
     "t.toml:10:13: limit.syn_burst is 0: expected a number from 1 to 1000000"},
    {"a burst beyond the largest", of_sources("syn_rate = \"10/s\"\nsyn_burst = 1000001"),
     "t.toml:10:13: limit.syn_burst is 1000001: expected a number from 1 to 1000000"},
    {"a burst that the clock's steps eat", of_sources("syn_rate = \"1001/s\"\nsyn_burst = 10"),
     "t.toml:10:13: limit.syn_burst is 10, less than syn_rate brings while the gate's clock "
         "makes one step of 10 ms: expected at least 11"},
    {"a burst that the clock's steps eat at a rate in minutes",
     of_sources("syn_rate = \"6001/m\"\nsyn_burst = 1"),
     "t.toml:10:13: limit.syn_burst is 1, less than syn_rate brings while the gate's clock "
         "makes one step of 10 ms: expected at least 2"},
    {"a burst that takes years to come back", of_sources("syn_rate = \"1/h\"\nsyn_burst = 721"),
     "t.toml:10:13: limit.syn_burst is 721, which takes more than 30 days to come back at "
         "syn_rate: expected at most 720"},
    {"a burst without a rate", of_sources("live_max = 5\nsyn_burst = 20"),
     "t.toml:10:13: limit.syn_burst stands without syn_rate: expected both or neither"},
    {"no live connection at all", of_sources("live_max = 0"),
     "t.toml:9:12: limit.live_max is 0: expected a number from 1 to 67108864"},
    {"live connections of claimed sources", of_sources("live_max = 5\nwho = \"claimed\""),
     "t.toml:9:12: limit.live_max is for sources that hold connections, and a claimed one has "
         "none yet: expected who = \"all\" or \"proven\""},
    {"live connections of a prefix", in_limit("per = [\"0.0.0.0/24\"]\nlive_max = 5"),
     "t.toml:9:12: limit.live_max holds sources and networks alone: "
         "expected per of 0.0.0.0/32 and ::/64, or networks"},
    {"live connections all together", in_limit("per = [\"0.0.0.0/32\", \"::/0\"]\nlive_max = 5"),
     "t.toml:9:12: limit.live_max holds sources and networks alone: "
         "expected per of 0.0.0.0/32 and ::/64, or networks"},
    {"live connections of a /64 where a source is one address",
     in_gate("ipv6_source_bits = 128") +
         "[[limit]]\nname = \"a\"\nper = [\"::/64\"]\nlive_max = 5",
     "t.toml:10:12: limit.live_max holds sources and networks alone: "
         "expected per of 0.0.0.0/32 and ::/128, or networks"},
};

#define MOMENT_EXPECTED "expected a date and time with an offset, " \
    "such as 2026-12-31T00:00:00Z, of the years 1970 to 2199"
const Row list_rows[] = {
    {"a block of nothing", after("[[block]]\nreason = \"spam\""),
     "t.toml:6:1: block has neither cidrs nor a file: expected at least one of them"},
    {"an allow of nothing", after("[[allow]]"),
     "t.toml:6:1: allow has neither cidrs nor a file: expected at least one of them"},
    {"an empty list", after("[[block]]\ncidrs = []"),
     "t.toml:7:9: block.cidrs is empty: expected at least one element, "
         "a CIDR block such as \"192.0.2.0/24\" or \"2001:db8::/32\""},
    {"a block by name", after("[[block]]\ncidrs = [\"example.com\"]"),
     "t.toml:7:10: block.cidrs has \"example.com\": "
         "expected a CIDR block such as \"192.0.2.0/24\" or \"2001:db8::/32\""},
    {"a block twice in one list", after("[[block]]\ncidrs = [\"192.0.2.0/24\", \"192.0.2.9/24\"]"),
     "t.toml:7:26: block.cidrs has \"192.0.2.9/24\": "
         "line 7 has it already, expected it once in the file"},
    {"blocks that are too wide",
     after("[[block]]\ncidrs = [\"10.0.0.0/8\", \"10.0.0.0/7\", \"::/0\"]"),
     "t.toml:7:24: block.cidrs has 10.0.0.0/7, which is wider than lists.widest_ipv4: "
         "expected /8 or longer\n"
     "t.toml:7:38: block.cidrs has ::/0, which is wider than lists.widest_ipv6: "
         "expected /16 or longer"},
    {"a block wider than a bound further down",
     in_block("[lists]\nwidest_ipv4 = 25"),
     "t.toml:7:10: block.cidrs has 192.0.2.0/24, which is wider than lists.widest_ipv4: "
         "expected /25 or longer"},
    {"a file by a relative path", in_block("file = \"drop.txt\""),
     "t.toml:8:8: block.file is \"drop.txt\": expected an absolute path of at most 4095 bytes"},
    {"a reason with a line break", in_block("reason = \"a\\nb\""),
     "t.toml:8:10: block.reason is \"a\\u000Ab\": "
         "expected at most 200 bytes without control characters"},
    {"a reason with a control character beyond ASCII", in_block("reason = \"a\\u009b0m\""),
     "t.toml:8:10: block.reason is \"a\u009b0m\": "
         "expected at most 200 bytes without control characters"},
    {"a reason of 201 bytes", in_block("reason = \"" + std::string(201, 'r') + "\""),
     "t.toml:8:10: block.reason is "
         "\"rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr...\": "
         "expected at most 200 bytes without control characters"},
    {"an end without an offset", in_block("until = 2026-12-31T00:00:00"),
     "t.toml:8:9: block.until is a date or time: " MOMENT_EXPECTED},
    {"an end that is a date", in_block("until = 2026-12-31"),
     "t.toml:8:9: block.until is a date or time: " MOMENT_EXPECTED},
    {"an end in quotes", in_block("until = \"2026-12-31T00:00:00Z\""),
     "t.toml:8:9: block.until is \"2026-12-31T00:00:00Z\": " MOMENT_EXPECTED},
    {"an end beyond what nanoseconds count", in_block("until = 2200-01-01T00:00:00Z"),
     "t.toml:8:9: block.until is a date or time: " MOMENT_EXPECTED},
    {"an end before all time", in_block("until = 1970-01-01T00:00:00+00:01"),
     "t.toml:8:9: block.until is a date or time: " MOMENT_EXPECTED},
    {"an end on a day that is none", in_block("until = 2026-02-29T00:00:00Z"),
     "t.toml:8:19: not valid TOML: Error while parsing date: "
         "expected day between 1 and 28 (inclusive), saw 29"},
    {"a bound that no IPv4 block meets", after("[lists]\nwidest_ipv4 = 33"),
     "t.toml:7:15: lists.widest_ipv4 is 33: expected a number from 0 to 32"},
    {"a bound that no IPv6 block meets", after("[lists]\nwidest_ipv6 = 129"),
     "t.toml:7:15: lists.widest_ipv6 is 129: expected a number from 0 to 128"},
    {"a negative number of blocks", after("[lists]\nblocks_max = -1"),
     "t.toml:7:14: lists.blocks_max is -1: expected a number from 0 to 1048576"},
    {"more entries than there is room for",
     in_gate("lists_max = 2") + "[[block]]\ncidrs = [\"192.0.2.1\", \"192.0.2.2\"]\n"
     "[[allow]]\ncidrs = [\"192.0.2.3\"]\n[[allow]]\ncidrs = [\"192.0.2.4\"]\n",
     "t.toml:10:9: allow.cidrs makes more entries than gate.lists_max: expected at most 2"},
};
// clang-format on

TEST(ConfigMistakes, InHoldersOfLimits)
{
    for (const auto &row : holder_rows)
        expect_mistakes(row);
}

TEST(ConfigMistakes, InRatesAndLiveLimits)
{
    for (const auto &row : rate_rows)
        expect_mistakes(row);
}

TEST(ConfigMistakes, InLists)
{
    for (const auto &row : list_rows)
        expect_mistakes(row);
}

TEST(ConfigMistakes, AreLimitsBeyondTheLastId)
{
    std::string text = gate + "[[service]]\nname = \"other\"\nports = [26]\n";
    for (int i = 0; i < 9; i++)
        text += "[[service]]\nname = \"s" + std::to_string(i) + "\"\nports = [" +
                std::to_string(100 + i) + "]\n";
    for (int i = 0; i < 63; i++)
        text += limit("l" + std::to_string(i),
                      "per = [\"::/64\"]\nservices = [\"s" + std::to_string(i / 8) + "\"]");

    EXPECT_TRUE(config::parse_config(text, "t.toml"));
    text += limit("last", "per = [\"::/64\"]\nservices = [\"s8\"]");
    text += limit("beyond", "per = [\"::/64\"]\nservices = [\"s8\"]");
    expect_mistakes(
        {"65 limits", text, "t.toml:348:1: limit is one too many: expected at most 63"});
}

TEST(ConfigMistakes, AreMoreLimitsThanAServiceHas)
{
    std::string text = after("");
    for (int i = 0; i < 10; i++)
        text += limit("l" + std::to_string(i), "per = [\"0.0.0.0/24\"]");
    text += limit("other-family", "per = [\"::/48\"]");
    expect_mistakes({"ten limits of IPv4", text,
                     "t.toml:42:7: limit.per is one too many for IPv4 at service smtp: "
                     "expected at most 8 limits with per"});
}

TEST(ConfigMistakes, AreMoreLimitsThanANetworkHas)
{
    std::string text = after("[[network]]\nname = \"n\"\ncidrs = [\"192.0.2.0/24\"]");
    for (int i = 0; i < 6; i++)
        text += limit("l" + std::to_string(i), "networks = [\"n\"]");
    expect_mistakes({"six limits of a network", text,
                     "t.toml:28:13: limit.networks has \"n\", which has limits enough: "
                     "expected at most 4 of one network"});
}

TEST(ConfigMistakes, AreMoreBudgetsThanTheGateHas)
{
    const std::string networks = after(wide_network("n", 4094));
    const std::string all = limit("all", "per = [\"::/0\"]");
    const std::string of_network = limit("l", "networks = [\"n\"]");

    EXPECT_TRUE(config::parse_config(networks + all + of_network, "t.toml"));
    expect_mistakes({"4096 budgets",
                     networks + all + limit("more", "per = [\"::/0\"]") + of_network,
                     "t.toml:18:1: limit makes more than 4095 budgets, one for each CIDR block of "
                     "its networks: expected fewer"});
}

TEST(ConfigMistakes, AreLimitsTooFarAroundAnAddress)
{
    const std::string networks = after(nested_networks(9));

    EXPECT_TRUE(config::parse_config(networks + limit("a", "networks = [\"n1\"]"), "t.toml"));
    expect_mistakes({"nine nested networks", networks + limit("a", "networks = [\"n1\", \"n0\"]"),
                     "t.toml:37:19: limit.networks has \"n0\", and 10.0.0.0/16 of network n8 is 8 "
                     "networks further in: expected at most 7"});
}

} // namespace
} // namespace tallygate::test
