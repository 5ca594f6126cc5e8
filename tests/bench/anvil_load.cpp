// SPDX-License-Identifier: BSD-2-Clause
//
// Asks an anvil as Postfix's processes do, one request at a time on each stream, and says how many
// were answered and how long an answer took.
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

    explicit Stream(const std::string &path)
    {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
        socket = Fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
        if (::connect(socket.get(), reinterpret_cast<const sockaddr *>(&address),
                      sizeof(address)) != 0)
            fail("connect to " + path);
        while (!take_reply())
            receive();
    }

    void ask(std::string_view name, const std::string &ident)
    {
        const auto text = "request=" + std::string(name) + "\nident=" + ident + "\n\n";
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
std::string ident_of(std::uint32_t number)
{
    return "smtp:10." + std::to_string(number >> 16 & 255) + "." +
           std::to_string(number >> 8 & 255) + "." + std::to_string(number & 255);
}

/// Connects each ident once on one stream, so that all but the last become idle.
void fill(const std::string &path, std::uint32_t idents)
{
    Stream stream{path};
    for (std::uint32_t number = 0; number < idents; number++) {
        stream.ask("connect", ident_of(number));
        while (!stream.take_reply())
            stream.receive();
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

} // namespace

int main(int count, char **words)
{
    CLI::App app{"Asks an anvil, and counts the answers."};
    std::string path;
    std::size_t streams = 1;
    std::uint32_t idents = 0;
    double seconds = 1;
    bool fills = false;
    app.add_option("--socket", path)->required();
    app.add_option("--streams", streams);
    app.add_option("--idents", idents, "0: each stream has one of its own");
    app.add_option("--seconds", seconds);
    app.add_flag("--fill", fills, "connect each ident once, and end");
    CLI11_PARSE(app, count, words);

    if (fills) {
        fill(path, idents);
        return 0;
    }
    auto found = load(path, streams, idents, seconds);
    std::sort(found.microseconds.begin(), found.microseconds.end());
    const auto part = [&](double share) {
        const auto at =
            static_cast<std::size_t>(share * static_cast<double>(found.microseconds.size()));
        return found.microseconds[std::min(at, found.microseconds.size() - 1)];
    };
    std::printf("{\"per_second\": %.0f, \"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, "
                "\"max_us\": %.1f}\n",
                static_cast<double>(found.microseconds.size()) / found.seconds, part(0.5),
                part(0.99), part(0.999), part(1));
    return 0;
}
