// SPDX-License-Identifier: BSD-2-Clause
//
// From limits as an operator writes them to the tables' words, without a table.
#include "kernel/limit_plan.hpp"

#include <gmock/gmock.h>

#include "kernel/limit_options.hpp"

namespace tallygate::test {
namespace {

using kernel::LimitedThings;
using kernel::LimitOption;
using kernel::LimitPlan;
using kernel::plan_limits;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Node = kernel::NetworkTable::Node;
using Options = std::vector<LimitOption>;

const LimitPlan nothing{};

LimitedThings smtp_alone(unsigned ipv6_source_bits = 64)
{
    return {{{"smtp", 1}}, {}, ipv6_source_bits};
}

/// "source prefix/120 all": limits by name, in the order in which they are asked.
std::vector<std::string> rules_text(const LimitPlan &plan, core::ServiceId service = 1,
                                    tg_family family = TG_FAMILY_IPV4)
{
    static constexpr const char *scopes[] = {"source", "prefix", "all"};
    std::vector<std::string> texts;
    const auto &rules = plan.rules[LimitPlan::rules_index(service, family)];
    for (std::uint32_t i = 0; i < rules.count; i++) {
        const auto &rule = rules.rules[i];
        texts.push_back(plan.names[rule.limit] + " " + scopes[rule.scope] +
                        (rule.scope == TG_SCOPE_PREFIX
                             ? "/" + std::to_string(rule.prefix_bits) + (rule.is_source ? "s" : "")
                             : ""));
    }
    return texts;
}

struct Order {
    const char *name;
    Options limits;
    std::vector<std::string> ipv4;
    std::vector<std::string> ipv6;
};

TEST(LimitPlans, PutSourcesBeforePrefixesBeforeAllTogether)
{
    using namespace std::chrono_literals;
    const Order rows[] = {
        {"nothing", {}, {}, {}},
        {"one of each",
         {of("all", {"0.0.0.0/0", "::/0"}), of("24", {"0.0.0.0/24", "::/48"}),
          of("one", {"0.0.0.0/32", "::/64"})},
         {"one source", "24 prefix/120", "all all"},
         {"one source", "24 prefix/48", "all all"}},
        {"the longest prefix first, else as written",
         {of("a", {"0.0.0.0/16"}), of("b", {"0.0.0.0/24"}), of("c", {"0.0.0.0/24"})},
         {"b prefix/120", "c prefix/120", "a prefix/112"},
         {}},
        {"two of sources: the claim has room for one",
         {of("a", {"0.0.0.0/32"}), of("b", {"0.0.0.0/32"})},
         {"a source", "b prefix/128s"},
         {}},
        {"the claim is for one with a rate",
         {live_of("a", {"0.0.0.0/32"}, 5), of("b", {"0.0.0.0/32"})},
         {"b source", "a prefix/128s"},
         {}},
        {"of live counts alone", {live_of("a", {"0.0.0.0/32"}, 5)}, {"a source"}, {}},
        {"an IPv6 /48 is no source", {of("a", {"::/48"})}, {}, {"a prefix/48"}},
    };
    for (const auto &row : rows) {
        const auto plan = must(plan_limits(row.limits, smtp_alone(), nothing));
        EXPECT_EQ(rules_text(plan), row.ipv4) << row.name;
        EXPECT_EQ(rules_text(plan, 1, TG_FAMILY_IPV6), row.ipv6) << row.name;
    }
}

struct Together {
    const char *name;
    Options limits;
    std::string limit; ///< that may keep a newcomer out before anything else is asked
};

TEST(LimitPlans, LetTheTightestOfAllTogetherBeAskedFirst)
{
    using namespace std::chrono_literals;
    const auto held = [](LimitOption option, LimitOption::Who who) {
        option.who = who;
        return option;
    };
    const auto dry = [](LimitOption option) {
        option.action = LimitOption::Action::count;
        return option;
    };
    const auto all = of("all", {"0.0.0.0/0"}, 1ms, 1);
    const auto tight = held(of("tight", {"0.0.0.0/0"}, 2ms, 1), LimitOption::Who::claimed);
    const Together rows[] = {
        {"none", {}, ""},
        {"a source's", {of("one", {"0.0.0.0/32"})}, ""},
        {"one", {of("one", {"0.0.0.0/32"}), all}, "all"},
        {"the tighter of two", {all, tight}, "tight"},
        {"and in the other order", {tight, all}, "tight"},
        {"of the proven alone", {held(all, LimitOption::Who::proven)}, ""},
        {"a dry run", {dry(all)}, ""},
        {"beside a dry run of sources", {dry(of("one", {"0.0.0.0/32"})), all}, ""},
        {"of live counts", {live_of("open", {"0.0.0.0/0"}, 5)}, ""},
    };
    for (const auto &row : rows) {
        const auto plan = must(plan_limits(row.limits, smtp_alone(), nothing));
        const auto &rules = plan.rules[LimitPlan::rules_index(1, TG_FAMILY_IPV4)];
        EXPECT_EQ(plan.names[rules.together.limit], row.limit) << row.name;
    }
}

TEST(LimitPlans, KnowWhatASourceOfIpv6Is)
{
    const Options limits = {of("a", {"::/128"}), of("b", {"::/64"})};
    EXPECT_THAT(rules_text(must(plan_limits(limits, smtp_alone(128), nothing)), 1, TG_FAMILY_IPV6),
                ElementsAre("a source", "b prefix/64"));
}

TEST(LimitPlans, TurnRatesIntoTimes)
{
    using namespace std::chrono_literals;
    auto option = of("a", {"0.0.0.0/32"}, 100ms, 20);
    option.live_max = 50;
    option.who = LimitOption::Who::claimed;
    option.action = LimitOption::Action::count;
    const auto plan = must(plan_limits({option}, smtp_alone(), nothing));
    const auto &limit = plan.limits[1];
    EXPECT_EQ(limit.interval_ns, 100'000'000U);
    EXPECT_EQ(limit.tolerance_ns, 1'900'000'000U);
    EXPECT_EQ(limit.live_max, 50U);
    EXPECT_EQ(limit.has_live_max, 1);
    EXPECT_EQ(limit.who, TG_WHO_CLAIMED);
    EXPECT_EQ(limit.action, TG_LIMIT_COUNT);
    EXPECT_EQ(limit.services[0], 2U);

    const auto live = must(plan_limits({live_of("b", {"0.0.0.0/32"}, 0)}, smtp_alone(), nothing));
    EXPECT_EQ(live.limits[1].interval_ns, 0U);
    EXPECT_EQ(live.limits[1].has_live_max, 1) << "nothing at all may be open";
    EXPECT_EQ(kernel::horizon_ns(limit), 2'000'000'000U);
    EXPECT_EQ(kernel::horizon_ns(live.limits[1]), 0U);
}

TEST(LimitPlans, AreForTheServicesThatTheyName)
{
    const LimitedThings things{{{"smtp", 1}, {"submission", 70}}, {}, 64};
    auto one = of("one", {"0.0.0.0/32"});
    one.services = {"submission"};
    const auto plan = must(plan_limits({one, of("every", {"0.0.0.0/24"})}, things, nothing));
    EXPECT_THAT(rules_text(plan, 1), ElementsAre("every prefix/120"));
    EXPECT_THAT(rules_text(plan, 70), ElementsAre("one source", "every prefix/120"));
    EXPECT_EQ(plan.limits[1].services[1], std::uint64_t{1} << 6);
}

TEST(LimitPlans, GiveEachBlockOfANetworkABudget)
{
    const LimitedThings things{{{"smtp", 1}, {"other", 2}},
                               {{5, 0, "sender", block("198.51.100.0/24")},
                                {6, 0, "sender", block("203.0.113.0/24")},
                                {7, 0, "six", block("2001:db8::/32")}},
                               64};
    auto limit = of_networks("a", {"sender"});
    limit.services = {"smtp"};
    const auto plan = must(plan_limits({limit, of("all", {"0.0.0.0/0"})}, things, nothing));
    ASSERT_EQ(plan.networks.size(), 2U);
    const auto first = plan.networks.at(5).at(0).budget;
    const auto second = plan.networks.at(6).at(0).budget;
    EXPECT_NE(first, second);
    EXPECT_EQ(plan.budgets[first].network, 5U);
    EXPECT_EQ(plan.budgets[first].limit, 1U);
    const auto &rules = plan.rules[LimitPlan::rules_index(1, TG_FAMILY_IPV4)];
    EXPECT_EQ(rules.network_limits, 1U);
    EXPECT_NE(rules.rules[0].budget, 0U);
    EXPECT_NE(rules.rules[0].budget, first);
    EXPECT_EQ(plan.rules[LimitPlan::rules_index(1, TG_FAMILY_IPV6)].network_limits, 0U);
    EXPECT_EQ(plan.rules[LimitPlan::rules_index(2, TG_FAMILY_IPV4)].network_limits, 0U);
}

TEST(LimitPlans, KeepTheNumbersOfThoseThatStay)
{
    const LimitedThings things{{{"smtp", 1}}, {{5, 0, "sender", block("198.51.100.0/24")}}, 64};
    const Options first = {of("gone", {"0.0.0.0/0"}), of_networks("stays", {"sender"})};
    const auto before = must(plan_limits(first, things, nothing));
    const auto after = must(
        plan_limits({of("new", {"0.0.0.0/0"}), of_networks("stays", {"sender"})}, things, before));
    EXPECT_EQ(after.names[2], "stays");
    EXPECT_EQ(after.networks.at(5).at(0).budget, before.networks.at(5).at(0).budget);
    EXPECT_EQ(after.names[1], "");
    EXPECT_EQ(after.names[3], "new") << "not the number that was another's a moment ago";
    EXPECT_THAT(after.order, ElementsAre(3, 2));
}

struct Refused {
    const char *name;
    LimitedThings things;
    Options limits;
    const char *sentence;
};

Options many(unsigned count, const std::vector<std::string> &per)
{
    Options limits;
    for (unsigned i = 0; i < count; i++)
        limits.push_back(of("l" + std::to_string(i), per));
    return limits;
}

Options many_of(unsigned count, const std::string &network)
{
    Options limits;
    for (unsigned i = 0; i < count; i++)
        limits.push_back(of_networks("l" + std::to_string(i), {network}));
    return limits;
}

/// Each inside of the one before: /8, /9, ...
LimitedThings nested(unsigned count)
{
    LimitedThings things = smtp_alone();
    for (unsigned i = 0; i < count; i++)
        things.networks.push_back(
            {i + 1, i, "n" + std::to_string(i), Block{address("10.0.0.0"), 96 + 8 + i}});
    return things;
}

LimitedThings blocks_of_one_name(unsigned count)
{
    LimitedThings things = smtp_alone();
    for (unsigned i = 0; i < count; i++)
        things.networks.push_back({i + 1, 0, "wide", Block{Address::from_ipv4(i << 8), 96 + 24}});
    return things;
}

TEST(LimitPlans, RefuseInASentence)
{
    const Refused rows[] = {
        {"too many", smtp_alone(), many(64, {"0.0.0.0/24"}),
         "64 limits are too many: there is room for 63"},
        {"too many at one service", smtp_alone(), many(9, {"0.0.0.0/24"}),
         "service smtp has 9 limits for IPv4, beside those of networks: at most 8"},
        {"too many at one network", nested(1), many_of(5, "n0"),
         "network n0 has 5 limits or more: at most 4"},
        {"no such network", smtp_alone(), many_of(1, "n0"),
         "limit l0 is for network n0, which is not configured"},
        {"nested too deep", nested(9), many_of(1, "n0"),
         "network 10.0.0.0/16 is nested 8 deep in 10.0.0.0/8 (n0), which has a limit"},
        {"too many budgets", blocks_of_one_name(4096), many_of(1, "wide"),
         "need more than 4095 budgets"},
    };
    for (const auto &row : rows)
        EXPECT_THAT(message_of(plan_limits(row.limits, row.things, nothing)),
                    HasSubstr(row.sentence))
            << row.name;
    auto unknown = of("a", {"0.0.0.0/32"});
    unknown.services = {"lmtp"};
    EXPECT_EQ(message_of(plan_limits({unknown}, smtp_alone(), nothing)),
              "limit a is for service lmtp, which is not configured");
}

TEST(LimitPlans, TakeAsManyAsThereIsRoomFor)
{
    must(plan_limits(many(8, {"0.0.0.0/24"}), smtp_alone(), nothing));
    must(plan_limits(many_of(4, "n0"), nested(1), nothing));
    must(plan_limits(many_of(1, "n0"), nested(8), nothing));
    must(plan_limits(many_of(1, "n1"), nested(9), nothing));
    must(plan_limits(many_of(1, "wide"), blocks_of_one_name(4095), nothing));
    LimitedThings things;
    Options limits;
    for (core::ServiceId id = 1; id <= 63; id++) {
        const auto name = "s" + std::to_string(id);
        things.services[name] = id;
        limits.push_back(of("l" + name, {"0.0.0.0/24"}));
        limits.back().services = {name};
    }
    must(plan_limits(limits, things, nothing));
}

TEST(LimitPlans, MayChangeAllTheirNames)
{
    LimitedThings things;
    Options limits;
    for (core::ServiceId id = 1; id <= 63; id++) {
        const auto name = "s" + std::to_string(id);
        things.services[name] = id;
        limits.push_back(of("l" + name, {"0.0.0.0/24"}));
        limits.back().services = {name};
    }
    const auto before = must(plan_limits(limits, things, nothing));
    for (auto &limit : limits)
        limit.name += "-new";
    const auto after = must(plan_limits(limits, things, before));
    EXPECT_EQ(std::set(after.order.begin(), after.order.end()).size(), 63U);
}

} // namespace
} // namespace tallygate::test
