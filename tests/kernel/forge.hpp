// SPDX-License-Identifier: BSD-2-Clause
//
// One TCP packet whose fields are written over again and again: for tests that send a million,
// where building each would cost more than sending it. Checksums are left as they are, since
// the gate does not look at them.
#pragma once

#include "kernel/conversation.hpp"

namespace tallygate::test {

class Forge {
public:
    /// A packet from one side of a conversation, with the fewest bytes.
    Forge(const Conversation &conversation, Side from)
        : packet_(conversation.build({from, ack, 0, 0, 0, TG_UNDECIDED})), from_(from)
    {
    }

    [[nodiscard]] const std::vector<std::uint8_t> &wire() const { return packet_.bytes; }

    Forge &flags(std::uint16_t flags)
    {
        packet_.bytes[packet_.transport_at + 13] = static_cast<std::uint8_t>(flags);
        return *this;
    }

    /// Absolute numbers, unlike a conversation's.
    Forge &numbers(std::uint32_t seq, std::uint32_t ack_seq)
    {
        put_u32(packet_.transport_at + 4, seq);
        put_u32(packet_.transport_at + 8, ack_seq);
        return *this;
    }

    Forge &client_port(unsigned port)
    {
        packet_.put_u16(packet_.transport_at + (from_ == client ? 0 : 2), port);
        return *this;
    }

    /// The last four bytes of an IPv4 client's address; in IPv6 those before its last 64 bits.
    Forge &client_words(std::uint32_t word)
    {
        const auto offset =
            packet_.ipv6 ? (from_ == client ? 12 : 28) : (from_ == client ? 12 : 16);
        put_u32(packet_.ip_at + offset, word);
        return *this;
    }

private:
    void put_u32(std::size_t at, std::uint32_t value)
    {
        packet_.put_u16(at, value >> 16);
        packet_.put_u16(at + 2, value & 0xffff);
    }

    Packet packet_;
    Side from_;
};

} // namespace tallygate::test
