// SPDX-License-Identifier: BSD-2-Clause
//
// [[check]] and [policy]: what they say is what the structs say, and what nobody can have meant
// is a mistake with its place.
#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <sstream>
#include <string>

#include "config/config_toml.hpp"
#include "config/texts.hpp"

namespace tallygate::test {
namespace {

using namespace std::chrono_literals;
using core::Check;
using core::CheckAction;
using core::CheckKey;

/// `lines` in the only [[check]], from line 8 on.
std::string in_check(const std::string &lines)
{
    return after("[[check]]\nname = \"a\"\n" + lines);
}

constexpr const char *per = "per = [\"0.0.0.0/32\", \"::/64\"]\n";

/// A check of what is open, with `lines` from line 12 on.
std::string of_live(const std::string &lines)
{
    return in_check(std::string("count = \"live\"\n") + per + "max = 5\naction = \"defer\"\n" +
                    lines);
}

/// A check of connections, with `lines` from line 12 on.
std::string of_connections(const std::string &lines)
{
    return in_check(std::string("count = \"connections\"\n") + per +
                    "max = 5\naction = \"defer\"\n" + lines);
}

/// A check by sender, with `lines` from line 11 on.
std::string of_senders(const std::string &lines)
{
    return in_check("key = \"sender\"\nmax = 5\naction = \"defer\"\n" + lines);
}

const struct {
    const char *name;
    std::string text;
    std::function<bool(const Check &)> holds;
} good_rows[] = {
    {"all that a check of what is open may say",
     of_live("services = [\"smtp\"]\nstates = [\"CONNECT\", \"RCPT\"]\nkey = \"address\"\n"
             "delay = \"10s\"\ntext = \"no\"\neven_allowed = true\nreport_only = true"),
     [](const Check &check) {
         return check.is_live() && check.services == std::vector<std::string>{"smtp"} &&
                check.states == std::vector<std::string>{"CONNECT", "RCPT"} &&
                check.per.size() == 2 && check.max == 5 && check.action == CheckAction::defer &&
                check.delay == 10s && check.text == "no" && check.even_allowed && check.report_only;
     }},
    {"what is left out", of_live(""),
     [](const Check &check) {
         return check.services.empty() && check.states.empty() && check.delay == 0s &&
                check.text.empty() && !check.even_allowed && !check.report_only;
     }},
    {"windows", of_connections("monitor = \"900,4\"\nstart = 1\nend = 3"),
     [](const Check &check) {
         return !check.is_live() && *check.event == core::Counted{core::Event::connections} &&
                check.monitor == core::Monitor{900, 4} && check.start == 1 && check.end == 3;
     }},
    {"one window", of_connections("monitor = \"900,4\"\nstart = 2"),
     [](const Check &check) { return check.start == 2 && check.end == 2; }},
    {"what is reported",
     in_check(std::string("count = \"receptions\"\nmonitor = \"60,10\"\n") + per +
              "max = 0\naction = \"warn\""),
     [](const Check &check) {
         return *check.event == core::Counted{core::Reported::receptions} && check.max == 0;
     }},
    {"a sender, in a series of the check's name", of_senders("monitor = \"300,2\"\nend = 1"),
     [](const Check &check) {
         return check.key == CheckKey::sender && check.series == "a" &&
                check.monitor == core::Monitor{300, 2} && check.end == 1 && check.states.empty();
     }},
    {"a series of another name", of_senders("monitor = \"300,2\"\nseries = \"mailfrom\""),
     [](const Check &check) { return check.series == "mailfrom"; }},
    {"recipients, where they are told",
     in_check("key = \"recipient\"\nmax = 5\naction = \"defer\"\nmonitor = \"300,2\""),
     [](const Check &check) { return check.states == std::vector<std::string>{"RCPT"}; }},
    {"a tarpit",
     in_check(std::string("count = \"live\"\n") + per +
              "max = 5\naction = \"pass\"\ndelay = \"60s\""),
     [](const Check &check) { return check.action == CheckAction::pass && check.delay == 60s; }},
};

TEST(ConfigChecks, AreWhatTheySay)
{
    for (const auto &row : good_rows) {
        SCOPED_TRACE(row.name);
        const auto parsed = config::parse_config(row.text, "t.toml");
        ASSERT_TRUE(parsed) << parsed.error().message;
        ASSERT_EQ(parsed->checks.size(), 1u);
        EXPECT_TRUE(row.holds(parsed->checks[0])) << row.text;
    }
}

const struct {
    const char *name;
    std::string text;
    const char *expected;
} bad_rows[] = {
    {"two of one name",
     of_live("") + "[[check]]\nname = \"a\"\n" + "count = \"live\"\n" + per +
         "max = 5\naction = \"defer\"",
     "t.toml:14:8: check.name is \"a\": line 7 has it already, expected it once in the file"},
    {"nothing to count", in_check(std::string(per) + "max = 5\naction = \"defer\""),
     "t.toml:6:1: check.count is missing: expected live, connections, syn, dropped, receptions, "
     "recipients, rejections, auth or tls"},
    {"an event that nobody knows",
     in_check(std::string("count = \"spam\"\n") + per + "max = 5\naction = \"defer\""),
     "t.toml:8:9: check.count is \"spam\": expected live, connections, syn, dropped, receptions, "
     "recipients, rejections, auth or tls"},
    {"no limit", in_check(std::string("count = \"live\"\n") + per + "action = \"defer\""),
     "t.toml:6:1: check.max is missing: expected a number from 0 to 1000000000"},
    {"no action", in_check(std::string("count = \"live\"\n") + per + "max = 5"),
     "t.toml:6:1: check.action is missing: expected pass, warn, mark, defer or disconnect"},
    {"an action for good",
     in_check(std::string("count = \"live\"\n") + per + "max = 5\naction = \"reject\""),
     "t.toml:11:10: check.action is \"reject\": expected pass, warn, mark, defer or disconnect"},
    {"nothing to do",
     in_check(std::string("count = \"live\"\n") + per + "max = 5\naction = \"pass\""),
     "t.toml:11:10: check.action is \"pass\" without a delay: expected one, or another action"},
    {"whom to count", in_check("count = \"live\"\nmax = 5\naction = \"defer\""),
     "t.toml:6:1: check.per is missing: expected the blocks to count, such as "
     "[\"0.0.0.0/32\", \"::/64\"]"},
    {"two lengths of one family",
     in_check("count = \"live\"\nper = [\"0.0.0.0/32\", \"0.0.0.0/24\"]\nmax = 5\n"
              "action = \"defer\""),
     "t.toml:9:22: check.per has 0.0.0.0/24 beside another of its family: expected at most one "
     "of IPv4 and one of IPv6"},
    {"an unknown service", of_live("services = [\"imap\"]"),
     "t.toml:12:13: check.services has \"imap\", which no [[service]] is called: did you mean "
     "smtp?"},
    {"an unknown state", of_live("states = [\"QUIT\"]"),
     "t.toml:12:11: check.states has \"QUIT\": expected CONNECT, EHLO, HELO, MAIL, RCPT, DATA, "
     "END-OF-MESSAGE, VRFY or ETRN"},
    {"windows of what is open", of_live("monitor = \"900,4\""),
     "t.toml:12:11: check.monitor is for what is counted in windows, and not for \"live\": "
     "expected a check without it"},
    {"no monitor", of_connections(""),
     "t.toml:6:1: check.monitor is missing: expected SECONDS,WINDOWS such as \"60,10\", from 1,1 "
     "to 31622400,10000"},
    {"a monitor that the ledger has not", of_connections("monitor = \"300,6\""),
     "t.toml:12:11: check.monitor is \"300,6\", which windows.monitors has not: expected "
     "\"60,10\", \"900,4\", \"3600,24\""},
    {"a window that is not kept", of_connections("monitor = \"900,4\"\nend = 4"),
     "t.toml:13:7: check.end is 4, which monitor \"900,4\" does not keep: expected at most 3"},
    {"windows the wrong way round", of_connections("monitor = \"900,4\"\nstart = 2\nend = 1"),
     "t.toml:14:7: check.end is newer than start: expected the newer window first, and 0 is now"},
    {"a sender's blocks", of_senders("monitor = \"900,4\"\nper = [\"0.0.0.0/32\"]"),
     "t.toml:12:7: check.per is for checks by address, and this one counts by sender: expected "
     "a check without it"},
    {"a series of addresses", of_live("series = \"b\""),
     "t.toml:12:10: check.series is for checks by sender, recipient or user: expected a check "
     "without it"},
    {"a delay beyond Postfix' patience", of_live("delay = \"2m\""),
     "t.toml:12:9: check.delay is \"2m\": expected a duration from \"1s\" to \"1m\", in s, m, h "
     "or d"},
    {"a text that would end the answer", of_live("text = \"a\\nb\""),
     "t.toml:12:8: check.text is \"a\\u000Ab\": expected at most 200 bytes of ASCII"},
};

TEST(ConfigChecks, HaveNoMistakes)
{
    for (const auto &row : bad_rows) {
        SCOPED_TRACE(row.name);
        const auto parsed = config::parse_config(row.text, "t.toml");
        ASSERT_FALSE(parsed) << row.text;
        EXPECT_EQ(parsed.error().message, row.expected) << row.text;
    }
}

TEST(ConfigChecks, AreOneHundredAtMost)
{
    std::string text = gate + service;
    for (int i = 0; i < 101; i++)
        text += "[[check]]\nname = \"c" + std::to_string(i) +
                "\"\ncount = \"live\"\nper = [\"::/0\"]\nmax = 1\naction = \"warn\"\n";
    const auto parsed = config::parse_config(text, "t.toml");
    ASSERT_FALSE(parsed);
    EXPECT_EQ(parsed.error().message, "t.toml:606:1: check is one too many: expected at most 100");
}

TEST(ConfigPolicy, IsWhatItSays)
{
    const auto parsed = config::parse_config(
        after("[policy]\nsocket = \"/p\"\nsocket_mode = \"0666\"\nreport_only = true\n"
              "report = true"),
        "t.toml");
    ASSERT_TRUE(parsed) << parsed.error().message;
    EXPECT_EQ(parsed->policy.socket.path, "/p");
    EXPECT_EQ(parsed->policy.socket.mode, 0666u);
    EXPECT_TRUE(parsed->policy.report_only);
    EXPECT_TRUE(parsed->policy.report);
    const auto without = config::parse_config(after(""), "t.toml");
    ASSERT_TRUE(without);
    EXPECT_FALSE(without->policy.socket.path);
    EXPECT_FALSE(without->policy.report_only);
}

} // namespace
} // namespace tallygate::test
