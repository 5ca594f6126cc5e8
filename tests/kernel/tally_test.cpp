// SPDX-License-Identifier: BSD-2-Clause
//
// Where a packet is counted: at its service, its network and its source; and what happens
// when a table is full.
#include "kernel/conversation.hpp"
#include "kernel/gate_fixture.hpp"

namespace tallygate::test {
namespace {

using namespace std::chrono_literals;

constexpr std::uint16_t submission = 2;
constexpr std::uint16_t bulk = 3;

class Tallies : public Gate {
protected:
    static Conversation from(const std::string &address, unsigned port = 40000)
    {
        auto conversation =
            address.find(':') == std::string::npos ? Conversation{} : ipv6_conversation();
        conversation.client_address = address;
        conversation.client_port = port;
        return conversation;
    }

    tg_verdict pass(const Conversation &conversation, const Segment &segment)
    {
        return send(conversation.packet(segment),
                    segment.from == client ? path_.ingress : path_.egress);
    }

    void take(const Path &path) { path_ = path; }

    tg_verdict send_syn(const Conversation &conversation)
    {
        return pass(conversation, {client, syn, 0, 0, 0, TG_PASS_SYN});
    }

    /// A whole handshake; answers with the verdict on its last ACK.
    tg_verdict connect(const Conversation &conversation)
    {
        EXPECT_STREQ(verdict_name(send_syn(conversation)), "pass_syn");
        return answer_and_ack(conversation);
    }

    tg_verdict answer_and_ack(const Conversation &conversation)
    {
        pass(conversation, {server, syn | ack, 0, 1, 0, TG_PASS_SYN_ACK});
        return acknowledge(conversation);
    }

    tg_verdict acknowledge(const Conversation &conversation)
    {
        return pass(conversation, {client, ack, 1, 1, 0, TG_PASS_OPENED});
    }

    tg_verdict disconnect(const Conversation &conversation)
    {
        return pass(conversation, {client, rst, 1, 0, 0, TG_PASS_CLOSED_RST});
    }

    void expect_tally(const tg_tally &tally, std::uint64_t syns, std::uint64_t opened,
                      std::uint64_t closed)
    {
        EXPECT_EQ(tally.syn, syns);
        EXPECT_EQ(tally.opened, opened);
        EXPECT_EQ(tally.closed, closed);
    }

private:
    Path path_ = paths[0];
};

// clang-format off
/* smtp on port 25 of any address, submission on one address of each family, and bulk on one
 * address of a port that smtp has everywhere else. */
const struct {
    const char *name;
    const char *to;
    unsigned port;
    std::uint16_t service; ///< 0: nobody's
} service_cases[] = {
    {"any address",                         "198.51.100.25",     25,  smtp},
    {"another address",                     "198.51.100.26",     25,  smtp},
    {"any IPv6 address",                    "2001:db8:0:25::25", 25,  smtp},
    {"the listed address",                  "198.51.100.25",     587, submission},
    {"another address of the listed port",  "198.51.100.26",     587, 0},
    {"the listed IPv6 address",             "2001:db8:0:25::25", 587, submission},
    {"another IPv6 address of that port",   "2001:db8:0:25::26", 587, 0},
    {"an address listed apart",             "198.51.100.25",     26,  bulk},
    {"what is left of that port",           "198.51.100.26",     26,  smtp},
    {"that port over IPv6",                 "2001:db8:0:25::25", 26,  smtp},
    {"the listed port, bytes swapped",      "198.51.100.25",     0x4b02, 0},
    {"an unlisted port",                    "198.51.100.25",     465, 0},
    {"port 0",                              "198.51.100.25",     0,   0},
    {"the last port",                       "198.51.100.25",     65535, 0},
};
// clang-format on

TEST_F(Tallies, CountAtTheServiceThatListensThere)
{
    set_port(587, {.service = 0, .listed = 1, .leaving = 0});
    set_port(26, {.service = smtp, .listed = 1, .leaving = 0});
    listen("198.51.100.25", 587, submission);
    listen("2001:db8:0:25::25", 587, submission);
    listen("198.51.100.25", 26, bulk);

    unsigned port = 40000;
    for (const auto &row : service_cases) {
        SCOPED_TRACE(row.name);
        const bool ipv6 = std::string(row.to).find(':') != std::string::npos;
        auto conversation = from(ipv6 ? "2001:db8:0:10::10" : "192.0.2.10", port++);
        conversation.server_address = row.to;
        conversation.server_port = row.port;
        const auto family = ipv6 ? TG_FAMILY_IPV6 : TG_FAMILY_IPV4;
        const auto before = service_tally(row.service, family);
        const auto sum_before = totals();

        send_syn(conversation);
        const auto verdict = answer_and_ack(conversation);
        EXPECT_STREQ(verdict_name(verdict), row.service ? "pass_opened" : "pass_not_watched");
        const auto after = service_tally(row.service, family);
        EXPECT_EQ(after.syn - before.syn, row.service ? 1u : 0u);
        EXPECT_EQ(after.opened - before.opened, row.service ? 1u : 0u);
        EXPECT_EQ(totals().syn - sum_before.syn, row.service ? 1u : 0u);
        EXPECT_EQ(totals().opened - sum_before.opened, row.service ? 1u : 0u);
    }
}

TEST_F(Tallies, FollowAServiceThatLeavesToItsEnd)
{
    const auto open = from("192.0.2.10");
    connect(open);
    set_port(25, {.service = smtp, .listed = 0, .leaving = 1});

    auto next = from("192.0.2.10", 40001);
    EXPECT_STREQ(verdict_name(send_syn(next)), "pass_not_watched");
    EXPECT_STREQ(verdict_name(answer_and_ack(next)), "pass_not_watched");
    expect_tally(*slot_tally("192.0.2.10", smtp), 0, 1, 0);
    disconnect(open);
    expect_tally(*slot_tally("192.0.2.10", smtp), 0, 1, 1);
}

TEST_F(Tallies, FollowAListenerThatLeavesToItsEnd)
{
    set_port(25, {.service = 0, .listed = 1, .leaving = 0});
    listen("198.51.100.25", 25, smtp);
    const auto open = from("192.0.2.10");
    connect(open);
    listen("198.51.100.25", 25, smtp | TG_LEAVING);

    EXPECT_STREQ(verdict_name(send_syn(from("192.0.2.10", 40001))), "pass_not_watched");
    disconnect(open);
    expect_tally(*slot_tally("192.0.2.10", smtp), 0, 1, 1);
}

TEST_F(Tallies, KeepASourcesServicesApart)
{
    watch(587, submission);
    auto to_submission = from("192.0.2.10");
    to_submission.server_port = 587;
    connect(from("192.0.2.10"));
    connect(from("192.0.2.10", 40001));
    connect(to_submission);
    disconnect(to_submission);
    expect_tally(*slot_tally("192.0.2.10", smtp), 1, 2, 0);
    expect_tally(*slot_tally("192.0.2.10", submission), 0, 1, 1);
    EXPECT_EQ(proven(), 2u);
}

// clang-format off
const struct {
    const char *name;
    const char *client;
    std::uint32_t network; ///< where it must be counted; 0: nowhere
} network_cases[] = {
    {"in the innermost",                    "203.0.113.1",      3},
    {"its last address",                    "203.0.113.15",     3},
    {"just outside it",                     "203.0.113.16",     2},
    {"in the middle one",                   "203.0.113.127",    2},
    {"just outside that",                   "203.0.113.128",    1},
    {"in the outermost",                    "203.0.113.255",    1},
    {"in none",                             "203.0.112.255",    0},
    {"a single address",                    "192.0.2.77",       4},
    {"its neighbour",                       "192.0.2.78",       0},
    {"in the innermost, IPv6",              "2001:db8:1:2::9",  7},
    {"in the middle one, IPv6",             "2001:db8:1:3::9",  6},
    {"in the outermost, IPv6",              "2001:db8:2::9",    5},
    {"in none, IPv6",                       "2001:db9::9",      0},
};
// clang-format on

class Networks : public Tallies {
protected:
    void add_networks()
    {
        add_network("203.0.113.0", 24, 1);
        add_network("203.0.113.0", 25, 2, 1);
        add_network("203.0.113.0", 28, 3, 2);
        add_network("192.0.2.77", 32, 4);
        add_network("2001:db8::", 32, 5);
        add_network("2001:db8:1::", 48, 6, 5);
        add_network("2001:db8:1:2::", 64, 7, 6);
    }

    tg_tally all_networks()
    {
        tg_tally sum{};
        for (std::uint32_t id = 0; id < 10; id++)
            sum = sum + network_tally(id);
        return sum;
    }
};

TEST_F(Networks, CountAPacketAtItsLongestMatchOnly)
{
    add_networks();
    for (const auto &row : network_cases) {
        SCOPED_TRACE(row.name);
        const auto before = network_tally(row.network);
        const auto all_before = all_networks();
        connect(from(row.client));
        const auto opened = network_tally(row.network);
        disconnect(from(row.client));
        const auto after = network_tally(row.network);
        const auto all_after = all_networks();

        const std::uint64_t one = row.network ? 1 : 0;
        expect_tally({.syn = after.syn - before.syn,
                      .opened = opened.opened - before.opened,
                      .closed = after.closed - opened.closed,
                      .dropped = 0,
                      .would_drop = 0},
                     one, one, one);
        expect_tally({.syn = all_after.syn - all_before.syn,
                      .opened = all_after.opened - all_before.opened,
                      .closed = all_after.closed - all_before.closed,
                      .dropped = 0,
                      .would_drop = 0},
                     one, one, one);
    }
}

TEST_F(Networks, AddUpToTheService)
{
    add_network("0.0.0.0", 0, 8);
    add_network("203.0.113.0", 24, 1, 8);
    for (const char *client : {"203.0.113.1", "203.0.113.2", "198.51.100.1", "192.0.2.1"})
        connect(from(client));
    connect(from("2001:db8::1"));
    expect_tally(network_tally(1), 2, 2, 0);
    expect_tally(network_tally(8), 2, 2, 0);
    expect_tally(service_tally(smtp, TG_FAMILY_IPV4), 4, 4, 0);
    expect_tally(service_tally(smtp, TG_FAMILY_IPV6), 1, 1, 0);
}

TEST_F(Networks, CloseWhereTheyOpened)
{
    add_network("203.0.113.0", 24, 1);
    connect(from("203.0.113.1"));
    add_network("203.0.113.0", 28, 2, 1);
    disconnect(from("203.0.113.1"));
    expect_tally(network_tally(1), 1, 1, 1);
    expect_tally(network_tally(2), 0, 0, 0);
}

TEST_F(Networks, AreNotAskedWhenNoneIsConfigured)
{
    add_networks();
    forget_networks();
    connect(from("203.0.113.1"));
    disconnect(from("203.0.113.1"));
    expect_tally(all_networks(), 0, 0, 0);
    expect_tally(service_tally(smtp, TG_FAMILY_IPV4), 1, 1, 1);
}

/* ::/0 holds IPv4 too, where IPv4 is mapped. An entry of network 0 takes it out again. */
TEST_F(Networks, AnEntryOfNoNetworkHidesAWiderOne)
{
    add_network("::", 0, 5);
    add_network("0.0.0.0", 0, 0);
    connect(from("2001:db8::1"));
    connect(from("192.0.2.1"));
    expect_tally(network_tally(5), 1, 1, 0);
    expect_tally(all_networks(), 1, 1, 0);
}

using Sources = Tallies;

TEST_F(Sources, AreClaimedUntilTheyAreProven)
{
    const auto conversation = from("192.0.2.10");
    send_syn(conversation);
    send_syn(conversation);
    EXPECT_EQ(claim("192.0.2.10")->syn, 2u);
    EXPECT_FALSE(slot_tally("192.0.2.10"));

    EXPECT_STREQ(verdict_name(answer_and_ack(conversation)), "pass_opened");
    expect_tally(*slot_tally("192.0.2.10"), 0, 1, 0);

    send_syn(from("192.0.2.10", 40001));
    expect_tally(*slot_tally("192.0.2.10"), 1, 1, 0);
    EXPECT_EQ(claim("192.0.2.10")->syn, 2u);
    expect_tally(service_tally(smtp, TG_FAMILY_IPV4), 3, 1, 0);
}

TEST_F(Sources, StayProvenAfterTheirLastFlow)
{
    for (unsigned port = 40000; port < 40010; port++) {
        connect(from("192.0.2.10", port));
        disconnect(from("192.0.2.10", port));
    }
    expect_tally(*slot_tally("192.0.2.10"), 9, 10, 10);
    EXPECT_EQ(proven(), 1u);
    EXPECT_EQ(flows(), 0u);
}

TEST_F(Sources, OfIpv6AreNetworksOf64Bits)
{
    connect(from("2001:db8:0:10::1"));
    connect(from("2001:db8:0:10:ffff:ffff:ffff:ffff"));
    connect(from("2001:db8:0:11::1"));
    EXPECT_EQ(proven(), 2u);
    expect_tally(*slot_tally("2001:db8:0:10::"), 1, 2, 0);
    expect_tally(*slot_tally("2001:db8:0:11::"), 0, 1, 0);
}

class WholeIpv6Addresses : public Tallies {
protected:
    [[nodiscard]] GateOptions options() const override { return {.ipv6_source_bits = 128}; }
};

TEST_F(WholeIpv6Addresses, AreSourcesWhenConfiguredSo)
{
    connect(from("2001:db8:0:10::1"));
    connect(from("2001:db8:0:10::2"));
    EXPECT_EQ(proven(), 2u);
    expect_tally(*slot_tally("2001:db8:0:10::1"), 0, 1, 0);
    expect_tally(*slot_tally("2001:db8:0:10::2"), 0, 1, 0);
}

class Ipv6NetworksOf72Bits : public Tallies {
protected:
    [[nodiscard]] GateOptions options() const override { return {.ipv6_source_bits = 72}; }
};

TEST_F(Ipv6NetworksOf72Bits, AreSourcesWhenConfiguredSo)
{
    connect(from("2001:db8:0:10:100::1"));
    connect(from("2001:db8:0:10:1ff::2"));
    connect(from("2001:db8:0:10:200::2"));
    EXPECT_EQ(proven(), 2u);
    expect_tally(*slot_tally("2001:db8:0:10:100::"), 1, 2, 0);
}

class FullSources : public Tallies {
protected:
    [[nodiscard]] GateOptions options() const override { return {.sources_max = 2}; }
};

TEST_F(FullSources, LetConnectionsThroughUncounted)
{
    connect(from("192.0.2.1"));
    connect(from("192.0.2.2"));
    EXPECT_STREQ(verdict_name(connect(from("192.0.2.3"))), "pass_sources_full");
    EXPECT_STREQ(verdict_name(acknowledge(from("192.0.2.3"))), "pass_sources_full");
    EXPECT_STREQ(verdict_name(connect(from("192.0.2.2", 40001))), "pass_opened");
    EXPECT_STREQ(verdict_name(disconnect(from("192.0.2.3"))), "pass_unknown_flow");
    expect_tally(service_tally(smtp, TG_FAMILY_IPV4), 4, 3, 0);
    EXPECT_EQ(claim("192.0.2.3")->syn, 1u);
    EXPECT_EQ(flows(), 3u);
    EXPECT_EQ(get<tg_progress>(maps().progress, 0u)->sources_high_water, 2u);
}

TEST_F(FullSources, HandOutASlotThatWasGivenBack)
{
    connect(from("192.0.2.1"));
    connect(from("192.0.2.2"));
    connect(from("192.0.2.3"));

    /* As the daemon gives back: out of the index, emptied, then onto the stack. */
    const tg_source_key gone{.addr = to_addr("192.0.2.1"), .service = smtp, .reserved = 0};
    const auto slot = get<std::uint32_t>(maps().source_index, gone);
    ASSERT_TRUE(slot);
    ASSERT_EQ(bpf_map__delete_elem(maps().source_index, &gone, sizeof(gone), 0), 0);
    put(maps().sources, *slot, tg_source{});
    ASSERT_EQ(bpf_map_update_elem(bpf_map__fd(maps().freed_slots), nullptr, &*slot, BPF_ANY), 0);

    EXPECT_STREQ(verdict_name(acknowledge(from("192.0.2.3"))), "pass_opened");
    expect_tally(*slot_tally("192.0.2.3"), 0, 1, 0);
    EXPECT_EQ(get<tg_source>(maps().sources, *slot)->used, unsigned{TG_SLOT_USED});
}

class FullFlows : public Tallies {
protected:
    [[nodiscard]] GateOptions options() const override { return {.flows_max = 2}; }
};

TEST_F(FullFlows, LetConnectionsThroughUncountedUntilThereIsRoom)
{
    connect(from("192.0.2.1"));
    connect(from("192.0.2.2"));
    EXPECT_STREQ(verdict_name(connect(from("192.0.2.3"))), "pass_flows_full");
    EXPECT_EQ(flows(), 2u);
    expect_tally(service_tally(smtp, TG_FAMILY_IPV4), 3, 2, 0);
    expect_tally(*slot_tally("192.0.2.3"), 0, 0, 0);

    disconnect(from("192.0.2.1"));
    EXPECT_STREQ(verdict_name(acknowledge(from("192.0.2.3"))), "pass_opened");
    EXPECT_STREQ(verdict_name(disconnect(from("192.0.2.3"))), "pass_closed_rst");
    expect_tally(service_tally(smtp, TG_FAMILY_IPV4), 3, 3, 2);
    EXPECT_EQ(flows(), 1u);
}

class FullClaims : public Tallies {
protected:
    [[nodiscard]] GateOptions options() const override { return {.claims_max = 16}; }
};

TEST_F(FullClaims, ForgetSourcesAndLoseNoTotal)
{
    add_network("198.51.100.0", 24, 1);
    for (int i = 100; i < 250; i++) {
        const auto verdict = send_syn(from("198.51.100." + std::to_string(i)));
        EXPECT_STREQ(verdict_name(verdict), "pass_syn");
    }
    EXPECT_LE(claims(), 16u);
    expect_tally(service_tally(smtp, TG_FAMILY_IPV4), 150, 0, 0);
    expect_tally(network_tally(1), 150, 0, 0);
}

class NarrowPending : public Tallies {
protected:
    [[nodiscard]] GateOptions options() const override { return {.pending_max = 2}; }

    void answer(const Conversation &conversation)
    {
        pass(conversation, {server, syn | ack, 0, 1, 0, TG_PASS_SYN_ACK});
    }
};

/* One bucket for every handshake: the last two are proven, and nobody by another's number. */
TEST_F(NarrowPending, TheOldestOfThreeIsPushedOutAndProvesNobodyElse)
{
    std::size_t open = 0;
    unsigned port = 40000;
    for (const auto &path : paths)
        for (const bool ipv6 : {false, true}) {
            SCOPED_TRACE(testing::Message() << program_name(path.ingress) << ", IPv6: " << ipv6);
            take(path);
            const auto first = from(ipv6 ? "2001:db8:0:1::1" : "192.0.2.1", ++port);
            const auto second = from(ipv6 ? "2001:db8:0:2::1" : "192.0.2.2", ++port);
            const auto third = from(ipv6 ? "2001:db8:0:3::1" : "192.0.2.3", ++port);
            for (const auto &one : {first, second, third})
                answer(one);
            EXPECT_STREQ(verdict_name(acknowledge(first)), "pass_unknown_flow");
            EXPECT_STREQ(verdict_name(acknowledge(second)), "pass_opened");
            EXPECT_STREQ(verdict_name(acknowledge(third)), "pass_opened");
            EXPECT_STREQ(verdict_name(answer_and_ack(first)), "pass_opened");
            EXPECT_EQ(flows(), open += 3);
            EXPECT_EQ(pending_in_use(), 0U);
        }
}

TEST_F(NarrowPending, AnAnswerThatIsSentAgainPushesNobodyOut)
{
    unsigned port = 40000;
    for (const auto &path : paths) {
        SCOPED_TRACE(program_name(path.ingress));
        take(path);
        const auto first = from("192.0.2.1", ++port);
        const auto second = from("192.0.2.2", ++port);
        for (const auto &one : {first, second, first, second, second, first})
            answer(one);
        EXPECT_EQ(pending_in_use(), 2U);
        EXPECT_STREQ(verdict_name(pass(first, {client, ack, 1, 77, 0, TG_PASS_BAD_ACK})),
                     "pass_bad_ack");
        EXPECT_STREQ(verdict_name(pass(second, {client, ack, 1, 77, 0, TG_PASS_BAD_ACK})),
                     "pass_bad_ack");
        EXPECT_STREQ(verdict_name(acknowledge(first)), "pass_opened");
        EXPECT_STREQ(verdict_name(acknowledge(second)), "pass_opened");
    }
}

/* Whose handshake is over has left its way to the next. */
TEST_F(NarrowPending, WhoIsProvenMakesRoom)
{
    const auto slow = from("192.0.2.1");
    answer(slow);
    for (unsigned i = 0; i < 20; i++)
        EXPECT_STREQ(verdict_name(answer_and_ack(from("192.0.2.2", 41000 + i))), "pass_opened");
    EXPECT_STREQ(verdict_name(acknowledge(slow)), "pass_opened");
}

/* A million SYNs would be the same: nothing of a connection is kept before its proof. */
TEST_F(Tallies, AFloodOfSynsLeavesClaimsAndNothingElse)
{
    const auto honest = from("192.0.2.10");
    send_syn(honest);
    pass(honest, {server, syn | ack, 0, 1, 0, TG_PASS_SYN_ACK});
    for (int i = 0; i < 500; i++) {
        const auto forged = from("203.0.113." + std::to_string(i % 250), 20000 + i);
        send_syn(forged);
        pass(forged, {server, syn | ack, 0, 1, 0, TG_PASS_SYN_ACK});
        const auto guessed = pass(forged, {client, ack, 1, 77, 0, TG_PASS_BAD_ACK});
        EXPECT_STREQ(verdict_name(guessed), "pass_bad_ack");
    }
    EXPECT_STREQ(verdict_name(acknowledge(honest)), "pass_opened");
    EXPECT_EQ(flows(), 1u);
    EXPECT_EQ(proven(), 1u);
    EXPECT_EQ(claims(), 251u);
}

} // namespace
} // namespace tallygate::test
