// SPDX-License-Identifier: BSD-2-Clause
//
// What Postfix is answered: the behaviour of its own anvil(8), in the order of a day's work.
#include "frontend/anvil_service.hpp"

#include <gtest/gtest.h>

#include <string>

#include "frontend/anvil_scene.hpp"

namespace tallygate::frontend::test {
namespace {

constexpr std::string_view one = "smtp:198.51.100.7";
constexpr std::string_view other = "smtp:203.0.113.9";

TEST_F(AnvilScene, greets_and_a_postfix_before_3_6_is_not_greeted)
{
    EXPECT_EQ(service_->open()->greeting(), "protocol=anvil_protocol\n\n");
    start({.greet = false});
    EXPECT_EQ(service_->open()->greeting(), "");
}

TEST_F(AnvilScene, a_first_connection_counts_one)
{
    EXPECT_EQ(say("A", "connect", one), lines("status=0|count=1|rate=1"));
    EXPECT_EQ(say("A", "lookup", one),
              lines("status=0|count=1|rate=1|mail=0|rcpt=0|newtls=0|auth=0"));
}

TEST_F(AnvilScene, a_stream_holds_one_session_at_a_time)
{
    say("A", "connect", one);
    EXPECT_EQ(say("B", "connect", one), lines("status=0|count=2|rate=2"));
    EXPECT_EQ(say("B", "connect", one), lines("status=0|count=2|rate=3")) << "the same again";
    EXPECT_EQ(say("B", "connect", other), lines("status=0|count=1|rate=1"));
    EXPECT_EQ(say("B", "lookup", one),
              lines("status=0|count=1|rate=3|mail=0|rcpt=0|newtls=0|auth=0"))
        << "its first session has ended";
}

TEST_F(AnvilScene, only_the_stream_that_connected_disconnects)
{
    say("A", "connect", one);
    EXPECT_EQ(say("B", "disconnect", one), lines("status=0"));
    say("B", "connect", other);
    EXPECT_EQ(say("B", "disconnect", one), lines("status=0"));
    EXPECT_EQ(kept(one).count, 1U);

    EXPECT_EQ(say("A", "disconnect", one), lines("status=0"));
    EXPECT_EQ(kept(one).count, 0U);
    EXPECT_EQ(say("A", "disconnect", one), lines("status=0")) << "twice is once";
    EXPECT_EQ(kept(one).count, 0U);
}

TEST_F(AnvilScene, a_stream_that_ends_takes_its_session_along)
{
    say("A", "connect", one);
    say("B", "connect", one);
    close("A");
    EXPECT_EQ(say("B", "lookup", one),
              lines("status=0|count=1|rate=2|mail=0|rcpt=0|newtls=0|auth=0"));
}

TEST_F(AnvilScene, events_have_rates_of_their_own)
{
    say("A", "connect", one);
    for (const auto *event : {"message", "recipient", "newtls", "auth", "tlstr"}) {
        EXPECT_EQ(say("A", event, one), lines("status=0|rate=1")) << event;
        EXPECT_EQ(say("B", event, one), lines("status=0|rate=2")) << event;
    }
    EXPECT_EQ(say("A", "lookup", one),
              lines("status=0|count=1|rate=1|mail=2|rcpt=2|newtls=2|auth=2"));
}

TEST_F(AnvilScene, asking_for_tls_counts_none)
{
    for (const auto *name : {"newtls_status", "newtls_report"}) {
        EXPECT_EQ(say("A", name, "smtp:192.0.2.77"), lines("status=0|rate=0")) << "unknown ident";
        EXPECT_EQ(kept("smtp:192.0.2.77").count, 0U);
        say("A", "newtls", one);
        const auto now = kept(one).rate(AnvilRate::newtls);
        EXPECT_EQ(say("A", name, one), lines("status=0|rate=" + std::to_string(now)));
        EXPECT_EQ(say("A", name, one), lines("status=0|rate=" + std::to_string(now))) << "again";
    }
}

TEST_F(AnvilScene, what_is_no_request_is_refused_and_the_stream_goes_on)
{
    for (const auto *name : {"bogus", "", "connect\r", "CONNECT", "connect "}) {
        EXPECT_EQ(say("A", name, one), lines("status=4294967295")) << name;
        EXPECT_EQ(say("A", "lookup", other),
                  lines("status=0|count=0|rate=0|mail=0|rcpt=0|newtls=0|auth=0"));
    }
    EXPECT_EQ(warnings_.front(), "unrecognized request: \"bogus\", ignored");
    EXPECT_EQ(service_->totals().unrecognized, 5U);
}

TEST_F(AnvilScene, looking_makes_nothing)
{
    EXPECT_EQ(say("A", "lookup", one),
              lines("status=0|count=0|rate=0|mail=0|rcpt=0|newtls=0|auth=0"));
    EXPECT_EQ(table_->size(), 0U);
}

TEST_F(AnvilScene, an_event_of_an_unknown_ident_connects_it)
{
    for (const auto *event : {"message", "recipient", "newtls", "auth"}) {
        start({});
        say("A", "connect", other);
        EXPECT_EQ(say("A", event, one), lines("status=0|rate=1")) << event;
        EXPECT_EQ(kept(one).count, 1U) << event;
        EXPECT_EQ(kept(one).rate(AnvilRate::connection), 1U) << event;
        EXPECT_EQ(kept(other).count, 0U) << "the stream's earlier session is over";
    }
}

TEST_F(AnvilScene, wrapped_tls_comes_before_its_connection)
{
    EXPECT_EQ(say("A", "newtls", one), lines("status=0|rate=1"));
    EXPECT_EQ(say("A", "connect", one), lines("status=0|count=1|rate=2"));
}

TEST_F(AnvilScene, what_is_malformed_ends_the_stream_without_a_word)
{
    const auto name = std::string(one);
    const struct {
        const char *what;
        std::string bytes;
    } rows[] = {
        {"ident before request", "ident=" + name + "\nrequest=connect\n\n"},
        {"something between request and ident", "request=connect\nx=1\nident=" + name + "\n\n"},
        {"no ident", "request=connect\n\n"},
        {"an empty list", "\n"},
        {"upper case", "REQUEST=connect\nident=" + name + "\n\n"},
        {"no value for request", "request\nident=" + name + "\n\n"},
        {"no value for ident", "request=connect\nident\n\n"},
        {"a name that is empty", "=connect\nident=" + name + "\n\n"},
        {"noise", "\xff\xfe\x80\n"},
    };
    for (const auto &row : rows) {
        EXPECT_EQ(send("A", row.bytes), closed) << row.what;
        EXPECT_EQ(table_->size(), 0U) << row.what;
    }
    EXPECT_EQ(warnings_.front(), "unexpected attribute ident (expecting: request)");
    EXPECT_EQ(service_->totals().malformed, std::size(rows));
}

TEST_F(AnvilScene, a_session_that_a_broken_list_ends_is_told_so)
{
    say("A", "connect", one);
    EXPECT_EQ(send("A", "\n"), lines("status=0") + std::string(closed));
    EXPECT_EQ(kept(one).count, 0U);
}

TEST_F(AnvilScene, what_comes_with_a_list_that_goes_on_is_lost)
{
    const auto begin = "request=connect\nident=" + std::string(one) + "\nmore";
    for (const auto *rest : {"=1\n\n", "\n\n", "=request=lookup\nident=x\n\n"}) {
        start({});
        EXPECT_EQ(send("A", begin + rest), lines("status=0|count=1|rate=1")) << rest;
        EXPECT_EQ(say("A", "newtls_status", one), lines("status=0|rate=0")) << rest;
    }
    EXPECT_EQ(warnings_.front(), "unexpected attribute more (expecting: (list terminator))");

    start({});
    EXPECT_EQ(send("A", begin + "="), lines("status=0|count=1|rate=1"));
    EXPECT_EQ(send("A", "1\n\n"), lines("status=0") + std::string(closed)) << "a list of its own";
}

TEST_F(AnvilScene, any_text_is_an_ident)
{
    for (const auto *ident :
         {"", "a=b c", "smtp:unknown", "smtp:2001:db8::/84", "smtp:192.0.2.0/24"})
        EXPECT_EQ(say("A", "connect", ident), lines("status=0|count=1|rate=1")) << ident;
    EXPECT_EQ(table_->size(), 5U);
    EXPECT_EQ(say("A", "connect", "smtp:2001:db8::/84"), lines("status=0|count=1|rate=2"));
}

TEST_F(AnvilScene, nothing_is_answered_before_the_line_ends)
{
    const std::string zeros{"request\0connect\0ident\0smtp:192.0.2.1\0\0", 38};
    EXPECT_EQ(send("A", zeros), "");
    EXPECT_EQ(send("B", "request=connect\nident=smtp:192.0.2.1\n"), "");
    EXPECT_EQ(send("B", "\n"), lines("status=0|count=1|rate=1"));
}

TEST_F(AnvilScene, a_request_may_come_byte_by_byte)
{
    const auto whole = request("connect", one);
    std::string said;
    for (const char each : whole)
        said += send("A", std::string(1, each));
    EXPECT_EQ(said, lines("status=0|count=1|rate=1"));
}

TEST_F(AnvilScene, a_client_that_closes_in_the_middle_has_asked_nothing)
{
    EXPECT_EQ(send("A", "request=connect\nident=smtp:192.0.2.1\n", true), closed);
    EXPECT_EQ(table_->size(), 0U);
}

TEST_F(AnvilScene, a_session_that_the_end_of_its_stream_ends_is_told_so)
{
    for (const auto &rest : {std::string(), std::string("request=con"), request("lookup", other)}) {
        const auto before = rest.ends_with("\n\n")
                                ? lines("status=0|count=0|rate=0|mail=0|rcpt=0|newtls=0|auth=0")
                                : std::string();
        EXPECT_EQ(send("A", rest, true), before + std::string(closed)) << rest << " without one";
        say("A", "connect", one);
        EXPECT_EQ(send("A", rest, true), before + lines("status=0") + std::string(closed)) << rest;
        EXPECT_EQ(kept(one).count, 0U);
    }
}

TEST_F(AnvilScene, requests_that_come_at_once_are_all_answered)
{
    EXPECT_EQ(send("A", request("connect", one) + request("message", one)),
              lines("status=0|count=1|rate=1") + lines("status=0|rate=1"));
}

TEST_F(AnvilScene, a_hundred_streams_of_one_client)
{
    for (int i = 1; i <= 100; i++) {
        const auto number = std::to_string(i);
        EXPECT_EQ(say(number, "connect", one),
                  lines("status=0|count=" + number + "|rate=" + number));
    }
    streams_.clear();
    EXPECT_EQ(say("A", "lookup", one),
              lines("status=0|count=0|rate=100|mail=0|rcpt=0|newtls=0|auth=0"));
}

TEST_F(AnvilScene, events_are_reported_and_connections_are_not)
{
    say("A", "connect", one);
    say("A", "message", one);
    say("A", "recipient", "submission:2001:db8::/84");
    say("A", "auth", "192.0.2.1:2525:192.0.2.3");
    say("A", "newtls", "[2001:db8::1]:2526:2001:db8::1");
    say("A", "message", "smtp:unknown");
    say("A", "newtls_status", one);
    say("A", "disconnect", one);

    using core::Reported;
    const struct {
        Reported event;
        std::string service;
        std::string client;
    } rows[] = {
        {Reported::receptions, "smtp", "198.51.100.7/32"},
        {Reported::recipients, "submission", "2001:db8::/84"},
        {Reported::auth, "192.0.2.1:2525", "192.0.2.3/32"},
        {Reported::tls, "[2001:db8::1]:2526", "2001:db8::1/128"},
    };
    ASSERT_EQ(reporter_.reports.size(), std::size(rows));
    for (std::size_t i = 0; i < std::size(rows); i++) {
        EXPECT_EQ(reporter_.reports[i].event, rows[i].event) << i;
        EXPECT_EQ(reporter_.reports[i].service, rows[i].service) << i;
        EXPECT_EQ(reporter_.reports[i].client.text(), rows[i].client) << i;
        EXPECT_EQ(reporter_.reports[i].amount, 1U) << i;
    }
    EXPECT_EQ(service_->totals().opaque, 1U);
}

TEST_F(AnvilScene, the_gate_may_count_the_connections)
{
    std::optional<std::uint32_t> live = 5;
    std::string asked;
    start({.live = [&](const Block &client, std::uint32_t own) {
        asked = client.text() + " " + std::to_string(own);
        return live;
    }});
    EXPECT_EQ(say("A", "connect", one), lines("status=0|count=5|rate=1"));
    EXPECT_EQ(asked, "198.51.100.7/32 1");
    EXPECT_EQ(say("A", "lookup", one),
              lines("status=0|count=5|rate=1|mail=0|rcpt=0|newtls=0|auth=0"));
    EXPECT_EQ(say("B", "connect", "smtp:2001:db8::/84"), lines("status=0|count=5|rate=1"));
    EXPECT_EQ(asked, "2001:db8::/84 1");

    live = 0;
    EXPECT_EQ(say("A", "connect", one), lines("status=0|count=1|rate=2")) << "it sees a proxy";
    live = std::nullopt;
    EXPECT_EQ(say("A", "connect", one), lines("status=0|count=1|rate=3")) << "it is busy";
    EXPECT_EQ(service_->totals().counted_by_gate, 4U);
    asked.clear();
    EXPECT_EQ(say("A", "connect", "smtp:unknown"), lines("status=0|count=1|rate=1"));
    EXPECT_EQ(asked, "");
}

} // namespace
} // namespace tallygate::frontend::test
