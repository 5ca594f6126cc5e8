// SPDX-License-Identifier: BSD-2-Clause
//
// From the configuration and its files to lists and limits.
#include "daemon/list_groups.hpp"

#include "daemon/keeper_fixture.hpp"
#include "daemon/machine.hpp"
#include "daemon/options.hpp"

namespace tallygate::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class ListGroups : public KeeperTest {
protected:
    Result<daemon::ListsKeeper::Groups> load() const
    {
        return daemon::load_list_groups(config_, daemon::list_policy(config_), noon);
    }

    void block_file(const std::string &text)
    {
        write(path_, text);
        config_.blocks = {
            {.position = {31, 1}, .cidrs = {}, .file = path_, .reason = "drop", .until = {}}};
    }

    std::string path_ = dir_ / "drop.txt";
    config::Config config_ = [] {
        config::Config config;
        config.file = "t.toml";
        return config;
    }();
};

TEST_F(ListGroups, NameTheirPlaceAndOrigin)
{
    block_file("203.0.113.0/24 ; SBL1\n198.51.100.7\n");
    config_.blocks.front().cidrs = {*Block::parse("100.64.0.0/16")};
    config_.blocks.front().until = std::chrono::sys_seconds{std::chrono::seconds{2'000'000'000}};
    config_.allows = {{.position = {20, 1},
                       .cidrs = {*Block::parse("0.0.0.0/0")},
                       .file = {},
                       .reason = "",
                       .until = {}}};
    const auto groups = load();
    ASSERT_TRUE(groups) << groups.error().message;
    ASSERT_EQ(groups->size(), 3U);
    const auto &allow = groups->at(0);
    EXPECT_EQ(allow.grounds.kind, core::ListKind::allow);
    EXPECT_EQ(allow.grounds.place, "t.toml:20:1");
    const auto &written = groups->at(1);
    EXPECT_EQ(written.grounds.origin, core::ListOrigin::configuration);
    EXPECT_EQ(written.grounds.place, "t.toml:31:1");
    EXPECT_EQ(written.grounds.until, core::UnixTime{std::chrono::seconds{2'000'000'000}});
    const auto &file = groups->at(2);
    EXPECT_EQ(file.grounds.origin, core::ListOrigin::file);
    EXPECT_EQ(file.grounds.place, path_ + " (t.toml:31:1)");
    EXPECT_EQ(file.grounds.reason, "drop");
    EXPECT_THAT(file.blocks,
                ElementsAre(*Block::parse("203.0.113.0/24"), *Block::parse("198.51.100.7")));
}

TEST_F(ListGroups, AreNotTakenWithAMistakeInAFile)
{
    const auto refused = [&](const std::string &text) {
        block_file(text);
        const auto groups = load();
        EXPECT_FALSE(groups);
        if (!groups) {
            EXPECT_EQ(groups.error().code, daemon::bad_configuration);
        }
        return groups ? "" : groups.error().message;
    };
    EXPECT_EQ(refused("203.0.113.0/24\n<html>\n"),
              path_ + ":2: expected a CIDR block, not '<html>'");
    EXPECT_EQ(refused("203.0.113.0/24\n0.0.0.0/1\n"),
              path_ + ":2: 0.0.0.0/1 is wider than /8, the widest that lists.widest_ipv4 lets "
                      "anybody block");
    config_.gate.lists_max = 1;
    EXPECT_EQ(refused("203.0.113.0/24\n203.0.114.0/24\n"),
              path_ + ":2: the list has too many blocks: expected at most gate.lists_max, 1");
    config_.allows = {{.position = {20, 1},
                       .cidrs = {*Block::parse("198.51.100.0/24")},
                       .file = {},
                       .reason = "",
                       .until = {}}};
    EXPECT_EQ(refused("203.0.113.0/24\n"),
              "t.toml:31:1: with " + path_ +
                  " there are 2 listed blocks: expected at most gate.lists_max, 1");
    config_.blocks.front().file = dir_ / "none";
    config_.blocks.front().file_position = {33, 8};
    EXPECT_EQ(load().error().message, "t.toml:33:8: read " + (dir_ / "none") +
                                          ": No such file or directory: "
                                          "expected a file of CIDR blocks");
}

TEST_F(ListGroups, LimitsReachTheGateInItsOwnWords)
{
    using config::Limit;
    config_.services = {{.name = "smtp", .ports = {25}, .listeners = {}}};
    config_.limits = {{.name = "per-source",
                       .position = {22, 1},
                       .services = {},
                       .per = {*Block::parse("0.0.0.0/32"), *Block::parse("::/64")},
                       .networks = {},
                       .who = Limit::Who::claimed,
                       .syn_rate = Limit::Rate{30, std::chrono::minutes{1}},
                       .syn_burst = 5,
                       .live_max = {},
                       .action = Limit::Action::count}};
    const auto options = daemon::make_gate_options(config_);
    ASSERT_EQ(options.limits.size(), 1U);
    const auto &limit = options.limits.front();
    EXPECT_EQ(limit.name, "per-source");
    EXPECT_EQ(limit.who, kernel::LimitOption::Who::claimed);
    EXPECT_EQ(limit.action, kernel::LimitOption::Action::count);
    ASSERT_TRUE(limit.rate);
    EXPECT_EQ(limit.rate->interval, std::chrono::seconds{2});
    EXPECT_EQ(limit.rate->burst, 5U);

    const auto facts = daemon::limit_facts(config_);
    ASSERT_EQ(facts.size(), 1U);
    EXPECT_EQ(facts.front().place, "t.toml:22");
    EXPECT_THAT(facts.front().services, ElementsAre("smtp"));
    EXPECT_THAT(facts.front().per, ElementsAre("0.0.0.0/32", "::/64"));
    EXPECT_EQ(facts.front().who, "claimed");
    EXPECT_EQ(facts.front().syn_rate, "30/m");
    EXPECT_EQ(facts.front().syn_burst, 5U);
    EXPECT_EQ(facts.front().action, "count");
}

} // namespace
} // namespace tallygate::test
