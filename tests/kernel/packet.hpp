// SPDX-License-Identifier: BSD-2-Clause
//
// Packets for tests, built a layer at a time. What is sent, and through which hook, is the
// fixture's business.
#pragma once

#include <arpa/inet.h>

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace tallygate::test {

inline constexpr std::uint16_t fin = 0x001;
inline constexpr std::uint16_t syn = 0x002;
inline constexpr std::uint16_t rst = 0x004;
inline constexpr std::uint16_t psh = 0x008;
inline constexpr std::uint16_t ack = 0x010;
inline constexpr std::uint16_t urg = 0x020;
inline constexpr std::uint16_t ece = 0x040;
inline constexpr std::uint16_t cwr = 0x080;
inline constexpr std::uint16_t ae = 0x100; ///< accurate ECN, once the nonce sum

/// A packet under construction. Layers stack with `/`: Ethernet{} / Ipv4{} / Tcp{.to = 25}.
///
/// Every default is a valid packet from a client at a documentation address to the guarded
/// port, so that a test states only what it is about. Lengths, protocol numbers and checksums
/// follow from the layers; whatever a layer names itself stays as it is named.
struct Packet {
    std::vector<std::uint8_t> bytes;
    std::optional<std::size_t> cut;      ///< the wire lost what lies beyond
    std::optional<std::size_t> readable; ///< the frame goes on, where no program can read it

    bool ipv6 = false;
    std::size_t ip_at = 0;
    std::size_t protocol_at = 0; ///< where the next layer writes its number; 0: it is named
    std::size_t transport_at = 0;
    std::uint8_t transport = 0;
    bool length_is_named = false;
    std::uint16_t checksum_error = 0;

    void append(std::initializer_list<unsigned> more)
    {
        for (const auto byte : more)
            bytes.push_back(static_cast<std::uint8_t>(byte));
    }
    void append_u16(unsigned value) { append({value >> 8 & 0xff, value & 0xff}); }
    void append_u32(std::uint32_t value)
    {
        append_u16(value >> 16);
        append_u16(value & 0xffff);
    }
    void append_zeros(std::size_t count) { bytes.resize(bytes.size() + count); }
    void put_u16(std::size_t at, unsigned value)
    {
        bytes.at(at) = static_cast<std::uint8_t>(value >> 8);
        bytes.at(at + 1) = static_cast<std::uint8_t>(value);
    }

    /// The two bytes before a link's payload say what it is, for Ethernet and for a VLAN tag.
    void set_link_type(unsigned type) { put_u16(bytes.size() - 2, type); }
    void set_protocol(std::uint8_t number)
    {
        if (protocol_at)
            bytes.at(protocol_at) = number;
    }

    /// What arrives.
    [[nodiscard]] std::vector<std::uint8_t> wire() const
    {
        auto arrived = bytes;
        if (cut)
            arrived.resize(*cut);
        if (readable)
            arrived.resize(std::min(*readable, arrived.size()));
        return arrived;
    }

    /// How long the gate is to believe that the frame is; 0: as long as what arrives.
    [[nodiscard]] std::uint32_t announced_frame_bytes() const
    {
        return readable ? static_cast<std::uint32_t>(cut.value_or(bytes.size())) : 0;
    }

    /// Of which a program can read `count` bytes, as of a super-packet before segmentation.
    [[nodiscard]] Packet readable_to(std::size_t count) const
    {
        Packet deep = *this;
        deep.readable = count;
        return deep;
    }

    /// The first `count` bytes, as if the wire had lost the rest.
    [[nodiscard]] Packet cut_to(std::size_t count) const
    {
        if (count > bytes.size())
            throw std::invalid_argument("a packet cannot be cut to more than it is");
        Packet shorter = *this;
        shorter.cut = count;
        return shorter;
    }

    /// Followed by zeros that no layer owns, as Ethernet follows short packets.
    [[nodiscard]] Packet pad_to(std::size_t count) const
    {
        Packet longer = *this;
        longer.bytes.resize(std::max(count, bytes.size()));
        return longer;
    }

    /// The server's answer by the same way: the ends change places, and a SYN is a SYN-ACK.
    [[nodiscard]] Packet answered() const
    {
        Packet answer = *this;
        const std::size_t size = ipv6 ? 16 : 4;
        const auto from = answer.bytes.begin() + static_cast<long>(ip_at + (ipv6 ? 8 : 12));
        std::swap_ranges(from, from + static_cast<long>(size), from + static_cast<long>(size));
        if (transport != IPPROTO_TCP)
            return answer;
        const auto ports = answer.bytes.begin() + static_cast<long>(transport_at);
        std::swap_ranges(ports, ports + 2, ports + 2);
        if (answer.bytes.at(transport_at + 13) & syn)
            answer.bytes.at(transport_at + 13) |= ack;
        return answer;
    }

    void settle();
};

namespace detail {

inline std::uint32_t add_words(const std::uint8_t *bytes, std::size_t size, std::uint32_t sum)
{
    for (std::size_t i = 0; i < size; i++)
        sum += i % 2 ? bytes[i] : static_cast<std::uint32_t>(bytes[i]) << 8;
    return sum;
}

/// RFC 1071.
inline std::uint16_t fold(std::uint32_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(~sum);
}

inline std::vector<std::uint8_t> parse_address(int family, const std::string &text)
{
    std::vector<std::uint8_t> address(family == AF_INET ? 4 : 16);
    if (inet_pton(family, text.c_str(), address.data()) != 1)
        throw std::invalid_argument(text + " is no address of its family");
    return address;
}

} // namespace detail

/// Makes lengths and checksums say what is there. Every layer ends with it.
inline void Packet::settle()
{
    if (transport_at) {
        const auto size = bytes.size() - transport_at;
        const auto checksum_at = transport_at + (transport == IPPROTO_TCP ? 16 : 6);
        if (transport == IPPROTO_UDP)
            put_u16(transport_at + 4, static_cast<unsigned>(size));
        put_u16(checksum_at, 0);
        auto sum = detail::add_words(&bytes[ip_at + (ipv6 ? 8 : 12)], ipv6 ? 32 : 8,
                                     transport + static_cast<std::uint32_t>(size));
        sum = detail::add_words(&bytes[transport_at], size, sum);
        put_u16(checksum_at, detail::fold(sum) ^ checksum_error);
    }
    if (ipv6) {
        if (!length_is_named)
            put_u16(ip_at + 4, static_cast<unsigned>(bytes.size() - ip_at - 40));
        return;
    }
    if (!length_is_named)
        put_u16(ip_at + 2, static_cast<unsigned>(bytes.size() - ip_at));
    put_u16(ip_at + 10, 0);
    put_u16(ip_at + 10, detail::fold(detail::add_words(&bytes[ip_at], 20, 0)));
}

struct Ethernet {
    unsigned type = 0; ///< for what is neither a VLAN tag nor IP
};

struct Vlan {
    unsigned id = 100;
    unsigned type = 0x8100;
};

struct Ipv4 {
    std::string from = "192.0.2.10";
    std::string to = "198.51.100.25";
    unsigned option_words = 0;
    unsigned fragment = 0x4000;             ///< flags and offset; the default is "don't fragment"
    std::optional<unsigned> header_words{}; ///< what the header says, true or not
    std::optional<unsigned> total_bytes{};
    std::optional<unsigned> protocol{};
    unsigned version = 4;
    unsigned hops = 64;
};

struct Ipv6 {
    std::string from = "2001:db8:0:10::10";
    std::string to = "2001:db8:0:25::25";
    std::optional<unsigned> payload_bytes{};
    std::optional<unsigned> next{};
    unsigned version = 6;
    unsigned hops = 64;
    std::uint32_t flow_label = 0;
};

/// The three options headers of RFC 8200 that have one shape.
struct Options {
    std::uint8_t number;
    unsigned words; ///< of eight bytes, after the first
    std::optional<unsigned> length{};
    std::optional<unsigned> next{};
};
struct HopByHop {
    unsigned words = 0;
    std::optional<unsigned> length{};
    std::optional<unsigned> next{};
};
struct Routing {
    unsigned words = 0;
    std::optional<unsigned> length{};
    std::optional<unsigned> next{};
};
struct DestinationOptions {
    unsigned words = 0;
    std::optional<unsigned> length{};
    std::optional<unsigned> next{};
};

/// RFC 4302: its length counts words of four bytes, less two.
struct Authentication {
    unsigned check_words = 3;
    std::optional<unsigned> length{};
    std::optional<unsigned> next{};
};

struct Fragment {
    unsigned offset = 0; ///< in units of eight bytes
    bool more = false;
    std::optional<unsigned> next{};
};

struct Tcp {
    unsigned from = 40000;
    unsigned to = 25;
    std::uint16_t flags = syn;
    std::uint32_t seq = 1000;
    std::uint32_t ack_seq = 0;
    unsigned payload_bytes = 0;
    unsigned option_words = 0;
    std::optional<unsigned> header_words{};
    std::uint16_t checksum_error = 0; ///< what the checksum is off by, bit by bit
};

struct Udp {
    unsigned from = 40000;
    unsigned to = 25;
    unsigned payload_bytes = 0;
};

/// Bytes that no layer above describes.
struct Zeros {
    std::size_t count;
};

inline Packet start(const Ethernet &link)
{
    Packet packet;
    packet.append({2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2});
    packet.append_u16(link.type);
    return packet;
}

inline Packet operator/(Packet packet, const Vlan &tag)
{
    packet.set_link_type(tag.type);
    packet.append_u16(tag.id);
    packet.append_u16(0);
    return packet;
}

inline Packet operator/(Packet packet, const Ipv4 &ip)
{
    packet.set_link_type(0x0800);
    packet.ip_at = packet.bytes.size();
    packet.length_is_named = ip.total_bytes.has_value();
    packet.append({ip.version << 4 | ip.header_words.value_or(5 + ip.option_words), 0});
    packet.append_u16(ip.total_bytes.value_or(0));
    packet.append_u16(1);
    packet.append_u16(ip.fragment);
    packet.protocol_at = ip.protocol ? 0 : packet.bytes.size() + 1;
    packet.append({ip.hops, ip.protocol.value_or(0), 0, 0});
    for (const auto &end : {ip.from, ip.to})
        for (const auto byte : detail::parse_address(AF_INET, end))
            packet.append({byte});
    packet.bytes.resize(packet.bytes.size() + 4 * ip.option_words, 1); /* no operation */
    packet.settle();
    return packet;
}

inline Packet operator/(Packet packet, const Ipv6 &ip)
{
    packet.set_link_type(0x86dd);
    packet.ipv6 = true;
    packet.ip_at = packet.bytes.size();
    packet.length_is_named = ip.payload_bytes.has_value();
    packet.append_u32(ip.version << 28 | ip.flow_label);
    packet.append_u16(ip.payload_bytes.value_or(0));
    packet.protocol_at = ip.next ? 0 : packet.bytes.size();
    packet.append({ip.next.value_or(59), ip.hops}); /* 59: nothing follows */
    for (const auto &end : {ip.from, ip.to})
        for (const auto byte : detail::parse_address(AF_INET6, end))
            packet.append({byte});
    packet.settle();
    return packet;
}

inline Packet operator/(Packet packet, const Options &header)
{
    packet.set_protocol(header.number);
    packet.protocol_at = header.next ? 0 : packet.bytes.size();
    packet.append({header.next.value_or(59), header.length.value_or(header.words)});
    packet.append({1, 4, 0, 0, 0, 0}); /* PadN; for routing: type 1, 4 segments left, unused */
    packet.append_zeros(8 * header.words);
    packet.settle();
    return packet;
}

inline Packet operator/(Packet packet, const HopByHop &header)
{
    return std::move(packet) / Options{0, header.words, header.length, header.next};
}

inline Packet operator/(Packet packet, const Routing &header)
{
    return std::move(packet) / Options{43, header.words, header.length, header.next};
}

inline Packet operator/(Packet packet, const DestinationOptions &header)
{
    return std::move(packet) / Options{60, header.words, header.length, header.next};
}

inline Packet operator/(Packet packet, const Authentication &header)
{
    packet.set_protocol(51);
    packet.protocol_at = header.next ? 0 : packet.bytes.size();
    packet.append({header.next.value_or(59), header.length.value_or(1 + header.check_words), 0, 0});
    packet.append_zeros(8 + 4 * header.check_words);
    packet.settle();
    return packet;
}

inline Packet operator/(Packet packet, const Fragment &header)
{
    packet.set_protocol(44);
    packet.protocol_at = header.next ? 0 : packet.bytes.size();
    packet.append({header.next.value_or(59), 0});
    packet.append_u16(header.offset << 3 | (header.more ? 1 : 0));
    packet.append_u32(7);
    packet.settle();
    return packet;
}

inline Packet operator/(Packet packet, const Tcp &tcp)
{
    packet.set_protocol(IPPROTO_TCP);
    packet.transport = IPPROTO_TCP;
    packet.transport_at = packet.bytes.size();
    packet.checksum_error = tcp.checksum_error;
    packet.append_u16(tcp.from);
    packet.append_u16(tcp.to);
    packet.append_u32(tcp.seq);
    packet.append_u32(tcp.ack_seq);
    packet.append_u16(tcp.header_words.value_or(5 + tcp.option_words) << 12 | tcp.flags);
    packet.append_u16(0xffff);
    packet.append_u32(0);
    packet.bytes.resize(packet.bytes.size() + 4 * tcp.option_words, 1); /* no operation */
    packet.append_zeros(tcp.payload_bytes);
    packet.settle();
    return packet;
}

inline Packet operator/(Packet packet, const Udp &udp)
{
    packet.set_protocol(IPPROTO_UDP);
    packet.transport = IPPROTO_UDP;
    packet.transport_at = packet.bytes.size();
    packet.append_u16(udp.from);
    packet.append_u16(udp.to);
    packet.append_u32(0);
    packet.append_zeros(udp.payload_bytes);
    packet.settle();
    return packet;
}

/// A packet without its link in a tunnel: IP in IP at once, or behind the outer packet's UDP.
inline Packet operator/(Packet outer, const Packet &inner)
{
    if (outer.transport == 0)
        outer.set_protocol(inner.ipv6 ? IPPROTO_IPV6 : IPPROTO_IPIP);
    const auto wire = inner.wire();
    outer.bytes.insert(outer.bytes.end(), wire.begin() + static_cast<long>(inner.ip_at),
                       wire.end());
    outer.settle();
    return outer;
}

inline Packet operator/(Packet packet, const Zeros &zeros)
{
    packet.append_zeros(zeros.count);
    if (packet.ip_at)
        packet.settle();
    return packet;
}

template <typename Layer>
Packet operator/(const Ethernet &link, const Layer &layer)
{
    return start(link) / layer;
}

} // namespace tallygate::test
