// SPDX-License-Identifier: BSD-2-Clause
#include "churn/client.hpp"

#include <algorithm>
#include <cerrno>

namespace churn {
namespace {

using namespace std::chrono_literals;

constexpr auto time_max = 60s; ///< for one command; a test that waits longer has failed
constexpr int wait_ms = 20;
constexpr std::uint32_t tries_max = 10'000; ///< of ports that another connection still has

} // namespace

Client::Client(ClientOptions options, Poller poller)
    : options_(std::move(options)), poller_(std::move(poller)), planner_(options_.seed)
{
    for (const auto &source : options_.sources) {
        auto &servers = servers_of_.emplace_back();
        std::copy_if(options_.servers.begin(), options_.servers.end(), std::back_inserter(servers),
                     [&](const Address &each) { return each.family() == source.family(); });
    }
}

Result<Client> Client::make(ClientOptions options)
{
    auto poller = Poller::make();

    if (!poller)
        return poller.error();
    Client client(std::move(options), std::move(*poller));
    const auto &servers = client.servers_of_;
    if (servers.empty() ||
        std::any_of(servers.begin(), servers.end(), [](auto &each) { return each.empty(); }))
        return Error{"a client without a server of its family"};
    return client;
}

Result<void> Client::serve()
{
    while (const auto command = read_command()) {
        if (auto done = obey(*command); !done)
            return done;
        report();
    }
    return {};
}

/// run N: until N have been started since the beginning, and then stands still. drain: until all
/// but the held are over. hold N: N more that only stay open. release N: those end, as planned.
Result<void> Client::obey(const Command &command)
{
    const auto nothing_moves = [this] { return under_way() == 0; };

    holds_new_ = command.word == "hold";
    if (command.word == "run") {
        unpark();
        return run(command.number, [&] { return started_ >= command.number; });
    }
    if (command.word == "drain") {
        options_.parked_max = 0;
        unpark();
        return run(0, nothing_moves);
    }
    if (command.word == "hold")
        return run(started_ + command.number, nothing_moves);
    if (command.word == "release") {
        to_release_ = std::min(command.number, held_);
        release_from_ = 0;
        return run(0, [&] { return to_release_ == 0 && nothing_moves(); });
    }
    return command.word == "report" ? Result<void>() : Error{"no such command: " + command.word};
}

void Client::report() const
{
    answer({{"started", started_},
            {"finished", finished_},
            {"refused", refused_},
            {"held", held_},
            {"parked", parked_},
            {"late", is_late_}});
}

template <typename Done>
Result<void> Client::run(std::uint64_t start_until, Done done)
{
    const auto deadline = std::chrono::steady_clock::now() + time_max;
    is_late_ = false;

    while (true) {
        if (auto started = start_visits(start_until); !started)
            return started;
        release_visits();
        if (done())
            return {};
        for (const auto token : poller_.wait(wait_ms))
            follow(static_cast<std::uint32_t>(token));
        is_late_ = std::chrono::steady_clock::now() > deadline;
        if (is_late_)
            return {};
    }
}

Result<void> Client::start_visits(std::uint64_t start_until)
{
    for (std::uint32_t count = 0; count < options_.breath_max; count++) {
        if (started_ >= start_until || under_way() >= options_.at_once_max)
            return {};
        if (auto started = start_visit(); !started)
            return started;
    }
    return {};
}

Result<void> Client::start_visit()
{
    auto fd = connect_next();

    if (!fd)
        return fd.error();
    if (free_.empty()) {
        free_.push_back(static_cast<std::uint32_t>(visits_.size()));
        visits_.emplace_back();
    }
    const auto index = free_.back();
    free_.pop_back();
    const int watched = fd->get();
    visits_[index] = {.stream = Stream(std::move(*fd)),
                      .plan = planner_.next(),
                      .stage = Stage::connecting,
                      .is_held = holds_new_};
    started_++;
    return poller_.add(watched, index);
}

/// The next source, and its next port that no connection has.
Result<Fd> Client::connect_next()
{
    for (std::uint32_t tries = 0; tries < tries_max; tries++) {
        const auto source = turn_ % options_.sources.size();
        const auto round = turn_ / options_.sources.size();
        const auto &servers = servers_of_[source];
        turn_++;
        const auto port = static_cast<std::uint16_t>(options_.first_port + round % options_.ports);
        auto fd = connect_from(options_.sources[source], port, servers[round % servers.size()],
                               options_.server_port);
        if (fd || (fd.error().code != EADDRINUSE && fd.error().code != EADDRNOTAVAIL))
            return fd;
    }
    return Error{"no port is free: give more of them"};
}

/// Connections that will do something, or whose server will.
std::uint64_t Client::under_way() const
{
    return started_ - finished_ - refused_ - held_ - parked_;
}

void Client::follow(std::uint32_t index)
{
    auto &visit = visits_[index];

    if (visit.is_parked || visit.stage == Stage::none)
        return;
    advance(visit);
    if (visit.stage == Stage::none)
        free_.push_back(index);
}

/// Those that are held end, each by its plan, and no more at once than are started at once.
void Client::release_visits()
{
    const auto until = to_release_ - std::min<std::uint64_t>(to_release_, options_.breath_max);

    for (; release_from_ < visits_.size() && to_release_ > until; release_from_++) {
        auto &visit = visits_[release_from_];
        if (under_way() >= options_.at_once_max)
            return;
        if (visit.stage != Stage::holding)
            continue;
        visit.stage = Stage::starting;
        visit.is_held = false;
        held_--;
        to_release_--;
        follow(release_from_);
    }
}

void Client::unpark()
{
    for (std::uint32_t index = 0; index < visits_.size(); index++) {
        auto &visit = visits_[index];
        if (!visit.is_parked)
            continue;
        visit.is_parked = false;
        visit.plan.stop = Stop::nowhere;
        parked_--;
        follow(index);
    }
}

bool Client::parks(Visit &visit, Stop where)
{
    if (visit.plan.stop != where || parked_ >= options_.parked_max)
        return false;
    visit.is_parked = true;
    parked_++;
    return true;
}

void Client::leave(Visit &visit)
{
    visit.stream.close();
    visit.stage = Stage::none;
    finished_++;
}

/// As far as it goes without waiting for the server.
void Client::advance(Visit &visit)
{
    if (visit.stage == Stage::connecting) {
        const int error = connect_error(visit.stream.fd());
        if (error != 0 && error != ECONNRESET && error != EPIPE) {
            visit.stream.close();
            visit.stage = Stage::none;
            refused_++;
            return;
        }
        visit.stage = visit.is_held ? Stage::holding : Stage::starting;
        held_ += visit.is_held;
    }
    visit.stream.pump();
    if (visit.stream.is_broken()) {
        held_ -= visit.stage == Stage::holding;
        return leave(visit);
    }
    if (visit.stage == Stage::starting)
        start(visit);
    if (visit.stage == Stage::talking)
        talk(visit);
    if (visit.stage == Stage::ending)
        end(visit);
}

void Client::start(Visit &visit)
{
    if (parks(visit, Stop::at_start))
        return;
    if (visit.plan.request.ending == Ending::client_rst_at_once)
        visit.stream.reset();
    if (visit.plan.request.ending == Ending::client_fin_at_once || !visit.stream.is_open())
        return leave(visit);
    visit.stream.say(visit.plan.request);
    visit.stream.say_filler(visit.plan.request.payload_bytes);
    visit.stream.pump();
    visit.stage = Stage::talking;
}

/// Until all is said, and what the ending waits for is heard.
void Client::talk(Visit &visit)
{
    auto &stream = visit.stream;
    const auto ending = visit.plan.request.ending;

    if (stream.is_broken())
        return leave(visit);
    if (!stream.has_said_all() && !stream.is_at_end())
        return;
    const bool speaks_first = ending == Ending::both_fins || ending == Ending::client_half_close;
    const bool has_heard = stream.heard_bytes() >= visit.plan.request.payload_bytes;
    if (!speaks_first && !has_heard && !stream.is_at_end())
        return;
    if (parks(visit, Stop::after_words))
        return;
    if (speaks_first)
        stream.end_talk();
    visit.stage = Stage::ending;
}

void Client::end(Visit &visit)
{
    auto &stream = visit.stream;
    const auto ending = visit.plan.request.ending;

    if (ending == Ending::client_rst) {
        stream.reset();
        return leave(visit);
    }
    if (ending == Ending::client_fin)
        return leave(visit);
    if (stream.is_broken())
        return leave(visit);
    if (!stream.is_at_end() || parks(visit, Stop::at_end))
        return;
    if (ending == Ending::server_half_close && visit.plan.request.payload_bytes > 0) {
        stream.say_filler(visit.plan.request.payload_bytes);
        visit.plan.request.payload_bytes = 0;
        stream.pump();
    }
    if (stream.is_broken() || stream.has_said_all())
        leave(visit);
}

} // namespace churn
