// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <tallygate/abi.h>

#include <cstdint>
#include <cstring>
#include <unordered_map>

#include "kernel/packet_facts.h"

namespace tallygate::kernel {

/// Who is the client of a connection both of whose ends may be services: the side that sent the
/// SYN. A card tells by the direction, a capture has both directions in one file.
class ReplayRoles {
public:
    /// At most about this many connections that have not opened are remembered.
    static constexpr std::size_t handshakes_max = 1U << 19;

    explicit ReplayRoles(std::size_t handshakes = handshakes_max) : sweep_at_(handshakes) {}

    /// Is this packet from the client? A SYN decides for what follows.
    bool is_from_client(const packet_facts &facts);
    /// What the gate said of the packet: what is closed is forgotten.
    void note(const packet_facts &facts, tg_verdict verdict);

    std::size_t size() const { return roles_.size(); }

private:
    struct Role {
        bool client_is_lower = false; ///< of the two ends as they are ordered in the key
        bool is_open = false;
        std::uint64_t seen = 0;
    };
    struct Equal {
        bool operator()(const tg_flow_key &one, const tg_flow_key &other) const
        {
            return std::memcmp(&one, &other, sizeof(one)) == 0;
        }
    };
    struct Hash {
        std::size_t operator()(const tg_flow_key &ends) const;
    };

    void remember(const tg_flow_key &key, bool client_is_lower);
    void forget_old_handshakes();

    std::unordered_map<tg_flow_key, Role, Hash, Equal> roles_;
    std::uint64_t syns_ = 0;
    std::size_t sweep_at_;
};

} // namespace tallygate::kernel
