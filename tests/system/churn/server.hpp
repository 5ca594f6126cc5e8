// SPDX-License-Identifier: BSD-2-Clause
//
// The server of the churn: does what each connection's request asks for, and now and then is
// hasty and ends one before it has heard anything.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "churn/commands.hpp"
#include "churn/plan.hpp"
#include "churn/sockets.hpp"
#include "churn/stream.hpp"

namespace churn {

struct ServerOptions {
    std::vector<Address> addresses;
    std::uint16_t port = 25;
    std::uint32_t hasty_percent = 0;
    std::uint32_t parked_max = 0; ///< until a command says otherwise
    std::uint64_t seed = 1;
};

class Server {
public:
    static Result<Server> make(const ServerOptions &options);

    /// Until the end of the input.
    Result<void> serve();

private:
    struct Guest {
        Stream stream;
        Stop stop = Stop::nowhere;
        bool has_answered = false;
        bool has_added = false; ///< what is said after the client's FIN
        bool is_parked = false;
    };

    Server(const ServerOptions &options, Poller poller);

    Result<void> obey(const Command &command);
    void report() const;
    Result<void> accept_all(const Fd &listener);
    Result<void> welcome(Fd fd);
    void follow(std::uint32_t index);
    void unpark();
    void close_all();
    bool parks(Guest &guest, Stop where);
    void advance(Guest &guest);
    void end_by_request(Guest &guest);
    void end_after_client(Guest &guest);

    ServerOptions options_;
    Poller poller_;
    Planner planner_;
    std::vector<Fd> listeners_;
    std::deque<Guest> guests_; ///< never moves its elements
    std::vector<std::uint32_t> free_;
    std::uint64_t accepted_ = 0;
    std::uint64_t parked_ = 0;
};

} // namespace churn
