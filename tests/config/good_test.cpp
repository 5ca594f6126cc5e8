// SPDX-License-Identifier: BSD-2-Clause
//
// What is written in the file is what the structs say.
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "config/config_toml.hpp"
#include "config/texts.hpp"

namespace tallygate::test {
namespace {

using namespace std::chrono_literals;
using config::Config;

Endpoint endpoint(const char *text)
{
    return *Endpoint::parse(text);
}

Block block(const char *text)
{
    return *Block::parse(text);
}

/// 20,000 of them, in one line.
std::string many_blocks()
{
    std::string text;
    for (std::uint32_t i = 0; i < 20'000; i++)
        text += "\"" + Address::from_ipv4(0xc6336400 + i * 256).text() + "/24\",";
    return text;
}

// clang-format off
const struct {
    const char *name;
    std::string text;
    std::function<bool(const Config &)> holds;
} rows[] = {
    {"one interface", after(""), [](const Config &config) {
        return config.gate.interfaces == std::vector<std::string>{"eth0"}; }},
    {"two interfaces", "[gate]\ninterfaces = [\"eth0\", \"wlan0.100@a\"]\n" + service,
     [](const Config &config) {
        return config.gate.interfaces == std::vector<std::string>{"eth0", "wlan0.100@a"}; }},
    {"an interface's name of 15 bytes", "[gate]\ninterfaces = [\"abcdefghijklmno\"]\n" + service,
     [](const Config &config) { return config.gate.interfaces[0] == "abcdefghijklmno"; }},
    {"a gateway", in_gate("inside = [\"eth1\", \"eth2\"]"), [](const Config &config) {
        return config.gate.interfaces.size() == 1 &&
               config.gate.inside == std::vector<std::string>{"eth1", "eth2"} &&
               config.gate.inside_positions[1].text() == "3:19"; }},
    {"no gateway", after(""), [](const Config &config) { return config.gate.inside.empty(); }},
    {"senders of tunnels", in_gate("tunnels_from = [\"192.0.2.0/24\", \"2001:db8::9/128\"]"),
     [](const Config &config) {
        return config.gate.tunnels_from ==
               std::vector{block("192.0.2.0/24"), block("2001:db8::9/128")}; }},
    {"no tunnels", after(""), [](const Config &config) {
        return config.gate.tunnels_from.empty(); }},
    {"attach auto", in_gate("attach = \"auto\""), [](const Config &config) {
        return config.gate.attach == config::Attach::automatic; }},
    {"attach native", in_gate("attach = \"native\""), [](const Config &config) {
        return config.gate.attach == config::Attach::native; }},
    {"attach generic", in_gate("attach = \"generic\""), [](const Config &config) {
        return config.gate.attach == config::Attach::generic; }},
    {"attach tc", in_gate("attach = 'tc'"), [](const Config &config) {
        return config.gate.attach == config::Attach::tc; }},
    {"mode observe", in_gate("mode = \"observe\""), [](const Config &config) {
        return config.gate.mode == config::Mode::observe; }},
    {"mode enforce", in_gate("mode = \"enforce\""), [](const Config &config) {
        return config.gate.mode == config::Mode::enforce; }},
    {"strict", in_gate("strict = true"), [](const Config &config) { return config.gate.strict; }},
    {"no reconcile", after("[reconcile]\ninterval = \"off\"\n"), [](const Config &config) {
        return !config.reconcile.interval; }},
    {"reconcile each minute", after("[reconcile]\ninterval = \"1m\"\n"),
     [](const Config &config) { return config.reconcile.interval == 60s; }},
    {"reconcile by default", after("[reconcile]\n"), [](const Config &config) {
        return config.reconcile.interval == 30s && config.reconcile.idle_open == 1h; }},
    {"idle times", after("[reconcile]\nidle_open = \"12h\"\nidle_half_closed = \"1s\"\n"
                         "idle_closing = \"30s\"\n"), [](const Config &config) {
        return config.reconcile.idle_open == 12h && config.reconcile.idle_half_closed == 1s &&
               config.reconcile.idle_closing == 30s; }},
    {"a lease of a second", in_gate("lease = \"1s\""), [](const Config &config) {
        return config.gate.lease == 1s; }},
    {"a lease in minutes", in_gate("lease = \"90m\""), [](const Config &config) {
        return config.gate.lease == 90min; }},
    {"a lease in hours", in_gate("lease = \"2h\""), [](const Config &config) {
        return config.gate.lease == 2h; }},
    {"a lease of a day", in_gate("lease = \"1d\""), [](const Config &config) {
        return config.gate.lease == 24h; }},
    {"a directory of pins", in_gate("pin_dir = \"/sys/fs/bpf/two\""), [](const Config &config) {
        return config.gate.pin_dir == "/sys/fs/bpf/two"; }},
    {"each IPv6 address a source", in_gate("ipv6_source_bits = 128"), [](const Config &config) {
        return config.gate.ipv6_source_bits == 128; }},
    {"the smallest tables",
     in_gate("sources_max = 16\nclaims_max = 16\nflows_max = 18\npending_max = 32\n"
             "networks_max = 1\nrates_max = 16\nlists_max = 1"),
     [](const Config &config) {
        return config.gate.sources_max == 16 && config.gate.claims_max == 16 &&
               config.gate.flows_max == 18 && config.gate.pending_max == 32 &&
               config.gate.networks_max == 1 && config.gate.rates_max == 16 &&
               config.gate.lists_max == 1; }},
    {"the largest table", in_gate("flows_max = 67_108_864"), [](const Config &config) {
        return config.gate.flows_max == 67'108'864; }},
    {"a directory of state", after("[state]\ndir = \"/srv/tallygate\""),
     [](const Config &config) { return config.state.dir == "/srv/tallygate"; }},
    {"proven sources forgotten at a reboot", after("[state]\nremember_proven = \"off\""),
     [](const Config &config) { return !config.state.remember_proven; }},
    {"proven sources remembered for a year", after("[state]\nremember_proven = \"365d\""),
     [](const Config &config) { return config.state.remember_proven == 365 * 24h; }},
    {"the longest socket", after("[control]\nsocket = \"/" + std::string(106, 's') + "\""),
     [](const Config &config) { return config.control.socket.size() == 107; }},
    {"no HTTP unless it is named", after("[http]"), [](const Config &config) {
        return !config.http.listen; }},
    {"HTTP", after("[http]\nlisten = \"[::1]:9847\""), [](const Config &config) {
        return config.http.listen == endpoint("[::1]:9847"); }},
    {"no line socket unless it is named", after("[line]"), [](const Config &config) {
        return !config.line.socket.path; }},
    {"no sessions socket unless it is named", after("[sessions]"), [](const Config &config) {
        return !config.sessions.socket.path && config.sessions.services.empty() &&
               config.sessions.count_from == config::Sessions::CountFrom::sessions; }},
    {"a sessions socket that counts at the gate",
     after("[sessions]\nsocket = \"/run/s.sock\"\ncount_from = \"gate\"\nservices = [\"smtp\"]"),
     [](const Config &config) {
        return config.sessions.socket.path == "/run/s.sock" &&
               config.sessions.services == std::vector<std::string>{"smtp"} &&
               config.sessions.count_from == config::Sessions::CountFrom::gate; }},
    {"a line socket", after("[line]\nsocket = \"/run/line.sock\"\nsocket_mode = \"0666\""),
     [](const Config &config) {
        return config.line.socket.path == "/run/line.sock" && config.line.socket.mode == 0666; }},
    {"no socket for policies unless it is named", after("[ask]"), [](const Config &config) {
        return !config.ask.socket.path && config.ask.socket.mode == 0660; }},
    {"a socket for policies", after("[ask]\nsocket = \"/run/a.sock\"\nsocket_mode = \"0666\""),
     [](const Config &config) {
        return config.ask.socket.path == "/run/a.sock" && config.ask.socket.mode == 0666; }},
    {"no anvil unless it has a socket", after("[anvil]\ntime_unit = 5"),
     [](const Config &config) {
        return !config.anvil.socket.path && config.anvil.socket.mode == 0666 &&
               config.anvil.time_unit == 5s; }},
    {"anvil as Postfix has it", after("[anvil]\nsocket = \"/var/spool/postfix/private/anvil\""),
     [](const Config &config) {
        return config.anvil.socket.path == "/var/spool/postfix/private/anvil" &&
               config.anvil.socket.mode == 0666 && config.anvil.time_unit == 60s &&
               config.anvil.count_from == config::Anvil::CountFrom::reported &&
               !config.anvil.before_3_6 && config.anvil.statistics_interval == 600s; }},
    {"anvil as it may be", after("[anvil]\nsocket = \"/run/anvil\"\nsocket_mode = \"0600\"\n"
                                 "count_from = \"gate\"\nbefore_3_6 = true\n"
                                 "statistics_interval = \"1h\"\nstreams_max = 10\n"
                                 "idents_max = 100"),
     [](const Config &config) {
        const auto &anvil = config.anvil;
        return anvil.socket.mode == 0600 && anvil.count_from == config::Anvil::CountFrom::gate &&
               anvil.before_3_6 && anvil.statistics_interval == 1h && anvil.streams_max == 10 &&
               anvil.idents_max == 100; }},
    {"HTTP on every address", after("[http]\nlisten = \"0.0.0.0:80\""), [](const Config &config) {
        return config.http.listen == endpoint("0.0.0.0:80"); }},
    {"a service by ports", in_service("name = \"smtp-1_a.b\"\nports = [25, 65535, 1]"),
     [](const Config &config) {
        return config.services.size() == 1 && config.services[0].name == "smtp-1_a.b" &&
               config.services[0].ports == std::vector<std::uint16_t>{25, 65535, 1} &&
               config.services[0].listeners.empty(); }},
    {"a service by listeners of both families",
     in_service("name = \"smtp\"\nlisteners = [\"192.0.2.1:25\", \"[2001:db8::1]:25\"]"),
     [](const Config &config) {
        return config.services[0].ports.empty() &&
               config.services[0].listeners ==
                   std::vector{endpoint("192.0.2.1:25"), endpoint("[2001:db8::1]:25")}; }},
    {"a listener takes its address out of another service's port",
     after("[[service]]\nname = \"inside\"\nlisteners = [\"192.0.2.1:25\"]"),
     [](const Config &config) {
        return config.services.size() == 2 && config.services[1].name == "inside"; }},
    {"monitors in their order", after("[windows]\nmonitors = [\"3600,24\", \"60,10\"]"),
     [](const Config &config) {
        return config.windows.monitors == std::vector<core::Monitor>{{3600, 24}, {60, 10}}; }},
    {"networks, one within the other",
     after("[[network]]\nname = \"a\"\ncidrs = [\"192.0.2.0/24\", \"2001:db8::/32\"]\n"
           "[[network]]\nname = \"b\"\ncidrs = [\"192.0.2.128/25\"]"),
     [](const Config &config) {
        return config.networks.size() == 2 && config.networks[0].name == "a" &&
               config.networks[0].cidrs ==
                   std::vector{block("192.0.2.0/24"), block("2001:db8::/32")} &&
               config.networks[1].cidrs == std::vector{block("192.0.2.128/25")}; }},
    {"a network and a service of one name",
     after("[[network]]\nname = \"smtp\"\ncidrs = [\"192.0.2.0/24\"]"),
     [](const Config &config) { return config.networks[0].name == config.services[0].name; }},
    {"sections in any order", service + gate, [](const Config &config) {
        return config.services.size() == 1 && config.gate.interfaces.size() == 1; }},
    {"a service written inline", gate + "[windows]\n[[service]]\nname='a'\nports=[\n25,\n]",
     [](const Config &config) { return config.services[0].name == "a"; }},
    {"lines that end as on Windows", "[gate]\r\ninterfaces = ['eth0']\r\n" + service,
     [](const Config &config) { return config.gate.interfaces[0] == "eth0"; }},
    {"a line of any length", after("[[network]]\nname = \"a\"\ncidrs = [" + many_blocks() + "]"),
     [](const Config &config) { return config.networks[0].cidrs.size() == 20'000; }},
    {"a comment beyond ASCII", "# für alle: \"\"\" '\n" + after(""),
     [](const Config &config) { return config.services.size() == 1; }},
    {"a path beyond ASCII", after("[state]\ndir = \"/var/lib/z\\u00e4hlung\""),
     [](const Config &config) { return config.state.dir == "/var/lib/zählung"; }},
    {"a path beyond ASCII as it is", after("[state]\ndir = \"/var/lib/zählung-日😀\" # größe"),
     [](const Config &config) { return config.state.dir == "/var/lib/zählung-日😀"; }},
    {"places behind characters beyond ASCII",
     "[gate]\ninterfaces = [\"é\", \"日😀\", \"a\"]\n" + service,
     [](const Config &config) {
         return config.gate.interface_positions ==
                std::vector<config::SourcePosition>{{2, 15}, {2, 20}, {2, 26}}; }},
    {"a quote within quotes", after("[state]\ndir = \"/a\\\"b#c\" # \""),
     [](const Config &config) { return config.state.dir == "/a\"b#c"; }},
    {"a byte order mark", "\xef\xbb\xbf" + after(""),
     [](const Config &config) { return config.services.size() == 1; }},
};
// clang-format on

TEST(ConfigGood, SaysWhatTheFileSays)
{
    for (const auto &row : rows) {
        SCOPED_TRACE(row.name);
        const auto parsed = config::parse_config(row.text, "t.toml");
        ASSERT_TRUE(parsed) << parsed.error().message;
        EXPECT_TRUE(row.holds(*parsed)) << row.text;
    }
}

TEST(ConfigGood, RemembersWhereEachInterfaceStands)
{
    const auto parsed = config::parse_config(
        "[gate]\ninterfaces = [\n  \"eth0\", \"eth1\",\n\t\"eth2\"]\n" + service, "t.toml");
    ASSERT_TRUE(parsed) << parsed.error().message;

    const std::vector<config::SourcePosition> expected{{3, 3}, {3, 11}, {4, 2}};
    EXPECT_EQ(parsed->gate.interface_positions, expected);
    EXPECT_EQ(parsed->where(parsed->gate.interface_positions[2]), "t.toml:4:2: ");
}

TEST(ConfigGood, AReplayMayGuardAnyPort)
{
    const auto parsed = config::parse_config("[[service]]\nname = \"all\"\nports = \"any\"\n",
                                             "t.toml", config::Purpose::replay);
    ASSERT_TRUE(parsed) << parsed.error().message;

    EXPECT_TRUE(parsed->services[0].any_port);
    EXPECT_TRUE(parsed->services[0].ports.empty());
    EXPECT_FALSE(config::parse_config(after(""), "t.toml")->services[0].any_port);
}

TEST(ConfigGood, AReplayNeedsNoInterfaces)
{
    EXPECT_TRUE(config::parse_config(service, "t.toml", config::Purpose::replay));
    EXPECT_FALSE(config::parse_config(service, "t.toml", config::Purpose::daemon));
    EXPECT_FALSE(config::parse_config("[gate]\ninterfaces = []\n" + service, "t.toml",
                                      config::Purpose::replay));
}

} // namespace
} // namespace tallygate::test
