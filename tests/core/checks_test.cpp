// SPDX-License-Identifier: BSD-2-Clause
//
// Checks against a ledger that holds what a row says, and a clock that stands still unless the
// row moves it.
#include "core/checks.hpp"

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>

#include "core/fake_gate.hpp"
#include "core/reports.hpp"
#include "core/support.hpp"

namespace tallygate::core::test {
namespace {

const std::vector<Block> each_source = {block("0.0.0.0/32"), block("::/64")};
const std::vector<Block> each_network = {block("0.0.0.0/24"), block("::/48")};
const std::vector<Block> all_together = {block("0.0.0.0/0"), block("::/0")};

class ChecksTest : public testing::Test {
protected:
    void SetUp() override
    {
        clock_.set(90'000);
        questions_.emplace(ledger_, gate_, clock_);
        questions_->set_services({{"smtp", 1}, {"submission", 2}});
        reports_.emplace(ledger_, gate_, clock_);
        checks_.emplace(
            *questions_,
            Checks::Others{
                .is_allowed =
                    [this](const Address &asked) { return allowed_ && allowed_->contains(asked); },
                .add_and_count = [this](const Check &check,
                                        const std::string &key) { return count_key(check, key); }});
    }

    Result<std::int64_t> count_key(const Check &check, const std::string &key)
    {
        if (series_fail_)
            return Error{"no room"};
        return ++series_[check.series + ":" + key];
    }

    void connect(const char *source, std::uint64_t opened, std::uint64_t closed = 0,
                 ServiceId service = 1)
    {
        const Block from = block(source);
        ledger_.record({.source = from.first(),
                        .service = service,
                        .syn = opened,
                        .opened = opened,
                        .closed = closed},
                       clock_.now());
    }

    void use(std::vector<Check> checks) { checks_->set_checks(std::move(checks)); }

    /// The check that answers, and with what; "-" if none does.
    std::string decided(const CheckSubject &subject)
    {
        const auto decision = checks_->decide(subject);
        std::string text = "-";
        if (decision.finding.is_exceeded())
            text = decision.finding.check + " " +
                   std::string(check_action_name(decision.finding.action));
        if (decision.reported.is_exceeded())
            text += " would " + decision.reported.check;
        return text;
    }
    std::string decided(const char *client, const char *service = "smtp")
    {
        return decided(CheckSubject{.address = address(client), .service = service});
    }

    CheckCounts counts(std::size_t place) { return checks_->counts()[place].second; }

    FakeClock clock_;
    FakeGate gate_;
    Ledger ledger_{{{60, 10}, {900, 4}}};
    std::optional<Questions> questions_;
    std::optional<ReportedEvents> reports_;
    std::optional<Block> allowed_;
    bool series_fail_ = false;
    std::map<std::string, std::int64_t> series_;
    std::optional<Checks> checks_;
};

Check open_check(const std::string &name, std::vector<Block> per, std::uint64_t max,
                 CheckAction action = CheckAction::disconnect)
{
    return {.name = name,
            .services = {"smtp"},
            .per = std::move(per),
            .max = max,
            .action = action,
            .text = "too many"};
}

TEST_F(ChecksTest, ActBeyondTheLimitAndNotAtIt)
{
    use({open_check("open", each_source, 10)});
    connect("192.0.2.7", 10);
    EXPECT_EQ(decided("192.0.2.7"), "-");
    connect("192.0.2.7", 1);
    EXPECT_EQ(decided("192.0.2.7"), "open disconnect");
    EXPECT_EQ(decided("192.0.2.8"), "-");
    EXPECT_EQ(counts(0).exceeded_total, 1u);
}

TEST_F(ChecksTest, NameTheBlockTheCountAndTheLimit)
{
    auto rate = open_check("rate", each_network, 100);
    rate.event = Event::connections;
    rate.monitor = {900, 4};
    rate.end = 3;
    use({open_check("open", each_source, 10, CheckAction::warn), rate});
    connect("192.0.2.7", 11);
    auto found = checks_->decide({.address = address("192.0.2.7"), .service = "smtp"}).finding;
    EXPECT_EQ(found.text, "too many (192.0.2.7/32: 11 connections open, limit 10)");
    EXPECT_EQ(found.of, "192.0.2.7/32");
    EXPECT_EQ(found.count, 11);
    EXPECT_EQ(found.max, 10u);

    connect("192.0.2.200", 90, 90);
    found = checks_->decide({.address = address("192.0.2.7"), .service = "smtp"}).finding;
    EXPECT_EQ(found.text, "too many (192.0.2.0/24: 101 connections in 1h, limit 100)");
}

TEST_F(ChecksTest, CountEachFamilyByItsOwnLength)
{
    use({open_check("open", {block("0.0.0.0/24"), block("::/48")}, 2)});
    connect("192.0.2.1", 2);
    connect("192.0.2.200", 1);
    connect("2001:db8:0:1::", 2);
    EXPECT_EQ(decided("192.0.2.7"), "open disconnect");
    EXPECT_EQ(decided("2001:db8:0:9::1"), "-");
    connect("2001:db8:0:2::", 1);
    EXPECT_EQ(decided("2001:db8:0:9::1"), "open disconnect");
    EXPECT_EQ(decided("2001:db8:1::1"), "-");

    use({open_check("open", {block("0.0.0.0/24")}, 0)});
    EXPECT_EQ(decided("2001:db8:0:9::1"), "-");
}

TEST_F(ChecksTest, AreAboutTheServiceThatTheClientCameTo)
{
    auto all = open_check("all", each_source, 3);
    all.services = {};
    use({open_check("smtp", each_source, 2), all});
    connect("192.0.2.7", 3, 0, 2);
    EXPECT_EQ(decided("192.0.2.7", "smtp"), "-");
    EXPECT_EQ(decided("192.0.2.7", "submission"), "-");
    connect("192.0.2.7", 1, 0, 1);
    EXPECT_EQ(decided("192.0.2.7", "submission"), "all disconnect");
    connect("192.0.2.7", 2, 0, 1);
    EXPECT_EQ(decided("192.0.2.7", "SMTP"), "smtp disconnect");
    EXPECT_EQ(decided(CheckSubject{.address = address("192.0.2.7")}), "all disconnect");
}

TEST_F(ChecksTest, LookAtTheWindowsThatTheyName)
{
    auto rate = open_check("rate", each_source, 2);
    rate.event = Event::connections;
    rate.monitor = {60, 10};
    rate.start = rate.end = 1;
    use({rate});
    connect("192.0.2.7", 3, 3);
    EXPECT_EQ(decided("192.0.2.7"), "-");
    clock_.set(90'060);
    EXPECT_EQ(decided("192.0.2.7"), "rate disconnect");
    EXPECT_EQ(checks_->decide({.address = address("192.0.2.7"), .service = "smtp"}).finding.text,
              "too many (192.0.2.7/32: 3 connections in windows 1 to 1 of 60,10, limit 2)");
    clock_.set(90'120);
    EXPECT_EQ(decided("192.0.2.7"), "-");
}

TEST_F(ChecksTest, CountWhatFrontEndsReport)
{
    auto mail = open_check("mail", each_network, 4);
    mail.event = Reported::receptions;
    mail.monitor = {900, 4};
    use({mail});
    EXPECT_EQ(decided("192.0.2.7"), "-") << "nothing was reported yet";
    reports_->report({.service = "smtp", .client = block("192.0.2.9"), .amount = 5});
    EXPECT_EQ(decided("192.0.2.7"), "mail disconnect");
    EXPECT_EQ(counts(0).failed_total, 0u);
}

TEST_F(ChecksTest, LetTheFirstThatRefusesSpeak)
{
    use({open_check("warn", each_source, 0, CheckAction::warn),
         open_check("mark", each_source, 0, CheckAction::mark),
         open_check("defer", each_source, 2, CheckAction::defer),
         open_check("close", each_source, 1)});
    connect("192.0.2.7", 1);
    EXPECT_EQ(decided("192.0.2.7"), "warn warn");
    connect("192.0.2.7", 1);
    EXPECT_EQ(decided("192.0.2.7"), "close disconnect");
    connect("192.0.2.7", 1);
    EXPECT_EQ(decided("192.0.2.7"), "defer defer");
}

TEST_F(ChecksTest, MayOnlyReport)
{
    auto quiet = open_check("quiet", each_source, 0);
    quiet.report_only = true;
    use({quiet, open_check("loud", each_source, 1, CheckAction::warn)});
    connect("192.0.2.7", 1);
    EXPECT_EQ(decided("192.0.2.7"), "- would quiet");
    connect("192.0.2.7", 1);
    EXPECT_EQ(decided("192.0.2.7"), "loud warn would quiet");
    EXPECT_EQ(counts(0).exceeded_total, 2u);
}

TEST_F(ChecksTest, SpareTheAllowedUnlessTheyAreForEverybody)
{
    auto all = open_check("all", all_together, 5);
    all.even_allowed = true;
    use({open_check("open", each_source, 1), all});
    allowed_ = block("192.0.2.0/24");
    connect("192.0.2.7", 5);
    EXPECT_EQ(decided("192.0.2.7"), "-");
    connect("198.51.100.1", 1);
    EXPECT_EQ(decided("192.0.2.7"), "all disconnect");
    EXPECT_EQ(decided("198.51.100.1"), "all disconnect");
}

TEST_F(ChecksTest, AreAskedInTheirStatesAlone)
{
    auto check = open_check("open", each_source, 0);
    check.states = {"RCPT", "DATA"};
    use({check});
    connect("192.0.2.7", 1);
    CheckSubject subject{.address = address("192.0.2.7"), .service = "smtp", .state = "CONNECT"};
    EXPECT_EQ(decided(subject), "-");
    subject.state = "DATA";
    EXPECT_EQ(decided(subject), "open disconnect");
    subject.state = "";
    EXPECT_EQ(decided(subject), "open disconnect") << "who asks without one wants to know";
}

TEST_F(ChecksTest, PassWhereThereIsNoAnswer)
{
    use({open_check("open", {block("::/128")}, 0)});
    connect("2001:db8:0:1::", 5);
    gate_.flows = Error{"walk flows: Out of memory"};
    EXPECT_EQ(decided("2001:db8:0:1::9"), "-");
    EXPECT_EQ(counts(0).failed_total, 1u);
}

TEST_F(ChecksTest, HoldNobodyToAnUpperBound)
{
    auto rate = open_check("rate", {block("::/128")}, 2);
    rate.event = Event::connections;
    rate.monitor = {60, 10};
    use({rate});
    connect("2001:db8:0:1::", 5);
    EXPECT_EQ(decided("2001:db8:0:1::9"), "-") << "it may have been a neighbour in the /64";
}

TEST_F(ChecksTest, KeepTheirCountsThroughAReload)
{
    use({open_check("a", each_source, 0), open_check("b", each_source, 0)});
    connect("192.0.2.7", 1);
    decided("192.0.2.7");
    use({open_check("b", each_source, 0), open_check("a", each_source, 9)});
    EXPECT_EQ(counts(0).exceeded_total, 0u);
    EXPECT_EQ(counts(1).exceeded_total, 1u);
}

Check key_check(const std::string &name, CheckKey key, std::uint64_t max)
{
    return {.name = name,
            .key = key,
            .series = name,
            .monitor = {900, 4},
            .end = 3,
            .max = max,
            .action = CheckAction::defer,
            .text = "too much"};
}

CheckSubject message(const std::string &instance, const std::string &recipient = "bob@example.org")
{
    return {.address = address("192.0.2.7"),
            .service = "smtp",
            .state = "RCPT",
            .sender = "Ann@Example.com",
            .recipient = recipient,
            .user = "ann",
            .instance = instance};
}

TEST_F(ChecksTest, CountAMessageOnceWhateverItsRecipients)
{
    use({key_check("mailfrom", CheckKey::sender, 1)});
    EXPECT_EQ(decided(message("a", "1@example.org")), "-");
    EXPECT_EQ(decided(message("a", "2@example.org")), "-");
    EXPECT_EQ(series_["mailfrom:ann@example.com"], 1);
    EXPECT_EQ(decided(message("b", "1@example.org")), "mailfrom defer");
    EXPECT_EQ(decided(message("b", "2@example.org")), "mailfrom defer");
    EXPECT_EQ(series_["mailfrom:ann@example.com"], 2);
    EXPECT_EQ(checks_->decide(message("b")).finding.text,
              "too much (ann@example.com: 2 messages in 1h, limit 1)");
}

TEST_F(ChecksTest, CountEachRecipient)
{
    use({key_check("to", CheckKey::recipient, 1)});
    EXPECT_EQ(decided(message("a", "1@example.org")), "-");
    EXPECT_EQ(decided(message("a", "2@example.org")), "-");
    EXPECT_EQ(decided(message("b", "2@example.org")), "to defer");
    EXPECT_EQ(checks_->decide(message("b", "2@example.org")).finding.text,
              "too much (2@example.org: 3 recipients in 1h, limit 1)");
}

TEST_F(ChecksTest, HaveNoKeyForABounceOrAStranger)
{
    use({key_check("mailfrom", CheckKey::sender, 0), key_check("user", CheckKey::user, 0)});
    auto bounce = message("a");
    bounce.sender = bounce.user = "";
    EXPECT_EQ(decided(bounce), "-");
    EXPECT_TRUE(series_.empty());
}

TEST_F(ChecksTest, ShowNoMoreOfAKeyThanIsFit)
{
    use({key_check("mailfrom", CheckKey::sender, 0)});
    auto noise = message("a");
    noise.sender = "a b\n\xff" + std::string(200, 'x');
    const auto found = checks_->decide(noise).finding;
    EXPECT_EQ(found.of, "a?b??" + std::string(75, 'x') + "...");
}

TEST_F(ChecksTest, PassWhereTheSeriesHasNoRoom)
{
    use({key_check("mailfrom", CheckKey::sender, 0)});
    series_fail_ = true;
    EXPECT_EQ(decided(message("a")), "-");
    EXPECT_EQ(counts(0).failed_total, 1u);
}

TEST_F(ChecksTest, AnswerTheSameForAllRecipientsOfAMessage)
{
    use({open_check("open", each_source, 1)});
    connect("192.0.2.7", 1);
    EXPECT_EQ(decided(message("a", "1@example.org")), "-");
    connect("192.0.2.7", 1);
    EXPECT_EQ(decided(message("a", "2@example.org")), "-");
    EXPECT_EQ(decided(message("b")), "open disconnect");
    EXPECT_EQ(decided(message("")), "open disconnect");
    connect("192.0.2.7", 0, 2);
    EXPECT_EQ(decided(message("b")), "open disconnect");
    EXPECT_EQ(decided(message("")), "-");
}

TEST_F(ChecksTest, RememberTheLastMessagesAlone)
{
    use({key_check("mailfrom", CheckKey::sender, 1'000'000)});
    decided(message("first"));
    for (std::size_t i = 0; i < Checks::messages_max - 1; i++)
        decided(message("m" + std::to_string(i)));
    decided(message("first"));
    const auto full = series_["mailfrom:ann@example.com"];
    EXPECT_EQ(full, static_cast<std::int64_t>(Checks::messages_max));
    decided(message("one more"));
    decided(message("first"));
    EXPECT_EQ(series_["mailfrom:ann@example.com"], full + 1);
    decided(message("m0"));
    EXPECT_EQ(series_["mailfrom:ann@example.com"], full + 2) << "forgotten, so counted again";
    decided(message(std::string(1000, 'x')));
    decided(message(std::string(1000, 'x')));
    EXPECT_EQ(series_["mailfrom:ann@example.com"], full + 4) << "too long to be remembered";
}

} // namespace
} // namespace tallygate::core::test
