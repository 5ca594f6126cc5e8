// SPDX-License-Identifier: BSD-2-Clause
//
// Transcripts: what Postfix sends to the policy socket, and what comes back. Codec, service,
// checks, ledger, server and socket are the real ones.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "frontend/fake_gate.hpp"
#include "frontend/policy_service.hpp"
#include "net/loop_thread.hpp"
#include "net/raw_client.hpp"
#include "net/temp_dir.hpp"

namespace tallygate::test {
namespace {

using namespace std::chrono_literals;
using core::Check;
using core::CheckAction;

constexpr core::UnixTime noon{1'763'726'400s};

/// As Postfix 3.7 sends it: all attributes, in its order.
std::string request(const std::string &address, const std::string &port = "25",
                    const std::string &more = "")
{
    return "request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\n"
           "client_address=" +
           address +
           "\nclient_name=unknown\nclient_port=4711\nreverse_client_name=unknown\n"
           "server_address=192.0.2.25\nserver_port=" +
           port +
           "\nhelo_name=client.example.com\nsender=ann@example.com\nrecipient=bob@example.org\n"
           "recipient_count=0\nqueue_id=\ninstance=\nsize=0\netrn_domain=\nstress=\n"
           "sasl_method=\nsasl_username=\nsasl_sender=\nccert_subject=\nccert_issuer=\n"
           "ccert_fingerprint=\nccert_pubkey_fingerprint=\nencryption_protocol=\n"
           "encryption_cipher=\nencryption_keysize=0\npolicy_context=\n" +
           more + "\n";
}

class PolicyTest : public testing::Test {
protected:
    void SetUp() override
    {
        clock_.time = noon;
        gate_.gate_status.counting_since = noon;
        questions_.emplace(ledger_, gate_, clock_);
        questions_->set_services({{"smtp", 1}, {"submission", 2}});
        reports_.emplace(ledger_, gate_, clock_);
        checks_.emplace(*questions_,
                        core::Checks::Others{.is_allowed = [](const Address &) { return false; },
                                             .add_and_count =
                                                 [](const auto &, const auto &) {
                                                     return Result<std::int64_t>{std::int64_t{0}};
                                                 }});
        open("192.0.2.1", 1, 1);
        open("192.0.2.2", 1, 2);
        open("192.0.2.3", 1, 3);
        open("192.0.2.4", 1, 4);
        open("192.0.2.5", 1, 5);
        open("2001:db8::", 1, 5);
        open("192.0.2.9", 2, 9);
        set({by("pass", CheckAction::pass, 1), by("warn", CheckAction::warn, 2),
             by("mark", CheckAction::mark, 3), by("defer", CheckAction::defer, 4)});
    }

    void open(const char *source, core::ServiceId service, std::uint64_t opened)
    {
        ledger_.record({.source = Block::parse(source)->first(),
                        .service = service,
                        .syn = opened,
                        .opened = opened},
                       clock_.time);
    }

    /// Checks for exactly so many open connections: the later ones are for more of them.
    static Check by(const std::string &name, CheckAction action, std::uint64_t above)
    {
        return {.name = name,
                .services = {"smtp"},
                .per = {*Block::parse("0.0.0.0/32"), *Block::parse("::/64")},
                .max = above,
                .action = action,
                .text = "no"};
    }

    void set(std::vector<Check> checks)
    {
        // The last that fits is to speak, and of those that do not refuse the first does.
        std::vector<Check> reversed{checks.rbegin(), checks.rend()};
        checks_->set_checks(std::move(reversed));
    }

    void serve(frontend::PolicyOptions options)
    {
        options.services = {
            {.name = "smtp", .ports = {25}},
            {.name = "submission", .listeners = {*Endpoint::parse("192.0.2.25:587")}}};
        service_.emplace(*checks_, *reports_,
                         [this](const auto &subject, const auto &finding, bool reported) {
                             found_.push_back(subject.address.text() + " " + finding.check +
                                              (reported ? " reported" : ""));
                         });
        service_->set_options(std::move(options));
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

    std::string answer(const std::string &sent)
    {
        RawClient client{path_};
        client.send(sent);
        client.send_no_more();
        return client.read_all();
    }

    FakeClock clock_;
    FakeGate gate_;
    core::Ledger ledger_{{{60, 10}}};
    std::optional<core::Questions> questions_;
    std::optional<core::ReportedEvents> reports_;
    std::optional<core::Checks> checks_;
    std::optional<frontend::PolicyService> service_;
    std::vector<std::string> found_;
    TempDir dir_;
    std::string path_ = dir_ / "policy.sock";
    net::Loop loop_;
    std::optional<net::StreamServer> server_;
    LoopThread thread_{loop_};
};

const struct {
    const char *name;
    std::string sent;
    const char *answer;
} transcripts[] = {
    {"nobody special", request("192.0.2.1"), "action=DUNNO\n\n"},
    {"a warning", request("192.0.2.3"),
     "action=WARN no (192.0.2.3/32: 3 connections open, limit 2)\n\n"},
    {"a mark", request("192.0.2.4"),
     "action=PREPEND X-Tallygate: mark no (192.0.2.4/32: 4 connections open, limit 3)\n\n"},
    {"not now", request("192.0.2.5"),
     "action=DEFER_IF_PERMIT 4.7.1 no (192.0.2.5/32: 5 connections open, limit 4)\n\n"},
    {"IPv6", request("2001:db8::25"),
     "action=DEFER_IF_PERMIT 4.7.1 no (2001:db8::/64: 5 connections open, limit 4)\n\n"},
    {"a service that no check is about", request("192.0.2.9", "587"), "action=DUNNO\n\n"},
    {"a port that nobody guards", request("192.0.2.5", "2525"), "action=DUNNO\n\n"},
    {"a port that is none", request("192.0.2.5", "99999"), "action=DUNNO\n\n"},
    {"a service by its name", request("192.0.2.5", "2525", "policy_context=smtp\n"),
     "action=DEFER_IF_PERMIT 4.7.1 no (192.0.2.5/32: 5 connections open, limit 4)\n\n"},
    {"two requests at once", request("192.0.2.1") + request("192.0.2.5"),
     "action=DUNNO\n\naction=DEFER_IF_PERMIT 4.7.1 no (192.0.2.5/32: 5 connections open, "
     "limit 4)\n\n"},
    {"any order, and what nobody knows",
     "x=y\nserver_port=25\nclient_address=192.0.2.3\ntls_sni=a=b\n"
     "request=smtpd_access_policy\n\n",
     "action=WARN no (192.0.2.3/32: 3 connections open, limit 2)\n\n"},
    {"the line's end of Windows", "request=smtpd_access_policy\r\nclient_address=192.0.2.1\r\n\r\n",
     "action=DUNNO\n\n"},
    {"a client without an address", request("unknown"), "action=DUNNO\n\n"},
    {"no address at all", "request=smtpd_access_policy\n\n", "action=DUNNO\n\n"},
    {"another request", "request=junk_policy\nclient_address=192.0.2.1\n\n", ""},
    {"no request", "client_address=192.0.2.1\n\n", ""},
    {"nothing, and its end", "\n", ""},
    {"a line without a value", "request=smtpd_access_policy\nclient_address\n\n", ""},
    {"a line without a name", "=smtpd_access_policy\n\n", ""},
    {"another protocol", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", ""},
    {"a zero byte", std::string("request=smtpd_access_policy\nx=\0\n\n", 33), ""},
    {"half a request, then the end", "request=smtpd_access_policy\nclient_address=192.", ""},
    {"nothing, then the end", "", ""},
    {"a good one before a bad one", request("192.0.2.1") + "bad\n\n" + request("192.0.2.1"),
     "action=DUNNO\n\n"},
};

TEST_F(PolicyTest, AnswersOrHangsUp)
{
    serve({});
    for (const auto &row : transcripts) {
        SCOPED_TRACE(row.name);
        EXPECT_EQ(answer(row.sent), row.answer);
    }
}

TEST_F(PolicyTest, DisconnectsWithACodeThatPostfixObeys)
{
    set({by("open", CheckAction::disconnect, 4)});
    serve({});
    EXPECT_EQ(answer(request("192.0.2.5")),
              "action=421 4.7.0 no (192.0.2.5/32: 5 connections open, limit 4)\n\n");
    EXPECT_THAT(found_, testing::ElementsAre("192.0.2.5 open"));
}

TEST_F(PolicyTest, TakesARequestByteByByte)
{
    serve({});
    RawClient client{path_};
    for (const char byte : request("192.0.2.1"))
        client.send({&byte, 1});
    EXPECT_EQ(client.read_until("\n\n"), "action=DUNNO\n\n");
    client.send(request("192.0.2.1"));
    EXPECT_EQ(client.read_until("\n\n", 2), "action=DUNNO\n\naction=DUNNO\n\n");
}

TEST_F(PolicyTest, EndsARequestWithoutEnd)
{
    serve({});
    RawClient client{path_};
    client.send("request=smtpd_access_policy\nsender=" + std::string(1 << 20, 'x'));
    EXPECT_EQ(client.read_all(), "");
    EXPECT_EQ(answer(request("192.0.2.1")), "action=DUNNO\n\n");
}

TEST_F(PolicyTest, HoldsATarpitBackAndNobodyElse)
{
    auto tarpit = by("tarpit", CheckAction::pass, 4);
    tarpit.delay = 1s;
    set({tarpit});
    serve({});
    const auto begin = std::chrono::steady_clock::now();
    RawClient slow{path_};
    slow.send(request("192.0.2.5"));
    EXPECT_EQ(answer(request("192.0.2.1")), "action=DUNNO\n\n");
    EXPECT_EQ(slow.read_until("\n\n"), "action=DUNNO\n\n");
    EXPECT_GE(std::chrono::steady_clock::now() - begin, 1s);
}

TEST_F(PolicyTest, MayOnlyReport)
{
    serve({.report_only = true});
    EXPECT_EQ(answer(request("192.0.2.5")), "action=DUNNO\n\n");
    EXPECT_THAT(found_, testing::ElementsAre("192.0.2.5 defer reported"));
    EXPECT_EQ(service_->counts().answers_total.at(CheckAction::pass), 1u);
}

TEST_F(PolicyTest, ReportsTheEndsOfMessagesIfToldTo)
{
    const auto end = [](const char *address) {
        return request(address, "25", "protocol_state=END-OF-MESSAGE\nrecipient_count=3\n");
    };
    const auto count = [this](core::Reported event) {
        return questions_
            ->count({.block = *Block::parse("0.0.0.0/0"), .monitor = "60,10", .event = event})
            ->value;
    };
    serve({.report = true});
    answer(end("192.0.2.1") + request("192.0.2.1"));
    EXPECT_EQ(count(core::Reported::receptions), 1);
    EXPECT_EQ(count(core::Reported::recipients), 3);
    loop_.post([this] { service_->set_options({}); });
    answer(end("192.0.2.1"));
    EXPECT_EQ(count(core::Reported::receptions), 1);
}

TEST_F(PolicyTest, CountsWhatItAnswers)
{
    serve({});
    answer(request("192.0.2.1") + request("192.0.2.5") + request("unknown"));
    answer("noise\n\n");
    const auto &counts = service_->counts();
    EXPECT_EQ(counts.answers_total.at(CheckAction::pass), 2u);
    EXPECT_EQ(counts.answers_total.at(CheckAction::defer), 1u);
    EXPECT_EQ(counts.unknown_total, 1u);
    EXPECT_EQ(counts.broken_total, 1u);
}

} // namespace
} // namespace tallygate::test
