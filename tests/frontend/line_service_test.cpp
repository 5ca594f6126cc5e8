// SPDX-License-Identifier: BSD-2-Clause
//
// Transcripts: what a client sends to the line socket, and what comes back. Codec, service,
// ledger, server and socket are the real ones; the gate and the clock say what the test wants.
#include "frontend/line_service.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "frontend/fake_gate.hpp"
#include "net/loop_thread.hpp"
#include "net/raw_client.hpp"
#include "net/temp_dir.hpp"

namespace tallygate::test {
namespace {

using namespace std::chrono_literals;

constexpr core::UnixTime noon{1'763'726'400s}; // 2025-11-21 12:00:00 UTC

class LineServiceTest : public testing::Test {
protected:
    void SetUp() override
    {
        clock_.time = noon;
        gate_.gate_status.counting_since = noon;
        questions_.emplace(ledger_, gate_, clock_);
        questions_->set_services({{"smtp", 1}, {"submission", 2}});
        reports_.emplace(ledger_, gate_, clock_);
        record("192.0.2.1", 1, 3, 1);
        record("192.0.2.77", 2, 1, 0);
        clock_.time = noon + 10s;
        checks_.emplace(*questions_,
                        core::Checks::Others{.is_allowed = [](const Address &) { return false; },
                                             .add_and_count =
                                                 [](const auto &, const auto &) {
                                                     return Result<std::int64_t>{std::int64_t{0}};
                                                 }});
        checks_->set_checks({{.name = "open",
                              .services = {"smtp"},
                              .per = {*Block::parse("0.0.0.0/24")},
                              .max = 1,
                              .action = core::CheckAction::disconnect,
                              .delay = 10s,
                              .text = "too many"},
                             {.name = "tried",
                              .per = {*Block::parse("0.0.0.0/32")},
                              .max = 0,
                              .action = core::CheckAction::defer,
                              .report_only = true}});
        service_.emplace(*questions_, *reports_, *checks_, series_);
        auto listener = net::Listener::on_path(path_);
        ASSERT_TRUE(listener) << listener.error().message;
        server_.emplace(loop_, std::move(*listener), service_->conversations(), service_->limits);
        thread_.start();
    }

    void TearDown() override
    {
        thread_.stop();
        server_.reset();
    }

    void record(const char *source, core::ServiceId service, std::uint64_t opened,
                std::uint64_t closed)
    {
        ledger_.record({.source = Block::parse(source)->first(),
                        .service = service,
                        .syn = opened,
                        .opened = opened,
                        .closed = closed},
                       clock_.time);
    }

    std::string answer(const std::string &sent)
    {
        RawClient client{path_};
        client.send(sent);
        client.send_no_more();
        return client.read_all();
    }

    FakeClock clock_;
    FakeGate gate_;
    core::Ledger ledger_{{{60, 10}, {900, 4}}};
    std::optional<core::Questions> questions_;
    std::optional<core::ReportedEvents> reports_;
    std::optional<core::Checks> checks_;
    core::AuditSeries series_;
    std::optional<frontend::LineService> service_;
    TempDir dir_;
    std::string path_ = dir_ / "line.sock";
    net::Loop loop_;
    std::optional<net::StreamServer> server_;
    LoopThread thread_{loop_};
};

const struct {
    const char *name;
    const char *sent;
    const char *answer;
} transcripts[] = {
    {"what is open", "live 192.0.2.0/24\n",
     "value=3 exact=true lower=3 upper=3 rate_per_second=0 as_of=1763726410 since=1763726400 "
     "cidr=192.0.2.0/24\n"},
    {"at one service, in any case", "live 192.0.2.0/24 SMTP\n",
     "value=2 exact=true lower=2 upper=2 rate_per_second=0 as_of=1763726410 since=1763726400 "
     "cidr=192.0.2.0/24\n"},
    {"what Momentum's policies ask", "audit_connections_on_service 192.0.2.1/32\r\n",
     "value=2 exact=true lower=2 upper=2 rate_per_second=0 as_of=1763726410 since=1763726400 "
     "cidr=192.0.2.1/32\n"},
    {"what was opened", "count 192.0.2.0/24 60,10\n",
     "value=4 exact=true lower=4 upper=4 rate_per_second=0.4 as_of=1763726410 since=1763726400 "
     "cidr=192.0.2.0/24\n"},
    {"nobody", "live 198.51.100.0/24",
     "value=0 exact=true lower=0 upper=0 rate_per_second=0 as_of=1763726410 since=1763726400 "
     "cidr=198.51.100.0/24\n"},
    {"a service that nobody guards", "live ::/0 imap\n",
     "error=\"there is no service 'imap': expected one of smtp, submission\" "
     "known=\"smtp submission\"\n"},
    {"a monitor that nobody keeps", "count ::/0 300,6\n",
     "error=\"there is no monitor \\\"300,6\\\": expected one of \\\"60,10\\\", \\\"900,4\\\"\" "
     "known=\"60,10 900,4\"\n"},
    {"windows the wrong way round", "count ::/0 60,10 3 1\n",
     "error=\"window 3 comes after window 1: expected the newer window first, and 0 is now\"\n"},
    {"a window that nobody keeps", "count ::/0 900,4 0 4\n",
     "error=\"monitor '900,4' has no window 4: expected 0 (now) to 3 (the oldest)\"\n"},
    {"something else", "hello\n",
     "error=\"there is no request 'hello'\" known=\"live count check event "
     "series_add series_count audit_connections_on_service\"\n"},
    {"an event, and what became of it",
     "event receptions 198.51.100.9 5\ncount 198.51.100.0/24 60,10 receptions\n",
     "recorded=5 event=receptions address=198.51.100.9 service=smtp\n"
     "value=5 exact=true lower=5 upper=5 rate_per_second=0.5 as_of=1763726410 since=1763726400 "
     "cidr=198.51.100.0/24\n"},
    {"a second request that the end cuts off", "live ::/0\nlive",
     "value=0 exact=true lower=0 upper=0 rate_per_second=0 as_of=1763726410 since=1763726400 "
     "cidr=::/0\n"
     "error=\"expected live CIDR [service]\"\n"},
    {"nobody special", "check 198.51.100.1 smtp\n", "action=pass code=250 delay=0\n"},
    {"one too many, and what another check would say", "check 192.0.2.1 smtp\n",
     "action=disconnect code=421 delay=10 check=open of=192.0.2.0/24 count=2 max=1 "
     "text=\"too many (192.0.2.0/24: 2 connections open, limit 1)\"\n"},
    {"one that only reports", "check 192.0.2.77 submission\n",
     "action=pass code=250 delay=0 would=defer would_check=tried "
     "would_text=\"(192.0.2.77/32: 1 connections open, limit 0)\"\n"},
    {"a check at a service that nobody knows", "check 192.0.2.1 imap\n",
     "error=\"there is no service 'imap'\" known=\"smtp submission\"\n"},
    {"what a policy counts for itself",
     "series_add spam 60,10 192.0.2.7 3\nseries_add spam 60,10 192.0.2.9 -1\n"
     "series_count spam 192.0.2.0/24\n",
     "value=3 series=spam monitor=60,10 key=192.0.2.7 start=0 end=0 since=1763726410\n"
     "value=-1 series=spam monitor=60,10 key=192.0.2.9 start=0 end=0 since=1763726410\n"
     "value=2 series=spam monitor=60,10 key=192.0.2.0/24 start=0 end=0 since=1763726410\n"},
    {"a series that nobody defined", "series_count ham 192.0.2.7\n",
     "error=\"there is no series 'ham': expected one of spam\" known=spam\n"},
    {"nothing", "", ""},
};

TEST_F(LineServiceTest, AnswersEachLineWithALine)
{
    for (const auto &row : transcripts) {
        SCOPED_TRACE(row.name);
        EXPECT_EQ(answer(row.sent), row.answer);
    }
}

TEST_F(LineServiceTest, AnswersAtOnceToAClientThatStays)
{
    RawClient client{path_};
    client.send("live ::/0\n");
    client.read_until("cidr=::/0\n");
    client.send("live 0.0.0.0/0\n");
    EXPECT_THAT(client.read_until("cidr=0.0.0.0/0\n"), testing::HasSubstr("\nvalue=3 "));
}

TEST_F(LineServiceTest, TellsALineWithoutEndWhyItEnds)
{
    RawClient client{path_};
    client.send(std::string(100'000, 'x'));
    EXPECT_EQ(client.read_all(), "error=\"the line is longer than 1024 bytes\"\n");
    EXPECT_THAT(answer("live ::/0"), testing::StartsWith("value=0 "));
}

TEST_F(LineServiceTest, TellsAServiceTooManyWhatIsKnown)
{
    for (int i = 0; i < 100; i++)
        answer("event auth 192.0.2.1 service" + std::to_string(i) + "\n");
    EXPECT_THAT(answer("event auth 192.0.2.1 another\n"),
                testing::StartsWith("error=\"'another' is no name for a service of reports"));
}

} // namespace
} // namespace tallygate::test
