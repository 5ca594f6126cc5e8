// SPDX-License-Identifier: BSD-2-Clause
//
// Which sessions are open, as mail servers tell it. Pure: no I/O and no clock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <variant>

#include "base/address.hpp"
#include "core/block_sums.hpp"

namespace tallygate::frontend {

/// Sessions of many clients, each a mail server's process with one connection to us. A session
/// belongs to its client and ends with it, so a count has no way to drift: it is the number of
/// sessions that somebody who is there says are open.
class SessionsTable {
public:
    using Client = std::uint32_t;

    struct Bounds {
        std::size_t sessions_max = 1'000'000;
        std::size_t client_sessions_max = 250'000;
    };

    /// What became of a delivery.
    struct Delivery {
        std::uint64_t live = 0; ///< to this domain, this one included, whether it was opened or not
        bool opened = false;
    };

    SessionsTable() : SessionsTable(Bounds{}) {}
    explicit SessionsTable(Bounds bounds) : bounds_(bounds) {}

    Client add_client();
    /// Ends all its sessions.
    void remove_client(Client client);

    /// A session from an address; in place of the client's session of this name, if it has one.
    /// False: there is no room, and nothing was opened.
    bool open(Client client, const std::string &session, const Address &address);
    /// A session to a domain, unless more than `max` would be open then; in place of the
    /// client's session of this name. Nothing: there is no room.
    std::optional<Delivery> open(Client client, const std::string &session,
                                 const std::string &domain, std::optional<std::uint64_t> max);
    /// False: the client has no session of this name.
    bool close(Client client, const std::string &session);

    std::uint64_t live(const Block &block) const;
    std::uint64_t live(const std::string &domain) const;

    std::size_t clients() const { return clients_.size(); }
    std::size_t sessions() const { return sessions_; }
    const Bounds &bounds() const { return bounds_; }

private:
    using Other = std::variant<Address, std::string>; ///< whom the session is with
    using Sessions = std::unordered_map<std::string, Other>;

    bool has_room(const Sessions &sessions) const;
    void put(Sessions &sessions, const std::string &session, Other other);
    void count(const Other &other, std::int64_t amount);

    Bounds bounds_;
    Client next_client_ = 1;
    std::size_t sessions_ = 0;
    std::unordered_map<Client, Sessions> clients_;
    core::BlockSums addresses_;
    std::unordered_map<std::string, std::uint64_t> domains_;
};

} // namespace tallygate::frontend
