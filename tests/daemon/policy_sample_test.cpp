// SPDX-License-Identifier: BSD-2-Clause
//
// integrations/postfix/checks.toml, the checks to begin with: they do what the default policy of
// Momentum does with the same figures.
#include <gtest/gtest.h>

#include <fstream>
#include <optional>
#include <sstream>
#include <string>

#include "config/config_toml.hpp"
#include "frontend/fake_gate.hpp"
#include "frontend/policy_service.hpp"

namespace tallygate::test {
namespace {

using namespace std::chrono_literals;

constexpr core::UnixTime noon{1'763'726'400s};

class PolicySample : public testing::Test {
protected:
    void SetUp() override
    {
        std::ostringstream text;
        text << "[gate]\ninterfaces = [\"eth0\"]\n[[service]]\nname = \"smtp\"\nports = [25]\n"
             << std::ifstream{TALLYGATE_CHECKS}.rdbuf();
        const auto config = config::parse_config(text.str(), "checks.toml");
        ASSERT_TRUE(config) << config.error().message;
        clock_.time = noon;
        ledger_.emplace(config->windows.monitors);
        questions_.emplace(*ledger_, gate_, clock_);
        questions_->set_services({{"smtp", 1}});
        reports_.emplace(*ledger_, gate_, clock_);
        checks_.emplace(*questions_,
                        core::Checks::Others{.is_allowed =
                                                 [this](const Address &asked) {
                                                     return allowed_ && allowed_->contains(asked);
                                                 },
                                             .add_and_count =
                                                 [](const auto &, const auto &) {
                                                     return Result<std::int64_t>{std::int64_t{0}};
                                                 }});
        checks_->set_checks(config->checks);
        service_.emplace(*checks_, *reports_, [](const auto &, const auto &, bool) {});
        service_->set_options({.services = {{.name = "smtp", .ports = {25}}}});
    }

    void connect(const char *source, std::uint64_t opened, std::uint64_t closed = 0)
    {
        ledger_->record({.source = Block::parse(source)->first(),
                         .service = 1,
                         .syn = opened,
                         .opened = opened,
                         .closed = closed},
                        clock_.time);
    }

    std::string answer(const char *client)
    {
        const auto answer = service_->handle({.request = "smtpd_access_policy",
                                              .state = "CONNECT",
                                              .client_address = client,
                                              .server_port = "25"});
        return answer ? answer->reply : "";
    }

    void report(core::Reported event, const char *client, std::uint64_t amount)
    {
        reports_->report(
            {.event = event, .service = "smtp", .client = *Block::parse(client), .amount = amount});
    }

    FakeClock clock_;
    FakeGate gate_;
    std::optional<core::Ledger> ledger_;
    std::optional<core::Questions> questions_;
    std::optional<core::ReportedEvents> reports_;
    std::optional<core::Checks> checks_;
    std::optional<frontend::PolicyService> service_;
    std::optional<Block> allowed_;
};

constexpr const char *fine = "action=DUNNO\n\n";

TEST_F(PolicySample, TenMayBeOpen)
{
    connect("192.0.2.7", 10);
    EXPECT_EQ(answer("192.0.2.7"), fine);
    connect("192.0.2.7", 1);
    EXPECT_EQ(answer("192.0.2.7"), "action=421 4.7.0 connection limit exceeded "
                                   "(192.0.2.7/32: 11 connections open, limit 10)\n\n");
    EXPECT_EQ(answer("192.0.2.8"), fine);
}

TEST_F(PolicySample, AHundredMayComeInAnHour)
{
    for (int quarter = 0; quarter < 4; quarter++) {
        clock_.time = noon + quarter * 900s;
        connect("192.0.2.7", 25, 25);
    }
    EXPECT_EQ(answer("192.0.2.7"), fine);
    connect("192.0.2.7", 1, 1);
    EXPECT_EQ(answer("192.0.2.7"), "action=421 4.7.0 connection rate limit exceeded "
                                   "(192.0.2.7/32: 101 connections in 1h, limit 100)\n\n");
    clock_.time = noon + 3600s;
    EXPECT_EQ(answer("192.0.2.7"), fine) << "the first quarter is over";
}

TEST_F(PolicySample, SparesTheAllowedUntilAllIsFull)
{
    allowed_ = *Block::parse("192.0.2.0/24");
    connect("192.0.2.7", 500, 300);
    EXPECT_EQ(answer("192.0.2.7"), fine);
    connect("198.51.100.0", 19'800);
    EXPECT_EQ(answer("192.0.2.7"), fine);
    connect("198.51.100.0", 1);
    EXPECT_EQ(answer("192.0.2.7"), "action=421 4.7.0 connection limit exceeded "
                                   "(0.0.0.0/0: 20001 connections open, limit 20000)\n\n");
}

TEST_F(PolicySample, ANetworkMayHaveTenTimesAsMuch)
{
    for (const char *source : {"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5",
                               "192.0.2.6", "192.0.2.7", "192.0.2.8", "192.0.2.9", "192.0.2.10"})
        connect(source, 10);
    EXPECT_EQ(answer("192.0.2.11"), fine);
    connect("192.0.2.11", 1);
    EXPECT_EQ(answer("192.0.2.11"), "action=421 4.7.0 connection limit exceeded "
                                    "(192.0.2.0/24: 101 connections open, limit 100)\n\n");
}

TEST_F(PolicySample, HoldsIPv6SitesToTheSame)
{
    connect("2001:db8:7:1::", 11);
    EXPECT_EQ(answer("2001:db8:7:1::25"), "action=421 4.7.0 connection limit exceeded "
                                          "(2001:db8:7:1::/64: 11 connections open, limit 10)\n\n");
    EXPECT_EQ(answer("2001:db8:7:2::25"), fine);
}

TEST_F(PolicySample, CountsMessagesAndRejections)
{
    report(core::Reported::receptions, "192.0.2.7", 200);
    report(core::Reported::rejections, "192.0.2.8", 50);
    EXPECT_EQ(answer("192.0.2.7"), fine);
    EXPECT_EQ(answer("192.0.2.8"), fine);
    report(core::Reported::receptions, "192.0.2.7", 1);
    report(core::Reported::rejections, "192.0.2.8", 1);
    EXPECT_EQ(answer("192.0.2.7"), "action=421 4.7.0 message rate limit exceeded "
                                   "(192.0.2.7/32: 201 receptions in 1h, limit 200)\n\n");
    EXPECT_EQ(answer("192.0.2.8"), "action=DEFER_IF_PERMIT 4.7.1 DHA limit exceeded "
                                   "(192.0.2.8/32: 51 rejections in 1h, limit 50)\n\n");
}

} // namespace
} // namespace tallygate::test
