// SPDX-License-Identifier: BSD-2-Clause
//
// Limits of the networks that the operator names, and of those around them.
#include "kernel/limited_gate.hpp"

namespace tallygate::test {
namespace {

using namespace std::chrono_literals;
using Verdicts = std::map<std::string, int>;

/// 10.0.0.0/8 around 10.1.0.0/16 around 10.1.2.0/24.
class NetworkLimits : public LimitedGate {
protected:
    static constexpr std::uint32_t outer = 1;
    static constexpr std::uint32_t middle = 2;
    static constexpr std::uint32_t inner = 3;

    void SetUp() override
    {
        LimitedGate::SetUp();
        add_network("10.0.0.0", 8, outer);
        add_network("10.1.0.0", 16, middle, outer);
        add_network("10.1.2.0", 24, inner, middle);
    }

    std::uint64_t live_of(std::uint32_t network)
    {
        return get<tg_network_node>(maps().network_nodes, network)->live;
    }
};

TEST_F(NetworkLimits, HoldAllOfANetworkTogether)
{
    limit_network(per_second(1, 3), inner);
    EXPECT_EQ(send_syns("10.1.2.3", 2), (Verdicts{{"pass_syn", 2}}));
    EXPECT_EQ(send_syns("10.1.2.4", 2), (Verdicts{{"pass_syn", 1}, {"drop_network_rate", 1}}));
    EXPECT_EQ(send_syns("10.1.3.4", 9), (Verdicts{{"pass_syn", 9}}));
    EXPECT_EQ(send_syns("192.0.2.1", 9), (Verdicts{{"pass_syn", 9}}));
    set_clock(1h + 1s);
    EXPECT_EQ(send_syns("10.1.2.5", 2), (Verdicts{{"pass_syn", 1}, {"drop_network_rate", 1}}));
}

TEST_F(NetworkLimits, OfAnOuterNetworkHoldTheNestedOnesToo)
{
    limit_network(per_second(1, 4), outer);
    EXPECT_EQ(send_syns("10.1.2.3", 2), (Verdicts{{"pass_syn", 2}}));
    EXPECT_EQ(send_syns("10.1.9.9", 1), (Verdicts{{"pass_syn", 1}}));
    EXPECT_EQ(send_syns("10.200.0.1", 2), (Verdicts{{"pass_syn", 1}, {"drop_network_rate", 1}}));
    EXPECT_EQ(send_syns("10.1.2.3", 1), (Verdicts{{"drop_network_rate", 1}}));
}

TEST_F(NetworkLimits, CountAtTheLongestMatchAlone)
{
    send_syns("10.1.2.3", 1);
    send_syns("10.1.9.9", 1);
    send_syns("10.200.0.1", 1);
    for (const auto network : {outer, middle, inner})
        EXPECT_EQ(network_tally(network).syn, 1u) << network;
}

TEST_F(NetworkLimits, DroppedSynsAreCountedAtTheirNetwork)
{
    const auto limit = limit_network(per_second(1, 1), outer);
    send_syns("10.1.2.3", 5);
    EXPECT_EQ(network_tally(inner).syn, 5u);
    EXPECT_EQ(network_tally(inner).dropped, 4u);
    EXPECT_EQ(limit_tally(limit).dropped, 4u);
    EXPECT_EQ(network_tally(outer).dropped, 0u) << "the daemon adds the nested ones up";
}

TEST_F(NetworkLimits, HoldWhatANetworkHasOpenWithAllThatIsInside)
{
    limit_network(holding(2), outer);
    EXPECT_STREQ(verdict_name(connect("10.1.2.3", 1)), "pass_syn");
    EXPECT_STREQ(verdict_name(connect("10.200.0.1", 2)), "pass_syn");
    EXPECT_EQ(live_of(outer), 2u);
    EXPECT_EQ(live_of(middle), 1u);
    EXPECT_EQ(live_of(inner), 1u);
    EXPECT_STREQ(verdict_name(send_syn("10.1.9.9", 3)), "drop_network_live");
    disconnect("10.1.2.3", 1);
    EXPECT_EQ(live_of(outer), 1u);
    EXPECT_EQ(live_of(inner), 0u);
    EXPECT_STREQ(verdict_name(connect("10.1.9.9", 3)), "pass_syn");
    EXPECT_STREQ(verdict_name(send_syn("10.1.9.9", 4)), "drop_network_live");
}

TEST_F(NetworkLimits, ALiveCountBelow0IsNotAHugeOne)
{
    limit_network(holding(2), outer);
    auto node = *get<tg_network_node>(maps().network_nodes, std::uint32_t{outer});
    node.live = -1; // a flow closed that was counted nowhere: for a moment, after a reload
    put(maps().network_nodes, std::uint32_t{outer}, node);
    EXPECT_STREQ(verdict_name(send_syn("10.1.2.3")), "pass_syn");
}

TEST_F(NetworkLimits, SeveralStandOnOneNetworkAndEachHasItsOwnDryRun)
{
    auto dry = per_second(1, 1);
    dry.action = TG_LIMIT_COUNT;
    const auto dry_limit = limit_network(dry, inner);
    const auto limit = limit_network(per_second(1, 3), inner);
    EXPECT_EQ(
        send_syns("10.1.2.3", 5),
        (Verdicts{{"pass_syn", 1}, {"would_drop_network_rate", 2}, {"drop_network_rate", 2}}));
    EXPECT_EQ(limit_tally(dry_limit).would_drop, 4u);
    EXPECT_EQ(limit_tally(limit).dropped, 2u);
}

TEST_F(NetworkLimits, OfAllTogetherComeAfterTheNetworks)
{
    limit_all(per_second(1, 1));
    limit_network(per_second(1, 1), outer);
    send_syns("10.1.2.3", 1);
    EXPECT_EQ(send_syns("10.1.2.3", 1), (Verdicts{{"drop_network_rate", 1}}));
    EXPECT_EQ(send_syns("192.0.2.1", 1), (Verdicts{{"drop_service_rate", 1}}));
}

TEST_F(NetworkLimits, EightStepsUpAreGone)
{
    for (std::uint32_t depth = 0; depth < 9; depth++)
        add_network("172.16.0.0", 12 + depth, 10 + depth, depth == 0 ? 0 : 9 + depth);
    // The innermost is 18; 11 is the eighth from it, and 10 the ninth.
    limit_network(per_second(1, 2), 11);
    limit_network(per_second(1, 1), 10);
    EXPECT_EQ(send_syns("172.16.0.1", 3), (Verdicts{{"pass_syn", 2}, {"drop_network_rate", 1}}));
}

TEST_F(NetworkLimits, OfAnotherServiceDoNotHold)
{
    limit_network(per_second(1, 1), inner);
    watch(587, 2);
    auto conversation = conversation_from("10.1.2.3");
    conversation.server_port = 587;
    for (int i = 0; i < 3; i++) {
        const auto packet = conversation.packet({client, syn, 0, 0, 0, TG_PASS_SYN});
        EXPECT_STREQ(verdict_name(send(packet)), "pass_syn");
    }
}

} // namespace
} // namespace tallygate::test
