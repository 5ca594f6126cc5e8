// SPDX-License-Identifier: BSD-2-Clause
#include "frontend/line_codec.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "frontend/logfmt.hpp"

namespace tallygate::test {
namespace {

using frontend::first_line;
using frontend::Logfmt;
using frontend::parse_line;

/// What was understood, in one line.
std::string text(const frontend::LineLive &request)
{
    return "live " + request.question.block.text() + " " + request.question.service.value_or("-");
}

std::string text(const frontend::LineCount &request)
{
    const auto &question = request.question;
    return "count " + question.block.text() + " " + question.monitor + " " +
           std::to_string(question.start) + "-" +
           (question.end ? std::to_string(*question.end) : "") + " " +
           std::string(core::counted_name(question.event)) + " " + question.service.value_or("-");
}

std::string text(const frontend::LineEvent &request)
{
    return "event " + std::string(core::reported_name(request.report.event)) + " " +
           request.report.client.text() + " " + std::to_string(request.report.amount) + " " +
           request.report.service;
}

std::string text(const frontend::LineCheck &request)
{
    return "check " + request.subject.address.text() + " " + request.subject.service.value_or("-");
}

std::string text(const frontend::LineSeriesAdd &request)
{
    return "add " + request.series.name + " " + request.series.monitor.value_or("-") + " " +
           request.key + " " + std::to_string(request.amount);
}

std::string text(const frontend::LineSeriesCount &request)
{
    return "count " + request.series.name + " " + request.series.monitor.value_or("-") + " " +
           request.key + " " + std::to_string(request.start) + "-" +
           (request.end ? std::to_string(*request.end) : "");
}

std::string understood(std::string_view line)
{
    const auto parsed = parse_line(line);
    if (const auto *refusal = std::get_if<frontend::LineRefusal>(&parsed)) {
        std::string known;
        for (const auto &each : refusal->known)
            known += (known.empty() ? " [" : " ") + each;
        return "no: " + refusal->message + known + (known.empty() ? "" : "]");
    }
    return std::visit([](const auto &each) { return text(each); },
                      std::get<frontend::LineRequest>(parsed));
}

const struct {
    const char *name;
    std::string line;
    const char *expected;
} rows[] = {
    {"a block", "live 192.0.2.0/24", "live 192.0.2.0/24 -"},
    {"a service", "live 192.0.2.0/24 smtp", "live 192.0.2.0/24 smtp"},
    {"an address", "live 192.0.2.7", "live 192.0.2.7/32 -"},
    {"host bits", "live 192.0.2.7/24", "live 192.0.2.0/24 -"},
    {"IPv6 in brackets", "live [2001:db8::1]/64", "live 2001:db8::/64 -"},
    {"IPv4 in the form of IPv6", "live ::ffff:192.0.2.7", "live 192.0.2.7/32 -"},
    {"the line's end of Windows", "live 192.0.2.7\r", "live 192.0.2.7/32 -"},
    {"blanks and tabs", " \tlive \t 192.0.2.7  ", "live 192.0.2.7/32 -"},
    {"a count", "count 192.0.2.0/24 60,10", "count 192.0.2.0/24 60,10 0- connections -"},
    {"a count in one window", "count ::/0 60,10 3", "count ::/0 60,10 3- connections -"},
    {"a count in some windows", "count ::/0 60,10 0 9", "count ::/0 60,10 0-9 connections -"},
    {"a count of SYNs", "count ::/0 60,10 syn", "count ::/0 60,10 0- syn -"},
    {"a count of all there is to say", "count ::/0 60,10 1 9 receptions smtp",
     "count ::/0 60,10 1-9 receptions smtp"},
    {"an event", "event receptions 192.0.2.7", "event receptions 192.0.2.7/32 1 smtp"},
    {"an event of many", "event recipients 192.0.2.7 50", "event recipients 192.0.2.7/32 50 smtp"},
    {"an event at a service", "event tls 2001:db8::1 submission",
     "event tls 2001:db8::1/128 1 submission"},
    {"an event at a service of Postfix's", "event tls 192.0.2.7 192.0.2.1:2525",
     "event tls 192.0.2.7/32 1 192.0.2.1:2525"},
    {"an event with both", "event auth 192.0.2.7 2 imap", "event auth 192.0.2.7/32 2 imap"},
    {"Momentum's question", "audit_connections_on_service 192.0.2.7/24", "live 192.0.2.0/24 smtp"},
    {"one to a series", "series_add spam 192.0.2.7", "add spam - 192.0.2.7 1"},
    {"less to a series", "series_add spam 192.0.2.7 -3", "add spam - 192.0.2.7 -3"},
    {"one to a series with a monitor", "series_add spam 1800,3 192.0.2.7 3",
     "add spam 1800,3 192.0.2.7 3"},
    {"a key that looks like a monitor", "series_add spam 60,10", "add spam - 60,10 1"},
    {"a series", "series_count spam 192.0.2.0/24", "count spam - 192.0.2.0/24 0-"},
    {"a series' windows", "series_count spam 1800,3 ann@example.com 0 2",
     "count spam 1800,3 ann@example.com 0-2"},
    {"a check", "check 192.0.2.7 smtp", "check 192.0.2.7 smtp"},
    {"a check at no service", "check [2001:db8::1]", "check 2001:db8::1 -"},

    {"nothing", "", "no: the line is empty: expected a request"},
    {"blanks alone", " \t ", "no: the line is empty: expected a request"},
    {"another protocol", "EHLO mail.example.com",
     "no: there is no request 'EHLO' [live count check event series_add series_count "
     "audit_connections_on_service]"},
    {"a name in capitals", "LIVE 192.0.2.7",
     "no: there is no request 'LIVE' [live count check event series_add series_count "
     "audit_connections_on_service]"},
    {"too few words", "live", "no: expected live CIDR [service]"},
    {"too many words", "live ::/0 smtp now",
     "no: 'now' is one word too many: expected live CIDR [service]"},
    {"no monitor", "count ::/0", "no: expected count CIDR monitor [start [end]] [event [service]]"},
    {"a host's name", "live localhost/32",
     "no: 'localhost/32' is not a CIDR block: expected an address, optionally with a /length, "
     "such as 192.0.2.0/24 or 2001:db8::/32"},
    {"a series without a key", "series_add spam",
     "no: expected series_add NAME [monitor] KEY [amount]"},
    {"an amount that is none", "series_add spam 192.0.2.7 many",
     "no: expected an amount from -1000000000 to 1000000000, not 'many'"},
    {"a block to check", "check 192.0.2.0/24 smtp",
     "no: '192.0.2.0/24' is not an IPv4 or IPv6 address"},
    {"a window that is too far", "count ::/0 60,10 10000",
     "no: expected a window from 0 to 9999, not '10000'"},
    {"a window beyond numbers", "count ::/0 60,10 99999999999999999999",
     "no: expected a window from 0 to 9999, not '99999999999999999999'"},
    {"an unknown event", "count ::/0 60,10 spam",
     "no: there is no event 'spam': expected one of connections, syn, dropped, receptions, "
     "recipients, rejections, auth, tls [connections syn dropped receptions recipients "
     "rejections auth tls]"},
    {"what the gate alone reports", "event connections 192.0.2.7",
     "no: there is no event 'connections' to report [receptions recipients rejections auth tls]"},
    {"an amount of nothing", "event auth 192.0.2.7 0",
     "no: expected an amount from 1 to 1000000000, not '0'"},
    {"an amount below nothing", "event auth 192.0.2.7 -1",
     "no: expected an amount from 1 to 1000000000, not '-1'"},
    {"a part of an event", "event auth 192.0.2.7 1.5 smtp",
     "no: expected an amount from 1 to 1000000000, not '1.5'"},
    {"a window to come", "count ::/0 60,10 -1", "no: expected a window from 0 to 9999, not '-1'"},
    {"noise", "live \x01\xff", "no: the line has a character that is not printable ASCII"},
    {"a zero byte", std::string("live\0::/0", 9),
     "no: the line has a character that is not printable ASCII"},
};

TEST(LineCodec, UnderstandsOrSaysWhatWasExpected)
{
    for (const auto &row : rows) {
        SCOPED_TRACE(row.name);
        EXPECT_EQ(understood(row.line), row.expected);
    }
}

TEST(LineCodec, EndsARequestAtANewlineOrAtTheEnd)
{
    EXPECT_FALSE(first_line("", true));
    EXPECT_FALSE(first_line("live ::/0", false));
    const auto cut = first_line("live ::/0", true);
    ASSERT_TRUE(cut);
    EXPECT_EQ(cut->line, "live ::/0");
    EXPECT_EQ(cut->taken, 9u);
    const auto first = first_line("a\nb", true);
    ASSERT_TRUE(first);
    EXPECT_EQ(first->line, "a");
    EXPECT_EQ(first->taken, 2u);
    const auto empty = first_line("\n", false);
    ASSERT_TRUE(empty);
    EXPECT_EQ(empty->line, "");
}

TEST(Logfmt, QuotesWhatAShellWouldCut)
{
    EXPECT_EQ(Logfmt{}
                  .add("a", "x")
                  .add("b", "")
                  .add("c", "two words")
                  .add("d", "a\"b\\c")
                  .add("e", "k=v")
                  .add("f", "caf\xc3\xa9\n")
                  .line(),
              "a=x b=\"\" c=\"two words\" d=\"a\\\"b\\\\c\" e=\"k=v\" f=\"caf???\"\n");
    EXPECT_EQ(Logfmt{}
                  .add("a", std::int64_t{-3})
                  .add("b", std::uint64_t{18446744073709551615u})
                  .add("c", 1.5e9)
                  .add("d", 0.25)
                  .add("e", true)
                  .line(),
              "a=-3 b=18446744073709551615 c=1500000000 d=0.25 e=true\n");
}

} // namespace
} // namespace tallygate::test
