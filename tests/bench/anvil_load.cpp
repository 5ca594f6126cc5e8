// SPDX-License-Identifier: BSD-2-Clause
//
// Asks an anvil, or a policy server, as Postfix's processes do, one request at a time on each
// stream, and says how many were answered and how long an answer took.
#include <CLI/CLI.hpp>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/fd.hpp"

namespace {

using namespace tallygate;
using Clock = std::chrono::steady_clock;

[[noreturn]] void fail(const std::string &what)
{
    std::perror(("anvil_load: " + what).c_str());
    std::exit(1);
}

struct Stream {
    Fd socket;
    std::string read;
    Clock::time_point asked;

    explicit Stream(const std::string &path, bool is_greeted = true)
    {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
        socket = Fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
        if (::connect(socket.get(), reinterpret_cast<const sockaddr *>(&address),
                      sizeof(address)) != 0)
            fail("connect to " + path);
        if (is_greeted)
            await_reply();
    }

    void ask(std::string_view name, const std::string &ident)
    {
        say("request=" + std::string(name) + "\nident=" + ident + "\n\n");
    }

    void say(const std::string &text)
    {
        asked = Clock::now();
        if (::send(socket.get(), text.data(), text.size(), MSG_NOSIGNAL) !=
            static_cast<ssize_t>(text.size()))
            fail("send");
    }

    void receive()
    {
        std::array<char, 4096> part{};
        const auto size = ::recv(socket.get(), part.data(), part.size(), 0);
        if (size <= 0)
            fail("receive");
        read.append(part.data(), static_cast<std::size_t>(size));
    }

    void await_reply()
    {
        while (!take_reply())
            receive();
    }

    bool take_reply()
    {
        const auto end = read.find("\n\n");
        if (end == std::string::npos)
            return false;
        read.erase(0, end + 2);
        return true;
    }
};

/// The number of an address of 10.0.0.0/8.
std::string address_of(std::uint32_t number)
{
    return "10." + std::to_string(number >> 16 & 255) + "." + std::to_string(number >> 8 & 255) +
           "." + std::to_string(number & 255);
}

std::string ident_of(std::uint32_t number)
{
    return "smtp:" + address_of(number);
}

std::string policy_request(std::uint32_t number)
{
    return "request=smtpd_access_policy\nprotocol_state=CONNECT\nserver_port=25\nclient_address=" +
           address_of(number) + "\n\n";
}

/// Tells of each ident once on one stream, so that all but the last become idle.
void fill(const std::string &path, const std::string &request, std::uint32_t idents)
{
    Stream stream{path};
    for (std::uint32_t number = 0; number < idents; number++) {
        stream.ask(request, ident_of(number));
        stream.await_reply();
    }
}

struct Found {
    std::vector<float> microseconds;
    double seconds = 0;
};

Found load(const std::string &path, std::size_t streams, std::uint32_t idents, double seconds)
{
    std::mt19937 dice{1};
    std::vector<Stream> all;
    std::vector<pollfd> readable;
    const auto ask = [&](std::size_t index) {
        const auto number = idents > 0 ? static_cast<std::uint32_t>(dice() % idents)
                                       : static_cast<std::uint32_t>(index);
        all[index].ask("connect", ident_of(number));
    };

    for (std::size_t i = 0; i < streams; i++)
        all.emplace_back(path);
    const auto begin = Clock::now();
    const auto end =
        begin + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
    for (std::size_t i = 0; i < streams; i++) {
        readable.push_back({all[i].socket.get(), POLLIN, 0});
        ask(i);
    }
    Found found;
    Clock::time_point now = begin;
    while (now < end) {
        // One stream is waited for by reading: poll would cost it a system call more.
        if (streams > 1 && ::poll(readable.data(), readable.size(), -1) < 0)
            fail("poll");
        for (std::size_t i = 0; i < streams; i++) {
            if (streams > 1 && readable[i].revents == 0)
                continue;
            all[i].receive();
            if (!all[i].take_reply())
                continue;
            now = Clock::now();
            found.microseconds.push_back(
                std::chrono::duration<float, std::micro>(now - all[i].asked).count());
            ask(i);
        }
    }
    found.seconds = std::chrono::duration<double>(now - begin).count();
    return found;
}

struct Pace {
    double per_second;
    double seconds;
    bool is_policy;
};

/// Asks at set times. What should have been asked while an answer was awaited counts from when it
/// should have been: or one answer that takes long would hide all that come late for it.
Found load_paced(const std::string &path, const Pace &pace)
{
    std::mt19937 dice{1};
    Stream stream{path, !pace.is_policy};
    const auto step = std::chrono::duration_cast<Clock::duration>(
        std::chrono::duration<double>(1 / pace.per_second));
    const auto begin = Clock::now();
    const auto end = begin + std::chrono::duration_cast<Clock::duration>(
                                 std::chrono::duration<double>(pace.seconds));
    Found found;

    for (auto due = begin; due < end && Clock::now() < end; due += step) {
        const bool is_late = Clock::now() > due;
        std::this_thread::sleep_until(due);
        const auto number = static_cast<std::uint32_t>(dice() & 0xffffU);
        if (pace.is_policy)
            stream.say(policy_request(number));
        else
            stream.ask("connect", ident_of(number));
        const auto asked = is_late ? due : stream.asked;
        stream.await_reply();
        found.microseconds.push_back(
            std::chrono::duration<float, std::micro>(Clock::now() - asked).count());
    }
    found.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    return found;
}

void print(Found found)
{
    auto &all = found.microseconds;
    std::sort(all.begin(), all.end());
    const auto part = [&](double share) {
        const auto at = static_cast<std::size_t>(share * static_cast<double>(all.size()));
        return all[std::min(at, all.size() - 1)];
    };
    const auto late = all.end() - std::upper_bound(all.begin(), all.end(), 1000.0F);
    std::printf("{\"per_second\": %.0f, \"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, "
                "\"max_us\": %.1f, \"over_1ms_percent\": %.3f}\n",
                static_cast<double>(all.size()) / found.seconds, part(0.5), part(0.99), part(0.999),
                part(1), 100 * static_cast<double>(late) / static_cast<double>(all.size()));
}

} // namespace

int main(int count, char **words)
{
    CLI::App app{"Asks an anvil, and counts the answers."};
    std::string path;
    std::size_t streams = 1;
    std::uint32_t idents = 0;
    double seconds = 1;
    double per_second = 0;
    bool fills = false;
    bool is_policy = false;
    std::string request = "connect";
    app.add_option("--socket", path)->required();
    app.add_option("--streams", streams);
    app.add_option("--idents", idents, "0: each stream has one of its own");
    app.add_option("--seconds", seconds);
    app.add_option("--per-second", per_second, "ask at set times, on one stream; 0: at once again");
    app.add_flag("--policy", is_policy, "ask a policy server, with --per-second");
    app.add_flag("--fill", fills, "tell of each ident once, and end");
    app.add_option("--request", request, "that --fill tells");
    CLI11_PARSE(app, count, words);

    if (fills)
        fill(path, request, idents);
    else if (per_second > 0)
        print(load_paced(path, {per_second, seconds, is_policy}));
    else
        print(load(path, streams, idents, seconds));
    return 0;
}
