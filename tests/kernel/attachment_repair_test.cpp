// SPDX-License-Identifier: BSD-2-Clause
//
// Attachments that are lost, and how they come back.
#include <poll.h>

#include "kernel/interface_news.hpp"
#include "kernel/interfaces.hpp"

namespace tallygate::test {
namespace {

using Occasion = Attachments::Occasion;

class LostAttachments : public OnInterfaces {
protected:
    static void make_pair() { run("ip link add tg0 type veth peer name tg0peer"); }
    static void delete_pair() { run("ip link delete tg0"); }

    void repair(Occasion occasion = Occasion::time) { attachments_->repair(occasion); }

    /// "native, tcx", or with a "-" before what is not in place.
    std::string ways() const
    {
        std::string text;
        for (const auto &one : attachments_->status())
            text += (text.empty() ? "" : ", ") + std::string(one.in_place ? "" : "-") + one.how;
        return text;
    }

    void detach_by_hand(const std::string &kind) const
    {
        const Fd link{bpf_obj_get(link_path("tg0", kind).c_str())};
        ASSERT_EQ(bpf_link_detach(link.get()), 0) << kind;
    }

    LogLines log_;
};

TEST_F(LostAttachments, AreBackWithTheirInterface)
{
    struct Row {
        const char *name;
        Tcx tcx;
        Attach attach;
        const char *ways;
    };
    const Row table[] = {{"XDP and tcx", Tcx::allowed, Attach::automatic, "native, tcx"},
                         {"tcx", Tcx::allowed, Attach::tc, "tcx, tcx"},
                         {"clsact", Tcx::denied, Attach::tc, "clsact, clsact"}};
    for (const auto &row : table) {
        SCOPED_TRACE(row.name);
        start_daemon(row.tcx);
        must(apply({"tg0", "tg1"}, row.attach));
        log_.take();

        delete_pair();
        repair(Occasion::news);
        repair();
        EXPECT_THAT(log_.take(),
                    ElementsAre("warning: tg0: the interface is gone; nothing is counted "
                                "until it is back"));
        EXPECT_EQ(links().size(), 2U) << "dead ones are gone";

        make_pair();
        repair(Occasion::news);
        EXPECT_EQ(ways(), std::string(row.ways) + ", " + row.ways);
        EXPECT_THAT(attachments_->problems(), IsEmpty());
        EXPECT_EQ(links().size(), 4U);
        repair();
        EXPECT_THAT(log_.take(), ElementsAre(HasSubstr("info: tg0 is guarded again: ingress ")));
        must(apply({}));
    }
}

TEST_F(LostAttachments, AreBackWhenNobodySawTheInterfaceGo)
{
    must(apply({"tg0"}));
    const auto index = index_of("tg0");
    delete_pair();
    make_pair();
    ASSERT_NE(index_of("tg0"), index);
    EXPECT_EQ(ways(), "-native, -tcx");
    repair();
    EXPECT_EQ(ways(), "native, tcx");
    EXPECT_EQ(xdp_program("tg0"), program_id(program_->xdp_fd()));
    EXPECT_EQ(links().size(), 2U);
}

TEST_F(LostAttachments, AreBackOnAnInterfaceOfTheSameIndex)
{
    must(apply({"tg0"}));
    const auto index = std::to_string(index_of("tg0"));
    delete_pair();
    run("ip link add tg0 index " + index + " type veth peer name tg0peer");
    EXPECT_EQ(ways(), "-native, -tcx");
    repair();
    EXPECT_EQ(ways(), "native, tcx");
}

TEST_F(LostAttachments, AreBackWhenSomebodyTookThemOff)
{
    must(apply({"tg0"}));
    log_.take();
    detach_by_hand("xdp");
    EXPECT_EQ(ways(), "-native, tcx");
    repair();
    EXPECT_EQ(xdp_program("tg0"), program_id(program_->xdp_fd()));
    EXPECT_THAT(log_.take(), ElementsAre("warning: tg0 ingress: our program was taken off",
                                         "info: tg0 is guarded again: ingress native, egress tcx"));

    detach_by_hand("tcx_egress"); // a pin that goes alone takes the program off a moment later
    ASSERT_EQ(::unlink(link_path("tg0", "tcx_egress").c_str()), 0);
    EXPECT_EQ(ways(), "native, -tcx");
    repair();
    EXPECT_EQ(ways(), "native, tcx");
    EXPECT_EQ(tcx_programs("tg0", tcx_egress).size(), 1U);
}

TEST_F(LostAttachments, OnClsactAreBackWhenSomebodyTookThemOff)
{
    start_daemon(Tcx::denied);
    must(apply({"tg0"}, Attach::tc));
    run("tc filter delete dev tg0 ingress");
    EXPECT_EQ(ways(), "-clsact, clsact");
    repair();
    EXPECT_EQ(ways(), "clsact, clsact");
    run("tc qdisc delete dev tg0 clsact");
    repair();
    EXPECT_EQ(ways(), "clsact, clsact");
    EXPECT_EQ(clsact_program("tg0", BPF_TC_INGRESS), program_id(program_->tc_ingress_fd()));
}

TEST_F(LostAttachments, LeaveAStrangerWhoCameMeanwhileAlone)
{
    must(apply({"tg0"}));
    log_.take();
    detach_by_hand("xdp");
    const auto stranger = load_stranger();
    const auto id = program_id(stranger.get());
    ASSERT_EQ(bpf_xdp_attach(index_of("tg0"), stranger.get(), XDP_FLAGS_DRV_MODE, nullptr), 0);

    for (int second = 0; second < 3; second++)
        repair();
    EXPECT_EQ(xdp_program("tg0"), id);
    const auto lines = log_.take();
    ASSERT_EQ(lines.size(), 2U);
    EXPECT_THAT(lines[1], HasSubstr("tg0 cannot be guarded again: tg0 has an XDP program of "
                                    "somebody else's, 'stranger' (id " +
                                    std::to_string(id) + ")"));
    EXPECT_EQ(ways(), "-native, tcx");
    EXPECT_THAT(attachments_->problems(), testing::Contains(HasSubstr("'stranger'")));

    ASSERT_EQ(bpf_xdp_detach(index_of("tg0"), XDP_FLAGS_DRV_MODE, nullptr), 0);
    repair(Occasion::news);
    EXPECT_EQ(ways(), "-native, tcx") << "what was refused there waits for its time";
    repair();
    EXPECT_EQ(ways(), "native, tcx");
    EXPECT_THAT(log_.take(), testing::SizeIs(1));
    EXPECT_THAT(attachments_->problems(), IsEmpty());
}

TEST_F(LostAttachments, AreToldToBeGoneAlsoIfTheyWereLostBefore)
{
    must(apply({"tg0"}));
    detach_by_hand("xdp");
    const auto stranger = load_stranger();
    ASSERT_EQ(bpf_xdp_attach(index_of("tg0"), stranger.get(), XDP_FLAGS_DRV_MODE, nullptr), 0);
    repair();
    log_.take();

    delete_pair();
    repair();
    repair();
    EXPECT_THAT(log_.take(), ElementsAre(HasSubstr("tg0: the interface is gone")));
}

TEST_F(LostAttachments, AreNotHalfBackBesideAStranger)
{
    const auto stranger = load_stranger();
    must(apply({"tg0"}));
    delete_pair();
    repair();
    make_pair();
    ASSERT_EQ(bpf_xdp_attach(index_of("tg0"), stranger.get(), XDP_FLAGS_DRV_MODE, nullptr), 0);
    repair();
    expect_nothing_on_tc("tg0");
    EXPECT_THAT(links(), IsEmpty());
}

TEST_F(LostAttachments, StayOffAfterADetach)
{
    for (const auto tcx : {Tcx::allowed, Tcx::denied}) {
        start_daemon(tcx);
        must(apply({"tg0"}, Attach::tc));
        log_.take();
        must(kernel::detach_all(pin_dir()));
        for (int second = 0; second < 3; second++)
            repair();
        expect_nothing_on("tg0");
        EXPECT_THAT(log_.take(), ElementsAre(HasSubstr("`tallygated detach` has taken")));
        EXPECT_THAT(message_of(apply({"tg0"})), HasSubstr("restart tallygated"));
        expect_nothing_on("tg0");
    }
}

TEST_F(LostAttachments, StayOffWhileADetachIsUnderWay)
{
    must(apply({"tg0"}));
    ASSERT_EQ(::mkdir((pins_->layout_path() + "/detaching").c_str(), 0700), 0);
    detach_by_hand("xdp");
    repair();
    EXPECT_EQ(xdp_program("tg0"), 0U);

    start_daemon();
    must(apply({"tg0"}));
    EXPECT_EQ(ways(), "native, tcx") << "a new daemon was asked to attach";
    detach_by_hand("xdp");
    repair();
    EXPECT_EQ(ways(), "native, tcx");
}

TEST_F(LostAttachments, AreThereUnderAnotherNameOfTheInterface)
{
    must(apply({"tg0"}));
    log_.take();
    run("ip link set tg0 name tgother");
    EXPECT_EQ(ways(), "native, tcx");
    repair();
    EXPECT_THAT(log_.take(), IsEmpty());

    run("ip link add tg0 type veth peer name tg0peer2");
    repair();
    EXPECT_EQ(ways(), "native, tcx");
    EXPECT_EQ(xdp_program("tg0"), program_id(program_->xdp_fd()));
    expect_nothing_on("tgother");
    EXPECT_EQ(links().size(), 2U);
}

bool is_readable(int fd)
{
    pollfd wanted{.fd = fd, .events = POLLIN, .revents = 0};
    return ::poll(&wanted, 1, 0) == 1;
}

TEST_F(LostAttachments, AreNews)
{
    auto news = must(kernel::InterfaceNews::listen());
    EXPECT_FALSE(is_readable(news.fd()));
    for (const auto change : {delete_pair, make_pair}) {
        change();
        EXPECT_TRUE(is_readable(news.fd()));
        news.read_all();
        EXPECT_FALSE(is_readable(news.fd()));
    }
    for (int i = 0; i < 500; i++) // more than its buffer takes
        run("ip link set tg0 down && ip link set tg0 up");
    news.read_all();
    EXPECT_FALSE(is_readable(news.fd()));
}

TEST_F(LostAttachments, DoNotResetACardWhoseEgressIsRefused)
{
    start_daemon(Tcx::denied);
    must(apply({"tg0"}));
    delete_pair();
    repair();
    make_pair();
    run("tc qdisc add dev tg0 ingress");

    auto news = must(kernel::InterfaceNews::listen());
    for (int second = 0; second < 3; second++)
        repair();
    EXPECT_FALSE(is_readable(news.fd())) << "XDP that comes or goes changes what the card can do";
    expect_nothing_on("tg0");

    run("tc qdisc delete dev tg0 ingress");
    repair();
    EXPECT_EQ(ways(), "native, clsact");
    EXPECT_TRUE(is_readable(news.fd()));
}

} // namespace
} // namespace tallygate::test
