// SPDX-License-Identifier: BSD-2-Clause
//
// A connection as a table of segments, in relative numbers as packet analysers print them:
// both SYNs have number 0, the first byte after a SYN has number 1.
#pragma once

#include <tallygate/verdicts.h>

#include <string>
#include <vector>

#include "kernel/packet.hpp"

namespace tallygate::test {

enum class Side { client, server };
using Side::client;
using Side::server;

struct Segment {
    Side from;
    std::uint16_t flags;
    std::uint32_t seq;
    std::uint32_t ack_seq;
    std::uint32_t payload_bytes;
    tg_verdict verdict;
};
using Segments = std::vector<Segment>;

inline Segments operator+(Segments first, const Segments &more)
{
    first.insert(first.end(), more.begin(), more.end());
    return first;
}

/// The two ends of a connection, and where their numbers start.
struct Conversation {
    bool ipv6 = false;
    std::string client_address = "192.0.2.10";
    std::string server_address = "198.51.100.25";
    unsigned client_port = 40000;
    unsigned server_port = 25;
    std::uint32_t client_start = 1000;
    std::uint32_t server_start = 5000;

    /// The segment as it passes the card. One of more than an Ethernet frame is a super-packet, of
    /// which a program reads the headers and a little more.
    [[nodiscard]] Packet packet(const Segment &segment) const
    {
        const auto whole = build(segment);
        return segment.payload_bytes > frame_payload_max ? whole.readable_to(readable_bytes)
                                                         : whole;
    }

    /// The segment with all its bytes to be read.
    [[nodiscard]] Packet build(const Segment &segment) const
    {
        const bool in = segment.from == client;
        Tcp tcp{.from = in ? client_port : server_port,
                .to = in ? server_port : client_port,
                .flags = segment.flags,
                .seq = segment.seq + (in ? client_start : server_start),
                .payload_bytes = segment.payload_bytes};
        if (segment.flags & ack)
            tcp.ack_seq = segment.ack_seq + (in ? server_start : client_start);
        const auto &from = in ? client_address : server_address;
        const auto &to = in ? server_address : client_address;
        /* Above 64 KiB, which only the kernel itself builds, IP names no length. */
        const auto named =
            segment.payload_bytes > ip_payload_max ? std::optional(0u) : std::nullopt;
        if (ipv6)
            return Ethernet{} / Ipv6{.from = from, .to = to, .payload_bytes = named} / tcp;
        return Ethernet{} / Ipv4{.from = from, .to = to, .total_bytes = named} / tcp;
    }

    static constexpr std::uint32_t frame_payload_max = 1460;
    static constexpr std::uint32_t ip_payload_max = 65535 - 40;
    static constexpr std::size_t readable_bytes = 128;
};

inline Conversation ipv6_conversation()
{
    return {
        .ipv6 = true, .client_address = "2001:db8:0:10::10", .server_address = "2001:db8:0:25::25"};
}

} // namespace tallygate::test
