// SPDX-License-Identifier: BSD-2-Clause
#include "churn/server.hpp"

#include <unistd.h>

#include <cerrno>

namespace churn {
namespace {

/// Tokens above every guest's index.
constexpr std::uint64_t input_token = 1ULL << 40;
constexpr std::uint64_t listener_token = 1ULL << 41;

} // namespace

Server::Server(const ServerOptions &options, Poller poller)
    : options_(options), poller_(std::move(poller)), planner_(options.seed)
{
}

Result<Server> Server::make(const ServerOptions &options)
{
    auto poller = Poller::make();

    if (!poller)
        return poller.error();
    Server server(options, std::move(*poller));
    for (const auto &address : options.addresses) {
        auto listener = listen_at(address, options.port);
        if (!listener)
            return listener.error();
        const auto token = listener_token + server.listeners_.size();
        if (auto added = server.poller_.add(listener->get(), token); !added)
            return added.error();
        server.listeners_.push_back(std::move(*listener));
    }
    if (auto added = server.poller_.add(STDIN_FILENO, input_token); !added)
        return added.error();
    return server;
}

Result<void> Server::serve()
{
    report();
    while (true) {
        for (const auto token : poller_.wait(-1)) {
            Result<void> done;
            if (token == input_token) {
                const auto command = read_command();
                if (!command)
                    return {};
                done = obey(*command);
            } else if (token >= listener_token) {
                done = accept_all(listeners_[token - listener_token]);
            } else {
                follow(static_cast<std::uint32_t>(token));
            }
            if (!done)
                return done;
        }
    }
}

/// go N: what was parked goes on, and of what comes at most N park. drain: all that is still
/// open ends, as that of clients whose RST was lost on the way.
Result<void> Server::obey(const Command &command)
{
    if (command.word == "go") {
        options_.parked_max = static_cast<std::uint32_t>(command.number);
        unpark();
    } else if (command.word == "drain") {
        close_all();
    } else if (command.word != "report") {
        return Error{"no such command: " + command.word};
    }
    report();
    return {};
}

void Server::close_all()
{
    for (std::uint32_t index = 0; index < guests_.size(); index++) {
        if (!guests_[index].stream.is_open())
            continue;
        guests_[index] = {};
        free_.push_back(index);
    }
    parked_ = 0;
}

void Server::report() const
{
    answer({{"accepted", accepted_}, {"open", guests_.size() - free_.size()}, {"parked", parked_}});
}

Result<void> Server::accept_all(const Fd &listener)
{
    while (true) {
        Fd fd(::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
        if (!fd && errno == EAGAIN)
            return {};
        if (!fd && errno != ECONNABORTED)
            return Error::system("accept a connection");
        if (!fd)
            continue;
        if (auto done = welcome(std::move(fd)); !done)
            return done;
    }
}

Result<void> Server::welcome(Fd fd)
{
    accepted_++;
    if (planner_.chance(options_.hasty_percent)) {
        if (planner_.chance(50))
            reset_on_close(fd);
        return {};
    }
    if (free_.empty()) {
        free_.push_back(static_cast<std::uint32_t>(guests_.size()));
        guests_.emplace_back();
    }
    const auto index = free_.back();
    free_.pop_back();
    const int watched = fd.get();
    guests_[index] = {.stream = Stream(std::move(fd)), .stop = planner_.next_stop()};
    return poller_.add(watched, index);
}

void Server::follow(std::uint32_t index)
{
    auto &guest = guests_[index];

    if (guest.is_parked || !guest.stream.is_open() || parks(guest, Stop::at_start))
        return;
    guest.stream.pump();
    if (guest.stream.is_broken())
        guest.stream.close();
    else
        advance(guest);
    if (!guest.stream.is_open())
        free_.push_back(index);
}

void Server::unpark()
{
    for (std::uint32_t index = 0; index < guests_.size(); index++) {
        auto &guest = guests_[index];
        if (!guest.is_parked)
            continue;
        guest.is_parked = false;
        guest.stop = Stop::nowhere;
        parked_--;
        follow(index);
    }
}

bool Server::parks(Guest &guest, Stop where)
{
    if (guest.stop != where || parked_ >= options_.parked_max)
        return false;
    guest.is_parked = true;
    parked_++;
    return true;
}

void Server::advance(Guest &guest)
{
    auto &stream = guest.stream;
    const bool has_request = stream.heard_bytes() >= sizeof(Request);
    const auto words = has_request ? sizeof(Request) + stream.heard_request().payload_bytes : 0;

    if (has_request && stream.heard_bytes() >= words) {
        if (!guest.has_answered)
            stream.say_filler(stream.heard_request().payload_bytes);
        guest.has_answered = true;
        stream.pump();
        end_by_request(guest);
    } else if (stream.is_at_end() && !parks(guest, Stop::at_end)) {
        stream.close();
    }
}

void Server::end_by_request(Guest &guest)
{
    auto &stream = guest.stream;

    if (stream.is_broken())
        return stream.close();
    if (!stream.has_said_all())
        return;
    switch (stream.heard_request().ending) {
    case Ending::server_fin:
    case Ending::both_fins:
        if (!parks(guest, Stop::after_words))
            stream.close();
        return;
    case Ending::server_rst:
        if (!parks(guest, Stop::after_words))
            stream.reset();
        return;
    case Ending::server_half_close:
        if (!stream.has_ended_talk() && !parks(guest, Stop::after_words))
            stream.end_talk();
        break;
    default:
        break;
    }
    end_after_client(guest);
}

void Server::end_after_client(Guest &guest)
{
    auto &stream = guest.stream;

    if (!stream.is_at_end() || guest.is_parked || parks(guest, Stop::at_end))
        return;
    if (stream.heard_request().ending == Ending::client_half_close && !guest.has_added) {
        guest.has_added = true;
        stream.say_filler(stream.heard_request().payload_bytes + 1);
        stream.pump();
    }
    if (stream.is_broken() || stream.has_said_all())
        stream.close();
}

} // namespace churn
