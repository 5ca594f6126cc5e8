// SPDX-License-Identifier: BSD-2-Clause
//
// One packet in, one verdict out, for packets that stand alone. Every row goes through every
// program and every setting of "may it be dropped?". To add a case, add a row.
#include "kernel/gate_fixture.hpp"

namespace tallygate::test {
namespace {

using namespace std::chrono_literals;

constexpr Ethernet eth;

struct PacketCase {
    const char *name;
    tg_verdict verdict; ///< on the way in, with nothing enforced
    Packet packet;
};

// clang-format off
const PacketCase link_cases[] = {
    {"ARP",                              TG_PASS_NOT_TCP,  Ethernet{0x0806} / Zeros{46}},
    {"LLDP",                             TG_PASS_NOT_TCP,  Ethernet{0x88cc} / Zeros{46}},
    {"an unknown type",                  TG_PASS_NOT_TCP,  Ethernet{0x1234} / Zeros{46}},
    {"an 802.3 length",                  TG_PASS_NOT_TCP,  Ethernet{46} / Zeros{46}},
    {"IPv4 behind a VLAN tag",           TG_PASS_SYN,      eth / Vlan{} / Ipv4{} / Tcp{}},
    {"IPv6 behind a VLAN tag",           TG_PASS_SYN,      eth / Vlan{} / Ipv6{} / Tcp{}},
    {"IPv4 behind a priority tag",       TG_PASS_SYN,      eth / Vlan{.id = 0} / Ipv4{} / Tcp{}},
    {"IPv4 behind QinQ",                 TG_PASS_SYN,
        eth / Vlan{.type = 0x88a8} / Vlan{} / Ipv4{} / Tcp{}},
    {"IPv6 behind QinQ",                 TG_PASS_SYN,
        eth / Vlan{.type = 0x88a8} / Vlan{} / Ipv6{} / Tcp{}},
    {"IPv4 behind the old QinQ",         TG_PASS_SYN,
        eth / Vlan{.type = 0x9100} / Vlan{} / Ipv4{} / Tcp{}},
    {"IPv4 behind three tags",           TG_PASS_UNPARSED,
        eth / Vlan{.type = 0x88a8} / Vlan{} / Vlan{} / Ipv4{} / Tcp{}},
    {"a VLAN tag short by one byte",     TG_PASS_UNPARSED,
        (eth / Vlan{} / Ipv4{} / Tcp{}).cut_to(17)},
    {"the second tag short by one byte", TG_PASS_UNPARSED,
        (eth / Vlan{} / Vlan{} / Ipv4{} / Tcp{}).cut_to(21)},
    {"ARP behind a VLAN tag",            TG_PASS_NOT_TCP,
        (eth / Vlan{} / Zeros{46}).pad_to(64)},
};

const PacketCase ipv4_cases[] = {
    {"a SYN to a guarded port",            TG_PASS_SYN,         eth / Ipv4{} / Tcp{}},
    {"to a port nobody guards",            TG_PASS_NOT_WATCHED, eth / Ipv4{} / Tcp{.to = 22}},
    {"from the guarded port to another",   TG_PASS_NOT_WATCHED,
        eth / Ipv4{} / Tcp{.from = 25, .to = 40000}},
    {"UDP to the guarded port",            TG_PASS_NOT_TCP,     eth / Ipv4{} / Udp{}},
    {"ICMP",                               TG_PASS_NOT_TCP,
        eth / Ipv4{.protocol = 1} / Zeros{8}},
    {"behind one word of options",         TG_PASS_SYN,
        eth / Ipv4{.option_words = 1} / Tcp{}},
    {"behind ten words of options",        TG_PASS_SYN,
        eth / Ipv4{.option_words = 10} / Tcp{}},
    {"padded by Ethernet",                 TG_PASS_SYN,
        (eth / Ipv4{} / Tcp{}).pad_to(60)},
    {"a wrong TCP checksum",               TG_PASS_SYN,
        eth / Ipv4{} / Tcp{.checksum_error = 0xffff}},
    {"a first fragment with all of TCP",   TG_PASS_SYN,
        eth / Ipv4{.fragment = 0x2000} / Tcp{}},
    {"a later fragment imitating a SYN",   TG_PASS_FRAGMENT,
        eth / Ipv4{.fragment = 0x2010} / Tcp{}},
    {"the last fragment",                  TG_PASS_FRAGMENT,
        eth / Ipv4{.fragment = 0x0001} / Tcp{}},
    {"a first fragment with 8 bytes of TCP",      TG_PASS_TINY_FRAGMENT,
        (eth / Ipv4{.fragment = 0x2000, .total_bytes = 28} / Tcp{}).cut_to(42)},
    {"the same to a port nobody guards",          TG_PASS_NOT_WATCHED,
        (eth / Ipv4{.fragment = 0x2000, .total_bytes = 28} / Tcp{.to = 22}).cut_to(42)},
    {"a first fragment without its ports",        TG_PASS_TINY_FRAGMENT,
        (eth / Ipv4{.fragment = 0x2000, .total_bytes = 23} / Tcp{}).cut_to(37)},
    {"a first fragment without its TCP options",  TG_PASS_TINY_FRAGMENT,
        eth / Ipv4{.fragment = 0x2000} / Tcp{.header_words = 6}},
    {"a frame that ends after Ethernet",   TG_PASS_MALFORMED, (eth / Ipv4{} / Tcp{}).cut_to(14)},
    {"IPv4 short by one byte",             TG_PASS_MALFORMED, (eth / Ipv4{} / Tcp{}).cut_to(33)},
    {"a frame that ends after IPv4",       TG_PASS_MALFORMED, (eth / Ipv4{} / Tcp{}).cut_to(34)},
    {"a frame short by one byte",          TG_PASS_MALFORMED, (eth / Ipv4{} / Tcp{}).cut_to(53)},
    {"IPv4 options short by one byte",     TG_PASS_MALFORMED,
        (eth / Ipv4{.option_words = 1} / Tcp{}).cut_to(37)},
    {"a total length past the frame",      TG_PASS_MALFORMED,
        eth / Ipv4{.total_bytes = 41} / Tcp{}},
    {"a total length of 65535",            TG_PASS_MALFORMED,
        eth / Ipv4{.total_bytes = 65535} / Tcp{}},
    {"a total length short of IPv4",       TG_PASS_MALFORMED,
        eth / Ipv4{.total_bytes = 19} / Tcp{}},
    {"a total length short of its options", TG_PASS_MALFORMED,
        eth / Ipv4{.option_words = 2, .total_bytes = 27} / Tcp{}},
    {"a total length short of the ports",  TG_PASS_MALFORMED,
        eth / Ipv4{.total_bytes = 23} / Tcp{}},
    {"a total length short of TCP",        TG_PASS_MALFORMED,
        eth / Ipv4{.total_bytes = 39} / Tcp{}},
    {"the same to a port nobody guards",   TG_PASS_NOT_WATCHED,
        eth / Ipv4{.total_bytes = 39} / Tcp{.to = 22}},
    {"a header of four words",             TG_PASS_MALFORMED,
        eth / Ipv4{.header_words = 4} / Tcp{}},
    {"a header past the packet",           TG_PASS_MALFORMED,
        eth / Ipv4{.header_words = 15} / Tcp{}},
    {"version 6 under the type of IPv4",   TG_PASS_MALFORMED, eth / Ipv4{.version = 6} / Tcp{}},
};

const PacketCase ipv6_cases[] = {
    {"a SYN to a guarded port",            TG_PASS_SYN,         eth / Ipv6{} / Tcp{}},
    {"to a port nobody guards",            TG_PASS_NOT_WATCHED, eth / Ipv6{} / Tcp{.to = 22}},
    {"UDP to the guarded port",            TG_PASS_NOT_TCP,     eth / Ipv6{} / Udp{}},
    {"neighbour discovery",                TG_PASS_NOT_TCP,
        eth / Ipv6{.from = "::", .to = "ff02::1:ff00:25", .next = 58} / Zeros{24}},
    {"with another hop limit",             TG_PASS_SYN,         eth / Ipv6{.hops = 1} / Tcp{}},
    {"with a flow label",                  TG_PASS_SYN,
        eth / Ipv6{.flow_label = 0xfffff} / Tcp{}},
    {"padded by Ethernet",                 TG_PASS_SYN,
        (eth / Ipv6{} / Tcp{}).pad_to(80)},
    {"a wrong TCP checksum",               TG_PASS_SYN,
        eth / Ipv6{} / Tcp{.checksum_error = 1}},
    {"hop-by-hop options",                 TG_PASS_SYN,  eth / Ipv6{} / HopByHop{} / Tcp{}},
    {"long hop-by-hop options",            TG_PASS_SYN,
        eth / Ipv6{} / HopByHop{.words = 12} / Tcp{}},
    {"hop-by-hop and destination options", TG_PASS_SYN,
        eth / Ipv6{} / HopByHop{} / DestinationOptions{.words = 1} / Tcp{}},
    {"routing and a first fragment",       TG_PASS_SYN,
        eth / Ipv6{} / Routing{.words = 2} / Fragment{.more = true} / Tcp{}},
    {"an atomic fragment",                 TG_PASS_SYN,  eth / Ipv6{} / Fragment{} / Tcp{}},
    {"a later fragment imitating a SYN",   TG_PASS_FRAGMENT,
        eth / Ipv6{} / Fragment{.offset = 1, .more = true} / Tcp{}},
    {"the last fragment",                  TG_PASS_FRAGMENT,
        eth / Ipv6{} / Fragment{.offset = 0x1fff} / Tcp{}},
    {"a first fragment with 8 bytes of TCP", TG_PASS_TINY_FRAGMENT,
        (eth / Ipv6{.payload_bytes = 16} / Fragment{.more = true} / Tcp{}).cut_to(70)},
    {"an atomic fragment cut in TCP",      TG_PASS_MALFORMED,
        (eth / Ipv6{.payload_bytes = 16} / Fragment{} / Tcp{}).cut_to(70)},
    {"authentication, one check word",     TG_PASS_SYN,
        eth / Ipv6{} / Authentication{.check_words = 1} / Tcp{}},
    {"authentication, three check words",  TG_PASS_SYN,  eth / Ipv6{} / Authentication{} / Tcp{}},
    {"authentication, eight check words",  TG_PASS_SYN,
        eth / Ipv6{} / Authentication{.check_words = 8} / Tcp{}},
    {"six extension headers",              TG_PASS_SYN,
        eth / Ipv6{} / HopByHop{} / DestinationOptions{} / Routing{} / Fragment{} /
            Authentication{} / DestinationOptions{} / Tcp{}},
    {"seven extension headers",            TG_PASS_EXTENSION_LIMIT,
        eth / Ipv6{} / HopByHop{} / DestinationOptions{} / Routing{} / Fragment{} /
            Authentication{} / DestinationOptions{} / DestinationOptions{} / Tcp{}},
    {"six extension headers, then UDP",    TG_PASS_NOT_TCP,
        eth / Ipv6{} / HopByHop{} / DestinationOptions{} / Routing{} / Fragment{} /
            Authentication{} / DestinationOptions{} / Udp{}},
    {"an encrypted payload",               TG_PASS_NOT_TCP,  eth / Ipv6{.next = 50} / Tcp{}},
    {"Ethernet in IPv6",                   TG_PASS_NOT_TCP,  eth / Ipv6{.next = 143} / Tcp{}},
    {"an unknown next header",             TG_PASS_NOT_TCP,  eth / Ipv6{.next = 253} / Tcp{}},
    {"an unknown header after options",    TG_PASS_NOT_TCP,
        eth / Ipv6{} / HopByHop{.next = 253} / Tcp{}},
    {"nothing follows",                    TG_PASS_NOT_TCP,  eth / Ipv6{.next = 59}},
    {"options past the frame",             TG_PASS_MALFORMED,
        eth / Ipv6{} / HopByHop{.length = 4} / Tcp{}},
    {"options of the greatest length",     TG_PASS_MALFORMED,
        eth / Ipv6{} / HopByHop{.length = 255} / Tcp{}},
    {"authentication of the greatest length", TG_PASS_MALFORMED,
        eth / Ipv6{} / Authentication{.length = 255} / Tcp{}},
    {"options short by one byte",          TG_PASS_MALFORMED,
        (eth / Ipv6{.payload_bytes = 7} / HopByHop{} / Tcp{}).cut_to(61)},
    {"a fragment header cut after its offset", TG_PASS_MALFORMED,
        (eth / Ipv6{.payload_bytes = 4} / Fragment{} / Tcp{}).cut_to(58)},
    {"options announced, and nothing there", TG_PASS_MALFORMED, eth / Ipv6{.next = 0}},
    {"IPv6 short by one byte",             TG_PASS_MALFORMED, (eth / Ipv6{} / Tcp{}).cut_to(53)},
    {"a frame that ends after IPv6",       TG_PASS_MALFORMED, (eth / Ipv6{} / Tcp{}).cut_to(54)},
    {"a frame short by one byte",          TG_PASS_MALFORMED, (eth / Ipv6{} / Tcp{}).cut_to(73)},
    {"a payload length past the frame",    TG_PASS_MALFORMED,
        eth / Ipv6{.payload_bytes = 21} / Tcp{}},
    {"a payload length short of the ports", TG_PASS_MALFORMED,
        eth / Ipv6{.payload_bytes = 3} / Tcp{}},
    {"a payload length short of TCP",      TG_PASS_MALFORMED,
        eth / Ipv6{.payload_bytes = 19} / Tcp{}},
    {"the same to a port nobody guards",   TG_PASS_NOT_WATCHED,
        eth / Ipv6{.payload_bytes = 19} / Tcp{.to = 22}},
    {"version 4 under the type of IPv6",   TG_PASS_MALFORMED, eth / Ipv6{.version = 4} / Tcp{}},
};

/* What is the same in both families. */
const struct {
    const char *name;
    tg_verdict verdict;
    Tcp tcp;
} tcp_cases[] = {
    {"a SYN with ECN",             TG_PASS_SYN,          {.flags = syn | ece | cwr}},
    {"a SYN with accurate ECN",    TG_PASS_SYN,          {.flags = ae | syn | ece | cwr}},
    {"a SYN that pushes",          TG_PASS_SYN,          {.flags = syn | psh}},
    {"an urgent SYN",              TG_PASS_SYN,          {.flags = syn | urg}},
    {"a SYN with data",            TG_PASS_SYN,          {.payload_bytes = 100}},
    {"a SYN with options",         TG_PASS_SYN,          {.option_words = 5}},
    {"a SYN with all the options", TG_PASS_SYN,          {.payload_bytes = 1, .option_words = 10}},
    {"a SYN with number 0",        TG_PASS_SYN,          {.seq = 0}},
    {"an unasked SYN-ACK",         TG_PASS_SYN_ACK_IN,   {.flags = syn | ack}},
    {"an ACK of no flow",          TG_PASS_UNKNOWN_FLOW, {.flags = ack}},
    {"data of no flow",            TG_PASS_UNKNOWN_FLOW, {.flags = ack | psh, .payload_bytes = 9}},
    {"a FIN of no flow",           TG_PASS_UNKNOWN_FLOW, {.flags = fin | ack}},
    {"a RST of no flow",           TG_PASS_UNKNOWN_FLOW, {.flags = rst}},
    {"a RST that acknowledges",    TG_PASS_UNKNOWN_FLOW, {.flags = rst | ack}},
    {"SYN and FIN",                TG_PASS_MALFORMED,    {.flags = syn | fin}},
    {"SYN and RST",                TG_PASS_MALFORMED,    {.flags = syn | rst}},
    {"SYN, FIN and ACK",           TG_PASS_MALFORMED,    {.flags = syn | fin | ack}},
    {"SYN, RST and ACK",           TG_PASS_MALFORMED,    {.flags = syn | rst | ack}},
    {"no flags",                   TG_PASS_MALFORMED,    {.flags = 0}},
    {"FIN, PSH and URG",           TG_PASS_MALFORMED,    {.flags = fin | psh | urg}},
    {"a FIN alone",                TG_PASS_MALFORMED,    {.flags = fin}},
    {"data without ACK",           TG_PASS_MALFORMED,    {.flags = psh, .payload_bytes = 9}},
    {"a header of four words",     TG_PASS_MALFORMED,    {.header_words = 4}},
    {"a header of no words",       TG_PASS_MALFORMED,    {.header_words = 0}},
    {"options past the packet",    TG_PASS_MALFORMED,    {.header_words = 15}},
    {"no flags, to a port nobody guards",       TG_PASS_NOT_WATCHED, {.to = 22, .flags = 0}},
    {"SYN and FIN, to a port nobody guards",    TG_PASS_NOT_WATCHED,
        {.to = 22, .flags = syn | fin}},
    {"four words, to a port nobody guards",     TG_PASS_NOT_WATCHED,
        {.to = 22, .header_words = 4}},
};

const struct {
    const char *name;
    std::string from;
} bogons[] = {
    {"this host",                "0.0.0.0"},
    {"loopback",                 "127.0.0.1"},
    {"the end of loopback",      "127.255.255.255"},
    {"multicast",                "224.0.0.1"},
    {"the end of multicast",     "239.255.255.255"},
    {"broadcast",                "255.255.255.255"},
    {"the server itself",        "198.51.100.25"},
    {"no IPv6 address",          "::"},
    {"IPv6 loopback",            "::1"},
    {"IPv6 multicast",           "ff02::1"},
    {"IPv4 in IPv6",             "::ffff:192.0.2.10"},
    {"the server itself, IPv6",  "2001:db8:0:25::25"},
};

const struct {
    const char *name;
    std::string from;
} plausible[] = {
    {"before loopback",               "126.255.255.255"},
    {"after loopback",                "128.0.0.1"},
    {"before multicast",              "223.255.255.255"},
    {"an address once reserved",      "240.0.0.1"},
    {"the server's neighbour",        "198.51.100.26"},
    {"IPv6 just after loopback",      "::2"},
    {"IPv6 before multicast",         "feff::1"},
    {"link-local",                    "fe80::1"},
    {"IPv6 beside IPv4 in IPv6",      "::fffe:192.0.2.10"},
};

const struct {
    const char *name;
    tg_mode mode;
    bool strict;
    std::chrono::nanoseconds lease_until;
    bool drops;
} settings[] = {
    {"observing",                       TG_MODE_OBSERVE, false, 2h,           false},
    {"observing, strict",               TG_MODE_OBSERVE, true,  2h,           false},
    {"enforcing, not strict",           TG_MODE_ENFORCE, false, 2h,           false},
    {"enforcing, strict",               TG_MODE_ENFORCE, true,  2h,           true},
    {"strict, on the lease's last tick", TG_MODE_ENFORCE, true, 1h + 1ns,     true},
    {"strict, and the lease has run out", TG_MODE_ENFORCE, true, 1h,          false},
    {"strict, and never had a lease",   TG_MODE_ENFORCE, true,  0ns,          false},
};
// clang-format on

Packet from_address(const std::string &from, const Tcp &tcp = {})
{
    if (from.find(':') == std::string::npos)
        return eth / Ipv4{.from = from} / tcp;
    return eth / Ipv6{.from = from} / tcp;
}

std::vector<PacketCase> all_cases()
{
    std::vector<PacketCase> all;
    all.insert(all.end(), std::begin(link_cases), std::end(link_cases));
    all.insert(all.end(), std::begin(ipv4_cases), std::end(ipv4_cases));
    all.insert(all.end(), std::begin(ipv6_cases), std::end(ipv6_cases));
    for (const auto &row : tcp_cases) {
        all.push_back({row.name, row.verdict, eth / Ipv4{} / row.tcp});
        all.push_back({row.name, row.verdict, eth / Ipv6{} / row.tcp});
    }
    for (const auto &row : bogons)
        all.push_back({row.name, TG_PASS_BOGON, from_address(row.from)});
    for (const auto &row : plausible)
        all.push_back({row.name, TG_PASS_SYN, from_address(row.from)});
    return all;
}

tg_verdict dropped_twin(tg_verdict verdict)
{
    switch (verdict) {
    case TG_PASS_MALFORMED:
        return TG_DROP_MALFORMED;
    case TG_PASS_TINY_FRAGMENT:
        return TG_DROP_TINY_FRAGMENT;
    case TG_PASS_EXTENSION_LIMIT:
        return TG_DROP_EXTENSION_LIMIT;
    case TG_PASS_BOGON:
        return TG_DROP_BOGON;
    default:
        return verdict;
    }
}

class Parse : public Gate {
protected:
    /// A packet that stands alone adds one SYN or nothing at all, and never makes a flow.
    void expect(const PacketCase &row, Program program, tg_verdict verdict)
    {
        const auto before = totals();
        const auto claims_before = claims();
        EXPECT_STREQ(verdict_name(send(row.packet, program)), verdict_name(verdict));

        const bool counts = verdict == TG_PASS_SYN;
        const auto after = totals();
        EXPECT_EQ(after.syn - before.syn, counts ? 1u : 0u);
        EXPECT_EQ(after.opened + after.closed + after.dropped + after.would_drop, 0u);
        EXPECT_LE(claims(), claims_before + (counts ? 1 : 0)) << "it left something in a table";
    }
};

TEST_F(Parse, SaysWhyEachPacketCameIn)
{
    const auto cases = all_cases();
    for (const auto &setting : settings) {
        set_mode(setting.mode, setting.strict, setting.lease_until);
        for (const auto program : ingress_programs) {
            for (const auto &row : cases) {
                SCOPED_TRACE(testing::Message() << row.name << ", through " << program_name(program)
                                                << ", " << setting.name);
                if (fits(row.packet, program))
                    expect(row, program, setting.drops ? dropped_twin(row.verdict) : row.verdict);
            }
        }
    }
    EXPECT_EQ(flows(), 0u);
    EXPECT_EQ(proven(), 0u);
    EXPECT_EQ(pending_in_use(), 0u);
}

/* The same packets as our server's answers. Whatever they are, they leave. */
tg_verdict verdict_on_answer(tg_verdict verdict)
{
    return verdict == TG_PASS_SYN || verdict == TG_PASS_SYN_ACK_IN ? TG_PASS_SYN_ACK : verdict;
}

TEST_F(Parse, SaysWhyEachPacketWentOut)
{
    const auto cases = all_cases();
    for (const auto &setting : settings) {
        set_mode(setting.mode, setting.strict, setting.lease_until);
        for (const auto program : egress_programs) {
            for (const auto &row : cases) {
                SCOPED_TRACE(testing::Message() << row.name << ", through " << program_name(program)
                                                << ", " << setting.name);
                if (row.verdict == TG_PASS_BOGON || !row.packet.ip_at || !fits(row.packet, program))
                    continue;
                expect({row.name, row.verdict, row.packet.answered()}, program,
                       verdict_on_answer(row.verdict));
            }
        }
    }
    EXPECT_EQ(flows(), 0u);
    EXPECT_EQ(claims(), 0u);
    EXPECT_GT(pending_in_use(), 0u);
}

// clang-format off
const PacketCase egress_cases[] = {
    {"our own SYN to another mail server",  TG_PASS_NOT_WATCHED,
        eth / Ipv4{.from = "198.51.100.25", .to = "192.0.2.10"} / Tcp{.from = 45678, .to = 25}},
    {"a SYN from the guarded port",         TG_PASS_UNKNOWN_FLOW,
        eth / Ipv4{.from = "198.51.100.25", .to = "192.0.2.10"} / Tcp{.from = 25, .to = 40000}},
    {"above 64 KiB IPv4 names no length",   TG_PASS_SYN_ACK,
        (eth / Ipv4{.total_bytes = 0} / Tcp{}).answered()},
    {"above 64 KiB IPv6 names no length",   TG_PASS_SYN_ACK,
        (eth / Ipv6{.payload_bytes = 0} / Tcp{}).answered()},
    {"the same behind its jumbo option",    TG_PASS_SYN_ACK,
        (eth / Ipv6{.payload_bytes = 0} / HopByHop{} / Tcp{}).answered()},
};

const PacketCase no_length_cases[] = {
    {"a total length of 0 on the way in",   TG_PASS_MALFORMED,
        eth / Ipv4{.total_bytes = 0} / Tcp{}},
    {"a payload length of 0 on the way in", TG_PASS_MALFORMED,
        eth / Ipv6{.payload_bytes = 0} / Tcp{}},
    {"an answer to our own SYN",            TG_PASS_NOT_WATCHED,
        eth / Ipv4{} / Tcp{.from = 25, .to = 45678, .flags = syn | ack}},
};
// clang-format on

TEST_F(Parse, TellsTheDirectionsApart)
{
    for (const auto program : egress_programs) {
        for (const auto &row : egress_cases) {
            SCOPED_TRACE(testing::Message() << row.name << ", " << program_name(program));
            expect(row, program, row.verdict);
        }
    }
    for (const auto program : ingress_programs) {
        for (const auto &row : no_length_cases) {
            SCOPED_TRACE(testing::Message() << row.name << ", " << program_name(program));
            expect(row, program, row.verdict);
        }
    }
}

TEST_F(Parse, GivesABogonNoClaim)
{
    for (const auto &row : bogons) {
        SCOPED_TRACE(row.name);
        send(from_address(row.from));
        EXPECT_FALSE(claim(row.from));
    }
    EXPECT_EQ(claims(), 0u);
}

TEST_F(Parse, CountsEverySynOfARetransmission)
{
    for (const auto program : ingress_programs)
        for (int i = 0; i < 3; i++)
            EXPECT_STREQ(verdict_name(send(eth / Ipv4{} / Tcp{.seq = 7}, program)), "pass_syn");
    EXPECT_EQ(claims(), 1u);
    EXPECT_EQ(claim("192.0.2.10")->syn, 6u);
    EXPECT_EQ(service_tally(smtp, TG_FAMILY_IPV4).syn, 6u);
}

TEST_F(Parse, KnowsAnIpv6SourceByItsNetworkAlone)
{
    send(eth / Ipv6{.hops = 1} / Tcp{});
    send(eth / Ipv6{.hops = 255, .flow_label = 0x12345} / Tcp{});
    send(eth / Ipv6{.from = "2001:db8:0:10:ffff:ffff:ffff:ffff"} / HopByHop{} / Tcp{});
    send(eth / Ipv6{.from = "2001:db8:0:11::10"} / Tcp{});
    EXPECT_EQ(claims(), 2u);
    EXPECT_EQ(claim("2001:db8:0:10::")->syn, 3u);
    EXPECT_EQ(claim("2001:db8:0:11::")->syn, 1u);
    EXPECT_EQ(service_tally(smtp, TG_FAMILY_IPV6).syn, 4u);
    EXPECT_EQ(service_tally(smtp, TG_FAMILY_IPV4).syn, 0u);
}

} // namespace
} // namespace tallygate::test
