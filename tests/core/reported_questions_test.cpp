// SPDX-License-Identifier: BSD-2-Clause
//
// Questions about what front-ends report, which the gate knows nothing of.
#include <gtest/gtest.h>

#include "core/fake_gate.hpp"
#include "core/question.hpp"
#include "core/support.hpp"

namespace tallygate::core::test {
namespace {

/// The gate guards two services; now is 1,000, and reports are kept since 500.
class ReportedQuestionsTest : public testing::Test {
protected:
    ReportedQuestionsTest()
    {
        questions.set_services({{"smtp", ServiceId{1}}, {"imap", ServiceId{2}}});
        ledger.reported().set_since(at(500));
    }

    void report(const char *client, std::uint64_t amount, const char *service = "smtp")
    {
        reports.report({Reported::receptions, service, block(client), amount});
    }

    Answer count(CountQuestion question)
    {
        question.monitor = "60,10";
        question.event = Reported::receptions;
        const auto answer = questions.count(question);
        EXPECT_TRUE(answer) << answer.error().message;
        return answer ? *answer : Answer{};
    }

    FakeClock clock;
    FakeGate gate;
    Ledger ledger{{{60, 10}, {900, 4}}};
    Questions questions{ledger, gate, clock};
    ReportedEvents reports{ledger, gate, clock};
};

TEST_F(ReportedQuestionsTest, AreAnsweredUpToNow)
{
    report("192.0.2.1", 3);
    report("192.0.2.2", 2, "Submission");
    const auto answer = count({.block = block("192.0.2.0/24")});

    EXPECT_EQ(answer.value, 5);
    EXPECT_TRUE(answer.exact);
    EXPECT_EQ(answer.as_of, at(1'000));
    EXPECT_EQ(answer.since, at(500)) << "since when reports are kept, and not the gate's tables";
    EXPECT_DOUBLE_EQ(answer.rate_per_second, 5.0 / 40);
    EXPECT_TRUE(gate.refreshed.empty()) << "the gate has no part in it";
    EXPECT_EQ(count({.block = block("192.0.2.0/24"), .service = "SMTP"}).value, 3);
    EXPECT_EQ(count({.block = block("192.0.2.0/24"), .service = "submission"}).value, 2);
    EXPECT_EQ(count({.block = block("192.0.2.0/24"), .service = "imap"}).value, 0);
    clock.set(1'060);
    EXPECT_EQ(count({.block = block("192.0.2.0/24")}).value, 0);
    EXPECT_EQ(count({.block = block("192.0.2.0/24"), .end = 1}).value, 5);
}

TEST_F(ReportedQuestionsTest, HaveBoundsBelowWhatWasReported)
{
    report("192.0.2.0/24", 10);
    report("192.0.2.1", 1);
    report("2001:db8::1", 4);

    const auto half = count({.block = block("192.0.2.0/25")});
    EXPECT_EQ(half.value, 1);
    EXPECT_EQ(half.lower, 1);
    EXPECT_EQ(half.upper, 11);
    EXPECT_FALSE(half.exact);
    EXPECT_EQ(count({.block = block("192.0.2.0/24")}).value, 11);

    const auto part = count({.block = block("2001:db8::1")});
    EXPECT_EQ(part.value, 4) << "of the source that it is a part of, as connections are";
    EXPECT_EQ(part.lower, 0);
    EXPECT_EQ(part.upper, 4);
    EXPECT_TRUE(count({.block = block("2001:db8::/64")}).exact);
}

TEST_F(ReportedQuestionsTest, SayWhatIsWrong)
{
    report("192.0.2.1", 1, "submission");
    const struct {
        CountQuestion question;
        Wrong wrong;
        const char *message;
    } rows[] = {
        {{.monitor = "60,10", .event = Reported::auth, .service = "pop3"},
         Wrong::unknown,
         "there is no service 'pop3': expected one of imap, smtp, submission"},
        {{.monitor = "60,10", .event = Event::syn, .service = "submission"},
         Wrong::unknown,
         "there is no service 'submission': expected one of imap, smtp"},
        {{.monitor = "60,9", .event = Reported::auth},
         Wrong::unknown,
         "there is no monitor \"60,9\": expected one of \"60,10\", \"900,4\""},
        {{.monitor = "900,4", .end = 4, .event = Reported::auth},
         Wrong::malformed,
         "monitor '900,4' has no window 4: expected 0 (now) to 3 (the oldest)"},
        {{.monitor = "900,4", .start = 2, .end = 1, .event = Reported::auth},
         Wrong::malformed,
         "window 2 comes after window 1: expected the newer window first, and 0 is now"},
    };
    for (const auto &row : rows) {
        const auto answer = questions.count(row.question);
        ASSERT_FALSE(answer) << row.message;
        EXPECT_EQ(answer.error().message, row.message);
        EXPECT_EQ(answer.error().code, static_cast<int>(row.wrong));
    }
}

TEST(CountedTest, IsReadByItsName)
{
    for (const auto &name : counted_names()) {
        const auto parsed = parse_counted(name);
        ASSERT_TRUE(parsed) << name;
        EXPECT_EQ(counted_name(*parsed), name);
    }
    const auto wrong = parse_counted("tea");
    ASSERT_FALSE(wrong);
    EXPECT_EQ(wrong.error().message,
              "there is no event 'tea': expected one of connections, syn, dropped, receptions, "
              "recipients, rejections, auth, tls");
}

} // namespace
} // namespace tallygate::core::test
