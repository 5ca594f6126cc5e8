// SPDX-License-Identifier: BSD-2-Clause
//
// A daemon played by hand: what it does with one connection after another, and what of it whoever
// asks gets to see.
#include "client/channel.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <optional>
#include <thread>

#include "net/listener.hpp"
#include "net/temp_dir.hpp"

namespace tallygate::test {
namespace {

using namespace std::chrono_literals;
using client::Again;
using client::Channel;
using client::Failure;
using testing::HasSubstr;

constexpr std::string_view answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

class ChannelTest : public testing::Test {
protected:
    void SetUp() override
    {
        auto listener = net::Listener::on_path(path_);
        ASSERT_TRUE(listener) << listener.error().message;
        listener_.emplace(std::move(*listener));
        listening_ = listener_->take_socket();
    }

    Fd accept()
    {
        pollfd ready{.fd = listening_.get(), .events = POLLIN, .revents = 0};
        EXPECT_EQ(::poll(&ready, 1, 10'000), 1) << "nobody connects";
        return Fd{::accept(listening_.get(), nullptr, nullptr)};
    }

    /// Whether a connection waits to be accepted.
    bool is_somebody_there()
    {
        pollfd ready{.fd = listening_.get(), .events = POLLIN, .revents = 0};
        return ::poll(&ready, 1, 0) == 1;
    }

    static std::string request_on(const Fd &connection)
    {
        char bytes[1024];
        const ssize_t count = ::recv(connection.get(), bytes, sizeof(bytes), 0);
        return count > 0 ? std::string(bytes, static_cast<std::size_t>(count)) : "";
    }

    static void send(const Fd &connection, std::string_view bytes)
    {
        ::send(connection.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    }

    Result<client::Reply> ask(Again again = Again::harmless,
                              std::chrono::milliseconds timeout = 10s)
    {
        return channel_.ask("GET", "/", again, Channel::Clock::now() + timeout);
    }

    /// One question and its answer, on a connection that is kept.
    Fd begin()
    {
        Fd connection;
        std::thread daemon{[&] {
            connection = accept();
            request_on(connection);
            send(connection, answer);
        }};
        EXPECT_TRUE(ask());
        daemon.join();
        return connection;
    }

    TempDir dir_;
    std::string path_ = dir_ / "control.sock";
    std::optional<net::Listener> listener_;
    Fd listening_;
    Channel channel_{path_};
};

TEST_F(ChannelTest, KeepsItsConnection)
{
    const Fd connection = begin();
    std::string request;
    std::thread daemon{[&] {
        request = request_on(connection);
        send(connection, answer);
    }};
    const auto reply = ask();
    daemon.join();
    ASSERT_TRUE(reply) << reply.error().message;
    EXPECT_EQ(reply->body, "ok");
    EXPECT_EQ(request, "GET / HTTP/1.1\r\nHost: tallygate\r\n\r\n");
    EXPECT_FALSE(is_somebody_there());
}

TEST_F(ChannelTest, FindsTheDaemonThatWasRestarted)
{
    const struct {
        const char *name;
        std::function<void(Fd &, Fd &)> end; ///< of the first connection
    } rows[] = {
        {"it hung up between two questions", [](Fd &connection, Fd &) { connection = Fd{}; }},
        {"it left bytes that nobody asked for",
         [](Fd &connection, Fd &) { send(connection, "HTTP/1.1 408 Request Timeout\r\n"); }},
    };
    for (const auto &row : rows) {
        SCOPED_TRACE(row.name);
        channel_.hang_up();
        Fd connection = begin();
        row.end(connection, listening_);
        std::thread daemon{[&] {
            const Fd second = accept();
            request_on(second);
            send(second, answer);
        }};
        const auto reply = ask(Again::would_count);
        daemon.join();
        EXPECT_TRUE(reply) << reply.error().message;
    }
}

TEST_F(ChannelTest, AsksAgainOnlyWhatIsHarmless)
{
    for (const auto again : {Again::harmless, Again::would_count}) {
        channel_.hang_up();
        Fd connection = begin();
        std::thread daemon{[&] {
            request_on(connection); // it has read the question, and ends
            connection = Fd{};
            if (again == Again::would_count)
                return;
            const Fd second = accept();
            request_on(second);
            send(second, answer);
        }};
        const auto reply = ask(again);
        daemon.join();
        EXPECT_EQ(static_cast<bool>(reply), again == Again::harmless);
        if (!reply) {
            EXPECT_EQ(reply.error().code, static_cast<int>(Failure::protocol));
            EXPECT_THAT(reply.error().message, HasSubstr("broke off its answer"));
        }
        EXPECT_FALSE(is_somebody_there());
    }
}

TEST_F(ChannelTest, AsksAgainWhatWasNeverRead)
{
    Fd connection = begin();
    std::thread daemon{[&] {
        pollfd ready{.fd = connection.get(), .events = POLLIN, .revents = 0};
        EXPECT_EQ(::poll(&ready, 1, 10'000), 1);
        connection = Fd{}; // the question lies there unread
        const Fd second = accept();
        request_on(second);
        send(second, answer);
    }};
    const auto reply = ask(Again::would_count);
    daemon.join();
    EXPECT_TRUE(reply) << reply.error().message;
}

TEST_F(ChannelTest, GivesUpInTime)
{
    const struct {
        const char *name;
        std::string_view bytes;
    } rows[] = {
        {"nothing comes", ""},
        {"half an answer comes", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no"},
    };
    for (const auto &row : rows) {
        SCOPED_TRACE(row.name);
        Fd connection;
        std::thread daemon{[&] {
            connection = accept();
            send(connection, row.bytes);
        }};
        const auto reply = ask(Again::harmless, 50ms);
        daemon.join();
        ASSERT_FALSE(reply);
        EXPECT_EQ(reply.error().message, "the daemon at " + path_ + " does not answer");
        // What comes late must not be taken for the answer of the next question.
        send(connection, answer);
        begin();
        channel_.hang_up();
    }
}

TEST_F(ChannelTest, TakesBytesThatTrickleForSilence)
{
    std::thread daemon{[&] {
        const Fd connection = accept();
        pollfd hung_up{.fd = connection.get(), .events = POLLRDHUP, .revents = 0};
        send(connection, "HTTP/1.1 200 OK\r\nX: ");
        while (::poll(&hung_up, 1, 1) == 0 && (hung_up.revents & (POLLHUP | POLLRDHUP)) == 0)
            send(connection, "x");
    }};
    const auto reply = ask(Again::harmless, 50ms);
    channel_.hang_up();
    daemon.join();
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().code, static_cast<int>(Failure::unreachable));
}

TEST_F(ChannelTest, GivesUpBeforeAFullQueue)
{
    ASSERT_EQ(::listen(listening_.get(), 0), 0);
    std::vector<Channel> waiting;
    for (int i = 0; i < 3; i++) {
        auto &channel = waiting.emplace_back(path_);
        const auto reply = channel.ask("GET", "/", Again::harmless, Channel::Clock::now() + 20ms);
        ASSERT_FALSE(reply);
        EXPECT_EQ(reply.error().message, "the daemon at " + path_ + " does not answer");
    }
}

TEST_F(ChannelTest, IsNotSharedWithAChild)
{
    const Fd connection = begin();
    const pid_t child = ::fork();
    if (child == 0) {
        const auto reply = ask(Again::harmless, 10s);
        ::_exit(reply && reply->body == "ok" ? 0 : 1);
    }
    {
        const Fd of_the_child = accept();
        request_on(of_the_child);
        send(of_the_child, answer);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    // The parent's connection is as it was.
    std::thread daemon{[&] {
        request_on(connection);
        send(connection, answer);
    }};
    EXPECT_TRUE(ask());
    daemon.join();
}

} // namespace
} // namespace tallygate::test
