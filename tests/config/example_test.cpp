// SPDX-License-Identifier: BSD-2-Clause
//
// tallygate.toml, the example that people copy: it is good as it stands, what it shows behind
// "# " are the defaults, and it leaves no setting out.
#include <gtest/gtest.h>

#include <fstream>
#include <regex>
#include <sstream>
#include <string>

#include "config/config_toml.hpp"
#include "config/texts.hpp"

namespace tallygate::test {
namespace {

std::string example()
{
    std::ostringstream text;
    text << std::ifstream{TALLYGATE_EXAMPLE}.rdbuf();
    return text.str();
}

/// The example with its settings and sections taken out of their comments.
std::string uncommented()
{
    static const std::regex commented{R"((^|\n)# (\[|[a-z0-9_]+ = ))"};
    return std::regex_replace(example(), commented, "$1$2");
}

void expect_equal(const config::Config &left, const config::Config &right)
{
    EXPECT_EQ(left.gate.interfaces, right.gate.interfaces);
    EXPECT_EQ(left.gate.attach, right.gate.attach);
    EXPECT_EQ(left.gate.mode, right.gate.mode);
    EXPECT_EQ(left.gate.strict, right.gate.strict);
    EXPECT_EQ(left.gate.lease, right.gate.lease);
    EXPECT_EQ(left.gate.pin_dir, right.gate.pin_dir);
    EXPECT_EQ(left.gate.ipv6_source_bits, right.gate.ipv6_source_bits);
    EXPECT_EQ(left.gate.sources_max, right.gate.sources_max);
    EXPECT_EQ(left.gate.claims_max, right.gate.claims_max);
    EXPECT_EQ(left.gate.rates_max, right.gate.rates_max);
    EXPECT_EQ(left.gate.lists_max, right.gate.lists_max);
    EXPECT_EQ(left.gate.flows_max, right.gate.flows_max);
    EXPECT_EQ(left.gate.pending_max, right.gate.pending_max);
    EXPECT_EQ(left.gate.networks_max, right.gate.networks_max);
    EXPECT_EQ(left.reconcile.interval, right.reconcile.interval);
    EXPECT_EQ(left.reconcile.idle_open, right.reconcile.idle_open);
    EXPECT_EQ(left.reconcile.idle_half_closed, right.reconcile.idle_half_closed);
    EXPECT_EQ(left.reconcile.idle_closing, right.reconcile.idle_closing);
    EXPECT_EQ(left.state.dir, right.state.dir);
    EXPECT_EQ(left.state.remember_proven, right.state.remember_proven);
    EXPECT_EQ(left.lists.widest_ipv4, right.lists.widest_ipv4);
    EXPECT_EQ(left.lists.widest_ipv6, right.lists.widest_ipv6);
    EXPECT_EQ(left.lists.blocks_max, right.lists.blocks_max);
    EXPECT_EQ(left.control.socket, right.control.socket);
    EXPECT_EQ(left.sessions.count_from, right.sessions.count_from);
    EXPECT_EQ(left.sessions.socket.mode, right.sessions.socket.mode);
    EXPECT_EQ(left.ask.socket.mode, right.ask.socket.mode);
    EXPECT_EQ(left.line.socket.mode, right.line.socket.mode);
    EXPECT_EQ(left.policy.socket.mode, right.policy.socket.mode);
    EXPECT_EQ(left.policy.report_only, right.policy.report_only);
    EXPECT_EQ(left.policy.report, right.policy.report);
    EXPECT_EQ(left.windows.monitors, right.windows.monitors);
}

config::Config defaults()
{
    config::Config config;
    config.gate.interfaces = {"eth0"};
    return config;
}

TEST(ConfigExample, IsGoodAsItStands)
{
    const auto parsed = config::parse_config(example(), "tallygate.toml");
    ASSERT_TRUE(parsed) << parsed.error().message;
    expect_equal(*parsed, defaults());
    EXPECT_EQ(parsed->services.size(), 1U);
    EXPECT_TRUE(parsed->limits.empty());
    EXPECT_TRUE(parsed->blocks.empty());
    EXPECT_TRUE(parsed->allows.empty());
    EXPECT_FALSE(parsed->http.listen);
}

TEST(ConfigExample, ShowsTheDefaultsInItsComments)
{
    const auto parsed = config::parse_config(uncommented(), "tallygate.toml");
    ASSERT_TRUE(parsed) << parsed.error().message << "\n" << uncommented();
    expect_equal(*parsed, defaults());
    EXPECT_EQ(parsed->services.size(), 2U);
    EXPECT_EQ(parsed->networks.size(), 1U);
    EXPECT_EQ(parsed->limits.size(), 4U);
    EXPECT_EQ(parsed->checks.size(), 2U);
    EXPECT_EQ(parsed->blocks.size(), 2U);
    EXPECT_EQ(parsed->allows.size(), 1U);
    EXPECT_TRUE(parsed->http.listen);
}

TEST(ConfigExample, LeavesNoSettingOut)
{
    static const std::regex known{R"(no setting: expected one of ([^\n]*))"};
    const char *headers[] = {"[state]",   "[control]", "[[service]]", "[windows]", "[[network]]",
                             "[[limit]]", "[lists]",   "[[block]]",   "[[allow]]", "[reconcile]",
                             "[http]",    "[line]",    "[policy]",    "[[check]]", "[ask]"};
    std::size_t settings = 0;

    const auto check = [&](const std::string &text) {
        const auto parsed = config::parse_config(text, "t.toml");
        ASSERT_FALSE(parsed);
        std::smatch match;
        ASSERT_TRUE(std::regex_search(parsed.error().message, match, known));
        std::istringstream keys{match[1].str()};
        for (std::string key; keys >> key; settings++) {
            if (key.ends_with(','))
                key.pop_back();
            EXPECT_NE(uncommented().find("\n" + key + " = "), std::string::npos) << key;
        }
    };
    check(in_gate("what-is-this = 1"));
    for (const char *header : headers)
        check(after(std::string(header) + "\nwhat-is-this = 1"));
    EXPECT_GE(settings, 40U);
}

} // namespace
} // namespace tallygate::test
