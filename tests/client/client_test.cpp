// SPDX-License-Identifier: BSD-2-Clause
#include "client/client.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>
#include <optional>
#include <thread>

#include "net/http_server.hpp"
#include "net/loop_thread.hpp"
#include "net/temp_dir.hpp"

namespace tallygate::test {
namespace {

using namespace std::chrono_literals;
using client::Client;
using client::Failure;
using testing::HasSubstr;

Failure failure_of(const Error &error)
{
    return static_cast<Failure>(error.code);
}

TEST(ClientTest, BringsTheReplyWhateverItsStatus)
{
    const TempDir dir;
    const auto path = dir / "control.sock";
    net::Loop loop;
    auto listener = net::Listener::on_path(path);
    ASSERT_TRUE(listener);
    const net::HttpServer server{loop, std::move(*listener), [](const net::Request &request) {
                                     return net::Response{
                                         .status = request.target == "/here" ? 200U : 404U,
                                         .body = request.method + " " + request.target};
                                 }};
    LoopThread thread{loop};
    thread.start();

    const Client client{path};
    const auto here = client.get("/here");
    ASSERT_TRUE(here) << here.error().message;
    EXPECT_EQ(here->status, 200u);
    EXPECT_EQ(here->body, "GET /here");
    const auto nowhere = client.post("/v1/live?cidr=2001:db8::/32");
    ASSERT_TRUE(nowhere) << nowhere.error().message;
    EXPECT_EQ(nowhere->status, 404u);
    EXPECT_EQ(nowhere->body, "POST /v1/live?cidr=2001:db8::/32");
    thread.stop();
}

TEST(ClientTest, SaysWhereNoDaemonIs)
{
    const TempDir dir;
    const auto no_listener = dir / "old.sock";
    std::ofstream{dir / "file"} << "not a socket";
    const struct {
        const char *name;
        std::string path;
        const char *reason;
    } rows[] = {
        {"nothing there", dir / "none.sock", "No such file or directory"},
        {"a file", dir / "file", "Connection refused"},
        {"no path", "", "File name too long"},
        {"a path too long", "/" + std::string(200, 'x'), "File name too long"},
    };
    for (const auto &row : rows) {
        SCOPED_TRACE(row.name);
        const auto reply = Client{row.path}.get("/");
        ASSERT_FALSE(reply);
        EXPECT_EQ(failure_of(reply.error()), Failure::unreachable);
        EXPECT_EQ(reply.error().message,
                  "no daemon at " + row.path + ": " + row.reason + "; is tallygated running?");
    }
}

TEST(ClientTest, TellsWhoMayNot)
{
    if (::geteuid() == 0 && ::seteuid(65534) != 0)
        GTEST_SKIP() << "cannot become somebody who may not";
    const TempDir dir;
    const auto path = dir / "control.sock";
    const auto listener = net::Listener::on_path(path, 0);
    const auto reply = Client{path}.get("/");
    EXPECT_EQ(::seteuid(::getuid()), 0);
    ASSERT_TRUE(listener) << listener.error().message;
    ASSERT_FALSE(reply);
    EXPECT_EQ(failure_of(reply.error()), Failure::not_permitted);
    EXPECT_THAT(reply.error().message, HasSubstr(path + ": Permission denied"));
}

TEST(ClientTest, GivesUpOnADaemonThatDoesNotAnswer)
{
    const TempDir dir;
    const auto path = dir / "control.sock";
    const auto listener = net::Listener::on_path(path); // connects, and nobody accepts
    ASSERT_TRUE(listener);
    const auto reply = Client{path, 20ms}.get("/");
    ASSERT_FALSE(reply);
    EXPECT_EQ(failure_of(reply.error()), Failure::unreachable);
    EXPECT_EQ(reply.error().message, "the daemon at " + path + " does not answer");
}

/// Accepts one connection, sends `bytes`, and hangs up.
void answer_once(const Fd &listening, std::string_view bytes)
{
    while (true) {
        const Fd connection{::accept(listening.get(), nullptr, nullptr)};
        if (!connection) {
            std::this_thread::yield();
            continue;
        }
        char request[1024];
        ::recv(connection.get(), request, sizeof(request), 0);
        ::send(connection.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
        return;
    }
}

TEST(ClientTest, TakesNothingElseForAnAnswer)
{
    const char *const rows[] = {
        "",
        "220 mail.example.com ESMTP\r\n",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
    };
    const TempDir dir;
    const auto path = dir / "control.sock";
    auto listener = net::Listener::on_path(path);
    ASSERT_TRUE(listener);
    const Fd listening = listener->take_socket();
    for (const auto *bytes : rows) {
        SCOPED_TRACE(bytes);
        std::thread daemon([&] { answer_once(listening, bytes); });
        const auto reply = Client{path}.get("/");
        daemon.join();
        ASSERT_FALSE(reply);
        EXPECT_EQ(failure_of(reply.error()), Failure::protocol);
        EXPECT_THAT(reply.error().message, HasSubstr("the daemon at " + path));
    }
}

TEST(PercentEncoding, KeepsWhatAQueryMayHold)
{
    const struct {
        const char *text;
        const char *encoded;
    } rows[] = {
        {"192.0.2.0/24", "192.0.2.0/24"},
        {"[2001:db8::]/32", "[2001:db8::]/32"},
        {"60,10", "60,10"},
        {"a b&c=d#e?f%g+h", "a%20b%26c%3Dd%23e%3Ff%25g%2Bh"},
        {"\xff\n", "%FF%0A"},
        {"", ""},
    };
    for (const auto &row : rows)
        EXPECT_EQ(client::percent_encoded(row.text), row.encoded);
}

} // namespace
} // namespace tallygate::test
