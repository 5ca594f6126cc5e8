// SPDX-License-Identifier: BSD-2-Clause
//
// Many clients in one process. It stands still between commands: whatever a connection was at
// when a command was done, it stays at, which is how a test looks at half-ended ones.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <vector>

#include "churn/commands.hpp"
#include "churn/plan.hpp"
#include "churn/sockets.hpp"
#include "churn/stream.hpp"

namespace churn {

struct ClientOptions {
    std::vector<Address> sources;
    std::vector<Address> servers; ///< a source meets all of its family in turn
    std::uint16_t server_port = 25;
    std::uint16_t first_port = 20'000; ///< of the few that each source uses again and again
    std::uint16_t ports = 2'000;
    /// A veth card with XDP holds 256 frames, and a RST that it loses is not sent again: with
    /// these two nothing is lost.
    std::uint32_t at_once_max = 200;
    std::uint32_t breath_max = 16; ///< that start or end before any other is looked at
    std::uint32_t parked_max = 0;
    std::uint64_t seed = 1;
};

class Client {
public:
    static Result<Client> make(ClientOptions options);

    /// Until the end of the input.
    Result<void> serve();

private:
    enum class Stage : std::uint8_t { none, connecting, holding, starting, talking, ending };

    struct Visit {
        Stream stream;
        Plan plan;
        Stage stage = Stage::none;
        bool is_held = false;
        bool is_parked = false;
    };

    Client(ClientOptions options, Poller poller);

    Result<void> obey(const Command &command);
    void report() const;

    /// Starts connections and follows them, until `done` or until the time is up.
    template <typename Done>
    Result<void> run(std::uint64_t start_until, Done done);
    Result<void> start_visits(std::uint64_t start_until);
    Result<void> start_visit();
    Result<Fd> connect_next();
    void follow(std::uint32_t index);

    void release_visits();
    std::uint64_t under_way() const;
    void unpark();
    bool parks(Visit &visit, Stop where);

    void advance(Visit &visit);
    void start(Visit &visit);
    void talk(Visit &visit);
    void end(Visit &visit);
    void leave(Visit &visit);

    ClientOptions options_;
    Poller poller_;
    Planner planner_;
    std::deque<Visit> visits_; ///< never moves its elements
    std::vector<std::uint32_t> free_;
    std::vector<std::vector<Address>> servers_of_; ///< by source
    std::uint64_t turn_ = 0;

    bool holds_new_ = false;
    std::uint64_t started_ = 0;
    std::uint64_t finished_ = 0;
    std::uint64_t refused_ = 0; ///< that the server never answered, or answered with a RST
    std::uint64_t held_ = 0;
    std::uint64_t parked_ = 0;
    std::uint64_t to_release_ = 0;
    std::uint32_t release_from_ = 0;
    bool is_late_ = false;
};

} // namespace churn
