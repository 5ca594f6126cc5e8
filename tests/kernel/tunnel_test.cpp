// SPDX-License-Identifier: BSD-2-Clause
//
// Packets that a load balancer sends us in a tunnel, and answers that leave without one. From a
// trusted sender the packet inside counts, from anybody else nothing does.
#include "kernel/conversation.hpp"
#include "kernel/gate_fixture.hpp"

namespace tallygate::test {
namespace {

constexpr const char *balancer = "203.0.113.9"; ///< in 203.0.113.8/29, which is trusted
constexpr const char *balancer_ipv6 = "2001:db8:b::9";
constexpr unsigned gue = 6080;

constexpr Ethernet eth;

/// The outer packet, up to where the inner one goes.
Packet outer_ipv4(const Ipv4 &ip = {.from = balancer})
{
    return eth / ip;
}

Packet outer_ipv6(const Ipv6 &ip = {.from = balancer_ipv6})
{
    return eth / ip;
}

Packet gue_over(const Packet &outer, unsigned port = gue)
{
    return outer / Udp{.from = 31337, .to = port};
}

const Packet inner_ipv4 = eth / Ipv4{} / Tcp{};
const Packet inner_ipv6 = eth / Ipv6{} / Tcp{};

struct TunnelCase {
    const char *name;
    tg_verdict verdict;
    Packet packet;
};

// clang-format off
const TunnelCase trusted_cases[] = {
    {"IPv4 in IPv4",                     TG_PASS_SYN, outer_ipv4() / inner_ipv4},
    {"IPv6 in IPv4",                     TG_PASS_SYN, outer_ipv4() / inner_ipv6},
    {"IPv4 in IPv6",                     TG_PASS_SYN, outer_ipv6() / inner_ipv4},
    {"IPv6 in IPv6",                     TG_PASS_SYN, outer_ipv6() / inner_ipv6},
    {"IPv4 in GUE over IPv4",            TG_PASS_SYN, gue_over(outer_ipv4()) / inner_ipv4},
    {"IPv6 in GUE over IPv4",            TG_PASS_SYN, gue_over(outer_ipv4()) / inner_ipv6},
    {"IPv4 in GUE over IPv6",            TG_PASS_SYN, gue_over(outer_ipv6()) / inner_ipv4},
    {"IPv6 in GUE over IPv6",            TG_PASS_SYN, gue_over(outer_ipv6()) / inner_ipv6},
    {"from the first trusted address",   TG_PASS_SYN,
        outer_ipv4({.from = "203.0.113.8"}) / inner_ipv4},
    {"from the last trusted address",    TG_PASS_SYN,
        outer_ipv4({.from = "203.0.113.15"}) / inner_ipv4},
    {"behind a VLAN tag",                TG_PASS_SYN,
        eth / Vlan{} / Ipv4{.from = balancer} / inner_ipv4},
    {"behind QinQ, in GUE",              TG_PASS_SYN,
        gue_over(eth / Vlan{.type = 0x88a8} / Vlan{} / Ipv6{.from = balancer_ipv6}) / inner_ipv6},
    {"that may be fragmented and is not", TG_PASS_SYN,
        outer_ipv4({.from = balancer, .fragment = 0}) / inner_ipv4},
    {"padded behind the outer packet",   TG_PASS_SYN,
        (outer_ipv4() / inner_ipv4).pad_to(100)},
    {"padded behind GUE",                TG_PASS_SYN,
        (gue_over(outer_ipv4()) / inner_ipv4).pad_to(100)},
    {"with options inside",              TG_PASS_SYN,
        outer_ipv4() / (eth / Ipv4{.option_words = 3} / Tcp{.option_words = 5})},
    {"with extension headers inside",    TG_PASS_SYN,
        gue_over(outer_ipv4()) / (eth / Ipv6{} / HopByHop{} / DestinationOptions{} / Tcp{})},
    {"a SYN of the balancer itself",     TG_PASS_SYN, eth / Ipv4{.from = balancer} / Tcp{}},
};

/* Inside is something that says why it does not count. */
const TunnelCase inner_cases[] = {
    {"inside to a port nobody guards",   TG_PASS_NOT_WATCHED,
        outer_ipv4() / (eth / Ipv4{} / Tcp{.to = 22})},
    {"inside UDP",                       TG_PASS_NOT_TCP, outer_ipv4() / (eth / Ipv4{} / Udp{})},
    {"inside ICMP",                      TG_PASS_NOT_TCP,
        gue_over(outer_ipv4()) / (eth / Ipv4{.protocol = 1} / Zeros{8})},
    {"inside no flags",                  TG_PASS_MALFORMED,
        outer_ipv4() / (eth / Ipv4{} / Tcp{.flags = 0})},
    {"inside a TCP header of four words", TG_PASS_MALFORMED,
        gue_over(outer_ipv6()) / (eth / Ipv6{} / Tcp{.header_words = 4})},
    {"inside an IPv4 header of four words", TG_PASS_MALFORMED,
        outer_ipv4() / (eth / Ipv4{.header_words = 4} / Tcp{})},
    {"inside a later fragment",          TG_PASS_FRAGMENT,
        outer_ipv4() / (eth / Ipv4{.fragment = 0x2010} / Tcp{})},
    {"inside a tiny first fragment",     TG_PASS_TINY_FRAGMENT,
        outer_ipv4() /
            (eth / Ipv4{.fragment = 0x2000, .total_bytes = 28} / Tcp{}).cut_to(42)},
    {"inside an ACK of no flow",         TG_PASS_UNKNOWN_FLOW,
        outer_ipv4() / (eth / Ipv4{} / Tcp{.flags = ack})},
    {"inside an unasked SYN-ACK",        TG_PASS_SYN_ACK_IN,
        outer_ipv6() / (eth / Ipv6{} / Tcp{.flags = syn | ack})},
    {"inside from loopback",             TG_PASS_BOGON,
        outer_ipv4() / (eth / Ipv4{.from = "127.0.0.1"} / Tcp{})},
    {"inside from multicast",            TG_PASS_BOGON,
        gue_over(outer_ipv4()) / (eth / Ipv6{.from = "ff02::1"} / Tcp{})},
    {"inside from the server itself",    TG_PASS_BOGON,
        outer_ipv4() / (eth / Ipv4{.from = "198.51.100.25"} / Tcp{})},
    {"inside from IPv4 in IPv6",         TG_PASS_BOGON,
        outer_ipv4() / (eth / Ipv6{.from = "::ffff:192.0.2.10"} / Tcp{})},
    {"inside short by one byte",         TG_PASS_MALFORMED,
        (outer_ipv4() / inner_ipv4).cut_to(14 + 20 + 39)},
    {"inside GUE short by one byte",     TG_PASS_MALFORMED,
        (gue_over(outer_ipv6()) / inner_ipv6).cut_to(14 + 40 + 8 + 59)},
    {"inside short by all of TCP",       TG_PASS_MALFORMED,
        (outer_ipv4() / inner_ipv4).cut_to(14 + 20 + 20)},
    {"inside one byte",                  TG_PASS_MALFORMED,
        (outer_ipv4() / inner_ipv4).cut_to(14 + 20 + 1)},
};

/* What is no tunnel of ours is what it is without one: not TCP. */
const TunnelCase outer_cases[] = {
    {"from before the trusted block",    TG_PASS_NOT_TCP,
        outer_ipv4({.from = "203.0.113.7"}) / inner_ipv4},
    {"from after the trusted block",     TG_PASS_NOT_TCP,
        outer_ipv4({.from = "203.0.113.16"}) / inner_ipv4},
    {"from a stranger over IPv6",        TG_PASS_NOT_TCP,
        outer_ipv6({.from = "2001:db8:c::9"}) / inner_ipv6},
    {"GUE from a stranger",              TG_PASS_NOT_TCP,
        gue_over(outer_ipv4({.from = "192.0.2.10"})) / inner_ipv4},
    {"to the balancer, and not from it", TG_PASS_NOT_TCP,
        outer_ipv4({.from = "192.0.2.10", .to = balancer}) / inner_ipv4},
    {"UDP to another port",              TG_PASS_NOT_TCP,
        gue_over(outer_ipv4(), 6081) / inner_ipv4},
    {"UDP to GUE's port, bytes swapped", TG_PASS_NOT_TCP,
        gue_over(outer_ipv4(), 0xc017) / inner_ipv4},
    {"the long form of GUE",             TG_PASS_NOT_TCP,
        gue_over(outer_ipv4()) / Zeros{4} / inner_ipv4},
    {"nothing behind UDP",               TG_PASS_NOT_TCP, gue_over(outer_ipv4())},
    {"nothing behind IP",                TG_PASS_NOT_TCP,
        eth / Ipv4{.from = balancer, .protocol = IPPROTO_IPIP}},
    {"no IP inside",                     TG_PASS_NOT_TCP,
        eth / Ipv4{.from = balancer, .protocol = IPPROTO_IPIP} / Zeros{40}},
    {"the UDP header cut",               TG_PASS_NOT_TCP,
        (gue_over(outer_ipv4()) / inner_ipv4).cut_to(14 + 20 + 7)},
    {"the outer IPv6 header cut",        TG_PASS_MALFORMED,
        (outer_ipv6() / inner_ipv6).cut_to(14 + 39)},
    {"a first fragment outside",         TG_PASS_NOT_TCP,
        outer_ipv4({.from = balancer, .fragment = 0x2000}) / inner_ipv4},
    {"a later fragment outside",         TG_PASS_NOT_TCP,
        outer_ipv4({.from = balancer, .fragment = 0x0010}) / inner_ipv4},
    {"options outside",                  TG_PASS_NOT_TCP,
        outer_ipv4({.from = balancer, .option_words = 1}) / inner_ipv4},
    {"extension headers outside",        TG_PASS_NOT_TCP,
        outer_ipv6() / HopByHop{} / inner_ipv4},
    {"a fragment header outside",        TG_PASS_NOT_TCP,
        outer_ipv6() / Fragment{} / inner_ipv6},
    {"a tunnel in a tunnel",             TG_PASS_NOT_TCP,
        outer_ipv4() / (outer_ipv4() / inner_ipv4)},
    {"a tunnel in GUE",                  TG_PASS_NOT_TCP,
        gue_over(outer_ipv4()) / (outer_ipv6() / inner_ipv4)},
    {"GUE in a tunnel",                  TG_PASS_NOT_TCP,
        outer_ipv6() / (gue_over(outer_ipv4()) / inner_ipv4)},
    {"behind three VLAN tags",           TG_PASS_UNPARSED,
        eth / Vlan{} / Vlan{} / Vlan{} / Ipv4{.from = balancer} / inner_ipv4},
};
// clang-format on

class Tunnels : public Gate {
protected:
    void SetUp() override
    {
        ASSERT_NO_FATAL_FAILURE(Gate::SetUp());
        trust("203.0.113.8", 29);
        trust("2001:db8:b::", 48);
    }

    void expect(const TunnelCase &row, Program program, tg_verdict verdict)
    {
        SCOPED_TRACE(testing::Message() << row.name << ", through " << program_name(program));
        if (!fits(row.packet, program))
            return;
        const auto before = totals();
        const auto claims_before = claims();
        EXPECT_STREQ(verdict_name(send(row.packet, program)), verdict_name(verdict));

        const bool counts = verdict == TG_PASS_SYN;
        EXPECT_EQ(totals().syn - before.syn, counts ? 1u : 0u);
        EXPECT_LE(claims(), claims_before + (counts ? 1 : 0));
        EXPECT_EQ(flows() + proven(), 0u);
    }

    template <std::size_t count>
    void expect_all(const TunnelCase (&rows)[count])
    {
        for (const auto program : ingress_programs)
            for (const auto &row : rows)
                expect(row, program, row.verdict);
    }
};

TEST_F(Tunnels, CountThePacketInside)
{
    expect_all(trusted_cases);
    EXPECT_EQ(claims(), 3u) << "two clients, and the balancer for its own SYN";
    EXPECT_EQ(claim(balancer)->syn, 2u);
    EXPECT_FALSE(claim("2001:db8:b::"));
    const std::uint64_t inside = 2 * (std::size(trusted_cases) - 1);
    EXPECT_EQ(claim("192.0.2.10")->syn + claim("2001:db8:0:10::")->syn, inside);
}

TEST_F(Tunnels, SayWhyThePacketInsideDoesNotCount)
{
    expect_all(inner_cases);
    EXPECT_EQ(claims(), 0u);
}

TEST_F(Tunnels, AreOnlyThoseThatWeKnow)
{
    expect_all(outer_cases);
    EXPECT_EQ(claims(), 0u);
}

TEST_F(Tunnels, AreNobodysUntilTheyAreConfigured)
{
    trust_nobody();
    for (const auto program : ingress_programs)
        for (const auto &row : trusted_cases)
            expect(row, program,
                   row.packet.transport == IPPROTO_TCP ? TG_PASS_SYN : TG_PASS_NOT_TCP);
}

/* Answers leave without a tunnel, so what our server sends in one is not ours. */
TEST_F(Tunnels, AreNotLookedIntoOnTheWayOut)
{
    for (const auto program : egress_programs)
        for (const auto &row : trusted_cases)
            if (row.packet.transport != IPPROTO_TCP)
                expect(row, program, TG_PASS_NOT_TCP);
    EXPECT_EQ(pending_in_use(), 0u);
}

/* Enforcing and strict, a bad packet inside is dropped, and one of a stranger's tunnel is not. */
TEST_F(Tunnels, AreHeldToTheSameRulesWhenEnforcing)
{
    using namespace std::chrono_literals;
    set_mode(TG_MODE_ENFORCE, true, 2h);
    for (const auto program : ingress_programs) {
        const auto bad = eth / Ipv4{} / Tcp{.flags = 0};
        EXPECT_STREQ(verdict_name(send(outer_ipv4() / bad, program)), "drop_malformed");
        EXPECT_STREQ(verdict_name(send(outer_ipv4({.from = "192.0.2.10"}) / bad, program)),
                     "pass_not_tcp");
    }
}

// clang-format off
const struct {
    const char *name;
    Packet outer;
} carriers[] = {
    {"IPv4",          outer_ipv4()},
    {"IPv6",          outer_ipv6()},
    {"GUE over IPv4", gue_over(outer_ipv4())},
    {"GUE over IPv6", gue_over(outer_ipv6())},
};

const Segments opened = {
    {client, syn,             0, 0,   0, TG_PASS_SYN},
    {server, syn | ack,       0, 1,   0, TG_PASS_SYN_ACK},
    {client, ack,             1, 1,   0, TG_PASS_OPENED},
    {server, ack | psh,       1, 1, 100, TG_PASS_OPEN_FLOW},
    {client, ack | psh,       1, 101, 50, TG_PASS_OPEN_FLOW},
    {server, ack,           101, 51,  0, TG_PASS_OPEN_FLOW},
};
const Segments conversations[] = {
    opened + Segments{
    {client, fin | ack,      51, 101, 0, TG_PASS_OPEN_FLOW},
    {server, fin | ack,     101, 52,  0, TG_PASS_OPEN_FLOW},
    {client, ack,            52, 102, 0, TG_PASS_CLOSED_FIN}},
    opened + Segments{
    {server, fin | ack,     101, 51,  0, TG_PASS_OPEN_FLOW},
    {client, fin | ack,      51, 102, 0, TG_PASS_OPEN_FLOW},
    {server, ack,           102, 52,  0, TG_PASS_CLOSED_FIN}},
    opened + Segments{
    {client, rst,       1000051, 0,   0, TG_PASS_RST_IGNORED},
    {client, rst,            51, 0,   0, TG_PASS_CLOSED_RST}},
    opened + Segments{
    {client, ack | psh,      51, 101, 700, TG_PASS_OPEN_FLOW},
    {client, rst,           752, 0,   0, TG_PASS_RST_IGNORED},
    {client, rst,           751, 0,   0, TG_PASS_CLOSED_RST}},
};
// clang-format on

TEST_F(Tunnels, CarryConversationsWhoseAnswersLeavePlain)
{
    std::uint64_t told = 0;
    for (const auto &carrier : carriers)
        for (const auto &path : paths)
            for (const bool ipv6 : {false, true})
                for (const auto &segments : conversations) {
                    SCOPED_TRACE(testing::Message() << carrier.name << ", IPv6 inside: " << ipv6
                                                    << ", " << program_name(path.ingress));
                    auto conversation = ipv6 ? ipv6_conversation() : Conversation{};
                    conversation.client_port = static_cast<unsigned>(20000 + told++);
                    for (const auto &segment : segments) {
                        const auto plain = conversation.packet(segment);
                        const auto verdict = segment.from == client
                                                 ? send(carrier.outer / plain, path.ingress)
                                                 : send(plain, path.egress);
                        EXPECT_STREQ(verdict_name(verdict), verdict_name(segment.verdict));
                    }
                }
    EXPECT_EQ(totals().opened, told);
    EXPECT_EQ(totals().closed, told);
    EXPECT_EQ(slot_tally("192.0.2.10")->opened, told / 2);
    EXPECT_EQ(slot_tally("2001:db8:0:10::")->opened, told / 2);
    EXPECT_EQ(proven(), 2u);
    EXPECT_EQ(flows(), 0u);
}

} // namespace
} // namespace tallygate::test
