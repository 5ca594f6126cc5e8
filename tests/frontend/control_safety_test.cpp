// SPDX-License-Identifier: BSD-2-Clause
//
// Transcripts of what may drop: lists, limits, the mode, and why an address fares as it does.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "frontend/control_service.hpp"
#include "frontend/fake_actions.hpp"
#include "frontend/fake_gate.hpp"

namespace tallygate::test {
namespace {

using namespace std::chrono_literals;
using core::ListNode;
using frontend::Access;
using testing::HasSubstr;

constexpr core::UnixTime noon{1'763'726'400s}; // 2025-11-21 12:00:00 UTC

class ControlSafety : public testing::Test {
protected:
    void SetUp() override
    {
        clock_.time = noon;
        actions_.now = noon;
        questions_.emplace(ledger_, gate_, clock_);
        questions_->set_services({{"smtp", 1}, {"submission", 2}});
        ledger_.record({.source = *Address::parse("203.0.113.9"),
                        .service = 1,
                        .syn = 9,
                        .opened = 4,
                        .closed = 1},
                       noon);
        questions_->set_walked_at(noon);
        questions_->begin_claims_round();
        questions_->end_claims_round();
        service_.emplace(*questions_, actions_.facts, actions_, reports_, series_);
    }

    net::Response get(const std::string &target)
    {
        return service_->handle({"GET", target, "", peer_}, Access::full);
    }

    net::Response post(const std::string &target)
    {
        return service_->handle({"POST", target, "", peer_}, Access::full);
    }

    void list(const char *cidr, core::Grounds grounds)
    {
        grounds.added = noon - 1h;
        actions_.all.add({*Block::parse(cidr), std::move(grounds)});
    }

    const net::Peer peer_{.uid = 1000, .gid = 1000, .pid = 812};
    FakeGate gate_;
    FakeClock clock_;
    core::Ledger ledger_{{{60, 10}, {900, 4}}};
    core::ReportedEvents reports_{ledger_, gate_, clock_};
    core::AuditSeries series_;
    std::optional<core::Questions> questions_;
    FakeActions actions_;
    std::optional<frontend::ControlService> service_;
};

TEST_F(ControlSafety, AddsAndRemovesAnEntry)
{
    EXPECT_EQ(post("/v1/block?cidr=203.0.113.9/24&for=90s&reason=spam%20run").body,
              R"({"schema":1,"done":"added","kind":"block","cidr":"203.0.113.0/24",)"
              R"("origin":"control","place":"","reason":"spam run","added":1763726400,)"
              R"("until":1763726490,"asked":"203.0.113.9/24","folded":true})"
              "\n");
    EXPECT_EQ(post("/v1/allow?cidr=2001:db8::/32").body,
              R"({"schema":1,"done":"added","kind":"allow","cidr":"2001:db8::/32",)"
              R"("origin":"control","place":"","reason":"","added":1763726400,)"
              R"("until":null,"asked":"2001:db8::/32","folded":false})"
              "\n");
    EXPECT_EQ(post("/v1/block/remove?cidr=203.0.113.0/24").body,
              R"({"schema":1,"done":"removed","kind":"block","cidr":"203.0.113.0/24",)"
              R"("origin":"control","place":"","reason":"spam run","added":1763726400,)"
              R"("until":1763726490,"asked":"203.0.113.0/24","folded":false})"
              "\n");
    EXPECT_EQ(post("/v1/block/remove?cidr=203.0.113.0/24").status, 404U);
}

TEST_F(ControlSafety, TellsTheDaemonWhoAsks)
{
    post("/v1/block?cidr=203.0.113.9&operator=192.0.2.9");
    EXPECT_EQ(actions_.last_asker.uid, 1000U);
    EXPECT_EQ(actions_.last_asker.pid, 812);
    EXPECT_EQ(actions_.last_asker.remote_address, *Address::parse("192.0.2.9"));
    post("/v1/mode?mode=observe");
    EXPECT_EQ(actions_.last_asker.remote_address, std::nullopt);
}

const struct {
    core::Refused why;
    unsigned status;
} refusals[] = {
    {core::Refused::malformed, 400}, {core::Refused::by_protection, 403},
    {core::Refused::unknown, 404},   {core::Refused::no_room, 500},
    {core::Refused{}, 500},
};

TEST_F(ControlSafety, RefusesWithTheDaemonsSentence)
{
    for (const auto &row : refusals) {
        SCOPED_TRACE(static_cast<int>(row.why));
        actions_.outcome = Error{"192.0.2.1/32 is a gateway", static_cast<int>(row.why)};
        for (const auto *target : {"/v1/block?cidr=192.0.2.1", "/v1/mode?mode=enforce"}) {
            const auto response = post(target);
            EXPECT_EQ(response.status, row.status);
            EXPECT_EQ(response.body, R"({"schema":1,"error":"192.0.2.1/32 is a gateway"})"
                                     "\n");
        }
    }
}

TEST_F(ControlSafety, ListsEntriesControlsFirst)
{
    using enum core::ListOrigin;
    list("10.0.0.1", {.kind = core::ListKind::allow, .origin = protection, .reason = "gateway"});
    list("203.0.113.9", {.reason = "spam run", .until = noon + 1h});
    actions_.all.set_fixed(core::FixedLists{
        {{.grounds = {.origin = file, .place = "/etc/drop.txt", .added = noon - 2h},
          .blocks = {*Block::parse("198.51.100.0/24"), *Block::parse("198.51.100.7")}}}});
    EXPECT_EQ(get("/v1/lists?rows=3").body,
              R"({"schema":1,"as_of":1763726400,"kind":null,"total":4,"entries":[)"
              R"({"kind":"block","cidr":"203.0.113.9/32","origin":"control","place":"",)"
              R"("reason":"spam run","added":1763722800,"until":1763730000},)"
              R"({"kind":"allow","cidr":"10.0.0.1/32","origin":"protected","place":"",)"
              R"("reason":"gateway","added":1763722800,"until":null},)"
              R"({"kind":"block","cidr":"198.51.100.0/24","origin":"file",)"
              R"("place":"/etc/drop.txt","reason":"","added":1763719200,"until":null}]})"
              "\n");
    EXPECT_THAT(get("/v1/lists?kind=block&rows=1").body, HasSubstr(R"("total":3,)"));
    EXPECT_THAT(get("/v1/lists?kind=allow").body,
                HasSubstr(R"("total":1,"entries":[{"kind":"allow","cidr":"10.0.0.1/32")"));
}

TEST_F(ControlSafety, TellsLimitsWithTheirLineAndCounts)
{
    actions_.facts.limits = {{.name = "per-source",
                              .place = "tallygate.toml:31",
                              .services = {"smtp"},
                              .per = {"0.0.0.0/32", "::/64"},
                              .who = "all",
                              .syn_rate = "10/s",
                              .syn_burst = 20,
                              .action = "drop"},
                             {.name = "big",
                              .place = "tallygate.toml:40",
                              .services = {"smtp", "submission"},
                              .networks = {"big-sender"},
                              .who = "proven",
                              .live_max = 50,
                              .action = "count"}};
    gate_.limit_counts = {{"big", 0, 7}, {"per-source", 12, 0}};
    gate_.mode_now = core::Mode::enforce;
    EXPECT_EQ(get("/v1/limits").body,
              R"({"schema":1,"as_of":1763726400,"mode":"enforce","limits":[)"
              R"({"name":"per-source","place":"tallygate.toml:31","services":["smtp"],)"
              R"("per":["0.0.0.0/32","::/64"],"networks":[],"who":"all","syn_rate":"10/s",)"
              R"("syn_burst":20,"live_max":null,"action":"drop","dropped":12,"would_drop":0},)"
              R"({"name":"big","place":"tallygate.toml:40","services":["smtp","submission"],)"
              R"("per":[],"networks":["big-sender"],"who":"proven","syn_rate":null,)"
              R"("syn_burst":null,"live_max":50,"action":"count","dropped":0,"would_drop":7}]})"
              "\n");
}

TEST_F(ControlSafety, SetsTheMode)
{
    EXPECT_EQ(post("/v1/mode?mode=enforce&confirm=10m").body,
              R"({"schema":1,"as_of":1763726400,"mode":"enforce","by":"control","user":"ada",)"
              R"("until":1763727000,"then":"observe","configured":"observe"})"
              "\n");
    EXPECT_THAT(get("/v1/status").body,
                HasSubstr(R"("mode_set":{"mode":"enforce","by":"control","user":"ada",)"
                          R"("until":1763727000,"then":"observe","configured":"observe"},)"));
}

TEST_F(ControlSafety, ExplainsAnAddressAtEachService)
{
    list("203.0.113.0/24", {.reason = "spam run", .until = noon + 1h});
    actions_.facts.limits = {{.name = "per-source", .place = "tallygate.toml:31"}};
    gate_.explanations[1] = {.source = {},
                             .is_proven = true,
                             .tally = core::Tally{.syn = 9, .opened = 4, .closed = 1},
                             .network = "big-sender",
                             .block_until = noon + 1h,
                             .limits = {{.limit = "per-source",
                                         .scope = "source",
                                         .holder = "203.0.113.9/32",
                                         .verdict = "source_rate",
                                         .conforms_in = 500ms,
                                         .live = 3,
                                         .live_max = 50}},
                             .verdict = "would_drop_blocked"};
    gate_.explanations[2].verdict = "pass_syn";
    EXPECT_EQ(
        get("/v1/explain?address=203.0.113.9").body,
        R"({"schema":1,"as_of":1763726400,"address":"203.0.113.9","source":"203.0.113.9",)"
        R"("mode":"observe","entries":[)"
        R"({"kind":"block","cidr":"203.0.113.0/24","origin":"control","place":"",)"
        R"("reason":"spam run","added":1763722800,"until":1763730000}],"services":[)"
        R"({"service":"smtp","verdict":"would_drop_blocked","allowed":false,"blocked":true,)"
        R"("proven":true,"network":"big-sender","tally":{"live":3,"opened":4,"closed":1,"syn":9,)"
        R"("dropped":0,"would_drop":0},"claimed":{"syn":0,"dropped":0},)"
        R"("live":{"value":3,"exact":true,"lower":3,"upper":3},"monitor":"60,10",)"
        R"("connections":{"value":4,"exact":true,"lower":4,"upper":4},)"
        R"("syn":{"value":9,"exact":true,"lower":9,"upper":9},"limits":[)"
        R"({"limit":"per-source","place":"tallygate.toml:31","scope":"source",)"
        R"("holder":"203.0.113.9/32","applies":true,"action":"drop","verdict":"source_rate",)"
        R"("syns_left":0,"conforms_in_seconds":0.5,"live":3,"live_max":50}]},)"
        R"({"service":"submission","verdict":"pass_syn","allowed":false,"blocked":false,)"
        R"("proven":false,"network":null,"tally":null,"claimed":{"syn":0,"dropped":0},)"
        R"("live":{"value":0,"exact":true,"lower":0,"upper":0},"monitor":"60,10",)"
        R"("connections":{"value":0,"exact":true,"lower":0,"upper":0},)"
        R"("syn":{"value":0,"exact":true,"lower":0,"upper":0},"limits":[]}]})"
        "\n");
}

TEST_F(ControlSafety, ExplainsOneServiceInAnyCaseAndNoUnknownOne)
{
    gate_.explanations[2].verdict = "pass_syn";
    const auto one = get("/v1/explain?address=2001:db8::1&service=SUBMISSION").body;
    EXPECT_THAT(one, HasSubstr(R"("source":"2001:db8::/64")"));
    EXPECT_THAT(one, HasSubstr(R"("services":[{"service":"submission")"));
    EXPECT_THAT(one, testing::Not(HasSubstr(R"("service":"smtp")")));

    const auto unknown = get("/v1/explain?address=2001:db8::1&service=imap");
    EXPECT_EQ(unknown.status, 404U);
    EXPECT_EQ(unknown.body, R"({"schema":1,"error":"there is no service 'imap'",)"
                            R"("known":["smtp","submission"]})"
                            "\n");
}

TEST_F(ControlSafety, SaysWhatTheGateCouldNotExplain)
{
    const auto response = get("/v1/explain?address=203.0.113.9");
    EXPECT_EQ(response.status, 500U);
    EXPECT_THAT(response.body, HasSubstr("run explain_syn: Operation not permitted"));
}

} // namespace
} // namespace tallygate::test
