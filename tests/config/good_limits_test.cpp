// SPDX-License-Identifier: BSD-2-Clause
//
// What limits and lists say is what the structs say, with what was left out resolved.
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "config/config_toml.hpp"
#include "config/texts.hpp"

namespace tallygate::test {
namespace {

using namespace std::chrono_literals;
using config::Config;
using config::Limit;

Block block(const char *text)
{
    return *Block::parse(text);
}

std::string with_until(const std::string &until)
{
    return after("[[block]]\ncidrs = [\"192.0.2.0/24\"]\nuntil = " + until);
}

bool ends(const Config &config, std::int64_t unix_seconds)
{
    return config.blocks[0].until->time_since_epoch().count() == unix_seconds;
}

bool has_rate(const Config &config, std::uint32_t count, std::chrono::seconds span,
              std::uint32_t burst)
{
    const auto &limit = config.limits[0];
    return limit.syn_rate->count == count && limit.syn_rate->span == span &&
           limit.syn_burst == burst;
}

struct Row {
    const char *name;
    std::string text;
    std::function<bool(const Config &)> holds;
};

void expect_good(const Row &row)
{
    SCOPED_TRACE(row.name);
    const auto parsed = config::parse_config(row.text, "t.toml");
    ASSERT_TRUE(parsed) << parsed.error().message;
    EXPECT_TRUE(row.holds(*parsed)) << row.text;
}

// clang-format off
const Row limit_rows[] = {
    {"no limits unless they are named", after(""), [](const Config &config) {
        return config.limits.empty(); }},
    {"all that a limit may say",
     after("[[limit]]\nname = \"per-source\"\nservices = [\"smtp\"]\n"
           "per = [\"0.0.0.0/32\", \"::/64\"]\nwho = \"proven\"\nsyn_rate = \"10/s\"\n"
           "syn_burst = 20\nlive_max = 50\naction = \"count\""),
     [](const Config &config) {
        const auto &limit = config.limits[0];
        return config.limits.size() == 1 && limit.name == "per-source" &&
               limit.position.text() == "6:1" &&
               limit.services == std::vector<std::string>{"smtp"} &&
               limit.per == std::vector{block("0.0.0.0/32"), block("::/64")} &&
               limit.networks.empty() && limit.who == Limit::Who::proven &&
               has_rate(config, 10, 1s, 20) && limit.live_max == 50U &&
               limit.action == Limit::Action::count; }},
    {"what is left out", in_limit("per = [\"0.0.0.0/32\"]\nsyn_rate = \"10/s\""),
     [](const Config &config) {
        const auto &limit = config.limits[0];
        return limit.services.empty() && limit.who == Limit::Who::all && !limit.live_max &&
               limit.action == Limit::Action::drop; }},
    {"newcomers all together",
     in_limit("per = [\"::/0\", \"0.0.0.0/0\"]\nwho = \"claimed\"\nsyn_rate = \"5000/s\""),
     [](const Config &config) {
        return config.limits[0].who == Limit::Who::claimed &&
               config.limits[0].per == std::vector{block("::/0"), block("0.0.0.0/0")}; }},
    {"a limit of networks",
     after("[[network]]\nname = \"big\"\ncidrs = [\"192.0.2.0/24\"]\n"
           "[[limit]]\nname = \"a\"\nnetworks = [\"big\"]\nlive_max = 1"),
     [](const Config &config) {
        const auto &limit = config.limits[0];
        return limit.networks == std::vector<std::string>{"big"} && limit.per.empty() &&
               limit.live_max == 1U && !limit.syn_rate && limit.position.line == 9; }},
    {"a network that is named further down",
     after("[[limit]]\nname = \"a\"\nnetworks = [\"big\"]\nlive_max = 1\n"
           "[[network]]\nname = \"big\"\ncidrs = [\"192.0.2.0/24\"]"),
     [](const Config &config) { return config.limits[0].networks.size() == 1; }},
    {"live connections of sources that are single IPv6 addresses",
     in_gate("ipv6_source_bits = 128") +
         "[[limit]]\nname = \"a\"\nper = [\"::/128\"]\nlive_max = 67108864",
     [](const Config &config) { return config.limits[0].live_max == 67'108'864U; }},
    {"prefixes of either family", in_limit("per = [\"0.0.0.0/24\", \"::/48\"]\nsyn_rate = \"1/s\""),
     [](const Config &config) { return config.limits[0].per[0].text_length_bits() == 24; }},
    {"a burst that is left out", in_limit("per = [\"::/0\"]\nsyn_rate = \"5000/s\""),
     [](const Config &config) { return has_rate(config, 5000, 1s, 5000); }},
    {"a burst that is left out beside a rate in minutes",
     in_limit("per = [\"::/0\"]\nsyn_rate = \"150/m\""),
     [](const Config &config) { return has_rate(config, 150, 60s, 2); }},
    {"a burst that is left out beside less than one a second",
     in_limit("per = [\"::/0\"]\nsyn_rate = \"1/h\""),
     [](const Config &config) { return has_rate(config, 1, 3600s, 1); }},
    {"the highest rate", in_limit("per = [\"::/0\"]\nsyn_rate = \"1000000/s\""),
     [](const Config &config) { return has_rate(config, 1'000'000, 1s, 1'000'000); }},
    {"the highest rate in hours", in_limit("per = [\"::/0\"]\nsyn_rate = \"3600000000/h\""),
     [](const Config &config) { return has_rate(config, 3'600'000'000, 3600s, 1'000'000); }},
    {"the least burst for the gate's clock",
     in_limit("per = [\"::/0\"]\nsyn_rate = \"1001/s\"\nsyn_burst = 11"),
     [](const Config &config) { return has_rate(config, 1001, 1s, 11); }},
    {"a burst of one where the clock is fine enough",
     in_limit("per = [\"::/0\"]\nsyn_rate = \"6000/m\"\nsyn_burst = 1"),
     [](const Config &config) { return has_rate(config, 6000, 60s, 1); }},
    {"a burst that takes 30 days to come back",
     in_limit("per = [\"::/0\"]\nsyn_rate = \"1/h\"\nsyn_burst = 720"),
     [](const Config &config) { return has_rate(config, 1, 3600s, 720); }},
};

const Row list_rows[] = {
    {"no lists unless they are named", after(""), [](const Config &config) {
        return config.blocks.empty() && config.allows.empty() && config.lists.widest_ipv4 == 8 &&
               config.lists.widest_ipv6 == 16 && config.lists.blocks_max == 1000; }},
    {"bounds of blocks", after("[lists]\nwidest_ipv4 = 32\nwidest_ipv6 = 128\nblocks_max = 0"),
     [](const Config &config) {
        return config.lists.widest_ipv4 == 32 && config.lists.widest_ipv6 == 128 &&
               config.lists.blocks_max == 0; }},
    {"all that a block may say",
     after("[[block]]\ncidrs = [\"192.0.2.9/24\", \"2001:db8::/32\"]\nfile = \"/etc/drop.txt\"\n"
           "reason = \"sp\\u00e4m\"\nuntil = 2026-12-31T00:00:00Z"),
     [](const Config &config) {
        const auto &source = config.blocks[0];
        return config.blocks.size() == 1 && source.position.text() == "6:1" &&
               source.cidrs == std::vector{block("192.0.2.0/24"), block("2001:db8::/32")} &&
               source.file == "/etc/drop.txt" && source.reason == "späm" &&
               ends(config, 1798675200); }},
    {"a block by file alone", after("[[block]]\nfile = \"/etc/drop.txt\""),
     [](const Config &config) {
        return config.blocks[0].cidrs.empty() && config.blocks[0].reason.empty() &&
               !config.blocks[0].until; }},
    {"one prefix in two blocks", after("[[block]]\ncidrs = [\"192.0.2.0/24\"]\n"
                                       "[[block]]\ncidrs = [\"192.0.2.0/24\"]"),
     [](const Config &config) {
        return config.blocks.size() == 2 && config.blocks[1].position.line == 8; }},
    {"an allow wider than a block may be", after("[[allow]]\ncidrs = [\"0.0.0.0/0\", \"::/0\"]"),
     [](const Config &config) {
        return config.allows.size() == 1 && config.allows[0].cidrs.size() == 2 &&
               config.blocks.empty(); }},
    {"blocks as wide as they may be", after("[[block]]\ncidrs = [\"10.0.0.0/8\", \"2001::/16\"]"),
     [](const Config &config) { return config.blocks[0].cidrs.size() == 2; }},
    {"wider blocks where they are wanted, whatever stands first",
     after("[[block]]\ncidrs = [\"0.0.0.0/0\"]\n[lists]\nwidest_ipv4 = 0"),
     [](const Config &config) { return config.blocks[0].cidrs[0].text_length_bits() == 0; }},
    {"a moment with an offset", with_until("2026-12-31T01:30:00+01:30"),
     [](const Config &config) { return ends(config, 1798675200); }},
    {"a moment with an offset to the west", with_until("2026-12-30 16:00:00-08:00"),
     [](const Config &config) { return ends(config, 1798675200); }},
    {"a moment with a fraction", with_until("2026-12-31T00:00:00.999Z"),
     [](const Config &config) { return ends(config, 1798675200); }},
    {"a moment that is past", with_until("1970-01-01T00:00:00Z"),
     [](const Config &config) { return ends(config, 0); }},
    {"a leap day", with_until("2028-02-29T23:59:59Z"),
     [](const Config &config) { return ends(config, 1835481599); }},
    {"the last second", with_until("2199-12-31T23:59:59Z"),
     [](const Config &config) { return ends(config, 7258118399); }},
    {"the longest reason", after("[[allow]]\ncidrs = [\"192.0.2.1\"]\nreason = \"" +
                                 std::string(200, 'r') + "\""),
     [](const Config &config) { return config.allows[0].reason.size() == 200; }},
};
// clang-format on

TEST(ConfigGood, LimitsSayWhatTheFileSays)
{
    for (const auto &row : limit_rows)
        expect_good(row);
}

TEST(ConfigGood, ListsSayWhatTheFileSays)
{
    for (const auto &row : list_rows)
        expect_good(row);
}

TEST(ConfigGood, AReplayTakesServicesAndLimitsAlone)
{
    const auto parsed = config::parse_config("[[service]]\nname = \"all\"\nports = \"any\"\n"
                                             "[[limit]]\nname = \"a\"\nservices = [\"all\"]\n"
                                             "per = [\"0.0.0.0/32\"]\nsyn_rate = \"10/s\"\n",
                                             "t.toml", config::Purpose::replay);
    ASSERT_TRUE(parsed) << parsed.error().message;
    EXPECT_EQ(parsed->limits.size(), 1U);
}

TEST(ConfigGood, AsManyLimitsAsTheGateHolds)
{
    std::string text = after("[[network]]\nname = \"n\"\ncidrs = [\"192.0.2.0/24\"]");
    for (int i = 0; i < 8; i++)
        text += limit("a" + std::to_string(i), "per = [\"0.0.0.0/24\", \"::/48\"]");
    for (int i = 0; i < 4; i++)
        text += limit("b" + std::to_string(i), "networks = [\"n\"]");

    const auto parsed = config::parse_config(text, "t.toml");
    ASSERT_TRUE(parsed) << parsed.error().message;
    EXPECT_EQ(parsed->limits.size(), 12U);
}

TEST(ConfigGood, ALimitReachesEightNestedNetworks)
{
    const auto text = after(nested_networks(8)) + limit("a", "networks = [\"n0\"]");
    const auto parsed = config::parse_config(text, "t.toml");
    ASSERT_TRUE(parsed) << parsed.error().message;
}

} // namespace
} // namespace tallygate::test
