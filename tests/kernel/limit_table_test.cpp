// SPDX-License-Identifier: BSD-2-Clause
//
// Limits in the real tables: what they drop, and what a change of them leaves.
#include <gmock/gmock.h>

#include <algorithm>
#include <map>

#include "kernel/limit_options.hpp"
#include "kernel/limits.hpp"
#include "kernel/networks.hpp"
#include "kernel/sandbox.hpp"
#include "kernel/totals.hpp"

namespace tallygate::test {
namespace {

using kernel::LimitOption;
using kernel::LimitTable;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;
using namespace std::chrono_literals;

using Options = std::vector<LimitOption>;

class Limits : public ProgramTest {
protected:
    void SetUp() override
    {
        ProgramTest::SetUp();
        watch(25);
        networks_.emplace(must(kernel::NetworkTable::open(program())));
        must(networks_->apply({{"sender", block("198.51.100.0/24")}}));
        traffic_ = std::make_unique<Traffic>(program());
        tg_settings settings{};
        settings.mode = TG_MODE_ENFORCE;
        settings.lease_until_ns = ~0ULL;
        settings.ipv6_source_bits = 64;
        settings.networks_configured = 1;
        put("settings", 0U, settings);
        table_.emplace(open());
    }

    LimitTable open() const { return must(LimitTable::open(program().object())); }

    /// As the gate does it: what the programs remember of rejections ends.
    void apply(const Options &limits)
    {
        must(try_apply(limits));
        auto settings = get<tg_settings>("settings", 0U);
        settings.generation++;
        put("settings", 0U, settings);
    }

    Result<void> try_apply(const Options &limits)
    {
        return table_->apply(limits, {{{"smtp", 1}}, networks_->nodes(), 64});
    }

    std::uint64_t dropped() const
    {
        const auto totals = must(kernel::Totals::open(program().object()));
        return totals.service(1, Family::ipv4).dropped + totals.service(1, Family::ipv6).dropped;
    }

    /// How many of so many SYNs get through.
    unsigned pass(const std::string &client, unsigned syns) const
    {
        const auto before = dropped();
        for (unsigned i = 0; i < syns; i++)
            traffic_->send_syn(client);
        return syns - static_cast<unsigned>(dropped() - before);
    }

    std::map<std::string, std::uint64_t> dropped_by_limit() const
    {
        std::map<std::string, std::uint64_t> counts;
        for (const auto &row : table_->counts())
            counts[row.name] = row.dropped;
        return counts;
    }

    void restart() { table_.emplace(open()); }

    std::optional<LimitTable> table_;
    std::optional<kernel::NetworkTable> networks_;
    std::unique_ptr<Traffic> traffic_;
};

struct Holder {
    const char *name;
    Options limits;
    const char *same;  ///< somebody who shares the budget
    const char *other; ///< somebody who does not
};

const Holder holders[] = {
    {"a source", {of("a", {"0.0.0.0/32"}, 1h, 3)}, "198.51.100.1", "198.51.100.2"},
    {"another limit of sources",
     {live_of("b", {"0.0.0.0/32"}, 9), of("c", {"0.0.0.0/32"}, 1h, 99),
      of("a", {"0.0.0.0/32"}, 1h, 3)},
     "198.51.100.1",
     "198.51.100.2"},
    {"an IPv4 prefix", {of("a", {"0.0.0.0/24"}, 1h, 3)}, "198.51.100.2", "198.51.101.2"},
    {"an IPv4 prefix of odd length",
     {of("a", {"0.0.0.0/23"}, 1h, 3)},
     "198.51.101.2",
     "198.51.102.2"},
    {"a network", {of_networks("a", {"sender"}, 1h, 3)}, "198.51.100.9", "203.0.113.1"},
    {"all together", {of("a", {"0.0.0.0/0"}, 1h, 3)}, "203.0.113.1", "2001:db8::1"},
};

TEST_F(Limits, HoldWhomTheyName)
{
    for (const auto &row : holders) {
        apply(row.limits);
        EXPECT_EQ(pass("198.51.100.1", 2), 2U) << row.name;
        EXPECT_EQ(pass(row.same, 4), 1U) << row.name;
        EXPECT_EQ(pass(row.other, 2), 2U) << row.name;
        EXPECT_EQ(dropped_by_limit().at("a"), 3U) << row.name;
        apply({});
    }
}

TEST_F(Limits, ThatStayKeepTheirStateOverReloadsAndRestarts)
{
    for (const auto &row : holders) {
        apply(row.limits);
        pass("198.51.100.1", 2);
        auto more = row.limits;
        more.push_back(of("of IPv6", {"::/0"}, 1h, 100));
        apply(more);
        EXPECT_EQ(pass(row.same, 3), 1U) << row.name << ": after a reload";
        restart();
        apply(row.limits);
        EXPECT_EQ(pass(row.same, 3), 0U) << row.name << ": after a restart";
        EXPECT_EQ(dropped_by_limit().at("a"), 5U) << row.name;
        apply({});
    }
}

TEST_F(Limits, ThatAreTakenOutLeaveNothingThatRejects)
{
    for (const auto &row : holders) {
        apply(row.limits);
        EXPECT_LT(pass("198.51.100.1", 9), 9U);
        apply({});
        EXPECT_EQ(pass("198.51.100.1", 9), 9U) << row.name;
        apply(row.limits);
        EXPECT_EQ(pass("198.51.100.1", 3), 3U) << row.name << ": it is a new one";
        EXPECT_EQ(dropped_by_limit().at("a"), 0U) << row.name;
        apply({});
    }
}

TEST_F(Limits, ThatAskLessThanBeforeForgetWhatIsOwed)
{
    for (const auto &row : holders) {
        apply(row.limits);
        EXPECT_LT(pass("198.51.100.1", 9), 9U);
        auto other = row.limits;
        const auto changed = std::ranges::find(other, "a", &LimitOption::name);
        changed->rate = kernel::LimitRate{.interval = 1ms, .burst = 50};
        apply(other);
        EXPECT_EQ(pass("198.51.100.1", 9), 9U) << row.name << ": owed for hours under the old one";
        apply({});
    }
}

TEST_F(Limits, OfAnotherNameHaveNothingOfTheOld)
{
    apply({of("a", {"0.0.0.0/32"}, 1h, 3)});
    EXPECT_EQ(pass("198.51.100.1", 9), 3U);
    apply({of("b", {"0.0.0.0/32"}, 1h, 3)});
    EXPECT_EQ(pass("198.51.100.1", 9), 3U);
    EXPECT_EQ(dropped_by_limit().at("b"), 6U);
}

TEST_F(Limits, ThatComeBeforeAnotherOfSourcesDoNotInheritWhatIsOwedToIt)
{
    const auto first = of("a", {"0.0.0.0/32"}, 1h, 3);
    apply({first});
    EXPECT_EQ(pass("198.51.100.1", 9), 3U);
    apply({of("b", {"0.0.0.0/32"}, 1h, 2), first});
    EXPECT_EQ(pass("198.51.100.1", 9), 2U);
}

TEST_F(Limits, ThatAreDryRunsCountAndStopNobody)
{
    auto dry = of("a", {"0.0.0.0/32"}, 1h, 3);
    dry.action = LimitOption::Action::count;
    apply({dry});
    EXPECT_EQ(pass("198.51.100.1", 9), 9U);
    EXPECT_THAT(table_->counts(), ElementsAre(core::LimitCounts{"a", 0, 6}));
}

TEST_F(Limits, AreToldInTheOrderOfTheConfiguration)
{
    apply({of("b", {"0.0.0.0/24"}), of("a", {"0.0.0.0/32"})});
    apply({of("c", {"0.0.0.0/16"}), of("a", {"0.0.0.0/32"}), of("b", {"0.0.0.0/24"})});
    std::vector<std::string> names;
    for (const auto &row : table_->counts())
        names.push_back(row.name);
    EXPECT_THAT(names, ElementsAre("c", "a", "b"));
}

TEST_F(Limits, ThatCannotBeLeaveTheOldOnes)
{
    apply({of("a", {"0.0.0.0/32"}, 1h, 3)});
    pass("198.51.100.1", 2);
    EXPECT_THAT(message_of(try_apply({of_networks("b", {"nowhere"})})),
                HasSubstr("is not configured"));
    EXPECT_EQ(pass("198.51.100.1", 9), 1U);
    EXPECT_THAT(dropped_by_limit(), ElementsAre(Pair("a", 8)));
}

TEST_F(Limits, HoldWhatANetworkHasOpen)
{
    auto limit = of_networks("a", {"sender"});
    limit.rate.reset();
    limit.live_max = 2;
    apply({limit});
    const auto first = traffic_->connect("198.51.100.1");
    traffic_->connect("198.51.100.2");
    EXPECT_EQ(pass("198.51.100.3", 2), 0U);
    traffic_->disconnect(first);
    EXPECT_EQ(pass("198.51.100.3", 1), 1U);
}

/// A daemon that died half-way: rules are off, or limits are written and rules are not.
TEST_F(Limits, ThatAreHalfWrittenAreWrittenByTheNextDaemon)
{
    const Options limits = {of("a", {"0.0.0.0/32"}, 1h, 3), of_networks("n", {"sender"}, 1h, 5)};
    apply(limits);
    pass("198.51.100.1", 2);
    auto rules = get<tg_rules>("rules", 2U);
    rules.count = 0;
    rules.network_limits = 0;
    put("rules", 2U, rules);
    EXPECT_EQ(pass("198.51.100.1", 4), 4U) << "half-written ones stop nobody";
    restart();
    apply(limits);
    EXPECT_EQ(pass("198.51.100.1", 4), 1U);
}

} // namespace
} // namespace tallygate::test
