// SPDX-License-Identifier: BSD-2-Clause
//
// A daemon of another layout finds what holds the cards, and takes them over.
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <sys/socket.h>

#include <atomic>
#include <thread>

#include "kernel/interfaces.hpp"
#include "kernel/map_view.hpp"

namespace tallygate::test {
namespace {

constexpr unsigned before = TG_ABI_VERSION + 40;

class ChangedLayout : public OnInterfaces {
protected:
    struct Way {
        const char *name;
        Tcx tcx;
        Attach attach;
    };
    static constexpr Way ways[] = {{"XDP and tcx", Tcx::allowed, Attach::automatic},
                                   {"tcx", Tcx::allowed, Attach::tc},
                                   {"clsact", Tcx::denied, Attach::tc}};

    void SetUp() override
    {
        OnInterfaces::SetUp();
        attachments_.reset();
        program_.reset();
        pins_.reset();
        must(kernel::detach_all(pin_dir()));
    }

    std::string old_path() const { return pin_dir() + "/v" + std::to_string(before); }
    std::vector<std::string> old_links() const
    {
        return kernel::list_directory(old_path() + "/links");
    }

    /// The program ids on an interface, and the links they are on.
    static std::vector<std::uint32_t> programs_on(const std::string &interface)
    {
        std::vector<std::uint32_t> ids{xdp_program(interface)};
        for (const int direction : {tcx_ingress, tcx_egress})
            for (const auto id : tcx_programs(interface, direction))
                ids.push_back(id);
        for (const auto direction : {BPF_TC_INGRESS, BPF_TC_EGRESS})
            ids.push_back(clsact_program(interface, direction));
        return ids;
    }

    LogLines log_;
};

TEST_F(ChangedLayout, TakesCardsOverThroughTheirLinks)
{
    start_daemon(Tcx::allowed, before);
    must(apply({"tg0", "tg1"}));
    const auto xdp_link = link_id("tg0", "xdp");
    const auto tcx_link = link_id("tg0", "tcx_egress");
    const auto names = links();

    start_daemon();
    EXPECT_FALSE(program_->maps_adopted());
    must(apply({"tg0", "tg1"}));
    EXPECT_THAT(rows(*attachments_),
                ElementsAre("tg0 ingress native adopted", "tg0 egress tcx adopted",
                            "tg1 ingress native adopted", "tg1 egress tcx adopted"));
    for (const auto *interface : {"tg0", "tg1"}) {
        EXPECT_EQ(xdp_program(interface), program_id(program_->xdp_fd()));
        EXPECT_THAT(tcx_programs(interface, tcx_egress),
                    ElementsAre(program_id(program_->tc_egress_fd())));
    }
    EXPECT_EQ(link_id("tg0", "xdp"), xdp_link) << "there was no moment without a program";
    EXPECT_EQ(link_id("tg0", "tcx_egress"), tcx_link);
    EXPECT_EQ(links(), names);
    EXPECT_THAT(old_links(), IsEmpty());
    EXPECT_THAT(pins_->other_layouts(), ElementsAre("v" + std::to_string(before)));
    EXPECT_THAT(kernel::list_directory(old_path()), testing::Contains("sources"));
}

TEST_F(ChangedLayout, TakesFiltersOver)
{
    start_daemon(Tcx::denied, before);
    must(apply({"tg0"}, Attach::tc));
    start_daemon(Tcx::denied);
    must(apply({"tg0"}, Attach::tc));
    EXPECT_THAT(rows(*attachments_),
                ElementsAre("tg0 ingress clsact adopted", "tg0 egress clsact adopted"));
    EXPECT_EQ(clsact_program("tg0", BPF_TC_INGRESS), program_id(program_->tc_ingress_fd()));
    EXPECT_EQ(clsact_program("tg0", BPF_TC_EGRESS), program_id(program_->tc_egress_fd()));
    EXPECT_EQ(links().size(), 2U);
    EXPECT_THAT(old_links(), IsEmpty());
}

TEST_F(ChangedLayout, TakesOverInAnotherWay)
{
    start_daemon(Tcx::allowed, before);
    must(apply({"tg0"}, Attach::generic));
    start_daemon();
    must(apply({"tg0"}, Attach::tc));
    EXPECT_THAT(rows(*attachments_), ElementsAre("tg0 ingress tcx", "tg0 egress tcx adopted"));
    EXPECT_EQ(xdp_program("tg0"), 0U);
    EXPECT_THAT(old_links(), IsEmpty());
}

TEST_F(ChangedLayout, GivesBackWhatItTookWhenItCannotHaveAll)
{
    for (const auto &way : ways) {
        SCOPED_TRACE(way.name);
        start_daemon(way.tcx, before);
        must(apply({"tg0"}, way.attach));
        const auto programs = programs_on("tg0");
        const auto names = old_links();
        ASSERT_EQ(names.size(), 2U);

        const auto stranger = load_stranger();
        ASSERT_EQ(bpf_xdp_attach(index_of("tg1"), stranger.get(), XDP_FLAGS_DRV_MODE, nullptr), 0);
        start_daemon(way.tcx);
        ASSERT_FALSE(apply({"tg0", "tg1"}, Attach::native));
        EXPECT_EQ(programs_on("tg0"), programs) << "the old programs are back";
        EXPECT_EQ(old_links(), names);
        EXPECT_THAT(links(), IsEmpty());
        must(kernel::detach_all(pin_dir()));
        expect_nothing_on("tg0");
        ASSERT_EQ(bpf_xdp_detach(index_of("tg1"), XDP_FLAGS_DRV_MODE, nullptr), 0);
    }
}

TEST_F(ChangedLayout, TakesOffWhatIsNoLongerConfigured)
{
    for (const auto &way : ways) {
        SCOPED_TRACE(way.name);
        start_daemon(way.tcx, before);
        must(apply({"tg0", "tg1"}, way.attach));
        start_daemon(way.tcx);
        must(apply({"tg1"}, way.attach));
        expect_nothing_on("tg0");
        EXPECT_THAT(old_links(), IsEmpty());
        must(apply({}));
    }
}

TEST_F(ChangedLayout, EndsWhatACrashLeftWithTwoPins)
{
    for (const auto &way : ways) {
        SCOPED_TRACE(way.name);
        start_daemon();
        start_daemon(way.tcx, before);
        must(apply({"tg0"}, way.attach));
        for (const auto &name : old_links()) { // as it is before the old pin goes
            const Fd pinned{bpf_obj_get((old_path() + "/links/" + name).c_str())};
            const auto own = pin_dir() + "/v" + std::to_string(TG_ABI_VERSION) + "/links/" + name;
            ASSERT_EQ(bpf_obj_pin(pinned.get(), own.c_str()), 0) << own;
        }
        start_daemon(way.tcx);
        must(apply({"tg0"}, way.attach));
        EXPECT_THAT(old_links(), IsEmpty());
        EXPECT_EQ(links().size(), 2U);
        EXPECT_THAT(attachments_->problems(), IsEmpty());
        must(apply({}));
    }
}

TEST_F(ChangedLayout, LeavesWhatIsNotOurs)
{
    const auto stranger = load_stranger();
    start_daemon(Tcx::allowed, before);
    const Fd link{bpf_link_create(stranger.get(), index_of("tg0"), BPF_XDP, nullptr)};
    ASSERT_EQ(bpf_obj_pin(link.get(), link_path("tg0", "xdp").c_str()), 0);
    start_daemon();
    EXPECT_THAT(message_of(apply({"tg0"})), HasSubstr("'stranger'"));
    EXPECT_EQ(xdp_program("tg0"), program_id(stranger.get()));
    EXPECT_EQ(old_links().size(), 1U);
}

TEST_F(ChangedLayout, IsDetachedWithAllOthers)
{
    start_daemon(Tcx::allowed, before);
    must(apply({"tg0"}));
    start_daemon(Tcx::denied);
    must(apply({"tg1"}, Attach::tc));
    start_daemon(Tcx::allowed, before + 1);
    must(apply({"tg0"}, Attach::generic));

    const auto done = must(kernel::detach_all(pin_dir()));
    EXPECT_THAT(done, testing::Contains("removed the maps in " + old_path()));
    expect_nothing_on("tg0");
    expect_nothing_on("tg1");
    EXPECT_FALSE(std::filesystem::exists(pin_dir()));
}

/// SYNs on a cable, one after the other, until it is destroyed.
class SynSender {
public:
    explicit SynSender(int ifindex)
        : socket_(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL)))
    {
        wire_ = Conversation{}.packet({Side::client, syn, 0, 0, 0, TG_PASS_SYN}).wire();
        to_.sll_family = AF_PACKET;
        to_.sll_ifindex = ifindex;
        thread_ = std::thread([this] {
            while (!stop_) {
                const auto bytes = ::sendto(socket_.get(), wire_.data(), wire_.size(), 0,
                                            reinterpret_cast<const sockaddr *>(&to_), sizeof(to_));
                sent_ += bytes == static_cast<ssize_t>(wire_.size()) ? 1 : 0;
            }
        });
    }
    SynSender(const SynSender &) = delete;
    ~SynSender() { stop(); }

    std::uint64_t sent() const { return sent_; }
    void stop()
    {
        stop_ = true;
        if (thread_.joinable())
            thread_.join();
    }

private:
    Fd socket_;
    std::vector<std::uint8_t> wire_;
    sockaddr_ll to_{};
    std::atomic<bool> stop_ = false;
    std::atomic<std::uint64_t> sent_ = 0;
    std::thread thread_;
};

TEST_F(ChangedLayout, LeavesNoPacketUnguarded)
{
    const auto syns_in = [&](unsigned layout) {
        const auto pin = pin_dir() + "/v" + std::to_string(layout) + "/verdict_counts";
        const Fd map{bpf_obj_get(pin.c_str())};
        const auto view = must(kernel::PerCpuView<std::uint64_t>::open(map.get(), "verdicts"));
        std::uint64_t sum = 0;
        static_assert(TG_HOOK_INGRESS == 0);
        for (const auto count : view.at(std::uint32_t{TG_PASS_SYN}))
            sum += count;
        return sum;
    };
    const auto watch_smtp = [&] {
        const std::uint32_t port = 25;
        const tg_port entry{.service = 1, .listed = 0, .leaving = 0};
        ASSERT_EQ(bpf_map_update_elem(program_->map_fd("ports"), &port, &entry, BPF_ANY), 0);
    };
    run("ip link set tg0 up && ip link set tg0peer up");
    start_daemon(Tcx::allowed, before);
    watch_smtp();
    must(apply({"tg0"}));

    SynSender sender{index_of("tg0peer")};
    while (sender.sent() < 1000)
        std::this_thread::yield();
    start_daemon();
    watch_smtp();
    must(apply({"tg0"}));
    const auto then = sender.sent();
    while (sender.sent() < then + 1000)
        std::this_thread::yield();
    sender.stop();

    EXPECT_GT(syns_in(before), 0U);
    EXPECT_GT(syns_in(TG_ABI_VERSION), 0U);
    EXPECT_EQ(syns_in(before) + syns_in(TG_ABI_VERSION), sender.sent());
}

} // namespace
} // namespace tallygate::test
