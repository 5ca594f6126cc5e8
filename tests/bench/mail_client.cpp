// SPDX-License-Identifier: BSD-2-Clause
//
// Clients of a mail server, in a closed loop: each connects, waits for the banner, says QUIT,
// waits for the end, and begins again, under the next of its addresses. With --message it hands
// over a message before. With --rate they come when their time has come instead, whether others
// have ended or not.
//
//     mail_client --server ADDR:PORT --first ADDR --sources N [--connections C] [--rate R]
//                 [--warmup S] [--seconds S] [--message]
//
// Without --seconds each source comes once. Prints one line of JSON: sessions that ended well
// after the warm-up, and their times in microseconds. Sessions that are still open at the end
// are among the times with the age they have, or those that hang would not show. The times to the
// banner stand beside; with --rate they begin when a client should have come, not when it could.
#include <netinet/in.h>
#include <sys/socket.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.hpp"
#include "churn/sockets.hpp"

namespace tallygate::bench {
namespace {

using churn::Poller;
using Clock = std::chrono::steady_clock;

/// What a client says, each after the server's answer to the one before.
constexpr std::array<std::string_view, 6> lines{
    "EHLO client.example\r\n",
    "MAIL FROM:<sender@client.example>\r\n",
    "RCPT TO:<guest@mail.example>\r\n",
    "DATA\r\n",
    "From: sender@client.example\r\nTo: guest@mail.example\r\nSubject: the harbour\r\n\r\n"
    "The ferry leaves at seven. Bring the letters.\r\n.\r\n",
    "QUIT\r\n"};
constexpr std::size_t farewell = lines.size() - 1;
constexpr auto prove_seconds_max = 300.0;
constexpr auto session_time_max = std::chrono::seconds(10);

struct Settings {
    std::string server;
    std::string first = "198.18.0.1";
    std::uint32_t sources = 1;
    std::uint32_t connections = 1;
    double rate = 0; ///< sessions to begin in a second; 0: a closed loop
    double warmup = 0;
    double seconds = 0; ///< 0: each source once
    bool message = false;
};

struct Session {
    Fd socket{};
    Clock::time_point began{};
    std::size_t next_line = 0; ///< of lines; past them, QUIT has been said
    std::uint64_t heard_bytes = 0;
};

struct Outcome {
    std::uint64_t completed = 0;
    std::uint64_t failed = 0;
    double seconds = 0;
    std::vector<double> microseconds{};
    std::vector<double> banner_microseconds{};
};

double seconds_since(Clock::time_point began)
{
    return std::chrono::duration<double>(Clock::now() - began).count();
}

sockaddr_in socket_address(std::uint32_t host_order, std::uint16_t port)
{
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_port = htons(port);
    name.sin_addr.s_addr = htonl(host_order);
    return name;
}

std::uint32_t number_of(const Address &address)
{
    std::uint32_t number = 0;
    std::memcpy(&number, &address.bytes[12], sizeof(number));
    return ntohl(number);
}

class Clients {
public:
    Clients(const Settings &settings, const Endpoint &server, std::uint32_t first, Poller poller)
        : settings_(settings), server_(socket_address(number_of(server.address), server.port)),
          first_(first), poller_(std::move(poller)), sessions_(settings.connections)
    {
    }

    Result<Outcome> run()
    {
        for (std::uint32_t index = 0; index < sessions_.size(); index++)
            if (auto begun = begin_next(index); !begun)
                return begun.error();
        while (!is_over()) {
            if (auto begun = begin_due_ones(); !begun)
                return begun.error();
            for (const auto token : poller_.wait(is_paced() ? 1 : 10))
                if (auto gone_on = go_on(static_cast<std::uint32_t>(token)); !gone_on)
                    return gone_on.error();
            if (auto done = give_up_old_ones(); !done)
                return done.error();
        }
        return finished();
    }

private:
    bool is_once() const { return settings_.seconds == 0; }
    bool is_paced() const { return settings_.rate > 0; }
    std::size_t first_line() const { return settings_.message ? 0 : farewell; }

    /// Another session in the place of one that has ended, now or when it is due.
    Result<void> begin_next(std::uint32_t index)
    {
        if (!is_paced())
            return begin(index, Clock::now());
        sessions_[index] = Session{};
        free_.push_back(index);
        return {};
    }

    Result<void> begin_due_ones()
    {
        const auto interval = std::chrono::duration<double>(1 / settings_.rate);

        while (is_paced() && !free_.empty()) {
            const auto due = started_ + std::chrono::duration_cast<Clock::duration>(
                                            interval * static_cast<double>(begun_));
            if (due > Clock::now())
                break;
            const auto index = free_.back();
            free_.pop_back();
            if (auto begun = begin(index, due); !begun)
                return begun;
        }
        return {};
    }

    bool is_over() const
    {
        if (!is_once())
            return seconds_since(started_) >= settings_.warmup + settings_.seconds;
        return outcome_.completed + outcome_.failed >= settings_.sources ||
               seconds_since(started_) > prove_seconds_max;
    }

    bool is_measured() const { return is_once() || seconds_since(started_) > settings_.warmup; }

    Result<void> begin(std::uint32_t index, Clock::time_point due)
    {
        auto &session = sessions_[index];
        const int yes = 1;

        session = Session{};
        session.next_line = first_line();
        if (is_once() && begun_ >= settings_.sources)
            return {};
        session.socket = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
        const auto from = socket_address(first_ + begun_++ % settings_.sources, 0);
        if (!session.socket)
            return Error::system("make a socket");
        /* The port is chosen by connect(), which knows the other end: there are more so. */
        ::setsockopt(session.socket.get(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof(yes));
        if (::bind(session.socket.get(), reinterpret_cast<const sockaddr *>(&from), sizeof(from)))
            return Error::system("bind to a client's address");
        session.began = due;
        if (::connect(session.socket.get(), reinterpret_cast<const sockaddr *>(&server_),
                      sizeof(server_)) != 0 &&
            errno != EINPROGRESS)
            return Error::system("connect to the server");
        return poller_.add(session.socket.get(), index);
    }

    /// Something has come for this session, or has happened to it.
    Result<void> go_on(std::uint32_t index)
    {
        auto &session = sessions_[index];
        std::array<char, 512> words{};

        while (session.socket) {
            const auto bytes = ::recv(session.socket.get(), words.data(), words.size(), 0);
            if (bytes < 0 && (errno == EAGAIN || errno == ENOTCONN))
                return {};
            if (bytes <= 0)
                return end(index, bytes == 0 && session.next_line > farewell);
            session.heard_bytes += static_cast<std::uint64_t>(bytes);
            if (session.next_line == first_line() && is_measured())
                outcome_.banner_microseconds.push_back(seconds_since(session.began) * 1e6);
            if (session.next_line <= farewell) {
                const auto line = lines[session.next_line++];
                if (::send(session.socket.get(), line.data(), line.size(), MSG_NOSIGNAL) < 0)
                    return end(index, false);
            }
        }
        return {};
    }

    Result<void> end(std::uint32_t index, bool well)
    {
        if (is_measured()) {
            (well ? outcome_.completed : outcome_.failed)++;
            outcome_.microseconds.push_back(seconds_since(sessions_[index].began) * 1e6);
        }
        return begin_next(index);
    }

    Result<void> give_up_old_ones()
    {
        const auto oldest = Clock::now() - session_time_max;

        for (std::uint32_t index = 0; index < sessions_.size(); index++) {
            const auto &session = sessions_[index];
            if (session.socket && session.began < oldest)
                if (auto ended = end(index, false); !ended)
                    return ended;
        }
        return {};
    }

    Outcome finished()
    {
        outcome_.seconds = seconds_since(started_) - settings_.warmup;
        for (const auto &session : sessions_)
            if (session.socket)
                outcome_.microseconds.push_back(seconds_since(session.began) * 1e6);
        std::sort(outcome_.microseconds.begin(), outcome_.microseconds.end());
        std::sort(outcome_.banner_microseconds.begin(), outcome_.banner_microseconds.end());
        return outcome_;
    }

    Settings settings_;
    sockaddr_in server_;
    std::uint32_t first_;
    Poller poller_;
    std::vector<Session> sessions_;
    std::vector<std::uint32_t> free_; ///< that wait for their time, if paced
    std::uint64_t begun_ = 0;
    Outcome outcome_{};
    Clock::time_point started_ = Clock::now();
};

Result<Outcome> run(const Settings &settings)
{
    const auto server = Endpoint::parse(settings.server);
    const auto first = Address::parse(settings.first);
    auto poller = Poller::make();

    if (!server)
        return server.error();
    if (!first)
        return first.error();
    if (!poller)
        return poller.error();
    if (!server->address.is_ipv4() || !first->is_ipv4())
        return Error{"server and clients have IPv4 addresses"};
    return Clients(settings, *server, number_of(*first), std::move(*poller)).run();
}

/// 0 of nothing.
double quantile(const std::vector<double> &sorted, double part)
{
    if (sorted.empty())
        return 0;
    const auto last = static_cast<double>(sorted.size() - 1);
    return sorted[static_cast<std::size_t>(last * part)];
}

} // namespace
} // namespace tallygate::bench

int main(int argc, char **argv)
{
    using namespace tallygate::bench;
    Settings settings;
    CLI::App app("Mail clients in a closed loop.");
    app.add_option("--server", settings.server, "ADDR:PORT, IPv4")->required();
    app.add_option("--first", settings.first, "the first of the clients' addresses");
    app.add_option("--sources", settings.sources, "how many addresses")->check(CLI::PositiveNumber);
    app.add_option("--connections", settings.connections, "at a time")->check(CLI::PositiveNumber);
    app.add_option("--rate", settings.rate, "sessions to begin in a second; 0: a closed loop");
    app.add_option("--warmup", settings.warmup, "seconds that do not count");
    app.add_option("--seconds", settings.seconds, "that count; 0: each source comes once");
    app.add_flag("--message", settings.message, "each hands over a message before it says QUIT");
    CLI11_PARSE(app, argc, argv);

    const auto outcome = run(settings);
    if (!outcome) {
        std::fprintf(stderr, "mail_client: %s\n", outcome.error().message.c_str());
        return 1;
    }
    std::printf("{\"completed\": %llu, \"failed\": %llu, \"seconds\": %.6f, \"median_us\": %.0f, "
                "\"p99_us\": %.0f, \"banner_median_us\": %.0f, \"banner_p99_us\": %.0f}\n",
                static_cast<unsigned long long>(outcome->completed),
                static_cast<unsigned long long>(outcome->failed), outcome->seconds,
                quantile(outcome->microseconds, 0.5), quantile(outcome->microseconds, 0.99),
                quantile(outcome->banner_microseconds, 0.5),
                quantile(outcome->banner_microseconds, 0.99));
    return 0;
}
