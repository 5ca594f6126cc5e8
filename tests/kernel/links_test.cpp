// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/links.hpp"

#include <gmock/gmock.h>
#include <net/if.h>

#include "kernel/sandbox.hpp"

namespace tallygate::test {
namespace {

using kernel::interfaces_above;
using Indices = std::set<std::uint32_t>;

/// A card with a bridge and a macvlan on it, and a cable's other end.
class Links : public testing::Test {
protected:
    void SetUp() override
    {
        run("ip link add card type veth peer name far");
        run("ip link add bridge0 type bridge");
        run("ip link add other type veth peer name far-other");
    }

    static Indices indices(const std::vector<std::string> &names)
    {
        Indices all;
        for (const auto &name : names)
            all.insert(::if_nametoindex(name.c_str()));
        return all;
    }

private:
    OwnNetwork network_;
};

TEST_F(Links, ACardAloneIsAlone)
{
    EXPECT_EQ(must(interfaces_above({"card"})), indices({"card"}));
    EXPECT_EQ(must(interfaces_above({"card", "other"})), indices({"card", "other"}));
}

TEST_F(Links, ABridgeStandsOnItsPort)
{
    run("ip link set card master bridge0");
    EXPECT_EQ(must(interfaces_above({"card"})), indices({"card", "bridge0"}));
    EXPECT_EQ(must(interfaces_above({"bridge0"})), indices({"bridge0"}));
}

TEST_F(Links, WhatStandsOnABridgeStandsOnItsPort)
{
    run("ip link set card master bridge0");
    run("ip link add upper link bridge0 type macvlan");
    EXPECT_EQ(must(interfaces_above({"card"})), indices({"card", "bridge0", "upper"}));
}

TEST_F(Links, OneThatDoesNotExistIsNotThere)
{
    EXPECT_EQ(must(interfaces_above({"nothing"})), Indices{});
    EXPECT_EQ(must(interfaces_above({})), Indices{});
}

/// "192.0.2.1 card"
std::vector<std::string> texts(const std::vector<kernel::AddressOnLink> &addresses)
{
    std::vector<std::string> all;
    for (const auto &each : addresses)
        all.push_back(each.address.text() + " " + each.interface);
    return all;
}

TEST_F(Links, OwnAddressesAreThoseOfAllInterfacesAndNotThePeers)
{
    run("ip addr add 192.0.2.1/24 dev card");
    run("ip addr add 192.0.2.2/24 dev card");
    run("ip addr add 198.51.100.1 peer 198.51.100.2 dev other");
    run("ip addr add 2001:db8::25/64 dev card nodad");
    EXPECT_THAT(texts(must(kernel::own_addresses())),
                testing::IsSupersetOf({"192.0.2.1 card", "192.0.2.2 card", "198.51.100.1 other",
                                       "2001:db8::25 card"}));
    EXPECT_THAT(texts(must(kernel::own_addresses())),
                testing::Not(testing::Contains("198.51.100.2 other")));
}

TEST_F(Links, GatewaysAreThoseOfAllDefaultRoutes)
{
    run("ip link set card up");
    run("ip link set far up");
    run("ip link set other up");
    run("ip link set far-other up");
    run("ip addr add 192.0.2.1/24 dev card");
    run("ip addr add 198.51.100.1/24 dev other");
    run("ip addr add 2001:db8::25/64 dev card nodad");
    EXPECT_THAT(must(kernel::gateways()), testing::IsEmpty());

    run("ip route add 203.0.113.0/24 via 192.0.2.77");
    run("ip route add default via 192.0.2.254");
    run("ip -6 route add default via 2001:db8::1 dev card");
    run("ip route add default metric 7 nexthop via 192.0.2.253 dev card "
        "nexthop via 198.51.100.253 dev other");
    run("ip route add default via inet6 fe80::7 dev other metric 9");
    EXPECT_THAT(texts(must(kernel::gateways())),
                testing::UnorderedElementsAre("192.0.2.254 card", "192.0.2.253 card",
                                              "198.51.100.253 other", "2001:db8::1 card",
                                              "fe80::7 other"));
}

TEST_F(Links, NoneOfTheseIsATunnel)
{
    EXPECT_EQ(must(kernel::tunnel_interfaces()), Indices{});
}

} // namespace
} // namespace tallygate::test
