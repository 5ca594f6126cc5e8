// SPDX-License-Identifier: BSD-2-Clause
//
// `tallygate audit`, in front of a daemon that notes what it was asked.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>

#include "cli/command_line.hpp"
#include "net/http_server.hpp"
#include "net/loop_thread.hpp"
#include "net/temp_dir.hpp"

namespace tallygate::test {
namespace {

using cli::ExitCode;
using testing::ElementsAre;
using testing::HasSubstr;

class Audit : public testing::Test {
protected:
    void SetUp() override
    {
        ::setenv("SSH_CONNECTION", "192.0.2.9 50022 192.0.2.1 22", 1);
        auto listener = net::Listener::on_path(path_);
        ASSERT_TRUE(listener) << listener.error().message;
        server_.emplace(loop_, std::move(*listener), [this](const net::Request &request) {
            asked_.push_back(request.method + " " + request.target);
            const auto found = answers_.find(asked_.back());
            return found != answers_.end() ? found->second : otherwise_;
        });
        thread_.start();
    }

    void TearDown() override
    {
        thread_.stop();
        server_.reset();
        ::unsetenv("SSH_CONNECTION");
    }

    cli::Outcome run(std::vector<std::string> arguments)
    {
        asked_.clear();
        arguments.insert(arguments.begin(), {"--socket", path_, "audit"});
        return cli::run(arguments);
    }

    void answer(const std::string &asked, const std::string &body, unsigned status = 200)
    {
        answers_[asked] = {.status = status, .body = body + "\n"};
    }

    std::string file(const std::string &text)
    {
        const auto path = dir_ / "list.csv";
        std::ofstream{path} << text;
        return path;
    }

    TempDir dir_;
    std::string path_ = dir_ / "control.sock";
    std::map<std::string, net::Response> answers_;
    net::Response otherwise_{.body = "{\"schema\":1,\"value\":0}\n"};
    std::vector<std::string> asked_;
    net::Loop loop_;
    std::optional<net::HttpServer> server_;
    LoopThread thread_{loop_};
};

TEST_F(Audit, ShowsAnAddressAsTheConsoleDoes)
{
    answer("GET /v1/status", R"({"schema":1,"monitors":["1800,3","60,1"]})");
    answer("GET /v1/count?cidr=10.0.0.0/8&monitor=1800,3&event=connections&start=0",
           R"({"schema":1,"value":30})");
    answer("GET /v1/count?cidr=10.0.0.0/8&monitor=1800,3&event=receptions&start=2",
           R"({"schema":1,"value":1697})");
    EXPECT_EQ(run({"show", "ip", "10.0.0.0/8"}).out, "Connections 1800/0: 30\n"
                                                     "Connections 1800/1: 0\n"
                                                     "Connections 1800/2: 0\n"
                                                     "Connections 60/0: 0\n"
                                                     "Receptions 1800/0: 0\n"
                                                     "Receptions 1800/1: 0\n"
                                                     "Receptions 1800/2: 1697\n"
                                                     "Receptions 60/0: 0\n"
                                                     "Rejections 1800/0: 0\n"
                                                     "Rejections 1800/1: 0\n"
                                                     "Rejections 1800/2: 0\n"
                                                     "Rejections 60/0: 0\n");
    const auto wrong = run({"show", "ip", "mail.example.com"});
    EXPECT_EQ(wrong.exit_code, ExitCode::usage);
    EXPECT_THAT(asked_, ElementsAre());
    EXPECT_EQ(run({"show", "ip"}).exit_code, ExitCode::usage);
    EXPECT_EQ(run({"show", "everything"}).exit_code, ExitCode::usage);
    EXPECT_EQ(run({"show", "all", "192.0.2.1"}).exit_code, ExitCode::usage);
    answer("GET /v1/status", R"({"schema":1,"monitors":[]})");
    EXPECT_EQ(run({"show", "ip", "10.0.0.0/8"}).exit_code, ExitCode::not_found);
}

TEST_F(Audit, ShowsAllSeriesAsCsv)
{
    answer("GET /v1/series",
           R"({"schema":1,"series":[{"name":"my, \"own\"","type":"string","monitor":"60,2"}]})");
    const std::string items = "GET /v1/series/items?name=my,%20%22own%22&monitor=60,2&type=string";
    answer(items + "&start=0",
           R"({"schema":1,"total":3,"items":[{"key":"ann","value":2},{"key":"bob","value":-1}]})");
    answer(items + "&start=0&after=bob",
           R"({"schema":1,"total":1,"items":[{"key":"zoe,b","value":1}]})");
    answer(items + "&start=1", R"({"schema":1,"total":0,"items":[]})");
    EXPECT_EQ(run({"show", "all"}).out, "series,parameters,window,key,count\n"
                                        "\"my, \"\"own\"\"\",\"60,2\",0,ann,2\n"
                                        "\"my, \"\"own\"\"\",\"60,2\",0,bob,-1\n"
                                        "\"my, \"\"own\"\"\",\"60,2\",0,\"zoe,b\",1\n");
    EXPECT_EQ(asked_.size(), 4U);
    // As the answers come, and nothing else between them.
    EXPECT_EQ(run({"show", "all", "--json"}).out, answers_[items + "&start=0"].body +
                                                      answers_[items + "&start=0&after=bob"].body +
                                                      answers_[items + "&start=1"].body);
}

TEST_F(Audit, AsksInTheOrderOfTheConsole)
{
    const struct {
        std::vector<std::string> arguments;
        const char *asked;
    } rows[] = {
        {{"count_cidr", "192.0.2.0/24", "mycounter", "1800,3", "0", "2"},
         "GET /v1/series/count?key=192.0.2.0/24&name=mycounter&monitor=1800,3&start=0&end=2"},
        {{"add", "mycounter", "1800,3", "192.0.2.1", "3"},
         "POST /v1/series/add?name=mycounter&monitor=1800,3&key=192.0.2.1&amount=3"},
        {{"add", "mycounter", "1800,3", "192.0.2.1", "-3"},
         "POST /v1/series/add?name=mycounter&monitor=1800,3&key=192.0.2.1&amount=-3"},
        {{"subtract", "mycounter", "1800,3", "192.0.2.1", "3"},
         "POST /v1/series/add?name=mycounter&monitor=1800,3&key=192.0.2.1&amount=-3"},
        {{"delete_ip", "192.0.2.1", "mycounter", "1800,3"},
         "DELETE /v1/series/item?key=192.0.2.1&name=mycounter&monitor=1800,3"},
        {{"define", "mycounter", "cidr", "1800,3", "--persist", "true"},
         "PUT /v1/series?name=mycounter&type=cidr&monitor=1800,3&persist=true"},
        {{"undefine", "mycounter", "1800,3"}, "DELETE /v1/series?name=mycounter&monitor=1800,3"},
    };
    for (const auto &row : rows) {
        const auto outcome = run(row.arguments);
        EXPECT_EQ(outcome.exit_code, ExitCode::ok) << outcome.err;
        EXPECT_THAT(asked_, ElementsAre(row.asked));
    }
    EXPECT_EQ(run({"subtract", "mycounter", "1800,3", "192.0.2.1", "-3"}).exit_code,
              ExitCode::usage);
    otherwise_ = {.status = 409, .body = R"({"schema":1,"error":"it is of type string already"})"};
    EXPECT_EQ(run({"define", "mycounter", "cidr", "1800,3"}).exit_code, ExitCode::failed);
}

constexpr const char *clients =
    R"({"schema":1,"series":[{"name":"clients","type":"cidr","monitor":"60,2"}]})";

TEST_F(Audit, LoadsAFile)
{
    answer("GET /v1/series", clients);
    const auto path = file("# who came\n192.0.2.1\n\n192.0.2.2,20\r\n\"192.0.2.0/24\",-3\n");
    EXPECT_EQ(run({"load", "clients", path}).out, "added 3 lines\n");
    const std::string add = "POST /v1/series/add?name=clients&monitor=60,2&key=";
    EXPECT_THAT(asked_, ElementsAre("GET /v1/series", add + "192.0.2.1&amount=1",
                                    add + "192.0.2.2&amount=20", add + "192.0.2.0/24&amount=-3"));
    EXPECT_EQ(run({"load", "unheard", path}).exit_code, ExitCode::not_found);
    EXPECT_EQ(run({"load", "clients", dir_ / "nowhere"}).exit_code, ExitCode::failed);
}

TEST_F(Audit, LoadsAFileIntoBothFamilies)
{
    answer("GET /v1/series", R"({"schema":1,"series":[
        {"name":"clients","type":"cidr","monitor":"60,2"},
        {"name":"clients","type":"cidr_ipv6","monitor":"60,2"},
        {"name":"two","type":"cidr","monitor":"60,2"},
        {"name":"two","type":"cidr","monitor":"60,3"}]})");
    const auto path = file("192.0.2.1\n[2001:db8::1],2\n");
    EXPECT_EQ(run({"load", "clients", path}).out, "added 2 lines\n");
    const std::string add = "POST /v1/series/add?name=clients&monitor=60,2&key=";
    EXPECT_THAT(asked_, ElementsAre("GET /v1/series", add + "192.0.2.1&amount=1",
                                    add + "[2001:db8::1]&amount=2"));
    const auto several = run({"load", "two", path});
    EXPECT_EQ(several.exit_code, ExitCode::usage);
    EXPECT_THAT(several.err, HasSubstr("expected --parameters to say which"));
    EXPECT_THAT(run({"load", "two", path, "--parameters", "60,3"}).err,
                HasSubstr(":2: '[2001:db8::1]' is not of the family"));
}

TEST_F(Audit, AddsNothingOfAFileWithMistakes)
{
    answer("GET /v1/series", clients);
    const auto path = file("192.0.2.1\nmail.example.com\n192.0.2.2,many\n2001:db8::1\n"
                           "192.0.2.3,1,1\n\"192.0.2.4\n,5\n192.0.2.5,1000000001\n");
    const auto outcome = run({"load", "clients", path});
    EXPECT_EQ(outcome.exit_code, ExitCode::failed);
    EXPECT_THAT(asked_, ElementsAre("GET /v1/series"));
    for (const char *says : {":2: 'mail.example.com' is not", ":3: 'many' is no amount",
                             ":4: '2001:db8::1' is not of the family", ":5: '1,1' is no amount",
                             ":6: quotes", ":7: the key is empty", ":8: '1000000001' is no amount",
                             "7 lines have mistakes; nothing was added"})
        EXPECT_THAT(outcome.err, HasSubstr(says));
}

TEST_F(Audit, AddsNothingOfAFileWithKeysThatAreNoText)
{
    answer("GET /v1/series",
           R"({"schema":1,"series":[{"name":"senders","type":"string","monitor":"60,2"}]})");
    const auto path = file("ann\na\tb\n" + std::string(257, 'k') +
                           ",2\n\xff,1\nj\xc3\xb6rg\n\"caf\xe9\",3\n\xc2\x85\n");
    const auto outcome = run({"load", "senders", path});
    EXPECT_EQ(outcome.exit_code, ExitCode::failed);
    EXPECT_THAT(asked_, ElementsAre("GET /v1/series")) << "before the first line is sent";
    const std::string no_text = ": the key is not text in UTF-8, or has control characters\n";
    EXPECT_EQ(outcome.err, "tallygate: " + path + ":2" + no_text + "tallygate: " + path +
                               ":3: the key has more than 256 bytes\n" + "tallygate: " + path +
                               ":4" + no_text + "tallygate: " + path + ":6" + no_text +
                               "tallygate: " + path + ":7" + no_text +
                               "tallygate: 5 lines have mistakes; nothing was added\n");
}

/* Its last two columns are what `load` takes. */
TEST_F(Audit, LoadsWhatItShows)
{
    answer("GET /v1/series",
           R"({"schema":1,"series":[{"name":"senders","type":"string","monitor":"60,1"}]})");
    answer("GET /v1/series/items?name=senders&monitor=60,1&type=string&start=0",
           R"({"schema":1,"total":4,"items":[{"key":"#1","value":2},{"key":"a#b","value":3},)"
           R"({"key":"b \"c\"","value":4},{"key":"d, e","value":-5}]})");
    const auto shown = run({"show", "all"}).out;
    EXPECT_EQ(shown, "series,parameters,window,key,count\n"
                     "senders,\"60,1\",0,\"#1\",2\n"
                     "senders,\"60,1\",0,a#b,3\n"
                     "senders,\"60,1\",0,\"b \"\"c\"\"\",4\n"
                     "senders,\"60,1\",0,\"d, e\",-5\n");
    std::string keys;
    const std::string before = "senders,\"60,1\",0,";
    for (auto at = shown.find(before); at != std::string::npos; at = shown.find(before, at)) {
        at += before.size();
        keys += shown.substr(at, shown.find('\n', at) - at + 1);
    }
    EXPECT_EQ(run({"load", "senders", file(keys)}).out, "added 4 lines\n");
    const std::string add = "POST /v1/series/add?name=senders&monitor=60,1&key=";
    EXPECT_THAT(asked_, ElementsAre("GET /v1/series", add + "%231&amount=2", add + "a%23b&amount=3",
                                    add + "b%20%22c%22&amount=4", add + "d,%20e&amount=-5"));
}

TEST_F(Audit, SaysHowFarAFileCame)
{
    answer("GET /v1/series", clients);
    answer("POST /v1/series/add?name=clients&monitor=60,2&key=192.0.2.2&amount=1",
           R"({"schema":1,"error":"no new key"})", 500);
    const auto path = file("192.0.2.1\n192.0.2.2\n192.0.2.3\n");
    const auto outcome = run({"load", "clients", path});
    EXPECT_EQ(outcome.exit_code, ExitCode::failed);
    EXPECT_EQ(outcome.err,
              "tallygate: no new key\ntallygate: the 1 lines before " + path + ":2 were added\n");
    EXPECT_EQ(asked_.size(), 3U);
}

} // namespace
} // namespace tallygate::test
