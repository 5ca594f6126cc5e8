// SPDX-License-Identifier: BSD-2-Clause
//
// A gateway has an outer and an inner card, and either may become the other.
#include "kernel/interfaces.hpp"

namespace tallygate::test {
namespace {

using Gateway = OnInterfaces;

TEST_F(Gateway, GuardsWhatComesInOnBothCards)
{
    must(apply_gateway({"tg0"}, {"tg1"}));
    EXPECT_THAT(rows(*attachments_), ElementsAre("tg0 ingress native", "tg1 egress native"));
    EXPECT_EQ(xdp_program("tg0"), program_id(program_->xdp_fd()));
    EXPECT_EQ(xdp_program("tg1"), program_id(program_->xdp_inside_fd()));
    expect_nothing_on_tc("tg0");
    expect_nothing_on_tc("tg1");
    EXPECT_EQ(links().size(), 2U);
    EXPECT_THAT(attachments_->problems(), IsEmpty());
}

TEST_F(Gateway, IsOnTcWhereItIsToldSo)
{
    for (const auto tcx : {Tcx::allowed, Tcx::denied}) {
        const std::string how = tcx == Tcx::allowed ? "tcx" : "clsact";
        start_daemon(tcx);
        must(apply_gateway({"tg0"}, {"tg1"}, Attach::tc));
        EXPECT_THAT(rows(*attachments_), ElementsAre("tg0 ingress " + how, "tg1 egress " + how));
        EXPECT_EQ(xdp_program("tg1"), 0U);
        EXPECT_THAT(tcx_programs("tg1", tcx_egress), IsEmpty());
        const auto inside = program_id(program_->tc_inside_fd());
        if (tcx == Tcx::allowed)
            EXPECT_THAT(tcx_programs("tg1", tcx_ingress), ElementsAre(inside));
        else
            EXPECT_EQ(clsact_program("tg1", BPF_TC_INGRESS), inside);
        must(apply({}));
    }
}

TEST_F(Gateway, IsGenericWhereItMust)
{
    must(apply_gateway({"tg0"}, {"lo"}));
    EXPECT_THAT(rows(*attachments_), ElementsAre("tg0 ingress native", "lo egress generic"));
    EXPECT_THAT(attachments_->status()[1].note, HasSubstr("native XDP refused: "));
}

TEST_F(Gateway, ChangesItsRolesThroughTheLinks)
{
    must(apply_gateway({"tg0"}, {"tg1"}));
    const auto first = link_id("tg0", "xdp");
    const auto second = link_id("tg1", "xdp");

    must(apply_gateway({"tg1"}, {"tg0"}));
    EXPECT_EQ(xdp_program("tg1"), program_id(program_->xdp_fd()));
    EXPECT_EQ(xdp_program("tg0"), program_id(program_->xdp_inside_fd()));
    EXPECT_EQ(link_id("tg0", "xdp"), first);
    EXPECT_EQ(link_id("tg1", "xdp"), second);
}

TEST_F(Gateway, BecomesAHostAndAGatewayAgain)
{
    for (const auto tcx : {Tcx::allowed, Tcx::denied}) {
        start_daemon(tcx);
        const std::string how = tcx == Tcx::allowed ? "tcx" : "clsact";
        must(apply({"tg0"}));
        const auto link = link_id("tg0", "xdp");

        must(apply_gateway({"tg0"}, {"tg1"}));
        expect_nothing_on_tc("tg0");
        EXPECT_EQ(xdp_program("tg1"), program_id(program_->xdp_inside_fd()));

        must(apply({"tg0"}));
        EXPECT_THAT(rows(*attachments_),
                    ElementsAre("tg0 ingress native adopted", "tg0 egress " + how));
        expect_nothing_on("tg1");
        EXPECT_EQ(link_id("tg0", "xdp"), link) << "it was there all the while";
        must(apply({}));
    }
}

TEST_F(Gateway, StaysWhatItWasWhenACardCannotBeHad)
{
    must(apply({"tg0", "tg1"}));
    const auto stranger = load_stranger();
    run("ip link add tg2 type veth peer name tg2peer");
    ASSERT_EQ(bpf_xdp_attach(index_of("tg2"), stranger.get(), XDP_FLAGS_DRV_MODE, nullptr), 0);

    EXPECT_THAT(message_of(apply_gateway({"tg0"}, {"tg1", "tg2"})), HasSubstr("'stranger'"));
    for (const auto *interface : {"tg0", "tg1"}) {
        EXPECT_EQ(xdp_program(interface), program_id(program_->xdp_fd())) << interface;
        EXPECT_EQ(tcx_programs(interface, tcx_egress).size(), 1U) << interface;
    }
    EXPECT_EQ(rows(*attachments_).size(), 4U);
    EXPECT_THAT(attachments_->problems(), IsEmpty());
}

TEST_F(Gateway, ComesBackWithItsInnerCard)
{
    must(apply_gateway({"tg0"}, {"tg1"}));
    run("ip link delete tg1");
    run("ip link add tg1 type veth peer name tg1peer");
    attachments_->repair(Attachments::Occasion::news);
    EXPECT_EQ(xdp_program("tg1"), program_id(program_->xdp_inside_fd()));
    EXPECT_EQ(links().size(), 2U);
}

TEST_F(Gateway, IsTakenOverByTheNextDaemon)
{
    must(apply_gateway({"tg0"}, {"tg1"}));
    const auto link = link_id("tg1", "xdp");
    start_daemon(Tcx::allowed, TG_ABI_VERSION + 1);
    must(apply_gateway({"tg0"}, {"tg1"}));
    EXPECT_THAT(rows(*attachments_),
                ElementsAre("tg0 ingress native adopted", "tg1 egress native adopted"));
    EXPECT_EQ(link_id("tg1", "xdp"), link);
    EXPECT_EQ(xdp_program("tg1"), program_id(program_->xdp_inside_fd()));
}

} // namespace
} // namespace tallygate::test
