// SPDX-License-Identifier: BSD-2-Clause
//
// What control may put on the lists: each refusal with its sentence.
#include "core/policy.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/audit.hpp"
#include "core/support.hpp"

namespace tallygate::core::test {
namespace {

using namespace std::chrono_literals;

/// A machine with an address, a gateway, an operator, an allow list and three blocks.
Lists machine()
{
    Lists lists;
    const auto add = [&](const char *cidr, ListKind kind, ListOrigin origin, const char *reason,
                         std::optional<UnixTime> until = {}) {
        lists.add(
            {block(cidr), {.kind = kind, .origin = origin, .reason = reason, .until = until}});
    };
    using enum ListOrigin;
    add("127.0.0.0/8", ListKind::allow, protection, "loopback");
    add("::1", ListKind::allow, protection, "loopback");
    add("192.0.2.25", ListKind::allow, protection, "address of eth0");
    add("192.0.2.1", ListKind::allow, protection, "gateway");
    add("2001:db8::9", ListKind::allow, protection, "connection of an operator");
    add("198.51.100.0/28", ListKind::allow, control, "partner", at(500));
    lists.set_fixed(FixedLists{{{.grounds = {.kind = ListKind::allow,
                                             .origin = configuration,
                                             .place = "tallygate.toml:31:1",
                                             .reason = "office"},
                                 .blocks = {block("203.0.113.64/26")}}}});
    add("10.0.0.1", ListKind::block, control, "");
    add("10.0.0.2", ListKind::block, control, "");
    return lists;
}

const struct {
    const char *name;
    const char *cidr;
    std::size_t blocks_max;
    int code; ///< 0: it may
    const char *sentence;
} block_cases[] = {
    {"somebody else", "203.0.113.9", 10, 0, ""},
    {"the neighbour of a protected address", "192.0.2.26", 10, 0, ""},
    {"as wide as may be", "11.0.0.0/8", 10, 0, ""},
    {"around an allowed network", "203.0.113.0/24", 10, 0, ""},
    {"wider than may be", "12.0.0.0/7", 10, 2,
     "12.0.0.0/7 is wider than /8, the widest that lists.widest_ipv4 lets anybody block"},
    {"everybody", "0.0.0.0/0", 10, 2,
     "0.0.0.0/0 is wider than /8, the widest that lists.widest_ipv4 lets anybody block"},
    {"wider than may be in IPv6", "3000::/15", 10, 2,
     "3000::/15 is wider than /16, the widest that lists.widest_ipv6 lets anybody block"},
    {"our own address", "192.0.2.25", 10, 2,
     "192.0.2.25/32 is in 192.0.2.25/32, which is protected: address of eth0"},
    {"around the gateway", "192.0.2.0/29", 10, 2,
     "192.0.2.0/29 covers 192.0.2.1/32, which is protected: gateway"},
    {"a part of loopback", "127.0.0.53", 10, 2,
     "127.0.0.53/32 is in 127.0.0.0/8, which is protected: loopback"},
    {"the operator", "2001:db8::/64", 10, 2,
     "2001:db8::/64 covers 2001:db8::9/128, which is protected: connection of an operator"},
    {"an allowed address", "203.0.113.65", 10, 2,
     "203.0.113.65/32 is allowed by the entry 203.0.113.64/26 of tallygate.toml:31:1 "
     "(\"office\"), and allow beats block"},
    {"what control has allowed", "198.51.100.0/28", 10, 2,
     "198.51.100.0/28 is allowed by the entry 198.51.100.0/28 of control (\"partner\"), and "
     "allow beats block"},
    {"one too many", "203.0.113.9", 2, 2,
     "the circuit breaker is open: 2 blocks set by control are in force, and lists.blocks_max "
     "allows no more until some of them have ended"},
    {"the same again while the breaker is open", "10.0.0.2", 2, 0, ""},
};

TEST(Policy, OfBlocksByHand)
{
    for (const auto &row : block_cases) {
        SCOPED_TRACE(row.name);
        const auto may =
            may_block(block(row.cidr), machine(), {.blocks_max = row.blocks_max}, at(100));
        EXPECT_EQ(bool(may), row.code == 0);
        if (!may) {
            EXPECT_EQ(may.error().code, row.code);
            EXPECT_EQ(may.error().message, row.sentence);
        }
    }
}

TEST(Policy, AnAllowanceThatHasEndedProtectsNobody)
{
    EXPECT_FALSE(may_block(block("198.51.100.1"), machine(), {}, at(499)));
    EXPECT_TRUE(may_block(block("198.51.100.1"), machine(), {}, at(500)));
}

TEST(Policy, FullListsTakeOnlyWhatTheyHave)
{
    const auto lists = machine();
    const ListPolicy full{.entries_max = lists.size() + 3};
    const auto refused = may_block(block("203.0.113.9"), lists, full, at(0));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, static_cast<int>(Refused::no_room));
    EXPECT_EQ(refused.error().message,
              "the lists are full: gate.lists_max gives room for 12 entries, of which 3 are kept "
              "for addresses to be protected");
    EXPECT_TRUE(may_block(block("10.0.0.1"), lists, full, at(0)));
    EXPECT_FALSE(may_allow(block("203.0.113.9"), lists, full));
    EXPECT_TRUE(may_allow(block("198.51.100.0/28"), lists, full));
    EXPECT_TRUE(may_allow(block("203.0.113.9"), lists, {}));
}

const struct {
    const char *name;
    std::uint32_t entries;
    std::size_t entries_max;
    bool may;
} room_cases[] = {
    {"no place is left", 8, 8, false},
    {"a small table keeps a quarter", 6, 8, false},
    {"and gives the rest", 5, 8, true},
    {"a large one keeps what protection may need", 1000 - protection_places, 1000, false},
    {"and no more", 999 - protection_places, 1000, true},
    {"one for a single entry", 0, 1, true},
};

TEST(Policy, ProtectionHasPlacesOfItsOwn)
{
    for (const auto &row : room_cases) {
        SCOPED_TRACE(row.name);
        FixedLists::Group group;
        for (std::uint32_t i = 0; i < row.entries; i++)
            group.blocks.push_back(Block{Address::from_ipv4(0x0a000000 + i), 128});
        Lists lists;
        lists.set_fixed(FixedLists{{group}});
        const ListPolicy policy{.entries_max = row.entries_max};
        EXPECT_EQ(bool(may_block(block("203.0.113.9"), lists, policy, at(0))), row.may);
        EXPECT_EQ(bool(may_allow(block("203.0.113.9"), lists, policy)), row.may);
    }
}

TEST(Policy, TheBreakerIsOpenWhileThereAreTooMany)
{
    auto lists = machine();
    EXPECT_FALSE(is_breaker_open(lists, {.blocks_max = 3}));
    EXPECT_TRUE(is_breaker_open(lists, {.blocks_max = 2}));
    lists.remove_control(block("10.0.0.2"), ListKind::block);
    EXPECT_FALSE(is_breaker_open(lists, {.blocks_max = 2}));
}

const struct {
    const char *name;
    std::vector<const char *> blocked;
    const char *further;
    const char *refused; ///< how much would be too much; empty: it may
    bool is_open = false;
} share_cases[] = {
    {"half of it", {"16.0.0.0/5"}, "24.0.0.0/5", ""},
    {"all of it, and one address", {"16.0.0.0/4"}, "32.0.0.1", "IPv4 addresses", true},
    {"all of it, and a part of that", {"16.0.0.0/4"}, "17.0.0.0/8", "", true},
    {"all of it, and the same again", {"16.0.0.0/4"}, "16.0.0.0/4", "", true},
    {"all of it, and another family", {"16.0.0.0/4"}, "2001:db9::/32", "", true},
    {"a part counts once", {"16.0.0.0/5", "17.0.0.0/8", "17.1.0.0/16"}, "24.0.0.0/5", ""},
    {"around a part", {"17.0.0.0/8"}, "16.0.0.0/4", ""},
    {"a little too wide", {"16.0.0.0/5", "32.0.0.0/16"}, "24.0.0.0/5", "IPv4 addresses"},
    {"too wide by itself", {}, "32.0.0.0/3", "IPv4 addresses"},
    {"half of it in IPv6", {"2400::/8"}, "2600::/8", ""},
    {"all of it in IPv6", {"2400::/7"}, "2600::/16", "IPv6 addresses of 2000::/3", true},
};

TEST(Policy, TheBreakerCountsAddressesToo)
{
    const ListPolicy any_width{.widest_ipv4 = 0, .widest_ipv6 = 0};
    for (const auto &row : share_cases) {
        SCOPED_TRACE(row.name);
        Lists lists;
        for (const auto *cidr : row.blocked)
            lists.add({block(cidr), {.origin = ListOrigin::control, .until = at(500)}});
        EXPECT_EQ(is_breaker_open(lists, any_width), row.is_open);
        const auto may = may_block(block(row.further), lists, any_width, at(100));
        EXPECT_EQ(may ? "" : may.error().message,
                  *row.refused == '\0'
                      ? ""
                      : "the circuit breaker is open for " + block(row.further).text() +
                            ": with it the blocks set by control would hold more than a "
                            "sixteenth of " +
                            (row.further[4] == ':' ? "the " : "all ") + row.refused);
        if (!may) {
            EXPECT_EQ(may.error().code, static_cast<int>(Refused::by_protection));
        }
    }
}

TEST(Policy, OfTheWidestBlocksSixteenAreTaken)
{
    Lists lists;
    unsigned taken = 0;
    for (unsigned first = 1; first < 222; first++) {
        const auto wide = block(std::to_string(first) + ".0.0.0/8");
        if (!may_block(wide, lists, {}, at(0)))
            continue;
        lists.add({wide, {.origin = ListOrigin::control, .until = at(500)}});
        taken++;
    }
    EXPECT_EQ(taken, 16U);
    EXPECT_EQ(breaker_text(lists, {}), "16 blocks set by control hold a sixteenth of all IPv4 "
                                       "addresses, and no more are taken until some of them have "
                                       "ended");
    EXPECT_EQ(breaker_text(lists, {.blocks_max = 16}),
              "16 blocks set by control are in force, and no more are taken until there are "
              "fewer than 16");
}

TEST(Policy, EveryBlockByHandHasAnEnd)
{
    EXPECT_EQ(end_of(ListKind::block, {}, at(100)), at(3700));
    EXPECT_EQ(end_of(ListKind::block, 90s, at(100)), at(190));
    EXPECT_EQ(end_of(ListKind::allow, 90s, at(100)), at(190));
    EXPECT_EQ(end_of(ListKind::allow, {}, at(100)), std::nullopt);
}

const struct {
    const char *text;
    std::int64_t seconds; ///< 0: refused
} span_cases[] = {
    {"1", 1},
    {"600", 600},
    {"90s", 90},
    {"10m", 600},
    {"1h", 3600},
    {"366d", 31'622'400},
    {"367d", 0},
    {"31622401", 0},
    {"", 0},
    {"0", 0},
    {"-1h", 0},
    {"1.5h", 0},
    {"h", 0},
    {"1 h", 0},
    {"1hour", 0},
    {"1w", 0},
    {"1H", 0},
    {"+1h", 0},
    {"99999999999999999999", 0},
};

TEST(Policy, SpansOfTime)
{
    for (const auto &row : span_cases) {
        SCOPED_TRACE(row.text);
        const auto span = parse_span(row.text);
        EXPECT_EQ(span ? span->count() : 0, row.seconds);
        if (!span) {
            EXPECT_EQ(span.error().code, static_cast<int>(Refused::malformed));
        }
    }
    EXPECT_EQ(parse_span("soon").error().message,
              "'soon' is not a span of time: expected 1s to 366d, such as 90s, 10m, 1h, 7d");
}

TEST(Policy, ReasonsThatCanBePrinted)
{
    EXPECT_TRUE(check_reason(""));
    EXPECT_TRUE(check_reason("spam run, ticket #12 <me@example.com>"));
    EXPECT_TRUE(check_reason(std::string(200, 'x')));
    EXPECT_EQ(check_reason(std::string(201, 'x')).error().message,
              "the reason has 201 bytes: at most 200 are kept");
    EXPECT_EQ(check_reason("two\nlines").error().message,
              "the reason has a character that is not printable ASCII");
    EXPECT_FALSE(check_reason("\xe2\x82\xac"));
}

TEST(Policy, GroundsInAFewWords)
{
    EXPECT_EQ(grounds_text({.origin = ListOrigin::control}), "control");
    EXPECT_EQ(grounds_text({.origin = ListOrigin::protection, .reason = "gateway"}),
              "protected (\"gateway\")");
    EXPECT_EQ(grounds_text({.origin = ListOrigin::file, .place = "/etc/drop.txt"}),
              "/etc/drop.txt");
}

TEST(Audit, IsASentenceForTheJournal)
{
    AuditRecord record{
        .time = at(1),
        .who = {.uid = 1000, .pid = 812, .user = "ada", .remote_address = address("192.0.2.9")},
        .action = "block_add",
        .what = "203.0.113.0/24",
        .before = "",
        .after = "until 2025-11-21",
        .result = "done"};
    EXPECT_EQ(record.text(), "ada (uid 1000, pid 812, from 192.0.2.9): block_add 203.0.113.0/24: "
                             "nothing -> until 2025-11-21: done");
    record.who = {};
    record.after = "";
    EXPECT_EQ(record.text(), "tallygated: block_add 203.0.113.0/24: done");
}

} // namespace
} // namespace tallygate::core::test
