// SPDX-License-Identifier: BSD-2-Clause
//
// A real socket, a real loop, and clients that behave as badly as clients do. Time-outs are
// set to tens of milliseconds where a row is about them, and to a minute where it is not.
#include "net/http_server.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <deque>
#include <latch>
#include <optional>
#include <thread>

#include "net/descriptors.hpp"
#include "net/loop_thread.hpp"
#include "net/raw_client.hpp"
#include "net/temp_dir.hpp"

namespace tallygate::test {
namespace {

using namespace std::chrono_literals;
using net::HttpLimits;
using testing::HasSubstr;
using testing::StartsWith;

constexpr const char *hello = "GET /hello HTTP/1.1\r\nHost: tallygate\r\n\r\n";
constexpr HttpLimits patient{.receive_timeout = 60s, .send_timeout = 60s, .idle_timeout = 60s};

net::Response echo(const net::Request &request)
{
    return {.content_type = "text/plain",
            .body = request.method + " " + request.target + " " +
                    std::to_string(request.body.size()) + "\n"};
}

class HttpServerTest : public testing::Test {
protected:
    void serve(HttpLimits limits, net::Handler handler = echo)
    {
        auto listener = net::Listener::on_path(path_);
        ASSERT_TRUE(listener) << listener.error().message;
        server_.emplace(loop_, std::move(*listener), std::move(handler), limits);
        thread_.start();
    }

    void TearDown() override
    {
        thread_.stop();
        server_.reset();
    }

    net::HttpCounts counts()
    {
        return thread_.ask([this] { return server_->counts(); });
    }

    /// A new client is served, whatever others do.
    void expect_service()
    {
        RawClient client{path_};
        client.send(hello);
        EXPECT_THAT(client.read_until("GET /hello 0"), StartsWith("HTTP/1.1 200 OK\r\n"));
    }

    TempDir dir_;
    std::string path_ = dir_ / "http.sock";
    net::Loop loop_;
    std::optional<net::HttpServer> server_;
    LoopThread thread_{loop_};
};

TEST_F(HttpServerTest, KnowsTheProcessAtTheOtherEnd)
{
    serve(patient, [](const net::Request &request) {
        const auto &peer = request.peer;
        return net::Response{.body = peer ? std::to_string(peer->uid) + " " +
                                                std::to_string(peer->gid) + " " +
                                                std::to_string(peer->pid) + "\n"
                                          : "nobody\n"};
    });
    RawClient client{path_};
    client.send(hello);
    const auto expected = std::to_string(::getuid()) + " " + std::to_string(::getgid()) + " " +
                          std::to_string(::getpid()) + "\n";
    EXPECT_THAT(client.read_until("\n" + expected), HasSubstr("\r\n\r\n" + expected));
}

const struct {
    const char *name;
    std::string sent;
    const char *answer; ///< its beginning; empty: none
} transcripts[] = {
    {"a request", "GET /a?b=c HTTP/1.1\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 OK\r\n"},
    {"a request of the old kind", "GET / HTTP/1.0\r\n\r\n", "HTTP/1.0 200 OK\r\n"},
    {"a head of too many bytes", "GET / HTTP/1.1\r\nX: " + std::string(9000, 'x') + "\r\n\r\n",
     "HTTP/1.1 431 "},
    {"a line without end", "GET /" + std::string(100'000, 'x'), "HTTP/1.1 431 "},
    {"a body of too many bytes", "POST / HTTP/1.1\r\nContent-Length: 65537\r\n\r\n",
     "HTTP/1.1 413 "},
    {"a chunk of too many bytes",
     "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n" + std::string(70'000, 'x'),
     "HTTP/1.1 413 "},
    {"a length that is no number", "POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", "HTTP/1.1 400 "},
    {"another protocol", "EHLO mail.example.com\r\nMAIL FROM:<>\r\n", "HTTP/1.1 400 "},
    {"a TLS greeting", std::string("\x16\x03\x01\x00\xa5\x01\x00\x00", 8), "HTTP/1.1 400 "},
    {"zeros", std::string(64, '\0'), "HTTP/1.1 400 "},
    {"half a request, then the end", "GET / HT", ""},
    {"half a body, then the end", "POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n12345", ""},
    {"nothing, then the end", "", ""},
};

TEST_F(HttpServerTest, AnswersOrHangsUp)
{
    serve(patient);
    for (const auto &row : transcripts) {
        SCOPED_TRACE(row.name);
        RawClient client{path_};
        client.send(row.sent);
        client.send_no_more();
        const auto answer = client.read_all();
        EXPECT_EQ(answer.empty(), *row.answer == '\0') << answer;
        EXPECT_THAT(answer, StartsWith(row.answer));
        expect_service();
    }
}

TEST_F(HttpServerTest, TakesATargetBehindItsHost)
{
    serve(patient);
    const std::pair<const char *, const char *> rows[] = {
        {"http://localhost/v1/live?cidr=::/0", "GET /v1/live?cidr=::/0 0"},
        {"HTTP://[::1]:9847/", "GET / 0"},
        {"http://localhost", "GET / 0"},
        {"http://localhost?a=/", "GET /?a=/ 0"},
        {"https://localhost/", "GET https://localhost/ 0"},
        {"*", "GET * 0"},
    };
    for (const auto &[target, seen] : rows) {
        SCOPED_TRACE(target);
        RawClient client{path_};
        client.send(std::string("GET ") + target + " HTTP/1.1\r\nConnection: close\r\n\r\n");
        EXPECT_THAT(client.read_all(), testing::EndsWith(std::string(seen) + "\n"));
    }
}

TEST_F(HttpServerTest, GivesUpOnAHalfRequest)
{
    auto limits = patient;
    limits.receive_timeout = 30ms;
    serve(limits);
    for (const char *half : {"GET / HT", "POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n12345"}) {
        SCOPED_TRACE(half);
        RawClient client{path_};
        client.send(half);
        EXPECT_THAT(client.read_all(), StartsWith("HTTP/1.1 408 "));
    }
    EXPECT_EQ(counts().rejected_total, 2u);
}

TEST_F(HttpServerTest, GivesUpOnADripOfBytes)
{
    auto limits = patient;
    limits.receive_timeout = 50ms;
    serve(limits);
    RawClient client{path_};
    client.send("GET /");
    // Each byte comes well within the time: it is the whole that may not take longer.
    int drips = 0;
    for (; drips < 1000 && !client.hears_something(5); drips++)
        client.send("x");
    EXPECT_LT(drips, 1000);
    EXPECT_THAT(client.read_all(), StartsWith("HTTP/1.1 408 "));
}

TEST_F(HttpServerTest, HangsUpOnTheIdle)
{
    auto limits = patient;
    limits.idle_timeout = 30ms;
    serve(limits);
    RawClient silent{path_};
    EXPECT_TRUE(silent.is_closed());

    RawClient served{path_};
    served.send(hello);
    EXPECT_THAT(served.read_until("GET /hello 0"), StartsWith("HTTP/1.1 200 "));
    EXPECT_TRUE(served.is_closed());
    EXPECT_EQ(counts().rejected_total, 0u);
}

TEST_F(HttpServerTest, AnswersPipelinedRequestsInTheirOrder)
{
    serve(patient);
    constexpr int requests = 200;
    std::string sent;
    std::string expected;
    for (int i = 0; i < requests; i++) {
        sent += "GET /" + std::to_string(i) + " HTTP/1.1\r\n\r\n";
        expected += "GET /" + std::to_string(i) + " 0\n";
    }
    RawClient client{path_};
    client.send(sent);
    const auto answers = client.read_until(" 0\n", requests);
    std::string bodies;
    for (auto at = answers.find("\r\n\r\n"); at != std::string::npos;
         at = answers.find("\r\n\r\n", at + 1)) {
        const auto body = at + 4;
        bodies += answers.substr(body, answers.find('\n', body) + 1 - body);
    }
    EXPECT_EQ(bodies, expected);
}

TEST_F(HttpServerTest, GoesOnAfterAGoodRequestAndEndsAtABadOne)
{
    serve(patient);
    RawClient client{path_};
    client.send(std::string(hello) + "nonsense\r\n\r\n" + hello);
    const auto answers = client.read_all();
    EXPECT_THAT(answers, StartsWith("HTTP/1.1 200 OK"));
    EXPECT_THAT(answers, HasSubstr("HTTP/1.1 400 Bad Request"));
    EXPECT_EQ(client.occurrences("HTTP/1.1"), 2u);
}

TEST_F(HttpServerTest, AnswersHeadWithoutABody)
{
    serve(patient);
    RawClient client{path_};
    client.send("HEAD / HTTP/1.1\r\nConnection: close\r\n\r\n");
    const auto answer = client.read_all();
    EXPECT_THAT(answer, HasSubstr("Content-Length: 8\r\n"));
    EXPECT_TRUE(answer.ends_with("\r\n\r\n")) << answer;
}

TEST_F(HttpServerTest, SurvivesAClientThatLeavesDuringTheAnswer)
{
    serve(patient,
          [](const net::Request &) { return net::Response{.body = std::string(4 << 20, 'x')}; });
    for (int i = 0; i < 20; i++) {
        RawClient client{path_};
        client.send(hello);
        client.read_until("HTTP/1.1 200");
    }
    RawClient patient_client{path_};
    patient_client.send("GET / HTTP/1.1\r\nConnection: close\r\n\r\n");
    EXPECT_GT(patient_client.read_all().size(), std::size_t{4} << 20);
}

TEST_F(HttpServerTest, HangsUpOnAClientThatDoesNotRead)
{
    auto limits = patient;
    limits.send_timeout = 30ms;
    serve(limits, [](const net::Request &request) {
        return request.target == "/large" ? net::Response{.body = std::string(4 << 20, 'x')}
                                          : echo(request);
    });
    RawClient lazy{path_};
    lazy.send("GET /large HTTP/1.1\r\n\r\n");
    EXPECT_TRUE(lazy.hears_something(RawClient::patience_ms));
    expect_service();
    while (counts().connection_count > 0 && lazy.connected())
        std::this_thread::yield();
    EXPECT_LT(lazy.read_all().size(), std::size_t{4} << 20);
}

TEST_F(HttpServerTest, AThousandIdleConnectionsStopNobody)
{
    if (!allow_descriptors(4096))
        GTEST_SKIP() << "this user may not open 4096 descriptors";
    serve(patient);
    std::deque<RawClient> idle;
    for (int i = 0; i < 1000; i++) {
        idle.emplace_back(path_);
        ASSERT_TRUE(idle.back().connected());
    }
    expect_service();
    EXPECT_EQ(counts().evicted_total, 0u);

    for (int i = 0; i < 100; i++)
        idle.emplace_back(path_);
    expect_service();
    EXPECT_GE(counts().evicted_total, 1100u - patient.connections_max);
    EXPECT_TRUE(idle.front().is_closed());
}

TEST_F(HttpServerTest, MakesRoomAtTheCostOfTheOneIdleLongest)
{
    auto limits = patient;
    limits.connections_max = 2;
    serve(limits);
    RawClient busy{path_};
    busy.send("GET /half");
    RawClient idle{path_};
    idle.send(hello);
    idle.read_until("GET /hello 0");

    RawClient third{path_};
    third.send(hello);
    EXPECT_THAT(third.read_until("GET /hello 0"), StartsWith("HTTP/1.1 200 "));
    EXPECT_TRUE(idle.is_closed());
    busy.send(" HTTP/1.1\r\n\r\n");
    EXPECT_THAT(busy.read_until("GET /half 0"), StartsWith("HTTP/1.1 200 "));
    EXPECT_EQ(counts().evicted_total, 1u);
}

TEST_F(HttpServerTest, HalfRequestsStopNobodyEither)
{
    auto limits = patient;
    limits.connections_max = 4;
    serve(limits);
    std::deque<RawClient> halves;
    for (int i = 0; i < 20; i++)
        halves.emplace_back(path_).send("GET /half");
    expect_service();
}

TEST_F(HttpServerTest, MakesRoomWhenDescriptorsRunOut)
{
    serve(patient);
    RawClient idle{path_};
    idle.send(hello);
    idle.read_until("GET /hello 0");

    rlimit before{};
    ::getrlimit(RLIMIT_NOFILE, &before);
    std::optional<RawClient> next;
    std::latch none_left{1};
    // On the loop, so that it accepts only after the descriptors have run out.
    loop_.post([&] {
        next.emplace(path_);
        const Fd lowest_free{::dup(0)};
        const rlimit limit{.rlim_cur = static_cast<rlim_t>(lowest_free.get()),
                           .rlim_max = before.rlim_max};
        ::setrlimit(RLIMIT_NOFILE, &limit);
        none_left.count_down();
    });
    none_left.wait();
    next->send(hello);
    const auto answer = next->read_until("GET /hello 0");
    ::setrlimit(RLIMIT_NOFILE, &before);

    EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 "));
    EXPECT_TRUE(idle.is_closed());
    EXPECT_EQ(counts().evicted_total, 1u);
}

TEST_F(HttpServerTest, EndsWithClientsConnected)
{
    serve(patient);
    RawClient idle{path_};
    RawClient half{path_};
    half.send("GET / HT");
    expect_service();
    thread_.stop();
    server_.reset();
    EXPECT_TRUE(idle.is_closed());
    EXPECT_TRUE(half.is_closed());
    EXPECT_FALSE(RawClient{path_}.connected());
}

} // namespace
} // namespace tallygate::test
