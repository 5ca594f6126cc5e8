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

TEST_F(Links, NoneOfTheseIsATunnel)
{
    EXPECT_EQ(must(kernel::tunnel_interfaces()), Indices{});
}

} // namespace
} // namespace tallygate::test
