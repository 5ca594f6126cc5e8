// SPDX-License-Identifier: BSD-2-Clause
//
// libtallygate from outside: what it asks a daemon, and what it makes of the answers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "net/http_server.hpp"
#include "net/loop_thread.hpp"
#include "net/temp_dir.hpp"
#include "tallygate/tallygate.h"

namespace tallygate::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// What a command prints.
std::string output_of(const std::string &command)
{
    std::string output;
    FILE *const pipe = ::popen(command.c_str(), "r");
    char piece[4096];
    while (pipe != nullptr && std::fgets(piece, sizeof(piece), pipe) != nullptr)
        output += piece;
    EXPECT_TRUE(pipe != nullptr && ::pclose(pipe) == 0) << command;
    return output;
}

class CApiTest : public testing::Test {
protected:
    void SetUp() override
    {
        auto listener = net::Listener::on_path(path_);
        ASSERT_TRUE(listener) << listener.error().message;
        server_.emplace(loop_, std::move(*listener), [this](const net::Request &request) {
            asked_.push_back(request.method + " " + request.target);
            if (!pages_.empty()) {
                const net::Response page{.body = pages_.front()};
                pages_.erase(pages_.begin());
                return page;
            }
            const auto path = request.target.substr(0, request.target.find('?'));
            const auto found = answers_.find(request.method + " " + path);
            return found != answers_.end() ? found->second : other_;
        });
        thread_.start();
        ::setenv("TALLYGATE_SOCKET", path_.c_str(), 1);
    }

    void TearDown() override
    {
        ::unsetenv("TALLYGATE_SOCKET");
        tallygate_close(handle_);
        thread_.stop();
        server_.reset();
    }

    int live(tallygate_answer *answer)
    {
        return tallygate_live(handle_, "192.0.2.0/24", nullptr, nullptr, answer);
    }

    TempDir dir_;
    std::string path_ = dir_ / "control.sock";
    std::vector<std::string> asked_;
    std::map<std::string, net::Response> answers_;
    std::vector<std::string> pages_; ///< answers to give before all others
    net::Response other_{.body = "{\"schema\":1,\"value\":3}\n"};
    net::Loop loop_;
    std::optional<net::HttpServer> server_;
    LoopThread thread_{loop_};
    tallygate_handle *handle_ = tallygate_open(path_.c_str());
};

TEST_F(CApiTest, AsksWhatAProgramInCAsks)
{
    answers_ = {
        {"GET /v1/live",
         {.body = "{\"schema\":1,\"value\":4,\"exact\":true,\"lower\":4,\"upper\":4,"
                  "\"rate_per_second\":0,\"as_of\":1763726410.5}\n"}},
        {"GET /v1/count",
         {.body = "{\"schema\":1,\"value\":5,\"exact\":false,\"lower\":2,\"upper\":9,"
                  "\"rate_per_second\":0.5,\"as_of\":1763726410}\n"}},
        {"GET /v1/check",
         {.body = "{\"schema\":1,\"action\":\"disconnect\",\"code\":421,\"delay_seconds\":10,"
                  "\"exceeded\":{\"check\":\"open\",\"of\":\"192.0.2.0/24\",\"count\":11,"
                  "\"max\":10,\"text\":\"too many\"},\"would\":null}\n"}},
        {"GET /v1/series/count", {.body = "{\"schema\":1,\"value\":-2}\n"}},
        {"GET /v1/series/items",
         {.body = "{\"schema\":1,\"items\":[{\"key\":\"ada\",\"value\":2},"
                  "{\"key\":\"b \\\"c\\\"\",\"value\":-1},{\"key\":\"d\",\"value\":9}]}\n"}},
        {"GET /v1/series",
         {.body = "{\"schema\":1,\"series\":[{\"name\":\"users\",\"type\":\"string\","
                  "\"monitor\":\"300,6\",\"persist\":true}]}\n"}},
    };
    EXPECT_EQ(output_of(C_API_PROGRAM), "live: 4 [4, 4] exact 1, 0.0/s at 1763726410.5\n"
                                        "listener: 4 [4, 4] exact 1, 0.0/s at 1763726410.5\n"
                                        "count: 5 [2, 9] exact 0, 0.5/s at 1763726410.0\n"
                                        "smooth: 5 [2, 9] exact 0, 0.5/s at 1763726410.0\n"
                                        "check: 0 4 421 10 open 192.0.2.0/24 11 10 too many\n"
                                        "event: 0 \n"
                                        "define: 0 \n"
                                        "add: 0 \n"
                                        "series count: 0 \n"
                                        "value: -2\n"
                                        "remove: 0 \n"
                                        "item: ada 2\n"
                                        "item: b \"c\" -1\n"
                                        "items: 0 \n"
                                        "series: users string 300,6 1\n"
                                        "list: 0 \n"
                                        "block: 0 192.0.2.0/24\n"
                                        "address: 0 2001:db8::7\n");
    EXPECT_THAT(
        asked_,
        ElementsAre(
            "GET /v1/live?cidr=192.0.2.0/24&service=smtp",
            "GET /v1/live?cidr=192.0.2.0/24&listener=192.0.2.25:25",
            "GET /v1/count?cidr=[2001:db8::]/32&monitor=60,10&event=receptions&start=0&end=9",
            "GET /v1/count?cidr=[2001:db8::]/32&index=0&event=receptions&service=imap&smooth=true",
            "GET /v1/check?address=192.0.2.7&service=smtp",
            "POST /v1/event?name=receptions&address=192.0.2.7&service=smtp&amount=3",
            "PUT /v1/series?name=my%20series&monitor=300,6&type=cidr&persist=true",
            "POST /v1/series/add?name=my%20series&key=192.0.2.7&amount=-2",
            "GET /v1/series/count?name=my%20series&monitor=300,6&key=192.0.2.0/24&start=0&end=5",
            "DELETE /v1/series/item?name=my%20series&key=192.0.2.7",
            "GET /v1/series/items?name=users&start=0&end=1", "GET /v1/series"));
}

TEST_F(CApiTest, SaysWhyItFailed)
{
    const struct {
        const char *name;
        net::Response response;
        int code;
        const char *message;
    } rows[] = {
        {"a wrong question",
         {.status = 400, .body = "{\"schema\":1,\"error\":\"'x' is bad\"}\n"},
         TALLYGATE_WRONG,
         "'x' is bad"},
        {"a series of another kind",
         {.status = 409, .body = "{\"error\":\"it is a string\"}"},
         TALLYGATE_WRONG,
         "it is a string"},
        {"no such service",
         {.status = 404, .body = "{\"error\":\"there is no service 'imap'\",\"known\":[\"smtp\"]}"},
         TALLYGATE_UNKNOWN,
         "there is no service 'imap'"},
        {"not here",
         {.status = 403, .body = "{\"error\":\"not on this listener\"}"},
         TALLYGATE_REFUSED,
         "not on this listener"},
        {"the gate's trouble",
         {.status = 500, .body = "{\"error\":\"walk flows: no memory\"}"},
         TALLYGATE_FAILED,
         "walk flows: no memory"},
        {"an error in other words",
         {.status = 502, .body = "<html>"},
         TALLYGATE_FAILED,
         "answered 502 in words that are not known"},
        {"an answer in other words",
         {.body = "[1]"},
         TALLYGATE_FAILED,
         "answered 200 in words that are not known"},
        {"an answer without a value",
         {.body = "{\"schema\":1}"},
         TALLYGATE_FAILED,
         "answered 200 in words that are not known"},
        {"a value that is no integer",
         {.body = "{\"value\":1e99}"},
         TALLYGATE_FAILED,
         "answered 200 in words that are not known"},
        {"an answer nested beyond reason",
         {.body = std::string(50'000, '[')},
         TALLYGATE_FAILED,
         "answered 200 in words that are not known"},
    };
    for (const auto &row : rows) {
        SCOPED_TRACE(row.name);
        other_ = row.response;
        tallygate_answer answer{};
        answer.value = 77;
        EXPECT_EQ(live(&answer), row.code);
        EXPECT_THAT(tallygate_message(handle_), HasSubstr(row.message));
        EXPECT_EQ(answer.value, 77) << "a failure must not write";
    }
    other_.status = 200;
    other_.body = "{\"value\":3}";
    tallygate_answer answer{};
    EXPECT_EQ(live(&answer), TALLYGATE_OK);
    EXPECT_EQ(answer.value, 3);
    EXPECT_STREQ(tallygate_message(handle_), "");
}

TEST_F(CApiTest, ReadsWhatChecksAdvise)
{
    const struct {
        const char *name;
        std::string body;
        int code;
        tallygate_action action;
        unsigned delay_seconds;
        std::string check, of, text;
    } rows[] = {
        {"none is exceeded",
         R"({"action":"pass","code":250,"delay_seconds":0,"exceeded":null,"would":null})",
         TALLYGATE_OK, TALLYGATE_PASS, 0, "", "", ""},
        {"a tarpit",
         R"~({"action":"pass","code":250,"delay_seconds":60,"exceeded":{"check":"slow",)~"
         R"~("of":"2001:db8::/48","count":3,"max":2,"text":"(why)"}})~",
         TALLYGATE_OK, TALLYGATE_PASS, 60, "slow", "2001:db8::/48", "(why)"},
        {"texts that are too long",
         R"~({"action":"mark","exceeded":{"check":")~" + std::string(70, 'c') + R"~(","of":")~" +
             std::string(70, 'o') + R"~(","text":")~" + std::string(600, 't') + R"~("}})~",
         TALLYGATE_OK, TALLYGATE_MARK, 0, std::string(63, 'c'), std::string(63, 'o'),
         std::string(511, 't')},
        {"an action that is not known", R"({"action":"reject","code":550})", TALLYGATE_FAILED,
         TALLYGATE_WARN, 77, "before", "", ""},
    };
    for (const auto &row : rows) {
        SCOPED_TRACE(row.name);
        other_.body = row.body;
        tallygate_advice advice{};
        advice.action = TALLYGATE_WARN;
        advice.delay_seconds = 77;
        std::strcpy(advice.check, "before");
        EXPECT_EQ(tallygate_check(handle_, "192.0.2.7", nullptr, &advice), row.code);
        EXPECT_EQ(advice.action, row.action);
        EXPECT_EQ(advice.delay_seconds, row.delay_seconds);
        EXPECT_EQ(advice.check, row.check);
        EXPECT_EQ(advice.of, row.of);
        EXPECT_EQ(advice.text, row.text);
    }
    EXPECT_THAT(asked_, testing::Each("GET /v1/check?address=192.0.2.7"));
    EXPECT_EQ(tallygate_check(handle_, nullptr, nullptr, nullptr), TALLYGATE_WRONG);
    EXPECT_STREQ(tallygate_message(handle_), "the address is missing");
}

TEST_F(CApiTest, RefusesWindowsOfASmoothCount)
{
    for (const auto &[start, end] : {std::pair{1U, 1U}, std::pair{0U, 9U}}) {
        tallygate_question question{};
        question.cidr = "192.0.2.7";
        question.monitor = "60,10";
        question.start = start;
        question.end = end;
        question.smooth = 1;
        tallygate_answer answer{};
        EXPECT_EQ(tallygate_count(handle_, &question, &answer), TALLYGATE_WRONG);
        EXPECT_STREQ(tallygate_message(handle_), "a smooth count is about window 0 and the one "
                                                 "before: expected neither start nor end");
    }
    EXPECT_THAT(asked_, ElementsAre());
}

TEST_F(CApiTest, NeedsWhatItNeeds)
{
    tallygate_answer answer{};
    char block[8];
    const tallygate_question nothing{};
    EXPECT_EQ(tallygate_live(handle_, nullptr, nullptr, nullptr, &answer), TALLYGATE_WRONG);
    EXPECT_STREQ(tallygate_message(handle_), "the CIDR block is missing");
    EXPECT_EQ(tallygate_count(handle_, &nothing, &answer), TALLYGATE_WRONG);
    EXPECT_EQ(tallygate_count(handle_, nullptr, &answer), TALLYGATE_WRONG);
    EXPECT_EQ(tallygate_event(handle_, "auth", nullptr, nullptr, 1), TALLYGATE_WRONG);
    EXPECT_EQ(tallygate_series_add(handle_, "users", nullptr, nullptr, 1), TALLYGATE_WRONG);
    EXPECT_STREQ(tallygate_message(handle_), "the key is missing");
    EXPECT_EQ(tallygate_series_items(handle_, "users", nullptr, 0, 0, nullptr, nullptr),
              TALLYGATE_WRONG);
    EXPECT_EQ(tallygate_block_of(handle_, "192.0.2.7", "/24", block, sizeof(block)),
              TALLYGATE_WRONG);
    EXPECT_THAT(tallygate_message(handle_), HasSubstr("too short for '192.0.2.0/24'"));
    EXPECT_EQ(tallygate_block_of(handle_, "localhost", "/24", block, sizeof(block)),
              TALLYGATE_WRONG);
    EXPECT_THAT(asked_, ElementsAre());
    EXPECT_EQ(live(nullptr), TALLYGATE_OK) << "an answer that nobody wants is none";
}

TEST_F(CApiTest, KnowsWhoIsInside)
{
    const struct {
        const char *client;
        const char *cidr;
        int code;
        int is_inside;
    } rows[] = {
        {"192.0.2.7:25", "192.0.2.0/24", TALLYGATE_OK, 1},
        {"192.0.2.7", "192.0.3.0/24", TALLYGATE_OK, 0},
        {"[2001:db8::7]:25", "2001:db8::/32", TALLYGATE_OK, 1},
        {"192.0.2.7", "::/0", TALLYGATE_OK, 0},
        {"localhost", "::/0", TALLYGATE_WRONG, -1},
        {"192.0.2.7", "192.0.2.0/33", TALLYGATE_WRONG, -1},
        {nullptr, "192.0.2.0/24", TALLYGATE_WRONG, -1},
    };
    for (const auto &row : rows) {
        SCOPED_TRACE(row.cidr);
        int is_inside = -1;
        EXPECT_EQ(tallygate_is_inside(handle_, row.client, row.cidr, &is_inside), row.code);
        EXPECT_EQ(is_inside, row.is_inside);
    }
}

TEST_F(CApiTest, ReadsItemsPageByPage)
{
    const auto note = [](void *context, const char *key, int64_t) {
        *static_cast<std::string *>(context) += key;
        return 0;
    };
    pages_ = {R"({"total":3,"items":[{"key":"a&b","value":1},{"key":"c","value":1}]})",
              R"({"total":1,"items":[{"key":"d","value":1}]})"};
    std::string keys;
    EXPECT_EQ(tallygate_series_items(handle_, "users", "300,6", 0, 0, note, &keys), TALLYGATE_OK);
    EXPECT_EQ(keys, "a&bcd");
    EXPECT_THAT(asked_,
                ElementsAre("GET /v1/series/items?name=users&monitor=300,6&start=0&end=0",
                            "GET /v1/series/items?name=users&monitor=300,6&start=0&end=0&after=c"));
}

TEST_F(CApiTest, TellsWhereItAsks)
{
    EXPECT_EQ(tallygate_socket(handle_), path_);
    tallygate_handle *const by_environment = tallygate_open(nullptr);
    EXPECT_EQ(tallygate_socket(by_environment), path_);
    tallygate_handle *const by_nothing = tallygate_open("");
    EXPECT_EQ(tallygate_socket(by_nothing), path_);
    ::unsetenv("TALLYGATE_SOCKET");
    tallygate_handle *const by_default = tallygate_open(nullptr);
    EXPECT_STREQ(tallygate_socket(by_default), "/run/tallygate/control.sock");
    tallygate_handle *const nobody = tallygate_open((dir_ / "none.sock").c_str());
    EXPECT_EQ(tallygate_live(nobody, "192.0.2.7", nullptr, nullptr, nullptr),
              TALLYGATE_UNREACHABLE);
    EXPECT_THAT(tallygate_message(nobody), HasSubstr("none.sock: No such file or directory"));
    for (auto *const each : {by_environment, by_nothing, by_default, nobody})
        tallygate_close(each);
    tallygate_close(nullptr);
}

#if !defined(__SANITIZE_ADDRESS__) // sanitizers put their own symbols into what they compile
TEST(CApi, ShowsNothingButItself)
{
    const auto symbols = output_of("nm -D --defined-only --format=posix " LIBTALLYGATE);
    std::size_t count = 0;
    for (std::size_t at = 0; at < symbols.size(); count++) {
        const auto end = symbols.find('\n', at);
        const auto name = symbols.substr(at, symbols.find(' ', at) - at);
        EXPECT_TRUE(name.starts_with("tallygate_") || name.starts_with("TALLYGATE_")) << name;
        at = end + 1;
    }
    EXPECT_GE(count, 15u);
    const auto needed = output_of("readelf -d " LIBTALLYGATE);
    EXPECT_THAT(needed, testing::Not(HasSubstr("stdc++")));
    EXPECT_THAT(needed, testing::Not(HasSubstr("boost")));
    EXPECT_THAT(needed, HasSubstr("[libtallygate.so."));
}
#endif

} // namespace
} // namespace tallygate::test
