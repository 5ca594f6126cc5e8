// SPDX-License-Identifier: BSD-2-Clause
//
// A target in, a question or a refusal out. To add a case, add a row.
#include "frontend/control_codec.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tallygate::test {
namespace {

using namespace frontend;
using testing::HasSubstr;

template <typename... Visitors>
struct Overloaded : Visitors... {
    using Visitors::operator()...;
};

std::string or_dash(const std::optional<std::string> &text)
{
    return text.value_or("-");
}

std::string or_dash(const std::optional<Address> &address)
{
    return address ? address->text() : "-";
}

std::string or_dash(const std::optional<std::chrono::seconds> &span)
{
    return span ? std::to_string(span->count()) : "-";
}

std::string asked_text(const AskedBlock &asked)
{
    return asked.text + (asked.folded ? " folded" : "");
}

/// A request as one line, so that a row can say what it expects.
std::string text_of(const ControlRequest &request)
{
    return std::visit(
        Overloaded{
            [](const LiveRequest &live) {
                const auto &question = live.question;
                return "live " + question.block.text() + " service " + or_dash(question.service) +
                       " listener " +
                       (question.listener ? question.listener->text() : std::string("-")) +
                       " asked " + asked_text(live.asked);
            },
            [](const CountRequest &count) {
                const auto &question = count.question;
                return "count " + question.block.text() + " monitor " + question.monitor +
                       " windows " + std::to_string(question.start) + ".." +
                       (question.end ? std::to_string(*question.end) : "-") + " event " +
                       std::string(core::counted_name(question.event)) + " service " +
                       or_dash(question.service) + " asked " + asked_text(count.asked);
            },
            [](const TopRequest &top) {
                const auto &question = top.question;
                return "top " + (question.block ? question.block->text() : std::string("-")) +
                       " by " + std::string(top_by_name(question.by)) + " rows " +
                       std::to_string(question.rows_max) + " monitor " + or_dash(question.monitor) +
                       " service " + or_dash(question.service);
            },
            [](const NetworksRequest &) { return std::string("networks"); },
            [](const StatusRequest &) { return std::string("status"); },
            [](const MetricsRequest &) { return std::string("metrics"); },
            [](const PageRequest &) { return std::string("page"); },
            [](const LimitsRequest &) { return std::string("limits"); },
            [](const ReloadRequest &reload) {
                return "reload operator " + or_dash(reload.remote_address);
            },
            [](const ListAddRequest &add) {
                return std::string(core::list_kind_name(add.kind)) + " add " + add.block.text() +
                       " for " + or_dash(add.span) + " reason '" + add.reason + "' operator " +
                       or_dash(add.remote_address) + " asked " + asked_text(add.asked);
            },
            [](const ListRemoveRequest &remove) {
                return std::string(core::list_kind_name(remove.kind)) + " remove " +
                       remove.block.text() + " operator " + or_dash(remove.remote_address) +
                       " asked " + asked_text(remove.asked);
            },
            [](const ListsRequest &lists) {
                return "lists " +
                       std::string(lists.kind ? core::list_kind_name(*lists.kind) : "-") +
                       " rows " + std::to_string(lists.rows);
            },
            [](const ExplainRequest &explain) {
                return "explain " + explain.address.text() + " service " + or_dash(explain.service);
            },
            [](const CheckRequest &check) {
                return "check " + check.subject.address.text() + " service " +
                       or_dash(check.subject.service);
            },
            [](const SeriesRequest &) { return std::string("series"); },
            [](const EventRequest &event) {
                const auto &report = event.report;
                return "event " + std::string(core::reported_name(report.event)) + " of " +
                       report.client.text() + " service " + report.service + " amount " +
                       std::to_string(report.amount) + " asked " + asked_text(event.asked);
            },
            [](const ModeRequest &mode) {
                return "mode " + std::string(core::mode_name(mode.mode)) + " confirm " +
                       or_dash(mode.confirm) + " operator " + or_dash(mode.remote_address);
            },
        },
        request);
}

const struct {
    const char *target;
    const char *request;
} good_cases[] = {
    {"/v1/status", "status"},
    {"/v1/status?", "status"},
    {"/v1/networks", "networks"},
    {"/metrics", "metrics"},
    {"/", "page"},
    {"/v1/live?cidr=192.0.2.0/24", "live 192.0.2.0/24 service - listener - asked 192.0.2.0/24"},
    {"/v1/live?cidr=192.0.2.1", "live 192.0.2.1/32 service - listener - asked 192.0.2.1"},
    {"/v1/live?cidr=192.0.2.1/24",
     "live 192.0.2.0/24 service - listener - asked 192.0.2.1/24 folded"},
    {"/v1/live?cidr=::ffff:192.0.2.0/120",
     "live 192.0.2.0/24 service - listener - asked ::ffff:192.0.2.0/120"},
    {"/v1/live?cidr=2001:db8::/32", "live 2001:db8::/32 service - listener - asked 2001:db8::/32"},
    {"/v1/live?cidr=2001:db8::%2F32",
     "live 2001:db8::/32 service - listener - asked 2001:db8::/32"},
    {"/v1/live?cidr=2001%3adb8%3A%3a%2f32",
     "live 2001:db8::/32 service - listener - asked 2001:db8::/32"},
    {"/v1/live?cidr=[2001:db8::1]",
     "live 2001:db8::1/128 service - listener - asked [2001:db8::1]"},
    {"/v1/live?cidr=%5B2001:db8::%5D/32",
     "live 2001:db8::/32 service - listener - asked [2001:db8::]/32"},
    {"/v1/live?c%69dr=::/0", "live ::/0 service - listener - asked ::/0"},
    {"/v1/live?&cidr=::/0&&", "live ::/0 service - listener - asked ::/0"},
    {"/v1/live?service=smtp&cidr=0.0.0.0/0",
     "live 0.0.0.0/0 service smtp listener - asked 0.0.0.0/0"},
    {"/v1/live?cidr=::/0&listener=[2001:db8::25]:25",
     "live ::/0 service - listener [2001:db8::25]:25 asked ::/0"},
    {"/v1/live?cidr=::/0&service=a=b", "live ::/0 service a=b listener - asked ::/0"},
    {"/v1/live?cidr=::/0&service=a+b", "live ::/0 service a+b listener - asked ::/0"},
    {"/v1/count?cidr=192.0.2.1&monitor=60,10",
     "count 192.0.2.1/32 monitor 60,10 windows 0..- event connections service - "
     "asked 192.0.2.1"},
    {"/v1/count?cidr=192.0.2.1&monitor=60%2C10&start=1&end=9&event=syn&service=smtp",
     "count 192.0.2.1/32 monitor 60,10 windows 1..9 event syn service smtp asked 192.0.2.1"},
    {"/v1/top", "top - by connections rows 10 monitor - service -"},
    {"/v1/top?cidr=192.0.2.0/24&by=live&rows=1000&monitor=900,4&service=smtp",
     "top 192.0.2.0/24 by live rows 1000 monitor 900,4 service smtp"},
    {"/v1/top?by=syn&rows=1", "top - by syn rows 1 monitor - service -"},
    {"/v1/limits", "limits"},
    {"/v1/lists", "lists - rows 1000"},
    {"/v1/lists?kind=allow&rows=10000", "lists allow rows 10000"},
    {"/v1/lists?kind=block", "lists block rows 1000"},
    {"/v1/explain?address=::ffff:192.0.2.7", "explain 192.0.2.7 service -"},
    {"/v1/explain?address=[2001:db8::1]&service=smtp", "explain 2001:db8::1 service smtp"},
    {"/v1/check?address=192.0.2.7", "check 192.0.2.7 service -"},
    {"/v1/check?address=[2001:db8::1]&service=smtp", "check 2001:db8::1 service smtp"},
};

TEST(ControlCodec, ReadsRequests)
{
    for (const auto &row : good_cases) {
        SCOPED_TRACE(row.target);
        const auto parsed = parse_control("GET", row.target);
        const auto *request = std::get_if<ControlRequest>(&parsed);
        ASSERT_NE(request, nullptr) << std::get<ControlRefusal>(parsed).message;
        EXPECT_EQ(text_of(*request), row.request);
    }
}

const struct {
    const char *target;
    const char *request;
} write_cases[] = {
    {"/v1/reload", "reload operator -"},
    {"/v1/reload?operator=2001:db8::9", "reload operator 2001:db8::9"},
    {"/v1/block?cidr=192.0.2.7/24",
     "block add 192.0.2.0/24 for - reason '' operator - asked 192.0.2.7/24 folded"},
    {"/v1/block?cidr=192.0.2.7&for=90&reason=spam%20run&operator=198.51.100.9",
     "block add 192.0.2.7/32 for 90 reason 'spam run' operator 198.51.100.9 asked 192.0.2.7"},
    {"/v1/block?cidr=192.0.2.7&for=2h",
     "block add 192.0.2.7/32 for 7200 reason '' operator - asked 192.0.2.7"},
    {"/v1/allow?cidr=2001:db8::/32&for=7d",
     "allow add 2001:db8::/32 for 604800 reason '' operator - asked 2001:db8::/32"},
    {"/v1/block/remove?cidr=192.0.2.7", "block remove 192.0.2.7/32 operator - asked 192.0.2.7"},
    {"/v1/allow/remove?cidr=::/0&operator=::1", "allow remove ::/0 operator ::1 asked ::/0"},
    {"/v1/event?name=auth&address=192.0.2.7",
     "event auth of 192.0.2.7/32 service smtp amount 1 asked 192.0.2.7"},
    {"/v1/event?name=receptions&address=[2001:db8::1]/64&service=Submission&amount=12",
     "event receptions of 2001:db8::/64 service Submission amount 12 asked [2001:db8::1]/64 "
     "folded"},
    {"/v1/mode?mode=observe", "mode observe confirm - operator -"},
    {"/v1/mode?mode=enforce&confirm=10m&operator=192.0.2.9",
     "mode enforce confirm 600 operator 192.0.2.9"},
};

TEST(ControlCodec, ReadsWrites)
{
    for (const auto &row : write_cases) {
        SCOPED_TRACE(row.target);
        const auto parsed = parse_control("POST", row.target);
        const auto *request = std::get_if<ControlRequest>(&parsed);
        ASSERT_NE(request, nullptr) << std::get<ControlRefusal>(parsed).message;
        EXPECT_EQ(text_of(*request), row.request);
        EXPECT_FALSE(is_for_everybody(*request));
    }
}

TEST(ControlCodec, TellsWhatEverybodyMayAskFor)
{
    const auto is_open = [](const char *target) {
        return is_for_everybody(std::get<ControlRequest>(parse_control("GET", target)));
    };
    for (const auto *target : {"/v1/live?cidr=::/0", "/v1/count?cidr=::/0&monitor=60,10", "/v1/top",
                               "/v1/networks", "/v1/status", "/metrics", "/"})
        EXPECT_TRUE(is_open(target)) << target;
    for (const auto *target :
         {"/v1/lists", "/v1/limits", "/v1/explain?address=::1", "/v1/check?address=::1"})
        EXPECT_FALSE(is_open(target)) << target;
}

TEST(ControlCodec, TellsWhatIsForPolicies)
{
    const auto is_open = [](const char *method, const char *target) {
        return is_for_policy(std::get<ControlRequest>(parse_control(method, target)));
    };
    for (const auto *target :
         {"/v1/live?cidr=::/0", "/v1/count?cidr=::/0&monitor=60,10", "/v1/series",
          "/v1/series/count?name=a&key=b", "/v1/series/items?name=a", "/v1/status", "/metrics"})
        EXPECT_TRUE(is_open("GET", target)) << target;
    EXPECT_TRUE(is_open("POST", "/v1/event?name=auth&address=::1"));
    EXPECT_TRUE(is_open("POST", "/v1/series/add?name=a&key=b"));
    EXPECT_TRUE(is_open("PUT", "/v1/series?name=a&type=string&monitor=1,1"));
    EXPECT_TRUE(is_open("DELETE", "/v1/series/item?name=a&key=b"));
    EXPECT_FALSE(is_open("DELETE", "/v1/series?name=a"));
    for (const auto *target : {"/v1/lists", "/v1/limits", "/v1/explain?address=::1"})
        EXPECT_FALSE(is_open("GET", target)) << target;
    for (const auto *target :
         {"/v1/block?cidr=192.0.2.7", "/v1/block/remove?cidr=192.0.2.7", "/v1/allow?cidr=192.0.2.7",
          "/v1/allow/remove?cidr=192.0.2.7", "/v1/mode?mode=enforce", "/v1/reload"})
        EXPECT_FALSE(is_open("POST", target)) << target;
}

const struct {
    const char *method;
    const char *target;
    unsigned status;
    const char *message;
    const char *known = ""; ///< one of them
} bad_cases[] = {
    {"GET", "/v2/live", 404, "there is nothing at '/v2/live'", "/v1/live"},
    {"GET", "/v1/live/?cidr=::/0", 404, "there is nothing at '/v1/live/'", "/v1/live"},
    {"GET", "", 404, "there is nothing at ''", "/"},
    {"GET", "/\xff\xfe", 404, "there is nothing at this path", "/"},
    {"GET", "*", 404, "there is nothing at '*'", "/"},
    {"POST", "/v1/live?cidr=::/0", 405, "/v1/live takes GET"},
    {"DELETE", "/", 405, "/ takes GET"},
    {"GET", "/v1/reload", 405, "/v1/reload takes POST"},
    {"GET", "/v1/live", 400, "parameter 'cidr' is missing"},
    {"GET", "/v1/live?", 400, "parameter 'cidr' is missing"},
    {"GET", "/v1/live?cidr", 400, "'' is not a CIDR block"},
    {"GET", "/v1/live?cidr=", 400, "'' is not a CIDR block"},
    {"GET", "/v1/live?cidr=192.0.2.0/33", 400, "'192.0.2.0/33' is not a CIDR block"},
    {"GET", "/v1/live?cidr=::/0&cidr=::/0", 400, "parameter 'cidr' is given twice"},
    {"GET", "/v1/live?cidr=::/0&c%69dr=::/0", 400, "parameter 'cidr' is given twice"},
    {"GET", "/v1/live?cidr=::/0&monitor=60,10", 400, "unknown parameter 'monitor'", "listener"},
    {"GET", "/v1/status?verbose=1", 400, "unknown parameter 'verbose'"},
    {"GET", "/v1/live?cidr=::/0&listener=192.0.2.25", 400, "'192.0.2.25' is not an address and"},
    {"GET", "/v1/live?cidr=%", 400, "bad percent escape"},
    {"GET", "/v1/live?cidr=%2", 400, "bad percent escape"},
    {"GET", "/v1/live?cidr=%zz", 400, "bad percent escape"},
    {"GET", "/v1/live?cidr=2001:db8::1%00x", 400, "not printable"},
    {"GET", "/v1/live?cidr=%0d%0aSet-Cookie:x", 400, "not printable"},
    {"GET", "/v1/live?cidr=%ff", 400, "not printable"},
    {"GET", "/v1/count?cidr=::/0", 400, "parameter 'monitor' is missing"},
    {"GET", "/v1/count?monitor=60,10", 400, "parameter 'cidr' is missing"},
    {"GET", "/v1/count?cidr=::/0&monitor=60,10&start=-1", 400, "parameter 'start': expected a"},
    {"GET", "/v1/count?cidr=::/0&monitor=60,10&start=1x", 400, "not '1x'"},
    {"GET", "/v1/count?cidr=::/0&monitor=60,10&end=", 400, "parameter 'end': expected a number"},
    {"GET", "/v1/count?cidr=::/0&monitor=60,10&end=10000", 400, "from 0 to 9999"},
    {"GET", "/v1/count?cidr=::/0&monitor=60,10&end=4294967296", 400, "from 0 to 9999"},
    {"GET", "/v1/count?cidr=::/0&monitor=60,10&event=tea", 404, "there is no event 'tea'", "auth"},
    {"GET", "/v1/count?cidr=::/0&monitor=60,10&end=99999999999", 400, "from 0 to 9999, not '999"},
    {"GET", "/v1/top?rows=99999999999999999999", 400, "from 1 to 1000, not '999"},
    {"GET", "/v1/top?rows=0", 400, "from 1 to 1000"},
    {"GET", "/v1/top?rows=1001", 400, "from 1 to 1000"},
    {"GET", "/v1/top?by=name", 400, "expected connections, live or syn, not 'name'", "live"},
    {"GET", "/v1/top?cidr=x", 400, "'x' is not a CIDR block"},
    {"GET", "/v1/block?cidr=192.0.2.7", 405, "/v1/block takes POST"},
    {"DELETE", "/v1/block?cidr=192.0.2.7", 405, "/v1/block takes POST"},
    {"POST", "/v1/lists", 405, "/v1/lists takes GET"},
    {"POST", "/v1/block", 400, "parameter 'cidr' is missing"},
    {"POST", "/v1/block?cidr=mail.example.com", 400, "'mail.example.com' is not a CIDR block"},
    {"POST", "/v1/block?cidr=192.0.2.7&for=0", 400, "'0' is not a span of time"},
    {"POST", "/v1/block?cidr=192.0.2.7&for=", 400, "'' is not a span of time"},
    {"POST", "/v1/block?cidr=192.0.2.7&for=never", 400, "'never' is not a span of time"},
    {"POST", "/v1/block?cidr=192.0.2.7&reason=two%0alines", 400, "not printable"},
    {"POST", "/v1/block?cidr=192.0.2.7&operator=ssh", 400, "'ssh' is not an"},
    {"POST", "/v1/block/remove?cidr=192.0.2.7&for=1h", 400, "unknown parameter 'for'", "cidr"},
    {"POST", "/v1/allow/remove", 400, "parameter 'cidr' is missing"},
    {"GET", "/v1/event?name=auth&address=192.0.2.7", 405, "/v1/event takes POST"},
    {"POST", "/v1/event", 400, "parameter 'name' is missing"},
    {"POST", "/v1/event?name=auth", 400, "parameter 'address' is missing"},
    {"POST", "/v1/event?name=auth&address=mail.example.com", 400, "is not a CIDR block"},
    {"POST", "/v1/event?name=syn&address=192.0.2.7", 404, "no event 'syn' to report", "auth"},
    {"POST", "/v1/event?name=auth&address=192.0.2.7&amount=0", 400, "from 1 to 1000000000"},
    {"POST", "/v1/event?name=auth&address=192.0.2.7&amount=-1", 400, "from 1 to 1000000000"},
    {"POST", "/v1/mode", 400, "parameter 'mode' is missing"},
    {"POST", "/v1/mode?mode=drop", 400, "'mode': expected observe or enforce, not 'drop'",
     "enforce"},
    {"POST", "/v1/mode?mode=enforce&confirm=soon", 400, "'soon' is not a span of time"},
    {"GET", "/v1/lists?kind=grey", 400, "expected allow or block, not 'grey'", "allow"},
    {"GET", "/v1/lists?rows=10001", 400, "from 1 to 10000"},
    {"GET", "/v1/explain", 400, "parameter 'address' is missing"},
    {"GET", "/v1/explain?address=192.0.2.0/24", 400, "'192.0.2.0/24' is not an"},
};

TEST(ControlCodec, RefusesAReasonThatIsTooLong)
{
    const auto target = "/v1/block?cidr=::1&reason=" + std::string(201, 'x');
    const auto parsed = parse_control("POST", target);
    EXPECT_THAT(std::get<ControlRefusal>(parsed).message, HasSubstr("at most 200"));
}

TEST(ControlCodec, RefusesWithTheReason)
{
    for (const auto &row : bad_cases) {
        SCOPED_TRACE(std::string(row.method) + " " + row.target);
        const auto parsed = parse_control(row.method, row.target);
        const auto *refusal = std::get_if<ControlRefusal>(&parsed);
        ASSERT_NE(refusal, nullptr);
        EXPECT_EQ(refusal->status, row.status);
        EXPECT_THAT(refusal->message, HasSubstr(row.message));
        EXPECT_EQ(refusal->allow.empty(), row.status != 405);
        EXPECT_EQ(refusal->known.empty(), *row.known == '\0');
        if (*row.known != '\0') {
            EXPECT_THAT(refusal->known, testing::Contains(row.known));
        }
    }
}

} // namespace
} // namespace tallygate::test
