// SPDX-License-Identifier: BSD-2-Clause
//
// Transcripts: what a client sends to the control socket, and what comes back. Codec, service,
// ledger, server and socket are the real ones; the gate and the clock say what the test wants.
#include "frontend/control_service.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "client/client.hpp"
#include "frontend/fake_actions.hpp"
#include "frontend/fake_gate.hpp"
#include "net/loop_thread.hpp"
#include "net/temp_dir.hpp"

namespace tallygate::test {
namespace {

using namespace std::chrono_literals;
using frontend::Access;
using testing::HasSubstr;
using testing::Not;

constexpr core::UnixTime noon{1'763'726'400s}; // 2025-11-21 12:00:00 UTC

class ControlServiceTest : public testing::Test {
protected:
    void SetUp() override
    {
        clock_.time = noon;
        fill_gate();
        questions_.emplace(ledger_, gate_, clock_);
        questions_->set_services({{"smtp", 1}, {"submission", 2}});
        connect("192.0.2.1", 1, 3, 1);
        connect("192.0.2.77", 1, 1, 0);
        connect("198.51.100.9", 2, 1, 1);
        connect("2001:db8:0:1::", 1, 2, 0);
        clock_.time = noon + 10s + 500ms;
        questions_->set_walked_at(clock_.time);
        questions_->begin_claims_round();
        questions_->end_claims_round();

        service_.emplace(*questions_, facts_, actions_, reports_, series_);
        serve(full_path_, Access::full);
        serve(policy_path_, Access::policy);
        serve(read_only_path_, Access::read_only);
        thread_.start();
    }

    void TearDown() override
    {
        thread_.stop();
        servers_.clear();
    }

    void fill_gate()
    {
        gate_.gate_status = {
            .mode = "observe",
            .strict = false,
            .pin_dir = "/sys/fs/bpf/tallygate/v1",
            .layout = 1,
            .program_tag = "0123456789abcdef",
            .counting_since = noon - 1h,
            .attachments = {{"eth0", "ingress", "generic", "no native <XDP>", false},
                            {"eth0", "egress", "clsact", "", true}},
            .tables = {{"sources", 1048576, 4}, {"flows", 1048576, {}}},
            .reconcile = {.how = "sockets",
                          .adopted = 3,
                          .closed = 2,
                          .idle_closed = 1,
                          .rounds = 9,
                          .half_closed = 4},
            .warnings = {"flows is \"nearly\" full"}};
        gate_.tallies = {{{1, Family::ipv4}, {.syn = 5, .opened = 4, .closed = 1}},
                         {{1, Family::ipv6}, {.syn = 2, .opened = 2}},
                         {{2, Family::ipv4}, {.syn = 1, .opened = 1, .closed = 1}}};
        gate_.verdict_counts = {{"ingress", "pass_syn", 8}, {"egress", "pass_syn_ack", 7}};
        gate_.limit_counts = {{"per-source", 12, 34}};
        gate_.network_counts = {
            {"big-sender", *Block::parse("198.51.100.0/24"), {.syn = 1, .opened = 1, .closed = 1}}};
    }

    void connect(const char *source, core::ServiceId service, std::uint64_t opened,
                 std::uint64_t closed)
    {
        ledger_.record({.source = *Address::parse(source),
                        .service = service,
                        .syn = opened,
                        .opened = opened,
                        .closed = closed},
                       clock_.time);
    }

    void serve(const std::string &path, Access access)
    {
        auto listener = net::Listener::on_path(path);
        ASSERT_TRUE(listener) << listener.error().message;
        servers_.push_back(std::make_unique<net::HttpServer>(loop_, std::move(*listener),
                                                             service_->handler(access)));
        service_->show_server(*servers_.back());
    }

    client::Reply get(const std::string &target) { return reply(client().get(target)); }
    client::Reply post(const std::string &target) { return reply(client().post(target)); }
    client::Client client() const { return client::Client{full_path_}; }

    static client::Reply reply(Result<client::Reply> result)
    {
        EXPECT_TRUE(result) << result.error().message;
        return result ? *result : client::Reply{};
    }

    TempDir dir_;
    std::string full_path_ = dir_ / "control.sock";
    std::string policy_path_ = dir_ / "ask.sock";
    std::string read_only_path_ = dir_ / "read-only.sock";
    FakeGate gate_;
    FakeClock clock_;
    core::Ledger ledger_{{{60, 10}, {900, 4}}};
    core::ReportedEvents reports_{ledger_, gate_, clock_};
    core::AuditSeries series_;
    std::optional<core::Questions> questions_;
    frontend::DaemonFacts facts_{.version = "0.1.0",
                                 .pid = 812,
                                 .started = noon - 90s,
                                 .config_file = "/etc/tallygate/tallygate.toml",
                                 .walk_last = 3ms,
                                 .warnings = {},
                                 .lists = {.allow = 7,
                                           .block = 1002,
                                           .control_blocks = 2,
                                           .blocks_max = 1000,
                                           .entries_max = 1048576,
                                           .swapped_at = noon,
                                           .swap_last = 250ms},
                                 .table_events = {{"claim_evicted", 17}},
                                 .audit_failures = 3};
    FakeActions actions_;
    std::optional<core::Checks> checks_;
    std::optional<frontend::ControlService> service_;
    net::Loop loop_;
    std::vector<std::unique_ptr<net::HttpServer>> servers_;
    LoopThread thread_{loop_};
};

const struct {
    const char *target;
    unsigned status;
    const char *body;
} transcripts[] = {
    {"/v1/live?cidr=192.0.2.7/24", 200,
     R"({"schema":1,"value":3,"exact":true,"lower":3,"upper":3,"rate_per_second":0,)"
     R"("as_of":1763726410.5,"since":1763722800,"cidr":"192.0.2.0/24","asked":"192.0.2.7/24",)"
     R"("folded":true,"service":null,"listener":null})"},
    {"/v1/live?cidr=::/0&service=smtp", 200,
     R"({"schema":1,"value":2,"exact":true,"lower":2,"upper":2,"rate_per_second":0,)"
     R"("as_of":1763726410.5,"since":1763722800,"cidr":"::/0","asked":"::/0","folded":false,)"
     R"("service":"smtp","listener":null})"},
    {"/v1/live?cidr=0.0.0.0/0&listener=192.0.2.25:25", 200,
     R"({"schema":1,"value":7,"exact":true,"lower":7,"upper":7,"rate_per_second":0,)"
     R"("as_of":1763726410.5,"since":1763722800,"cidr":"0.0.0.0/0","asked":"0.0.0.0/0",)"
     R"("folded":false,"service":null,"listener":"192.0.2.25:25"})"},
    {"/v1/count?cidr=192.0.2.0/24&monitor=60,10", 200,
     R"({"schema":1,"value":4,"exact":true,"lower":4,"upper":4,)"
     R"("rate_per_second":0.38095238095238093,"as_of":1763726410.5,"since":1763726400,)"
     R"("cidr":"192.0.2.0/24","asked":"192.0.2.0/24","folded":false,"monitor":"60,10",)"
     R"("start":0,"end":0,"event":"connections","service":null,"smooth":false})"},
    {"/v1/count?cidr=192.0.2.0/24&monitor=60,10&start=1&end=9&event=dropped&service=smtp", 200,
     R"({"schema":1,"value":0,"exact":true,"lower":0,"upper":0,"rate_per_second":0,)"
     R"("as_of":1763726410.5,"since":1763726400,"cidr":"192.0.2.0/24","asked":"192.0.2.0/24",)"
     R"("folded":false,"monitor":"60,10","start":1,"end":9,"event":"dropped",)"
     R"("service":"smtp","smooth":false})"},
    {"/v1/top?rows=2", 200,
     R"({"schema":1,"by":"connections","monitor":"60,10","cidr":null,"service":null,)"
     R"("as_of":1763726410.5,"rows":[)"
     R"({"source":"192.0.2.1","live":2,"connections":3,"syn":3},)"
     R"({"source":"2001:db8:0:1::/64","live":2,"connections":2,"syn":2}]})"},
    {"/v1/networks", 200,
     R"({"schema":1,"as_of":1763726410.5,"networks":[{"name":"big-sender",)"
     R"("cidr":"198.51.100.0/24","live":0,"opened":1,"closed":1,"syn":1,"dropped":0,)"
     R"("would_drop":0}]})"},
    {"/v1/live?cidr=::/0&service=imap", 404,
     R"({"schema":1,"error":"there is no service 'imap': expected one of smtp, submission",)"
     R"("known":["smtp","submission"]})"},
    {"/v1/count?cidr=::/0&service=SMTP&monitor=60,5", 404,
     R"({"schema":1,"error":"there is no monitor \"60,5\": expected one of \"60,10\", \"900,4\"",)"
     R"("known":["60,10","900,4"]})"},
    {"/v1/live?cidr=::/0&service=smtp&listener=192.0.2.25:25", 400,
     R"({"schema":1,"error":"a question is about a service or about a listener, not about both"})"},
    {"/nowhere", 404,
     R"({"schema":1,"error":"there is nothing at '/nowhere'","known":["/v1/live","/v1/count",)"
     R"("/v1/top","/v1/networks","/v1/status","/v1/lists","/v1/limits","/v1/explain",)"
     R"("/v1/block","/v1/block/remove","/v1/allow","/v1/allow/remove","/v1/check","/v1/event",)"
     R"("/v1/series","/v1/series/add","/v1/series/count","/v1/series/item","/v1/series/items",)"
     R"("/v1/mode","/v1/reload",)"
     R"("/metrics","/"]})"},
};

TEST_F(ControlServiceTest, AnswersAsDocumented)
{
    for (const auto &row : transcripts) {
        SCOPED_TRACE(row.target);
        const auto reply = get(row.target);
        EXPECT_EQ(reply.status, row.status);
        EXPECT_EQ(reply.body, std::string(row.body) + "\n");
    }
}

TEST_F(ControlServiceTest, TellsTheStatus)
{
    EXPECT_EQ(
        get("/v1/status").body,
        R"({"schema":1,"version":"0.1.0","pid":812,"config":"/etc/tallygate/tallygate.toml",)"
        R"("as_of":1763726410.5,"uptime_seconds":100.5,"mode":"observe",)"
        R"("mode_set":{"mode":"observe","by":"configuration","user":"","until":null,"then":null,)"
        R"("configured":"observe"},"strict":false,)"
        R"("pin_dir":"/sys/fs/bpf/tallygate/v1","layout":1,"program_tag":"0123456789abcdef",)"
        R"("counting_since":1763722800,"walk_seconds_last":0.003,)"
        R"("warnings":["flows is \"nearly\" full"],"attachments":[)"
        R"({"interface":"eth0","direction":"ingress","how":"generic","note":"no native <XDP>",)"
        R"("adopted":false,"in_place":true},)"
        R"({"interface":"eth0","direction":"egress","how":"clsact","note":"","adopted":true,)"
        R"("in_place":true}],)"
        R"("services":[)"
        R"({"name":"smtp","live":5,"opened":6,"closed":1,"syn":7,"dropped":0,"would_drop":0,)"
        R"("families":{)"
        R"("ipv4":{"live":3,"opened":4,"closed":1,"syn":5,"dropped":0,"would_drop":0},)"
        R"("ipv6":{"live":2,"opened":2,"closed":0,"syn":2,"dropped":0,"would_drop":0}}},)"
        R"({"name":"submission","live":0,"opened":1,"closed":1,"syn":1,"dropped":0,)"
        R"("would_drop":0,"families":{)"
        R"("ipv4":{"live":0,"opened":1,"closed":1,"syn":1,"dropped":0,"would_drop":0},)"
        R"("ipv6":{"live":0,"opened":0,"closed":0,"syn":0,"dropped":0,"would_drop":0}}}],)"
        R"("monitors":["60,10","900,4"],)"
        R"("tables":[{"name":"sources","entries":4,"entries_max":1048576},)"
        R"({"name":"flows","entries":null,"entries_max":1048576}],)"
        R"("table_events":{"claim_evicted":17},)"
        R"("lists":{"allow":7,"block":1002,"control_blocks":2,"blocks_max":1000,)"
        R"("breaker_open":false,"entries_max":1048576,"swapped_at":1763726400,)"
        R"("swap_seconds_last":0.25,"swap_under_way":false},"audit_failures":3,)"
        R"("reports":{"taken":0,"refused":0,"coarsened":0},"series":{"defined":0,"refused":0},)"
        R"("reconcile":{"how":"sockets","adopted":3,"closed":2,"idle_closed":1,)"
        R"("half_closed":4,"rounds":9},)"
        R"("verdicts":{"ingress":{"pass_syn":8},"egress":{"pass_syn_ack":7}}})"
        "\n");
}

TEST_F(ControlServiceTest, HandsOutMetricsWithoutAClientsAddress)
{
    const auto text = get("/metrics").body;
    const char *const lines[] = {
        "tallygate_packets_total{hook=\"ingress\",verdict=\"pass_syn\"} 8\n",
        "tallygate_packets_total{hook=\"egress\",verdict=\"pass_syn_ack\"} 7\n",
        "# TYPE tallygate_syn_total counter\n",
        "tallygate_syn_total{service=\"smtp\",family=\"ipv4\"} 5\n",
        "tallygate_opened_total{service=\"smtp\",family=\"ipv6\"} 2\n",
        "tallygate_closed_total{service=\"submission\",family=\"ipv4\"} 1\n",
        "tallygate_dropped_total{service=\"smtp\",family=\"ipv4\"} 0\n",
        "tallygate_would_drop_total{service=\"smtp\",family=\"ipv4\"} 0\n",
        "# TYPE tallygate_live gauge\n",
        "tallygate_live{service=\"smtp\",family=\"ipv4\"} 3\n",
        "tallygate_network_syn_total{network=\"big-sender\",cidr=\"198.51.100.0/24\"} 1\n",
        "tallygate_network_live{network=\"big-sender\",cidr=\"198.51.100.0/24\"} 0\n",
        "tallygate_table_entries{table=\"sources\"} 4\n",
        "tallygate_table_entries_max{table=\"flows\"} 1048576\n",
        "tallygate_attached{interface=\"eth0\",direction=\"ingress\",how=\"generic\"} 1\n",
        "# TYPE tallygate_reconcile_adopted_total counter\n",
        "tallygate_reconcile_adopted_total 3\n",
        "tallygate_reconcile_closed_total 2\n",
        "tallygate_idle_closed_total 1\n",
        "tallygate_half_closed 4\n",
        "tallygate_walk_seconds_last 0.003\n",
        "tallygate_enforcing 0\n",
        "# TYPE tallygate_limit_dropped_total counter\n",
        "tallygate_limit_dropped_total{limit=\"per-source\"} 12\n",
        "tallygate_limit_would_drop_total{limit=\"per-source\"} 34\n",
        "tallygate_list_entries{kind=\"allow\"} 7\n",
        "tallygate_list_entries{kind=\"block\"} 1002\n",
        "tallygate_block_breaker_open 0\n",
        "tallygate_list_swap_seconds_last 0.25\n",
        "# TYPE tallygate_audit_failures_total counter\n",
        "tallygate_audit_failures_total 3\n",
        "# TYPE tallygate_reported_total counter\n",
        "tallygate_reported_total{event=\"auth\"} 0\n",
        "tallygate_series 0\n",
        "tallygate_table_events_total{event=\"claim_evicted\"} 17\n",
    };
    for (const auto *line : lines)
        EXPECT_THAT(text, HasSubstr(line));
    EXPECT_THAT(text,
                HasSubstr("tallygate_http_requests_total{listener=\"" + full_path_ + "\"} 1\n"));
    EXPECT_THAT(text, Not(HasSubstr("table=\"flows\"} 0")));
    for (const auto *client : {"192.0.2.", "198.51.100.9", "2001:db8"})
        EXPECT_THAT(text, Not(HasSubstr(client)));
}

TEST_F(ControlServiceTest, ShowsAPageThatAsksNobody)
{
    const auto page = get("/").body;
    EXPECT_THAT(page, HasSubstr("<p class=\"warning\">flows is &quot;nearly&quot; full</p>"));
    EXPECT_THAT(page, HasSubstr("generic (no native &lt;XDP&gt;)"));
    EXPECT_THAT(page, HasSubstr("<td>smtp<td>5<td>6<td>1<td>7<td>0"));
    for (const auto *outside : {"http:", "https:", "src=", "url(", "@import", "<script"})
        EXPECT_THAT(page, Not(HasSubstr(outside)));
}

TEST_F(ControlServiceTest, Reloads)
{
    const auto good = post("/v1/reload");
    EXPECT_EQ(good.status, 200u);
    EXPECT_EQ(good.body, R"({"schema":1,"reloaded":true,"config":"/etc/tallygate/tallygate.toml"})"
                         "\n");

    actions_.outcome = Error{"tallygate.toml:3:1: unknown key 'mod': expected mode"};
    const auto bad = post("/v1/reload");
    EXPECT_EQ(bad.status, 409u);
    EXPECT_EQ(bad.body,
              R"({"schema":1,"error":"tallygate.toml:3:1: unknown key 'mod': expected mode"})"
              "\n");

    EXPECT_EQ(actions_.last_asker.uid, ::getuid());
    EXPECT_EQ(actions_.last_asker.pid, ::getpid());

    actions_.outcome = Error{"eth0 has an XDP program of somebody else's", EBUSY};
    EXPECT_EQ(post("/v1/reload").status, 500u);
}

TEST_F(ControlServiceTest, TakesReports)
{
    const auto reported = post("/v1/event?name=auth&address=192.0.2.9/24&service=IMAP&amount=3");
    EXPECT_EQ(reported.status, 200u);
    EXPECT_EQ(reported.body,
              R"({"schema":1,"reported":true,"event":"auth","service":"imap","amount":3,)"
              R"("cidr":"192.0.2.0/24","asked":"192.0.2.9/24","folded":true})"
              "\n");
    EXPECT_EQ(post("/v1/event?name=auth&address=192.0.2.1").status, 200u);
    EXPECT_THAT(get("/v1/count?cidr=192.0.2.0/24&monitor=60,10&event=auth").body,
                HasSubstr(R"("value":4,"exact":true,)"));
    EXPECT_THAT(get("/v1/count?cidr=192.0.2.1&monitor=60,10&event=auth&service=imap").body,
                HasSubstr(R"("value":0,"exact":false,"lower":0,"upper":3,)"));

    const auto unknown = get("/v1/count?cidr=::/0&monitor=60,10&event=auth&service=pop3");
    EXPECT_EQ(unknown.status, 404u);
    EXPECT_THAT(unknown.body, HasSubstr(R"("known":["imap","smtp","submission"])"));
    const auto bad = post("/v1/event?name=auth&address=192.0.2.1&service=two%20words");
    EXPECT_EQ(bad.status, 400u);
    EXPECT_THAT(bad.body, HasSubstr("'two words' is no name for a service"));
}

/// The answers of docs/control.md, one after the other.
const struct {
    const char *method;
    const char *target;
    unsigned status;
    const char *body;
} series_transcript[] = {
    {"PUT", "/v1/series?name=senders&type=string&monitor=900,4&persist=true", 200,
     R"({"schema":1,"done":"defined","name":"senders","type":"string","monitor":"900,4",)"
     R"("persist":true})"},
    {"PUT", "/v1/series?name=senders&type=string&monitor=900,4&persist=true", 200,
     R"({"schema":1,"done":"defined","name":"senders","type":"string","monitor":"900,4",)"
     R"("persist":true})"},
    {"PUT", "/v1/series?name=senders&type=cidr&monitor=900,4", 409,
     R"({"schema":1,"error":"series 'senders' with monitor '900,4' is of type string already"})"},
    {"GET", "/v1/series", 200,
     R"({"schema":1,"series":[{"name":"senders","type":"string","monitor":"900,4",)"
     R"("persist":true}]})"},
    {"POST", "/v1/series/add?name=senders&key=ann@example.com&amount=2", 200,
     R"({"schema":1,"value":2,"exact":true,"lower":2,"upper":2,"as_of":1763726410.5,)"
     R"("since":1763726410.5,"name":"senders","type":"string","monitor":"900,4","persist":true,)"
     R"("key":"ann@example.com","start":0,"end":0,"amount":2})"},
    {"POST", "/v1/series/add?name=senders&key=j%C3%B6rg&amount=-1", 200,
     "{\"schema\":1,\"value\":-1,\"exact\":true,\"lower\":-1,\"upper\":-1,"
     "\"as_of\":1763726410.5,\"since\":1763726410.5,\"name\":\"senders\",\"type\":\"string\","
     "\"monitor\":\"900,4\",\"persist\":true,\"key\":\"j\xc3\xb6rg\",\"start\":0,\"end\":0,"
     "\"amount\":-1}"},
    {"GET", "/v1/series/count?name=senders&key=ann@example.com&end=3", 200,
     R"({"schema":1,"value":2,"exact":true,"lower":2,"upper":2,"as_of":1763726410.5,)"
     R"("since":1763726410.5,"name":"senders","type":"string","monitor":"900,4","persist":true,)"
     R"("key":"ann@example.com","start":0,"end":3})"},
    {"GET", "/v1/series/items?name=senders&rows=1", 200,
     R"({"schema":1,"as_of":1763726410.5,"since":1763726410.5,"name":"senders","type":"string",)"
     R"("monitor":"900,4","persist":true,"start":0,"end":0,"total":2,)"
     R"("items":[{"key":"ann@example.com","value":2}]})"},
    {"DELETE", "/v1/series/item?name=senders&key=ann@example.com", 200,
     R"({"schema":1,"done":"removed","name":"senders","type":"string","monitor":"900,4",)"
     R"("persist":true,"key":"ann@example.com"})"},
    {"GET", "/v1/series/count?name=sender&key=ann", 404,
     R"({"schema":1,"error":"there is no series 'sender': expected one of senders",)"
     R"("known":["senders"]})"},
    {"GET", "/v1/series/count?name=senders&monitor=60,4&key=ann", 404,
     R"({"schema":1,"error":"series 'senders' has no monitor '60,4': expected one of \"900,4\"",)"
     R"("known":["900,4"]})"},
    {"GET", "/v1/series/count?name=senders&key=ann&start=4", 400,
     R"~({"schema":1,"error":"monitor '900,4' has no window 4: expected 0 (now) to 3 )~"
     R"~((the oldest)"})~"},
    {"GET", "/v1/series/count?name=senders&key=", 400,
     R"({"schema":1,"error":"the key is empty"})"},
    {"GET", "/v1/series/count?name=senders", 400,
     R"({"schema":1,"error":"parameter 'key' is missing"})"},
    {"POST", "/v1/series/add?name=senders&key=ann&amount=1000000001", 400,
     R"({"schema":1,"error":"parameter 'amount': expected a number from -1000000000 to )"
     R"(1000000000, not '1000000001'"})"},
    {"POST", "/v1/series", 405, R"({"schema":1,"error":"/v1/series takes GET or PUT or DELETE"})"},
    {"DELETE", "/v1/series?name=senders", 200,
     R"({"schema":1,"done":"undefined","name":"senders","type":"string","monitor":"900,4",)"
     R"("persist":true})"},
};

TEST_F(ControlServiceTest, KeepsSeries)
{
    for (const auto &row : series_transcript) {
        SCOPED_TRACE(row.target);
        const auto answered = reply(client().ask(row.method, row.target));
        EXPECT_EQ(answered.status, row.status);
        EXPECT_EQ(answered.body, std::string(row.body) + "\n");
    }
}

TEST_F(ControlServiceTest, CountsByIndexAndSmoothly)
{
    const auto smooth = get("/v1/count?cidr=192.0.2.0/24&index=1&smooth=true");
    EXPECT_EQ(smooth.status, 200u);
    EXPECT_THAT(smooth.body, HasSubstr(R"("value":4,)"));
    EXPECT_THAT(smooth.body, HasSubstr(R"("monitor":"900,4",)"));
    EXPECT_THAT(smooth.body, HasSubstr(R"("smooth":true})"));
    EXPECT_EQ(get("/v1/count?cidr=192.0.2.0/24&index=2").status, 404u);
    for (const auto *wrong : {"&index=0&monitor=60,10", "&index=0&smooth=yes", "&index=x",
                              "&index=0&smooth=true&end=1", "&smooth=true"})
        EXPECT_EQ(get(std::string("/v1/count?cidr=192.0.2.0/24") + wrong).status, 400u) << wrong;
}

const struct {
    const char *target;
    unsigned status;
    const char *body;
} check_transcript[] = {
    {"/v1/check?address=192.0.2.1&service=SMTP", 200,
     R"~({"schema":1,"as_of":1763726410.5,"address":"192.0.2.1","service":"SMTP",)~"
     R"~("action":"disconnect","code":421,"delay_seconds":10,"exceeded":{"check":"open",)~"
     R"~("action":"disconnect","of":"192.0.2.0/24","count":3,"max":2,)~"
     R"~("text":"too many (192.0.2.0/24: 3 connections open, limit 2)"},)~"
     R"~("would":null})~"},
    {"/v1/check?address=192.0.2.77", 200,
     R"~({"schema":1,"as_of":1763726410.5,"address":"192.0.2.77","service":null,)~"
     R"~("action":"pass","code":250,"delay_seconds":0,"exceeded":null,)~"
     R"~("would":{"check":"made","action":"defer","of":"192.0.2.77/32","count":1,"max":0,)~"
     R"~("text":"(192.0.2.77/32: 1 connections in 1m, limit 0)"}})~"},
    {"/v1/check?address=2001:db8::1&service=smtp", 200,
     R"({"schema":1,"as_of":1763726410.5,"address":"2001:db8::1","service":"smtp",)"
     R"("action":"pass","code":250,"delay_seconds":0,"exceeded":null,"would":null})"},
    {"/v1/check?address=192.0.2.1&service=imap", 404,
     R"({"schema":1,"error":"there is no service 'imap': expected one of smtp, submission",)"
     R"("known":["smtp","submission"]})"},
    {"/v1/check?service=smtp", 400, R"({"schema":1,"error":"parameter 'address' is missing"})"},
    {"/v1/check?address=192.0.2.0/24", 400, nullptr},
};

TEST_F(ControlServiceTest, SaysWhatTheChecksAdvise)
{
    EXPECT_THAT(get("/v1/check?address=192.0.2.1").body, HasSubstr(R"("action":"pass")"))
        << "none is configured";
    checks_.emplace(*questions_,
                    core::Checks::Others{.is_allowed = [](const Address &) { return false; },
                                         .add_and_count =
                                             [](const auto &, const auto &) {
                                                 ADD_FAILURE() << "a question must not count";
                                                 return Result<std::int64_t>{std::int64_t{0}};
                                             }});
    checks_->set_checks({{.name = "open",
                          .services = {"smtp"},
                          .per = {*Block::parse("0.0.0.0/24")},
                          .max = 2,
                          .action = core::CheckAction::disconnect,
                          .delay = 10s,
                          .text = "too many"},
                         {.name = "made",
                          .per = {*Block::parse("0.0.0.0/32")},
                          .event = core::Event::connections,
                          .monitor = {60, 10},
                          .action = core::CheckAction::defer,
                          .report_only = true},
                         {.name = "senders", .key = core::CheckKey::sender, .monitor = {60, 10}}});
    service_->set_checks(*checks_);
    for (const auto &row : check_transcript) {
        SCOPED_TRACE(row.target);
        const auto reply = get(row.target);
        EXPECT_EQ(reply.status, row.status);
        if (row.body != nullptr) {
            EXPECT_EQ(reply.body, std::string(row.body) + "\n");
        }
    }
}

TEST_F(ControlServiceTest, WritesNothingForAReadOnlyClient)
{
    const client::Client reader{read_only_path_};
    const auto reloaded = reply(reader.post("/v1/reload"));
    EXPECT_EQ(reloaded.status, 403u);
    EXPECT_THAT(reloaded.body, HasSubstr("read-only"));
    EXPECT_EQ(reply(reader.get("/v1/reload")).status, 405u);
    for (const auto *write : {"/v1/block?cidr=203.0.113.9", "/v1/block/remove?cidr=203.0.113.9",
                              "/v1/allow?cidr=203.0.113.9", "/v1/mode?mode=enforce",
                              "/v1/event?name=auth&address=203.0.113.9"})
        EXPECT_EQ(reply(reader.post(write)).status, 403u) << write;
    for (const auto *read : {"/v1/lists", "/v1/limits", "/v1/explain?address=203.0.113.9",
                             "/v1/check?address=203.0.113.9"})
        EXPECT_EQ(reply(reader.get(read)).status, 403u) << read;
    for (const auto *method : {"PUT", "DELETE"})
        EXPECT_EQ(reply(reader.ask(method, "/v1/series?name=a&type=cidr&monitor=1,1")).status,
                  403u);
    EXPECT_EQ(reply(reader.get("/v1/series/items?name=a")).status, 403u);
    EXPECT_EQ(reply(reader.get("/v1/series")).status, 200u);
    EXPECT_EQ(actions_.last_asker.uid, std::nullopt) << "nobody was asked to do anything";
    EXPECT_EQ(reply(reader.get("/v1/status")).status, 200u);
}

TEST_F(ControlServiceTest, CountsForAPolicyAndLetsItDecideNothing)
{
    const client::Client policy{policy_path_};
    const auto blocked = reply(policy.post("/v1/block?cidr=203.0.113.9"));
    EXPECT_EQ(blocked.status, 403u);
    EXPECT_THAT(blocked.body, HasSubstr("ask on the control socket"));
    EXPECT_EQ(reply(policy.post("/v1/mode?mode=enforce")).status, 403u);
    EXPECT_EQ(reply(policy.get("/v1/lists")).status, 403u);
    EXPECT_EQ(actions_.last_asker.uid, std::nullopt) << "nobody was asked to do anything";
    EXPECT_EQ(reply(policy.get("/v1/live?cidr=::/0")).status, 200u);
    EXPECT_EQ(reply(policy.get("/v1/check?address=203.0.113.9")).status, 200u);
    EXPECT_EQ(reply(policy.post("/v1/event?name=auth&address=203.0.113.9")).status, 200u);
    EXPECT_EQ(reply(policy.ask("PUT", "/v1/series?name=a&type=cidr&monitor=1,1")).status, 200u);
    EXPECT_EQ(reply(policy.post("/v1/series/add?name=a&key=203.0.113.9")).status, 200u);
    EXPECT_EQ(reply(policy.get("/v1/series/items?name=a")).status, 200u);
}

TEST_F(ControlServiceTest, TellsWhatTheGateCouldNotDo)
{
    gate_.flows_fail = true;
    const auto reply = get("/v1/live?cidr=::/0&listener=192.0.2.25:25");
    EXPECT_EQ(reply.status, 500u);
    EXPECT_EQ(reply.body, R"({"schema":1,"error":"walk flows: Out of memory"})"
                          "\n");
}

} // namespace
} // namespace tallygate::test
