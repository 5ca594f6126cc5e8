// SPDX-License-Identifier: BSD-2-Clause
//
// The command line against a daemon that says whatever the row needs.
#include "cli/command_line.hpp"

#include <gmock/gmock.h>

#include "cli/fixture.hpp"

namespace tallygate::test {
namespace {

using cli::ExitCode;
using testing::HasSubstr;

const struct {
    const char *name;
    Arguments arguments;
    const char *asked;
} questions[] = {
    {"status", {"status"}, "GET /v1/status"},
    {"networks", {"networks"}, "GET /v1/networks"},
    {"reload", {"reload"}, "POST /v1/reload"},
    {"live of a block", {"live", "192.0.2.0/24"}, "GET /v1/live?cidr=192.0.2.0/24"},
    {"live of everybody", {"live", "0.0.0.0/0"}, "GET /v1/live?cidr=0.0.0.0/0"},
    {"live of a bare IPv6 address", {"live", "2001:db8::1"}, "GET /v1/live?cidr=2001:db8::1"},
    {"an IPv6 address in brackets", {"live", "[2001:db8::1]"}, "GET /v1/live?cidr=[2001:db8::1]"},
    {"an IPv6 block in brackets", {"live", "[2001:db8::]/32"}, "GET /v1/live?cidr=[2001:db8::]/32"},
    {"all of IPv6", {"live", "::/0"}, "GET /v1/live?cidr=::/0"},
    {"live at a service",
     {"live", "::/0", "--service", "smtp"},
     "GET /v1/live?cidr=::/0&service=smtp"},
    {"live at a service with a strange name",
     {"live", "::/0", "--service", "a b&c"},
     "GET /v1/live?cidr=::/0&service=a%20b%26c"},
    {"live to a listener",
     {"live", "::/0", "--listener", "[2001:db8::25]:25"},
     "GET /v1/live?cidr=::/0&listener=[2001:db8::25]:25"},
    {"count now",
     {"count", "192.0.2.1", "--monitor", "60,10"},
     "GET /v1/count?cidr=192.0.2.1&monitor=60,10"},
    {"count with everything",
     {"count", "--service=smtp", "--event", "syn", "--end", "9", "--start", "1", "--monitor",
      "60,10", "192.0.2.1"},
     "GET /v1/count?cidr=192.0.2.1&monitor=60,10&start=1&end=9&event=syn&service=smtp"},
    {"a window too old, which the daemon refuses with what is right",
     {"count", "::/0", "--monitor", "60,10", "--end", "99999999999"},
     "GET /v1/count?cidr=::/0&monitor=60,10&end=99999999999"},
    {"too many rows, likewise",
     {"top", "--rows", "99999999999999999999"},
     "GET /v1/top?rows=99999999999999999999"},
    {"top", {"top"}, "GET /v1/top"},
    {"top of a block",
     {"top", "192.0.2.0/24", "--by", "live", "--rows", "3"},
     "GET /v1/top?cidr=192.0.2.0/24&by=live&rows=3"},
    {"a block", {"block", "add", "192.0.2.0/24"}, "POST /v1/block?cidr=192.0.2.0/24"},
    {"a block with an end and a reason",
     {"block", "add", "192.0.2.7", "--for", "90s", "--reason", "spam run #7"},
     "POST /v1/block?cidr=192.0.2.7&for=90s&reason=spam%20run%20%237"},
    {"no block any more", {"block", "remove", "192.0.2.7"}, "POST /v1/block/remove?cidr=192.0.2.7"},
    {"all blocks", {"block", "list"}, "GET /v1/lists?kind=block"},
    {"some allowances",
     {"allow", "list", "--rows", "5", "--json"},
     "GET /v1/lists?kind=allow&rows=5"},
    {"an allowance",
     {"allow", "add", "2001:db8::/32", "--for=7d"},
     "POST /v1/allow?cidr=2001:db8::/32&for=7d"},
    {"no allowance any more",
     {"allow", "remove", "2001:db8::/32"},
     "POST /v1/allow/remove?cidr=2001:db8::/32"},
    {"limits", {"limits"}, "GET /v1/limits"},
    {"the mode", {"mode", "observe"}, "POST /v1/mode?mode=observe"},
    {"the mode for a while",
     {"mode", "enforce", "--confirm", "10m"},
     "POST /v1/mode?mode=enforce&confirm=10m"},
    {"why", {"explain", "192.0.2.7"}, "GET /v1/explain?address=192.0.2.7"},
    {"why at a service",
     {"explain", "2001:db8::1", "--service", "smtp"},
     "GET /v1/explain?address=2001:db8::1&service=smtp"},
    {"an option of the whole after the verb", {"live", "--json", "::/0"}, "GET /v1/live?cidr=::/0"},
};

TEST_F(CommandLine, AsksTheDaemon)
{
    for (const auto &row : questions) {
        SCOPED_TRACE(row.name);
        asked_.clear();
        const auto outcome = run(row.arguments);
        EXPECT_EQ(asked_, row.asked);
        EXPECT_EQ(outcome.exit_code, ExitCode::ok) << outcome.err;
        EXPECT_EQ(outcome.err, "");
    }
}

TEST_F(CommandLine, PrintsANumberAloneOrTheJsonAlone)
{
    EXPECT_EQ(run({"live", "::/0"}).out, "12345\n");
    EXPECT_EQ(run({"count", "::/0", "--monitor", "60,10"}).out, "12345\n");
    EXPECT_EQ(run({"--json", "live", "::/0"}).out, answer_.body);
    EXPECT_EQ(run({"live", "::/0", "--json"}).out, answer_.body);
}

TEST_F(CommandLine, FindsTheSocketInTheEnvironment)
{
    EXPECT_EQ(cli::run({"--socket", path_, "status"}).exit_code, ExitCode::ok);
    EXPECT_EQ(cli::run({"status", "--socket", path_}).exit_code, ExitCode::ok);
    ::setenv("TALLYGATE_SOCKET", path_.c_str(), 1);
    EXPECT_EQ(cli::run({"status"}).exit_code, ExitCode::ok);
    const auto elsewhere = cli::run({"status", "--socket", dir_ / "none.sock"});
    EXPECT_EQ(elsewhere.exit_code, ExitCode::unreachable);
    EXPECT_THAT(elsewhere.err, HasSubstr(dir_ / "none.sock"));
}

const struct {
    const char *name;
    Arguments arguments;
    const char *message;
    const char *hint;
} mistakes[] = {
    {"no verb", {}, "a verb is missing: expected one of status, live", "'tallygate --help'"},
    {"an unknown verb", {"watch-this"}, "there is no verb 'watch-this'", "'tallygate --help'"},
    {"an unknown option",
     {"--frobnicate"},
     "there is no option --frobnicate",
     "'tallygate --help'"},
    {"an unknown option of a verb",
     {"live", "::/0", "--rows", "1"},
     "--rows",
     "'tallygate live --help'"},
    {"no block", {"live"}, "cidr is required", "'tallygate live --help'"},
    {"two blocks", {"live", "::/0", "::/1"}, "::/1", "'tallygate live --help'"},
    {"a length too long",
     {"live", "192.0.2.0/33"},
     "'192.0.2.0/33' is not a CIDR block",
     "'tallygate live --help'"},
    {"a host name", {"live", "mail.example.com"}, "is not a CIDR block", "'tallygate live --help'"},
    {"an empty block", {"live", ""}, "is not a CIDR block", "'tallygate live --help'"},
    {"a bad block for top", {"top", "x"}, "is not a CIDR block", "'tallygate top --help'"},
    {"a listener without port",
     {"live", "::/0", "--listener", "192.0.2.25"},
     "is not an address and port",
     "'tallygate live --help'"},
    {"a service and a listener",
     {"live", "::/0", "--listener", "192.0.2.25:25", "--service", "smtp"},
     "--service",
     "'tallygate live --help'"},
    {"no monitor", {"count", "::/0"}, "--monitor is required", "'tallygate count --help'"},
    {"a window before now",
     {"count", "::/0", "--monitor", "60,10", "--start", "-1"},
     "'-1' is not a number",
     "'tallygate count --help'"},
    {"a window without number",
     {"count", "::/0", "--monitor", "60,10", "--end", "x"},
     "'x' is not a number",
     "'tallygate count --help'"},
    {"a group without a verb",
     {"block"},
     "a verb of block is missing: expected one of add, remove, list",
     "'tallygate block --help'"},
    {"a group with an unknown verb",
     {"allow", "forbid"},
     "there is no verb 'forbid' of allow: expected one of add, remove, list",
     "'tallygate allow --help'"},
    {"an unknown option of a group",
     {"block", "--rows"},
     "there is no option --rows",
     "'tallygate block --help'"},
    {"a block of nobody", {"block", "add"}, "cidr is required", "'tallygate block add --help'"},
    {"a block of two",
     {"block", "add", "192.0.2.1", "192.0.2.2"},
     "block add does not take '192.0.2.2'",
     "'tallygate block add --help'"},
    {"a block for ever",
     {"block", "add", "192.0.2.1", "--for", "ever"},
     "'ever' is not a span of time: expected 90s, 10m, 1h or 7d",
     "'tallygate block add --help'"},
    {"an end for a removal",
     {"block", "remove", "192.0.2.1", "--for", "1h"},
     "--for",
     "'tallygate block remove --help'"},
    {"no mode", {"mode"}, "mode is required", "'tallygate mode --help'"},
    {"an unknown mode",
     {"mode", "drop"},
     "there is no mode 'drop': expected observe or enforce",
     "'tallygate mode --help'"},
    {"an explanation of a block",
     {"explain", "192.0.2.0/24"},
     "'192.0.2.0/24' is not an",
     "'tallygate explain --help'"},
    {"an option without its value", {"status", "--socket"}, "--socket", "'tallygate"},
    {"a socket without a name",
     {"status", "--socket", ""},
     "--socket: expected a path, and not ''",
     "'tallygate status --help'"},
    {"views at no time",
     {"watch", "--every", "0s"},
     "--every: expected 1s to 1d, and not '0s'",
     "'tallygate watch --help'"},
    {"views too far apart",
     {"watch", "--every", "2d"},
     "--every: expected 1s to 1d, and not '2d'",
     "'tallygate watch --help'"},
    {"no view at all",
     {"watch", "--times", "0"},
     "--times: expected 1 or more, and not '0'",
     "'tallygate watch --help'"},
    {"a view of nobody", {"watch", "x"}, "is not a CIDR block", "'tallygate watch --help'"},
};

TEST_F(CommandLine, TellsAMistakeWithoutAskingTheDaemon)
{
    for (const auto &row : mistakes) {
        SCOPED_TRACE(row.name);
        asked_.clear();
        const auto outcome = run(row.arguments);
        EXPECT_EQ(outcome.exit_code, ExitCode::usage);
        EXPECT_EQ(outcome.out, "");
        EXPECT_THAT(outcome.err, HasSubstr(row.message));
        EXPECT_THAT(outcome.err, HasSubstr(row.hint));
        EXPECT_EQ(asked_, "");
    }
}

const struct {
    unsigned status;
    const char *body;
    ExitCode exit_code;
    const char *message;
} refusals[] = {
    {400, R"({"schema":1,"error":"window 9 comes after window 1"})", ExitCode::usage,
     "tallygate: window 9 comes after window 1\nTry 'tallygate live --help'.\n"},
    {403, R"({"schema":1,"error":"192.0.2.1 is allowed"})", ExitCode::refused,
     "tallygate: 192.0.2.1 is allowed\n"},
    {404, R"({"schema":1,"error":"there is no service 'x'","known":["smtp"]})", ExitCode::not_found,
     "tallygate: there is no service 'x': expected one of smtp\n"},
    {404, R"({"schema":1,"error":"no event 'x': expected tls","known":["tls"]})",
     ExitCode::not_found, "tallygate: no event 'x': expected tls\n"},
    {405, R"({"schema":1,"error":"/v1/live takes POST"})", ExitCode::failed,
     "tallygate: /v1/live takes POST\n"},
    {409, R"({"schema":1,"error":"tallygate.toml:3:1: unknown key"})", ExitCode::bad_configuration,
     "tallygate: tallygate.toml:3:1: unknown key\n"},
    {500, R"({"schema":1,"error":"walk flows: Out of memory"})", ExitCode::failed,
     "tallygate: walk flows: Out of memory\n"},
    {200, "It works!", ExitCode::failed, "is no tallygated\n"},
    {200, "[]", ExitCode::failed, "is no tallygated\n"},
    {200, R"({"value":3})", ExitCode::failed, "is no tallygated\n"},
};

TEST_F(CommandLine, ExitsAsTheDaemonAnswers)
{
    for (const auto &row : refusals) {
        SCOPED_TRACE(row.body);
        answer_ = {.status = row.status, .body = row.body};
        const auto outcome = run({"live", "::/0", "--json"});
        EXPECT_EQ(outcome.exit_code, row.exit_code);
        EXPECT_EQ(outcome.out, "");
        EXPECT_THAT(outcome.err, testing::EndsWith(row.message));
    }
}

TEST_F(CommandLine, ShowsStatusWarningsFirst)
{
    answer_.body = R"({"schema":1,"version":"0.1.0","pid":812,"uptime_seconds":11520.5,
        "mode":"observe","strict":true,"counting_since":1763693292.5,
        "warnings":["flows is 95 % full"],
        "attachments":[
          {"interface":"eth0","direction":"ingress","how":"generic",
           "note":"the driver has no XDP","adopted":false},
          {"interface":"eth0","direction":"egress","how":"clsact","note":"","adopted":true}],
        "services":[{"name":"smtp","live":12,"opened":12345,"closed":12333,"syn":20000,
          "dropped":0},{"name":"submission","live":1,"opened":1,"closed":0,"syn":1,"dropped":0}],
        "tables":[{"name":"sources","entries":1234,"entries_max":1048576},
                  {"name":"flows","entries":null,"entries_max":1048576}]})";
    EXPECT_EQ(run({"status"}).out, "WARNING: flows is 95 % full\n"
                                   "\n"
                                   "daemon    0.1.0, pid 812, up 3 h 12 min\n"
                                   "mode      observe: counts, drops nothing; strict\n"
                                   "counting  since 2025-11-21 02:48:12 UTC\n"
                                   "attached  eth0 ingress, generic: the driver has no XDP\n"
                                   "          eth0 egress, clsact\n"
                                   "\n"
                                   "SERVICE     LIVE  OPENED  CLOSED     SYN  DROPPED\n"
                                   "smtp          12  12,345  12,333  20,000        0\n"
                                   "submission     1       1       0       1        0\n"
                                   "\n"
                                   "TABLE    ENTRIES        MAX\n"
                                   "sources    1,234  1,048,576\n"
                                   "flows          -  1,048,576\n");
}

TEST_F(CommandLine, ShowsTop)
{
    answer_.body = R"({"schema":1,"by":"live","monitor":"60,10","rows":[
        {"source":"192.0.2.1","live":3,"connections":1000,"syn":1001},
        {"source":"2001:db8::/64","live":1,"connections":2,"syn":2}]})";
    EXPECT_EQ(run({"top"}).out, "SOURCE         LIVE  CONNECTIONS    SYN\n"
                                "192.0.2.1         3        1,000  1,001\n"
                                "2001:db8::/64     1            2      2\n"
                                "\n"
                                "by live; connections and SYNs of all windows of 60,10\n");
    answer_.body = R"({"schema":1,"by":"live","monitor":"60,10","rows":[]})";
    EXPECT_EQ(run({"top"}).out, "nobody is connected\n");
    answer_.body = R"({"schema":1,"by":"connections","monitor":"60,10","rows":[]})";
    EXPECT_EQ(run({"top"}).out, "nobody came in the windows of 60,10\n");
}

TEST_F(CommandLine, ShowsNetworks)
{
    answer_.body = R"({"schema":1,"networks":[{"name":"big-sender","cidr":"198.51.100.0/24",
        "live":1,"opened":2000,"closed":1999,"syn":2001,"dropped":0}]})";
    EXPECT_EQ(run({"networks"}).out,
              "NETWORK     CIDR             LIVE  OPENED  CLOSED    SYN  DROPPED\n"
              "big-sender  198.51.100.0/24     1   2,000   1,999  2,001        0\n");
}

TEST(CommandLineAlone, HelpsAndTellsItsVersion)
{
    for (const Arguments &arguments : {Arguments{"--help"}, Arguments{"live", "--help"}}) {
        const auto outcome = cli::run(arguments);
        EXPECT_EQ(outcome.exit_code, ExitCode::ok);
        EXPECT_THAT(outcome.out, HasSubstr("Usage: tallygate"));
    }
    EXPECT_THAT(cli::run({"--version"}).out, testing::MatchesRegex("tallygate [0-9.]+\n"));
}

} // namespace
} // namespace tallygate::test
