// SPDX-License-Identifier: BSD-2-Clause
//
// Programs on interfaces: where they are put, and what is left alone.
#include "kernel/interfaces.hpp"

namespace tallygate::test {
namespace {

TEST_F(OnInterfaces, AreNativeWhereTheDriverCan)
{
    must(apply({"tg0", "tg1"}));
    EXPECT_THAT(rows(*attachments_), ElementsAre("tg0 ingress native", "tg0 egress tcx",
                                                 "tg1 ingress native", "tg1 egress tcx"));
    for (const auto *interface : {"tg0", "tg1"}) {
        EXPECT_EQ(xdp_program(interface), program_id(program_->xdp_fd()));
        EXPECT_THAT(tcx_programs(interface, tcx_egress),
                    ElementsAre(program_id(program_->tc_egress_fd())));
        EXPECT_THAT(tcx_programs(interface, tcx_ingress), IsEmpty());
    }
    for (const auto &one : attachments_->status())
        EXPECT_EQ(one.note, "");
    EXPECT_THAT(attachments_->problems(), IsEmpty());
    EXPECT_EQ(links().size(), 4U);
}

TEST_F(OnInterfaces, AreGenericWhereItCannotAndSayWhy)
{
    must(apply({"lo"}));
    EXPECT_THAT(rows(*attachments_), ElementsAre("lo ingress generic", "lo egress tcx"));
    EXPECT_EQ(xdp_program("lo"), program_id(program_->xdp_fd()));
    EXPECT_THAT(attachments_->status()[0].note, HasSubstr("native XDP refused: "));
}

TEST_F(OnInterfaces, AreNativeOrNothingWhenToldSo)
{
    const auto refused = apply({"tg0", "lo"}, Attach::native);
    EXPECT_THAT(message_of(refused), HasSubstr("native XDP on lo: "));
    EXPECT_THAT(message_of(refused), HasSubstr("gate.attach = \"auto\""));
    expect_nothing_on("tg0");
    expect_nothing_on("lo");
    EXPECT_THAT(links(), IsEmpty());
}

TEST_F(OnInterfaces, AreGenericWhenToldSo)
{
    must(apply({"tg0"}, Attach::generic));
    EXPECT_THAT(rows(*attachments_), ElementsAre("tg0 ingress generic", "tg0 egress tcx"));
    EXPECT_THAT(attachments_->status()[0].note, HasSubstr("slower than native"));
    EXPECT_EQ(xdp_program("tg0"), program_id(program_->xdp_fd()));
}

TEST_F(OnInterfaces, AreOnTcWhenToldSo)
{
    must(apply({"tg0"}, Attach::tc));
    EXPECT_THAT(rows(*attachments_), ElementsAre("tg0 ingress tcx", "tg0 egress tcx"));
    EXPECT_EQ(xdp_program("tg0"), 0U);
    EXPECT_THAT(tcx_programs("tg0", tcx_ingress),
                ElementsAre(program_id(program_->tc_ingress_fd())));
    EXPECT_THAT(tcx_programs("tg0", tcx_egress), ElementsAre(program_id(program_->tc_egress_fd())));
}

TEST_F(OnInterfaces, AreOnClsactBeforeTcx)
{
    start_daemon(Tcx::denied);
    must(apply({"tg0"}, Attach::tc));
    EXPECT_THAT(rows(*attachments_), ElementsAre("tg0 ingress clsact", "tg0 egress clsact"));
    EXPECT_EQ(attachments_->status()[0].note, "no tcx here");
    EXPECT_EQ(clsact_program("tg0", BPF_TC_INGRESS), program_id(program_->tc_ingress_fd()));
    EXPECT_EQ(clsact_program("tg0", BPF_TC_EGRESS), program_id(program_->tc_egress_fd()));
    EXPECT_THAT(attachments_->problems(), IsEmpty());
}

TEST_F(OnInterfaces, SeeNoEgressOnAnIngressQdisc)
{
    start_daemon(Tcx::denied);
    run("tc qdisc add dev tg0 ingress");
    for (const auto attach : {Attach::automatic, Attach::tc}) {
        const auto refused = apply({"tg1", "tg0"}, attach);
        EXPECT_EQ(message_of(refused),
                  "tg0 has an ingress qdisc, where egress cannot be seen: `tc qdisc delete dev "
                  "tg0 ingress`; clsact takes its filters as well");
        expect_nothing_on("tg0");
        expect_nothing_on("tg1");
        EXPECT_THAT(links(), IsEmpty());
    }

    must(apply_gateway({"tg0"}, {"tg1"}, Attach::tc));
    EXPECT_EQ(clsact_program("tg0", BPF_TC_INGRESS), program_id(program_->tc_ingress_fd()))
        << "ingress alone needs no more";
    must(apply({}));

    run("tc qdisc delete dev tg0 ingress");
    must(apply({"tg0"}, Attach::tc));
    EXPECT_EQ(clsact_program("tg0", BPF_TC_EGRESS), program_id(program_->tc_egress_fd()));
}

TEST_F(OnInterfaces, TellWhenAnIngressQdiscTakesThePlaceOfClsact)
{
    start_daemon(Tcx::denied);
    must(apply({"tg0"}, Attach::tc));
    run("tc qdisc delete dev tg0 clsact && tc qdisc add dev tg0 ingress");
    bpf_tc_hook hook{};
    hook.sz = sizeof(hook);
    hook.ifindex = index_of("tg0");
    hook.attach_point = BPF_TC_INGRESS;
    bpf_tc_opts filter{};
    filter.sz = sizeof(filter);
    filter.handle = 0x7467;
    filter.priority = 0x7467;
    filter.prog_fd = program_->tc_ingress_fd();
    ASSERT_EQ(bpf_tc_attach(&hook, &filter), 0);
    EXPECT_THAT(attachments_->problems(), ElementsAre(HasSubstr("tg0 egress: ")))
        << "the filter for ingress is not the one for egress";
}

TEST_F(OnInterfaces, StayWhenTheDaemonEnds)
{
    must(apply({"tg0"}));
    const auto xdp = xdp_program("tg0");
    attachments_.reset();
    program_.reset();
    pins_.reset();
    EXPECT_EQ(xdp_program("tg0"), xdp);
    EXPECT_EQ(tcx_programs("tg0", tcx_egress).size(), 1U);
}

TEST_F(OnInterfaces, AreReplacedThroughTheirLinks)
{
    must(apply({"tg0"}));
    const auto xdp = xdp_program("tg0");
    const auto xdp_link = link_id("tg0", "xdp");
    const auto tcx_link = link_id("tg0", "tcx_egress");

    start_daemon();
    EXPECT_EQ(xdp_program("tg0"), xdp) << "until it is told to, it touches nothing";
    must(apply({"tg0"}));
    EXPECT_THAT(rows(*attachments_),
                ElementsAre("tg0 ingress native adopted", "tg0 egress tcx adopted"));
    EXPECT_NE(xdp_program("tg0"), xdp);
    EXPECT_EQ(xdp_program("tg0"), program_id(program_->xdp_fd()));
    EXPECT_THAT(tcx_programs("tg0", tcx_egress), ElementsAre(program_id(program_->tc_egress_fd())));

    // The same links: the programs were exchanged, and there was no moment without one.
    EXPECT_EQ(link_id("tg0", "xdp"), xdp_link);
    EXPECT_EQ(link_id("tg0", "tcx_egress"), tcx_link);
}

TEST_F(OnInterfaces, AreReplacedOnClsactToo)
{
    start_daemon(Tcx::denied);
    must(apply({"tg0"}, Attach::tc));
    const auto first = clsact_program("tg0", BPF_TC_INGRESS);

    start_daemon(Tcx::denied);
    must(apply({"tg0"}, Attach::tc));
    EXPECT_THAT(rows(*attachments_),
                ElementsAre("tg0 ingress clsact adopted", "tg0 egress clsact adopted"));
    EXPECT_NE(clsact_program("tg0", BPF_TC_INGRESS), first);
    EXPECT_EQ(clsact_program("tg0", BPF_TC_INGRESS), program_id(program_->tc_ingress_fd()));
    EXPECT_EQ(clsact_program("tg0", BPF_TC_EGRESS), program_id(program_->tc_egress_fd()));
    EXPECT_EQ(links().size(), 2U);
}

TEST_F(OnInterfaces, LeaveAnInterfaceThatIsNoLongerNamed)
{
    for (const auto tcx : {Tcx::allowed, Tcx::denied}) {
        start_daemon(tcx);
        must(apply({"tg0", "tg1"}));
        must(apply({"tg1"}));
        expect_nothing_on("tg0");
        EXPECT_THAT(rows(*attachments_), testing::SizeIs(2));
        EXPECT_NE(xdp_program("tg1"), 0U);
        EXPECT_EQ(links().size(), 2U);

        start_daemon(tcx);
        must(apply({"tg0"}));
        expect_nothing_on("tg1");
        must(apply({}));
        expect_nothing_on("tg0");
        EXPECT_THAT(links(), IsEmpty());
    }
}

TEST_F(OnInterfaces, NeedInterfacesThatExist)
{
    must(apply({"tg0"}));
    const auto before = rows(*attachments_);
    const auto refused = apply({"tg1", "tgnowhere"});
    EXPECT_EQ(message_of(refused), "interface tgnowhere does not exist");
    expect_nothing_on("tg1");
    EXPECT_NE(xdp_program("tg0"), 0U) << "what was there stays";
    EXPECT_EQ(rows(*attachments_), before);
}

TEST_F(OnInterfaces, LeaveAStrangersProgramAlone)
{
    const auto stranger = load_stranger();
    const auto id = program_id(stranger.get());
    for (const unsigned mode : {XDP_FLAGS_DRV_MODE, XDP_FLAGS_SKB_MODE}) {
        ASSERT_EQ(bpf_xdp_attach(index_of("tg1"), stranger.get(), mode, nullptr), 0);
        for (const auto attach : {Attach::automatic, Attach::native, Attach::generic}) {
            const auto refused = apply({"tg0", "tg1"}, attach);
            ASSERT_FALSE(refused);
            EXPECT_EQ(refused.error().code, EBUSY);
            EXPECT_THAT(message_of(refused), HasSubstr("tg1 has an XDP program of somebody else's, "
                                                       "'stranger' (id " +
                                                       std::to_string(id) + ")"));
            EXPECT_THAT(message_of(refused), HasSubstr("take it off"));
            EXPECT_EQ(xdp_program("tg1"), id);
            expect_nothing_on_tc("tg1");
            expect_nothing_on("tg0");
            EXPECT_THAT(links(), IsEmpty());
        }
        must(apply({"tg1"}, Attach::tc));
        EXPECT_EQ(xdp_program("tg1"), id) << "beside it on tc";
        must(apply({}));
        ASSERT_EQ(bpf_xdp_detach(index_of("tg1"), mode, nullptr), 0);
    }
}

TEST_F(OnInterfaces, LeaveAStrangersLinkAlone)
{
    const auto stranger = load_stranger();
    const Fd link{bpf_link_create(stranger.get(), index_of("tg0"), BPF_XDP, nullptr)};
    ASSERT_TRUE(link);
    const auto refused = apply({"tg0"});
    EXPECT_THAT(message_of(refused), HasSubstr("'stranger' (id "));
    EXPECT_EQ(xdp_program("tg0"), program_id(stranger.get()));
    expect_nothing_on_tc("tg0");
}

TEST_F(OnInterfaces, ComeBackToAnInterfaceThatWasMadeAgain)
{
    for (const auto tcx : {Tcx::allowed, Tcx::denied}) {
        start_daemon(tcx);
        must(apply({"tg0"}));
        run("ip link delete tg0");
        EXPECT_THAT(attachments_->problems(), Not(IsEmpty()));
        run("ip link add tg0 type veth peer name tg0peer");

        start_daemon(tcx);
        must(apply({"tg0"}));
        EXPECT_EQ(xdp_program("tg0"), program_id(program_->xdp_fd()));
        EXPECT_EQ(links().size(), 2U) << "the dead ones are gone";
        EXPECT_THAT(attachments_->problems(), IsEmpty());
        must(apply({}));
    }
}

TEST_F(OnInterfaces, ComeBackToAnInterfaceOfTheSameIndex)
{
    must(apply({"tg0"}));
    const auto index = std::to_string(index_of("tg0"));
    run("ip link delete tg0");
    run("ip link add tg0 index " + index + " type veth peer name tg0peer");

    start_daemon();
    must(apply({"tg0"}));
    EXPECT_THAT(rows(*attachments_), ElementsAre("tg0 ingress native", "tg0 egress tcx"));
    EXPECT_EQ(xdp_program("tg0"), program_id(program_->xdp_fd()));
    EXPECT_EQ(tcx_programs("tg0", tcx_egress).size(), 1U);
}

TEST_F(OnInterfaces, TellWhenALinkIsDetachedByHand)
{
    must(apply({"tg0"}));
    const Fd link{bpf_obj_get(link_path("tg0", "xdp").c_str())};
    ASSERT_EQ(bpf_link_detach(link.get()), 0);
    EXPECT_THAT(attachments_->problems(), ElementsAre(HasSubstr("tg0 ingress: ")));

    ASSERT_EQ(::unlink(link_path("tg0", "tcx_egress").c_str()), 0);
    EXPECT_THAT(attachments_->problems(),
                ElementsAre(HasSubstr("tg0 ingress: "), HasSubstr("tg0 egress: ")));

    must(apply({"tg0"}));
    EXPECT_THAT(attachments_->problems(), IsEmpty());
    EXPECT_EQ(xdp_program("tg0"), program_id(program_->xdp_fd()));
}

TEST_F(OnInterfaces, TellWhenAFilterIsRemovedByHand)
{
    start_daemon(Tcx::denied);
    must(apply({"tg0"}, Attach::tc));
    run("tc filter delete dev tg0 ingress");
    ASSERT_EQ(clsact_program("tg0", BPF_TC_INGRESS), 0U);
    EXPECT_THAT(attachments_->problems(), ElementsAre(HasSubstr("tg0 ingress: ")));
    run("tc qdisc delete dev tg0 clsact");
    EXPECT_THAT(attachments_->problems(), testing::SizeIs(2));

    must(apply({"tg0"}, Attach::tc));
    EXPECT_THAT(attachments_->problems(), IsEmpty());
    EXPECT_NE(clsact_program("tg0", BPF_TC_EGRESS), 0U);
}

struct ModeCase {
    const char *name;
    Attach attach;
    const char *how;
};

TEST_F(OnInterfaces, ChangeTheirModeBetweenRuns)
{
    const ModeCase cases[] = {
        {"native", Attach::native, "native"},
        {"generic", Attach::generic, "generic"},
        {"tc", Attach::tc, "tcx"},
        {"generic again", Attach::generic, "generic"},
        {"what is there will do", Attach::automatic, "generic adopted"},
        {"native again", Attach::native, "native"},
        {"tc again", Attach::tc, "tcx"},
        {"and native", Attach::native, "native"},
    };
    for (const auto &row : cases) {
        start_daemon();
        must(apply({"tg0"}, row.attach));
        EXPECT_EQ(rows(*attachments_)[0], std::string("tg0 ingress ") + row.how) << row.name;
        EXPECT_EQ(links().size(), 2U) << row.name;
        EXPECT_EQ((xdp_program("tg0") != 0) + tcx_programs("tg0", tcx_ingress).size(), 1U)
            << row.name;
    }
}

TEST_F(OnInterfaces, KeepTheirModeWhenTheOtherCannotBeHad)
{
    must(apply({"tg0", "lo"}, Attach::generic));

    const auto refused = apply({"tg0", "lo"}, Attach::native);
    EXPECT_THAT(message_of(refused), HasSubstr("native XDP on lo: "));
    for (const auto *interface : {"tg0", "lo"}) {
        EXPECT_EQ(xdp_program(interface), program_id(program_->xdp_fd())) << interface;
        EXPECT_EQ(tcx_programs(interface, tcx_egress).size(), 1U) << interface;
    }
    EXPECT_THAT(attachments_->problems(), IsEmpty());
    EXPECT_EQ(links().size(), 4U);
}

TEST_F(OnInterfaces, AreDetachedFromAnotherNamespace)
{
    const NamedNetwork network;
    for (const auto tcx : {Tcx::allowed, Tcx::denied}) {
        network.visit([&] {
            run("ip link add tg7 type veth peer name tg7peer");
            start_daemon(tcx);
            must(apply({"tg7"}, tcx == Tcx::allowed ? Attach::automatic : Attach::tc));
        });
        const auto done = must(kernel::detach_all(pin_dir()));
        EXPECT_EQ(done.size(), 3U);
        EXPECT_THAT(done[0], HasSubstr("program from interface "));
        network.visit([&] {
            expect_nothing_on("tg7");
            run("ip link delete tg7");
        });
        EXPECT_FALSE(std::filesystem::exists(pin_dir()));
    }
}

TEST_F(OnInterfaces, AreDetachedWithTheirInterfaceOrNamespaceGone)
{
    for (const auto tcx : {Tcx::allowed, Tcx::denied}) {
        {
            const NamedNetwork network;
            network.visit([&] {
                run("ip link add tg7 type veth peer name tg7peer");
                run("ip link add tg8 type veth peer name tg8peer");
                start_daemon(tcx);
                must(apply({"tg7", "tg8"}, Attach::tc));
                run("ip link delete tg7");
            });
        }
        const auto done = kernel::detach_all(pin_dir());
        EXPECT_TRUE(done) << message_of(done);
        EXPECT_FALSE(std::filesystem::exists(pin_dir()));
    }
}

TEST_F(OnInterfaces, OfAnotherNamespaceAreNotOursToTakeOff)
{
    must(apply({"tg0"}));
    const auto xdp = xdp_program("tg0");
    const NamedNetwork network;
    network.visit([&] {
        run("ip link add tg7 type veth peer name tg7peer");
        start_daemon();
        must(apply({"tg7"}));
    });
    EXPECT_EQ(xdp_program("tg0"), xdp);
    EXPECT_EQ(links().size(), 4U);
}

} // namespace
} // namespace tallygate::test
