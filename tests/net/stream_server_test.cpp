// SPDX-License-Identifier: BSD-2-Clause
//
// A real socket, a real loop, and clients that behave as badly as clients do. The protocol is
// the smallest there is: a line is a request, and its reply says how long it was.
#include "net/stream_server.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
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
using net::StreamLimits;
using net::WhenFull;
using testing::EndsWith;
using testing::StartsWith;

constexpr StreamLimits patient{.send_timeout = 60s};

/// "abc\n" is answered "3\n"; what the end cuts off, "cut 3\n"; "quit\n", "bye\n" and the end;
/// "polite\n" is also told "farewell\n" when the client ends;
/// "large\n", four megabytes; "slow\n" and "late\n", their length after a while.
class Lengths : public net::Conversation {
public:
    explicit Lengths(std::atomic<int> &alive) : alive_(alive) { alive_++; }
    Lengths(const Lengths &) = delete;
    Lengths &operator=(const Lengths &) = delete;
    ~Lengths() override { alive_--; }

    std::string greeting() override { return "hello\n"; }

    Step receive(std::string_view input, bool ended, std::string &output) override
    {
        const auto length = input.find('\n');
        if (length == std::string_view::npos) {
            if (ended)
                output += "cut " + std::to_string(input.size()) + "\n";
            return {.taken = ended ? input.size() : 0};
        }
        const auto line = input.substr(0, length);
        is_polite_ = is_polite_ || line == "polite";
        if (line == "large")
            output += std::string(4 << 20, 'x') + "\n";
        else
            output += line == "quit" ? "bye\n" : std::to_string(length) + "\n";
        return {.taken = length + 1,
                .close = line == "quit",
                .delay = line == "slow"   ? 30ms
                         : line == "late" ? 60s
                                          : 0ms};
    }

    std::string farewell() override { return is_polite_ ? "farewell\n" : ""; }
    std::string oversized() override { return "too long\n"; }

private:
    bool is_polite_ = false;
    std::atomic<int> &alive_;
};

class StreamServerTest : public testing::Test {
protected:
    void serve(StreamLimits limits, net::StreamServer::Open open = nullptr)
    {
        if (!open)
            open = [this](const auto &) { return std::make_unique<Lengths>(alive_); };
        auto listener = net::Listener::on_path(path_);
        ASSERT_TRUE(listener) << listener.error().message;
        server_.emplace(loop_, std::move(*listener), std::move(open), limits);
        thread_.start();
    }

    void TearDown() override
    {
        thread_.stop();
        server_.reset();
        EXPECT_EQ(alive_, 0);
    }

    net::StreamCounts counts()
    {
        return thread_.ask([this] { return server_->counts(); });
    }

    /// A new client is served, whatever others do.
    void expect_service()
    {
        RawClient client{path_};
        client.send("four\n");
        EXPECT_EQ(client.read_until("4\n"), "hello\n4\n");
    }

    std::atomic<int> alive_ = 0;
    TempDir dir_;
    std::string path_ = dir_ / "stream.sock";
    net::Loop loop_;
    std::optional<net::StreamServer> server_;
    LoopThread thread_{loop_};
};

const struct {
    const char *name;
    std::string sent;
    std::string answer;
} transcripts[] = {
    {"a request", "abc\n", "hello\n3\n"},
    {"several requests at once", "a\nbb\n\nccc\n", "hello\n1\n2\n0\n3\n"},
    {"a farewell", "polite\n", "hello\n6\nfarewell\n"},
    {"a farewell to who ends in the middle", "polite\nde", "hello\n6\ncut 2\nfarewell\n"},
    {"a request that the end cuts off", "abc\nde", "hello\n3\ncut 2\n"},
    {"nothing, then the end", "", "hello\n"},
    {"a request that ends the stream, and one after it", "quit\nabc\n", "hello\nbye\n"},
    {"a request as long as may be", std::string(1000, 'x') + "\n", "hello\n1000\n"},
    {"a request without end", "a\n" + std::string(2000, 'x'), "hello\n1\ncut 2000\n"},
    {"binary noise", std::string("\0\xff\n\x01", 4), "hello\n2\ncut 1\n"},
};

TEST_F(StreamServerTest, AnswersInOrderAndEndsWithTheClient)
{
    auto limits = patient;
    limits.input_bytes_max = 4000;
    serve(limits);
    for (const auto &row : transcripts) {
        SCOPED_TRACE(row.name);
        RawClient client{path_};
        client.send(row.sent);
        client.send_no_more();
        EXPECT_EQ(client.read_all(), row.answer);
    }
    EXPECT_EQ(counts().accepted_total, std::size(transcripts));
}

TEST_F(StreamServerTest, DoesNotGreetWhoSpeaksFirst)
{
    auto limits = patient;
    limits.greeting_wait = 60s;
    serve(limits);
    RawClient client{path_};
    client.send("abc\n");
    client.send_no_more();
    EXPECT_EQ(client.read_all(), "3\n");
}

TEST_F(StreamServerTest, GreetsWhoWaitsForIt)
{
    auto limits = patient;
    limits.greeting_wait = 1ms;
    serve(limits);
    RawClient client{path_};
    EXPECT_EQ(client.read_until("\n"), "hello\n");
    client.send("abc\n");
    EXPECT_EQ(client.read_until("3\n"), "hello\n3\n");
}

TEST_F(StreamServerTest, WaitsForNobodyToSpeakWhenItEnds)
{
    auto limits = patient;
    limits.greeting_wait = 60s;
    serve(limits);
    RawClient client{path_};
    while (counts().connection_count == 0)
        std::this_thread::yield();
    thread_.stop();
    server_.reset();
    EXPECT_EQ(client.read_all(), "");
}

TEST_F(StreamServerTest, TakesRequestsByteByByte)
{
    serve(patient);
    RawClient client{path_};
    for (const char byte : std::string{"abc\nde\n"})
        client.send({&byte, 1});
    EXPECT_EQ(client.read_until("2\n"), "hello\n3\n2\n");
    EXPECT_EQ(counts().requests_total, 2u);
}

TEST_F(StreamServerTest, AnswersALongPipelineWhileOthersAreServed)
{
    serve(patient);
    RawClient busy{path_};
    std::thread sender{[&] {
        std::string many;
        for (int i = 0; i < 100'000; i++)
            many += "abc\n";
        busy.send(many);
        busy.send_no_more();
    }};
    expect_service();
    const auto answers = busy.read_all();
    sender.join();
    EXPECT_EQ(answers.size(), std::string{"hello\n"}.size() + 200'000);
    EXPECT_EQ(busy.occurrences("3\n"), 100'000u);
}

TEST_F(StreamServerTest, EndsALineWithoutEnd)
{
    auto limits = patient;
    limits.input_bytes_max = 1000;
    serve(limits);
    for (const std::size_t length : {std::size_t{1001}, std::size_t{10} << 20}) {
        SCOPED_TRACE(length);
        RawClient client{path_};
        client.send("a\n" + std::string(length, 'x'));
        EXPECT_THAT(client.read_all(), StartsWith("hello\n1\ntoo long\n"));
    }
    EXPECT_EQ(counts().oversized_total, 2u);
    expect_service();
}

TEST_F(StreamServerTest, EndsALineThatIsTooLongAndCameWhole)
{
    auto limits = patient;
    limits.input_bytes_max = 1000;
    serve(limits);
    for (const char *const rest : {"\n", "\nabc\n", "\nabc"}) {
        SCOPED_TRACE(rest);
        RawClient client{path_};
        client.send("a\n" + std::string(1001, 'x') + rest);
        client.send_no_more();
        EXPECT_EQ(client.read_all(), "hello\n1\ntoo long\n");
    }
    EXPECT_EQ(counts().oversized_total, 3u);
    expect_service();
}

TEST_F(StreamServerTest, KeepsALineThatIsJustShortEnough)
{
    auto limits = patient;
    limits.input_bytes_max = 1000;
    serve(limits);
    RawClient client{path_};
    client.send(std::string(1000, 'x'));
    EXPECT_EQ(client.read_until("hello\n"), "hello\n");
    client.send("\n");
    EXPECT_EQ(client.read_until("1000\n"), "hello\n1000\n");
    const auto line = std::string(1000, 'x') + "\n";
    client.send(line + line);
    EXPECT_EQ(client.read_until("1000\n", 3), "hello\n1000\n1000\n1000\n");
}

TEST_F(StreamServerTest, HoldsAnAnswerBackWithoutHoldingUpOthers)
{
    serve(patient);
    const auto begin = std::chrono::steady_clock::now();
    RawClient slow{path_};
    slow.send("slow\nabc\n");
    expect_service();
    EXPECT_EQ(slow.read_until("3\n"), "hello\n4\n3\n");
    EXPECT_GE(std::chrono::steady_clock::now() - begin, 30ms);
}

TEST_F(StreamServerTest, EndsWhileAnAnswerIsHeldBack)
{
    serve(patient);
    RawClient slow{path_};
    slow.read_until("hello\n");
    slow.send("late\n");
    while (counts().requests_total == 0)
        std::this_thread::yield();
    thread_.stop();
    server_.reset();
    EXPECT_EQ(alive_, 0);
    EXPECT_EQ(slow.read_all(), "hello\n");
}

TEST_F(StreamServerTest, HangsUpOnAClientThatNeverReads)
{
    auto limits = patient;
    limits.send_timeout = 30ms;
    serve(limits);
    RawClient lazy{path_};
    lazy.send("large\n");
    EXPECT_TRUE(lazy.hears_something(RawClient::patience_ms));
    expect_service();
    while (counts().connection_count > 0)
        std::this_thread::yield();
    EXPECT_LT(lazy.read_all().size(), std::size_t{4} << 20);
    EXPECT_EQ(counts().timed_out_total, 1u);
}

TEST_F(StreamServerTest, TakesNoMoreThanItCanSend)
{
    auto limits = patient;
    limits.output_bytes_max = 1024;
    serve(limits);
    RawClient lazy{path_};
    std::string many;
    for (int i = 0; i < 50; i++)
        many += "large\n";
    lazy.send(many);
    expect_service();
    // One reply that does not fit, and the one of expect_service.
    EXPECT_EQ(counts().requests_total, 2u);
    lazy.send_no_more();
    EXPECT_EQ(lazy.read_all().size(), std::string{"hello\n"}.size() + 50 * ((4 << 20) + 1));
}

TEST_F(StreamServerTest, HangsUpOnTheIdle)
{
    auto limits = patient;
    limits.idle_timeout = 30ms;
    serve(limits);
    RawClient silent{path_};
    EXPECT_EQ(silent.read_all(), "hello\n");
    RawClient served{path_};
    served.send("abc\n");
    EXPECT_EQ(served.read_all(), "hello\n3\n");
    EXPECT_EQ(counts().timed_out_total, 2u);
}

TEST_F(StreamServerTest, WaitsForEverIfToldTo)
{
    auto limits = patient;
    limits.idle_timeout = 0ms;
    serve(limits);
    RawClient silent{path_};
    silent.read_until("hello\n");
    EXPECT_FALSE(silent.hears_something(50));
}

TEST_F(StreamServerTest, AThousandSilentStreamsStopNobody)
{
    if (!allow_descriptors(4096))
        GTEST_SKIP() << "this user may not open 4096 descriptors";
    auto limits = patient;
    limits.when_full = WhenFull::close_idle;
    serve(limits);
    std::deque<RawClient> silent;
    for (int i = 0; i < 1000; i++) {
        silent.emplace_back(path_);
        ASSERT_TRUE(silent.back().connected());
    }
    expect_service();
    EXPECT_EQ(counts().evicted_total, 0u);
    EXPECT_EQ(counts().accepted_total, 1001u);
    for (int i = 0; i < 100; i++)
        silent.emplace_back(path_);
    expect_service();
    EXPECT_GE(counts().evicted_total, 1100u - patient.connections_max);
    EXPECT_TRUE(silent.front().is_closed());
}

TEST_F(StreamServerTest, MakesRoomAtTheCostOfWhoWasSilentForLongest)
{
    auto limits = patient;
    limits.connections_max = 2;
    limits.when_full = WhenFull::close_idle;
    serve(limits);
    RawClient first{path_};
    first.read_until("hello\n");
    RawClient second{path_};
    second.read_until("hello\n");
    first.send("abc\n");
    first.read_until("3\n");

    expect_service();
    EXPECT_TRUE(second.is_closed());
    first.send("de\n");
    EXPECT_EQ(first.read_until("2\n"), "hello\n3\n2\n");
}

TEST_F(StreamServerTest, RefusesTheNewcomerIfToldTo)
{
    auto limits = patient;
    limits.connections_max = 1;
    limits.when_full = WhenFull::refuse;
    serve(limits);
    std::optional<RawClient> first{path_};
    first->read_until("hello\n");
    RawClient second{path_};
    EXPECT_EQ(second.read_all(), "");
    first->send("abc\n");
    EXPECT_EQ(first->read_until("3\n"), "hello\n3\n");
    EXPECT_EQ(counts().refused_total, 1u);
    EXPECT_EQ(counts().connection_count, 1u);

    first.reset();
    while (counts().connection_count > 0)
        std::this_thread::yield();
    expect_service();
}

TEST_F(StreamServerTest, KnowsTheProcessAtTheOtherEndAndMayRefuseIt)
{
    std::optional<net::Peer> peer;
    serve(patient, [&](const auto &who) {
        peer = who;
        return nullptr;
    });
    RawClient client{path_};
    EXPECT_EQ(client.read_all(), "");
    EXPECT_EQ(counts().refused_total, 1u);
    ASSERT_TRUE(peer);
    EXPECT_EQ(peer->uid, ::getuid());
    EXPECT_EQ(peer->pid, ::getpid());
}

/// Takes the last descriptor from the server, on its loop, just when a client comes.
class StreamServerDescriptorsTest : public StreamServerTest {
protected:
    void SetUp() override { ::getrlimit(RLIMIT_NOFILE, &before_); }
    void TearDown() override
    {
        ::setrlimit(RLIMIT_NOFILE, &before_);
        StreamServerTest::TearDown();
    }

    void connect_at_the_end()
    {
        std::latch none_left{1};
        loop_.post([&] {
            next_.emplace(path_);
            const Fd lowest_free{::dup(0)};
            const rlimit limit{.rlim_cur = static_cast<rlim_t>(lowest_free.get()),
                               .rlim_max = before_.rlim_max};
            ::setrlimit(RLIMIT_NOFILE, &limit);
            none_left.count_down();
        });
        none_left.wait();
    }

    rlimit before_{};
    std::optional<RawClient> next_;
};

TEST_F(StreamServerDescriptorsTest, MakesRoom)
{
    auto limits = patient;
    limits.when_full = WhenFull::close_idle;
    serve(limits);
    RawClient idle{path_};
    idle.read_until("hello\n");
    connect_at_the_end();
    next_->send("abc\n");
    EXPECT_EQ(next_->read_until("3\n"), "hello\n3\n");
    EXPECT_TRUE(idle.is_closed());
    EXPECT_EQ(counts().evicted_total, 1u);
}

TEST_F(StreamServerDescriptorsTest, RefusesRatherThanLeaveHanging)
{
    serve(patient);
    RawClient idle{path_};
    idle.read_until("hello\n");
    connect_at_the_end();
    EXPECT_EQ(next_->read_all(), "");
    idle.send("abc\n");
    EXPECT_EQ(idle.read_until("3\n"), "hello\n3\n");
    EXPECT_EQ(counts().refused_total, 1u);
    ::setrlimit(RLIMIT_NOFILE, &before_);
    expect_service();
}

TEST_F(StreamServerTest, SurvivesClientsThatLeaveDuringTheAnswer)
{
    serve(patient);
    for (int i = 0; i < 20; i++) {
        RawClient client{path_};
        client.send("large\n");
        client.read_until("x");
    }
    expect_service();
}

TEST_F(StreamServerTest, EndsWithStreamsOpen)
{
    serve(patient);
    RawClient idle{path_};
    RawClient half{path_};
    RawClient lazy{path_};
    half.send("ab");
    lazy.send("large\nlarge\n");
    expect_service();
    thread_.stop();
    server_.reset();
    EXPECT_EQ(alive_, 0);
    EXPECT_EQ(idle.read_all(), "hello\n");
    EXPECT_EQ(half.read_all(), "hello\n");
    EXPECT_THAT(lazy.read_all(), EndsWith("x"));
    EXPECT_FALSE(RawClient{path_}.connected());
}

TEST_F(StreamServerTest, EndsBeforeAConversationHasBegun)
{
    serve(patient, [this](const auto &) {
        loop_.stop();
        return std::make_unique<Lengths>(alive_);
    });
    RawClient client{path_};
    while (alive_ == 0)
        std::this_thread::yield();
    thread_.stop();
    server_.reset();
    EXPECT_EQ(alive_, 0);
    client.read_all();
    loop_.post([this] { loop_.stop(); });
    loop_.run();
}

} // namespace
} // namespace tallygate::test
