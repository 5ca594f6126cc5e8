// SPDX-License-Identifier: BSD-2-Clause
//
// What the verbs about lists, limits and the mode show, and that the daemon learns from where
// they are called.
#include <gmock/gmock.h>

#include "cli/fixture.hpp"

namespace tallygate::test {
namespace {

using cli::ExitCode;
using testing::HasSubstr;

using SafetyVerbs = CommandLine;

const struct {
    const char *connection;
    const char *asked;
} operators[] = {
    {"192.0.2.9 50022 192.0.2.1 22", "POST /v1/mode?mode=observe&operator=192.0.2.9"},
    {"2001:db8::9 50022 2001:db8::1 22", "POST /v1/mode?mode=observe&operator=2001:db8::9"},
    {"::ffff:192.0.2.9 50022 ::ffff:192.0.2.1 22", "POST /v1/mode?mode=observe&operator=192.0.2.9"},
    {"fe80::9%eth0 50022 fe80::1%eth0 22", "POST /v1/mode?mode=observe&operator=fe80::9"},
    {"UNKNOWN 65535 UNKNOWN 65535", "POST /v1/mode?mode=observe"},
    {"", "POST /v1/mode?mode=observe"},
};

TEST_F(SafetyVerbs, TellWithAWriteFromWhereTheOperatorComes)
{
    for (const auto &row : operators) {
        SCOPED_TRACE(row.connection);
        ::setenv("SSH_CONNECTION", row.connection, 1);
        run({"mode", "observe"});
        EXPECT_EQ(asked_, row.asked);
    }
    ::setenv("SSH_CONNECTION", operators[0].connection, 1);
    run({"reload"});
    EXPECT_EQ(asked_, "POST /v1/reload?operator=192.0.2.9");
    run({"block", "list"});
    EXPECT_EQ(asked_, "GET /v1/lists?kind=block");
    run({"event", "auth", "192.0.2.7"});
    EXPECT_EQ(asked_, "POST /v1/event?name=auth&address=192.0.2.7") << "mail servers say it";
}

TEST_F(SafetyVerbs, SayWhatWasDone)
{
    answer_.body = R"({"schema":1,"done":"added","kind":"block","cidr":"203.0.113.0/24",
        "until":1763726490,"asked":"203.0.113.9/24","folded":true})";
    EXPECT_EQ(run({"block", "add", "203.0.113.9/24"}).out,
              "block 203.0.113.0/24 (of 203.0.113.9/24) until 2025-11-21 12:01:30 UTC\n");
    answer_.body = R"({"schema":1,"done":"added","kind":"allow","cidr":"203.0.113.9/32",
        "until":null,"asked":"203.0.113.9","folded":false})";
    EXPECT_EQ(run({"allow", "add", "203.0.113.9"}).out, "allow 203.0.113.9/32 for good\n");
    EXPECT_EQ(run({"allow", "remove", "203.0.113.9"}).out, "removed allow 203.0.113.9/32\n");
}

TEST_F(SafetyVerbs, ExitWithSixWhatProtectionRefuses)
{
    answer_ = {.status = 403,
               .body = R"({"schema":1,"error":"192.0.2.0/29 covers 192.0.2.1/32, which is )"
                       R"(protected: gateway"})"};
    const auto outcome = run({"block", "add", "192.0.2.0/29"});
    EXPECT_EQ(outcome.exit_code, ExitCode::refused);
    EXPECT_EQ(outcome.err,
              "tallygate: 192.0.2.0/29 covers 192.0.2.1/32, which is protected: gateway\n");

    answer_ = {.status = 400, .body = R"({"schema":1,"error":"only enforce is confirmed"})"};
    EXPECT_THAT(run({"block", "add", "192.0.2.0/29"}).err,
                HasSubstr("Try 'tallygate block add --help'."));
}

TEST_F(SafetyVerbs, SayWhatIsWrongWithAReason)
{
    for (const auto *verb : {"block", "allow"}) {
        const auto outcome = run({verb, "add", "192.0.2.1", "--reason", "two\nlines"});
        EXPECT_EQ(outcome.exit_code, ExitCode::usage);
        EXPECT_THAT(outcome.err, HasSubstr("--reason: a reason is printable ASCII"));
        EXPECT_THAT(run({verb, "add", "192.0.2.1", "--reason", std::string(201, 'x')}).err,
                    HasSubstr("a reason has at most 200 bytes, and not 201"));
        EXPECT_EQ(run({verb, "add", "192.0.2.1", "--reason", std::string(200, 'x')}).err, "");
    }
}

TEST_F(SafetyVerbs, ListEntries)
{
    answer_.body = R"({"schema":1,"kind":"block","total":100002,"entries":[
        {"kind":"block","cidr":"203.0.113.9/32","origin":"control","place":"",
         "reason":"spam run","until":1763730000},
        {"kind":"block","cidr":"198.51.100.0/24","origin":"file","place":"/etc/drop.txt",
         "reason":"","until":null}]})";
    EXPECT_EQ(run({"block", "list"}).out,
              "CIDR             UNTIL                    FROM           REASON\n"
              "203.0.113.9/32   2025-11-21 13:00:00 UTC  control        spam run\n"
              "198.51.100.0/24  for good                 /etc/drop.txt\n"
              "\n"
              "and 100,000 more\n");
    answer_.body = R"({"schema":1,"kind":"block","total":0,"entries":[]})";
    EXPECT_EQ(run({"block", "list"}).out, "no entries\n");
}

TEST_F(SafetyVerbs, ShowLimits)
{
    answer_.body = R"({"schema":1,"mode":"observe","limits":[
        {"name":"per-source","place":"tallygate.toml:31","services":["smtp"],
         "per":["0.0.0.0/32","::/64"],"networks":[],"who":"all","syn_rate":"10/s","syn_burst":20,
         "live_max":50,"action":"drop","dropped":12000,"would_drop":0},
        {"name":"big","place":"tallygate.toml:40","services":[],"per":[],
         "networks":["big-sender"],"who":"proven","syn_rate":null,"syn_burst":null,"live_max":50,
         "action":"count","dropped":0,"would_drop":7}]})";
    EXPECT_EQ(run({"limits"}).out,
              "LIMIT       SERVICES  PER               WHO     AT MOST                 ACTION  "
              "DROPPED  WOULD DROP  LINE\n"
              "per-source  smtp      0.0.0.0/32,::/64  all     10/s burst 20, live 50  drop    "
              " 12,000           0  tallygate.toml:31\n"
              "big                   big-sender        proven  live 50                 count   "
              "      0           7  tallygate.toml:40\n"
              "\n"
              "mode observe\n");
    answer_.body = R"({"schema":1,"mode":"observe","limits":[]})";
    EXPECT_EQ(run({"limits"}).out, "no [[limit]] is configured\n");
}

TEST_F(SafetyVerbs, ShowTheMode)
{
    answer_.body = R"({"schema":1,"mode":"enforce","by":"control","user":"ada",
        "until":1763727000,"then":"observe","configured":"observe"})";
    EXPECT_EQ(run({"mode", "enforce", "--confirm", "10m"}).out,
              "enforce (set by control, ada, until 2025-11-21 12:10:00 UTC, then observe; "
              "configured observe)\n"
              "confirm it with `tallygate mode enforce`\n");
    answer_.body = R"({"schema":1,"mode":"enforce","by":"configuration","user":"",
        "until":null,"then":null,"configured":"enforce"})";
    EXPECT_EQ(run({"mode", "enforce", "--confirm", "10m"}).out,
              "enforce\n"
              "in force for good: it is not on trial, and nothing takes it back by itself\n");
    answer_.body = R"({"schema":1,"mode":"observe","by":"configuration","user":"",
        "until":null,"then":null,"configured":"observe"})";
    EXPECT_EQ(run({"mode", "observe"}).out, "observe\n");
}

TEST_F(SafetyVerbs, ShowListsAndTheModesOriginInTheStatus)
{
    answer_.body = R"({"schema":1,"version":"0.1.0","pid":812,"uptime_seconds":60,
        "mode":"enforce","strict":false,"counting_since":1763693292,
        "mode_set":{"mode":"enforce","by":"control","user":"ada","until":null,"then":null,
          "configured":"observe"},
        "lists":{"allow":7,"block":100002,"control_blocks":1000,"blocks_max":1000,
          "breaker_open":true,"swapped_at":1763693292,"swap_seconds_last":0.2504},
        "attachments":[],"services":[],"tables":[]})";
    const auto out = run({"status"}).out;
    EXPECT_THAT(out, HasSubstr("mode      enforce: counts, and drops what limits say (set by "
                               "control, ada; configured observe)\n"));
    EXPECT_THAT(out, HasSubstr("lists     allow 7, block 100,002 (1,000 of at most 1,000 by "
                               "control); last taken anew in 250 ms; the circuit breaker is "
                               "OPEN\n"));
}

TEST_F(SafetyVerbs, ExplainTheVerdictFirstAndThenWhy)
{
    answer_.body = R"({"schema":1,"as_of":1763726400,"address":"203.0.113.9",
        "source":"203.0.113.9","mode":"observe","entries":[
          {"kind":"block","cidr":"203.0.113.0/24","origin":"control","place":"",
           "reason":"spam run","added":1763722800,"until":1763727600},
          {"kind":"block","cidr":"203.0.0.0/16","origin":"configuration",
           "place":"tallygate.toml:31:1","reason":"","added":1763722800,"until":null}],
        "services":[
          {"service":"smtp","verdict":"would_drop_blocked","allowed":false,"blocked":true,
           "proven":true,"network":"big-sender","live":{"value":3,"exact":true},
           "monitor":"60,10","connections":{"value":4,"exact":true},
           "syn":{"value":9,"exact":false,"lower":9,"upper":1200},"limits":[
             {"limit":"per-source","place":"tallygate.toml:40","scope":"source",
              "holder":"203.0.113.9/32","applies":true,"action":"drop","verdict":"source_rate",
              "syns_left":0,"conforms_in_seconds":0.5,"live":3,"live_max":50},
             {"limit":"newcomers","place":"tallygate.toml:50","scope":"service","holder":"",
              "applies":false,"action":"drop","verdict":"","syns_left":9},
             {"limit":"around","place":"tallygate.toml:60","scope":"prefix",
              "holder":"203.0.113.0/24","applies":true,"action":"count","verdict":"prefix_rate",
              "syns_left":0,"conforms_in_seconds":0.01,"live":null,"live_max":null}]},
          {"service":"submission","verdict":"pass_syn","allowed":false,"blocked":false,
           "proven":false,"network":null,"live":{"value":0,"exact":true},"monitor":"60,10",
           "connections":{"value":0,"exact":true},"syn":{"value":0,"exact":true},
           "limits":[]}]})";
    EXPECT_EQ(
        run({"explain", "203.0.113.9"}).out,
        "smtp: the next SYN from 203.0.113.9 passes (would_drop_blocked): its address is "
        "blocked, and nothing is dropped in mode observe\n"
        "submission: the next SYN from 203.0.113.9 passes (pass_syn)\n"
        "\n"
        "blocked as 203.0.113.0/24 until 2025-11-21 12:20:00 UTC (20 min left), by control, "
        "\"spam run\"\n"
        "blocked as 203.0.0.0/16 for good, by tallygate.toml:31:1\n"
        "smtp: proven; live 3; in 60,10 connections 4, SYNs 9 to 1,200; in network big-sender\n"
        "  per-source  source 203.0.113.9/32  REJECTS it, conforms in 0.500 s, live 3 of 50  "
        "tallygate.toml:40\n"
        "  newcomers   service                does not hold it                               "
        "tallygate.toml:50\n"
        "  around      prefix 203.0.113.0/24  only counts it, conforms in 0.010 s            "
        "tallygate.toml:60\n"
        "submission: claimed; live 0; in 60,10 connections 0, SYNs 0; in no network\n"
        "  no limit\n");
}

const struct {
    const char *verdict;
    const char *mode;
    const char *shown;
} verdicts[] = {
    {"drop_source_rate", "enforce",
     "is DROPPED (drop_source_rate): its source sends SYNs too fast\n"},
    {"drop_blocked", "enforce", "is DROPPED (drop_blocked): its address is blocked\n"},
    {"would_drop_network_live", "enforce",
     "passes (would_drop_network_live): its network has as many connections open as it may, "
     "which is only counted\n"},
    {"pass_syn", "enforce", "passes (pass_syn)\n"},
    {"drop_new_reason", "enforce", "is DROPPED (drop_new_reason)\n"},
};

TEST_F(SafetyVerbs, SayEachVerdictInWords)
{
    for (const auto &row : verdicts) {
        answer_.body = std::string(R"({"schema":1,"address":"::1","mode":")") + row.mode +
                       R"(","entries":[],"services":[{"service":"smtp","verdict":")" + row.verdict +
                       "\"}]}";
        EXPECT_THAT(run({"explain", "::1"}).out,
                    testing::StartsWith(std::string("smtp: the next SYN from ::1 ") + row.shown));
    }
}

} // namespace
} // namespace tallygate::test
