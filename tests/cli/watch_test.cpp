// SPDX-License-Identifier: BSD-2-Clause
//
// `watch`: one view after the other, without the pauses.
#include <gmock/gmock.h>

#include "cli/fixture.hpp"

namespace tallygate::test {
namespace {

using cli::ExitCode;
using testing::HasSubstr;

/// What the daemon answers to both questions of a view.
std::string body(const std::string &as_of, int opened, int syn)
{
    return R"({"schema":1,"as_of":)" + as_of +
           R"(,"mode":"observe","warnings":["flows is 95 % full"],)"
           R"("services":[{"name":"smtp","live":6,"opened":)" +
           std::to_string(opened) + R"(,"closed":1,"syn":)" + std::to_string(syn) +
           R"(,"dropped":0,"would_drop":0}],"by":"connections","monitor":"60,10",)"
           R"("rows":[{"source":"192.0.2.1","live":3,"connections":4,"syn":5}]})";
}

TEST_F(CommandLine, WatchesWhatGrows)
{
    answer_.body = body("1763726410.5", 10, 20);
    auto view = run({"watch"});
    EXPECT_EQ(asked_, "GET /v1/top");
    EXPECT_EQ(view.out, "2025-11-21 12:00:10 UTC  mode observe\n"
                        "WARNING: flows is 95 % full\n"
                        "\n"
                        "SERVICE  LIVE  OPENED/s  CLOSED/s  SYN/s  DROPPED/s  WOULD DROP/s\n"
                        "smtp        6         -         -      -          -             -\n"
                        "\n"
                        "SOURCE     LIVE  CONNECTIONS  SYN\n"
                        "192.0.2.1     3            4    5\n"
                        "\n"
                        "by connections; connections and SYNs of all windows of 60,10\n");
    EXPECT_TRUE(view.is_view);
    EXPECT_EQ(view.pause, std::chrono::seconds(1));

    answer_.body = body("1763726412.5", 13, 1020);
    ASSERT_TRUE(view.next);
    view = view.next();
    EXPECT_THAT(view.out,
                HasSubstr("smtp        6       1.5       0.0  500.0        0.0           0.0\n"));

    // Totals that begin anew have no rate.
    answer_.body = body("1763726413.5", 0, 1021);
    view = view.next();
    EXPECT_THAT(view.out,
                HasSubstr("smtp        6         -       0.0    1.0        0.0           0.0\n"));
}

TEST_F(CommandLine, WatchesInJsonAsManyTimesAsAsked)
{
    answer_.body = body("1763726410.5", 10, 20);
    auto view = run({"watch", "192.0.2.0/24", "--by", "live", "--times", "2", "--every", "2m",
                     "--service", "smtp", "--json"});
    EXPECT_EQ(asked_, "GET /v1/top?by=live&cidr=192.0.2.0/24&service=smtp");
    EXPECT_EQ(view.pause, std::chrono::minutes(2));
    EXPECT_FALSE(view.is_view);
    EXPECT_EQ(view.out,
              R"({"schema":1,"as_of":1763726410.500000,"mode":"observe",)"
              R"("services":[{"name":"smtp","live":6,"opened_per_second":null,)"
              R"("closed_per_second":null,"syn_per_second":null,"dropped_per_second":null,)"
              R"("would_drop_per_second":null}],"by":"connections","monitor":"60,10",)"
              R"("rows":[{"source":"192.0.2.1","live":3,"connections":4,"syn":5}]})"
              "\n");
    answer_.body = body("1763726420.5", 10, 25);
    ASSERT_TRUE(view.next);
    view = view.next();
    EXPECT_THAT(view.out, HasSubstr(R"("syn_per_second":0.500,)"));
    EXPECT_FALSE(view.next);
}

TEST_F(CommandLine, WatchesOnAfterARestartOfTheDaemon)
{
    answer_.body = body("1763726410.5", 10, 20);
    auto view = run({"watch", "--times", "4"});
    answer_ = {.status = 500, .body = R"({"schema":1,"error":"walk flows: Out of memory"})"};
    view = view.next();
    EXPECT_EQ(view.exit_code, ExitCode::ok);
    EXPECT_EQ(view.out, "tallygate: walk flows: Out of memory\n");
    EXPECT_TRUE(view.is_view);

    answer_ = {.body = body("1763726412.5", 13, 1020)};
    view = view.next();
    EXPECT_THAT(view.out, HasSubstr("smtp        6         -"));

    // The last view says how it ended.
    answer_ = {.status = 500, .body = R"({"schema":1,"error":"walk flows: Out of memory"})"};
    view = view.next();
    EXPECT_EQ(view.exit_code, ExitCode::failed);
    EXPECT_FALSE(view.next);
}

TEST_F(CommandLine, WatchesNothingThatIsNotThere)
{
    auto outcome = cli::run({"--socket", dir_ / "none.sock", "watch"});
    EXPECT_EQ(outcome.exit_code, ExitCode::unreachable);
    EXPECT_FALSE(outcome.next);
    answer_ = {.status = 404, .body = R"({"schema":1,"error":"there is no service 'x'"})"};
    outcome = run({"watch", "--service", "x"});
    EXPECT_EQ(outcome.exit_code, ExitCode::not_found);
    EXPECT_FALSE(outcome.next);
}

} // namespace
} // namespace tallygate::test
