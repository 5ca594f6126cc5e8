// SPDX-License-Identifier: BSD-2-Clause
//
// A mail server that says 220 to whoever comes, yes to whatever he says, and 221 to whoever says
// QUIT, and costs next to nothing itself.
//
//     mail_server ADDR:PORT
//
// Prints "ready" once it listens, and ends when its standard input does.
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <string_view>

#include "base/address.hpp"
#include "churn/sockets.hpp"

namespace tallygate::bench {
namespace {

using churn::Poller;

constexpr std::string_view banner = "220 mail.example ESMTP\r\n";
constexpr std::string_view goodbye = "221 2.0.0 Bye\r\n";
constexpr std::string_view extensions = "250-mail.example\r\n250 ENHANCEDSTATUSCODES\r\n";
constexpr std::string_view go_ahead = "354 End data with <CR><LF>.<CR><LF>\r\n";
constexpr std::string_view fine = "250 2.0.0 Ok\r\n";

/// A guest's words are never longer than the socket's buffer, so they go at once or not at all.
void say(int guest, std::string_view words)
{
    if (::send(guest, words.data(), words.size(), MSG_NOSIGNAL) < 0)
        return; // it has gone, and recv() will say so
}

Result<void> welcome_all(const Fd &listener, Poller &poller)
{
    while (true) {
        Fd guest(::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
        if (!guest)
            return errno == EAGAIN || errno == ECONNABORTED
                       ? Result<void>()
                       : Result<void>(Error::system("accept a connection"));
        say(guest.get(), banner);
        if (auto added = poller.add(guest.get(), static_cast<std::uint64_t>(guest.get())); !added)
            return added;
        guest.release(); // the poller's token is its number; hear() closes it
    }
}

/// A guest says a line, or a whole message, in one go: so the first word is all we listen for.
void hear(int guest)
{
    std::array<char, 1024> words{};
    const auto bytes = ::recv(guest, words.data(), words.size(), 0);
    const std::string_view said{words.data(), bytes > 0 ? static_cast<std::size_t>(bytes) : 0};

    if (bytes < 0 && errno == EAGAIN)
        return;
    if (!said.empty() && !said.starts_with("QUIT")) {
        say(guest, said.starts_with("EHLO")   ? extensions
                   : said.starts_with("DATA") ? go_ahead
                                              : fine);
        return;
    }
    if (!said.empty())
        say(guest, goodbye);
    ::close(guest);
}

Result<void> serve(const char *where)
{
    const auto here = Endpoint::parse(where);
    auto poller = Poller::make();

    if (!here)
        return here.error();
    if (!poller)
        return poller.error();
    const auto listener = churn::listen_at(here->address, here->port);
    if (!listener)
        return listener.error();
    const auto listener_token = static_cast<std::uint64_t>(listener->get());
    if (auto added = poller->add(listener->get(), listener_token); !added)
        return added;
    if (auto added = poller->add(STDIN_FILENO, STDIN_FILENO); !added)
        return added;
    std::puts("ready");
    std::fflush(stdout);
    while (true) {
        for (const auto token : poller->wait(-1)) {
            if (token == STDIN_FILENO)
                return {};
            if (token != listener_token)
                hear(static_cast<int>(token));
            else if (auto done = welcome_all(*listener, *poller); !done)
                return done;
        }
    }
}

} // namespace
} // namespace tallygate::bench

int main(int count, char **words)
{
    if (count != 2) {
        std::fprintf(stderr, "usage: mail_server ADDR:PORT\n");
        return 2;
    }
    const auto done = tallygate::bench::serve(words[1]);
    if (done)
        return 0;
    std::fprintf(stderr, "mail_server: %s\n", done.error().message.c_str());
    return 1;
}
