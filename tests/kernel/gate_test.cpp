// SPDX-License-Identifier: BSD-2-Clause
//
// The gate as the daemon holds it: on a veth pair in a network namespace of the test's own.
#include "kernel/gate.hpp"

#include <gmock/gmock.h>
#include <net/if.h>

#include <map>

#include "kernel/sandbox.hpp"

namespace tallygate::test {
namespace {

using kernel::KernelGate;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

class WholeGate : public PinTest {
protected:
    void SetUp() override
    {
        run("ip link add tg0 type veth peer name tg0peer");
        run("ip link add tg1 type veth peer name tg1peer");
    }

    kernel::GateOptions options() const
    {
        kernel::GateOptions options;
        options.pin_dir = pin_dir();
        options.sizes = small_sizes();
        options.interfaces = {"tg0"};
        options.services = {{"smtp", {25}, {}}, {"submission", {587}, {}}};
        options.networks = {{"wide", block("192.0.0.0/16")}, {"narrow", block("192.0.2.0/24")}};
        return options;
    }

    Result<std::unique_ptr<KernelGate>> try_start(const kernel::GateOptions &with)
    {
        return KernelGate::start(with, [this](std::span<const core::SourceChange> changes) {
            for (const auto &change : changes) {
                opened_[change.source.text()] += change.opened;
                syns_ += change.syn;
            }
        });
    }

    void start(const kernel::GateOptions &with)
    {
        gate_.reset();
        gate_ = must(try_start(with));
    }

    /// The program that a pinned attachment runs.
    Fd program_of(const std::string &kind) const
    {
        const kernel::LinkName name{must(kernel::current_netns()),
                                    static_cast<int>(::if_nametoindex("tg0")), kind};
        const auto path = gate_->status().pin_dir + "/links/" + name.text();
        const Fd link{bpf_obj_get(path.c_str())};
        bpf_link_info info{};
        std::uint32_t size = sizeof(info);
        EXPECT_EQ(bpf_obj_get_info_by_fd(link.get(), &info, &size), 0) << path;
        return Fd{bpf_prog_get_fd_by_id(info.prog_id)};
    }

    /// Clients before the gate that is attached.
    Traffic &traffic()
    {
        if (!traffic_) {
            xdp_ = program_of("xdp");
            egress_ = program_of("tcx_egress");
            traffic_ = std::make_unique<Traffic>(xdp_.get(), egress_.get());
        }
        return *traffic_;
    }

    std::map<std::string, std::uint64_t> verdicts(const std::string &hook) const
    {
        std::map<std::string, std::uint64_t> counts;
        for (const auto &row : gate_->verdicts())
            if (row.hook == hook && row.packets != 0)
                counts[row.verdict] = row.packets;
        return counts;
    }

    std::uint64_t flows(const std::string &cidr, const char *listener = nullptr,
                        std::optional<core::ServiceId> service = std::nullopt) const
    {
        const auto end = listener ? std::optional{endpoint(listener)} : std::nullopt;
        return must(gate_->count_flows(block(cidr), end, service));
    }

    std::map<std::string, std::uint64_t> opened_;
    std::uint64_t syns_ = 0;
    OwnNetwork network_;
    std::unique_ptr<KernelGate> gate_;
    Fd xdp_;
    Fd egress_;
    std::unique_ptr<Traffic> traffic_;
};

TEST_F(WholeGate, StartsAndSaysWhatItIs)
{
    start(options());
    const auto status = gate_->status();
    EXPECT_EQ(status.mode, "observe");
    EXPECT_FALSE(status.strict);
    EXPECT_EQ(status.pin_dir, pin_dir() + "/v" + std::to_string(TG_ABI_VERSION));
    EXPECT_EQ(status.layout, unsigned{TG_ABI_VERSION});
    EXPECT_EQ(status.program_tag.size(), 16U);
    EXPECT_GT(status.counting_since, core::UnixTime{});
    EXPECT_THAT(status.attachments, testing::SizeIs(2));
    EXPECT_THAT(status.warnings, IsEmpty());
    EXPECT_FALSE(gate_->maps_adopted());
    EXPECT_EQ(gate_->ipv6_source_bits(), 64U);
    EXPECT_THAT(gate_->service_ids(), ElementsAre(Pair("smtp", 1), Pair("submission", 2)));

    std::map<std::string, std::uint64_t> sizes;
    for (const auto &table : status.tables)
        sizes[table.name] = table.entries_max;
    EXPECT_THAT(sizes,
                ElementsAre(Pair("claims", 1024), Pair("flows", 256), Pair("ipv6_prefixes", 256),
                            Pair("lists", 64), Pair("networks", 16), Pair("pending", 1024),
                            Pair("rates", 256), Pair("sources", 64)));
}

TEST_F(WholeGate, CountsEachPacketOnce)
{
    start(options());
    const auto closed = traffic().connect("192.0.2.1");
    traffic().connect("192.0.7.1", 587);
    traffic().connect("2001:db8::1");
    traffic().disconnect(closed);
    traffic().send_stranger();

    EXPECT_THAT(verdicts("ingress"),
                ElementsAre(Pair("pass_closed_rst", 1), Pair("pass_not_watched", 1),
                            Pair("pass_opened", 3), Pair("pass_syn", 3)));
    EXPECT_THAT(verdicts("egress"), ElementsAre(Pair("pass_syn_ack", 3)));

    const auto smtp4 = gate_->service_tally(1, Family::ipv4);
    EXPECT_EQ(smtp4, (core::Tally{.syn = 1, .opened = 1, .closed = 1}));
    EXPECT_EQ(gate_->service_tally(1, Family::ipv6), (core::Tally{.syn = 1, .opened = 1}));
    EXPECT_EQ(gate_->service_tally(2, Family::ipv4), (core::Tally{.syn = 1, .opened = 1}));
    EXPECT_EQ(gate_->service_tally(2, Family::ipv6), core::Tally{});

    const auto networks = gate_->networks();
    ASSERT_EQ(networks.size(), 2U);
    EXPECT_EQ(networks[0].name, "wide");
    EXPECT_EQ(networks[0].tally.opened, 2U);
    EXPECT_EQ(networks[1].tally.opened, 1U);
    for (const auto &table : gate_->status().tables)
        if (table.name == "flows" || table.name == "networks") {
            EXPECT_EQ(table.entries, 2U) << table.name;
        }
}

TEST_F(WholeGate, CountsFlowsByBlockListenerAndService)
{
    start(options());
    traffic().connect("192.0.2.1");
    traffic().connect("192.0.2.1");
    traffic().connect("192.0.7.1", 587);
    traffic().connect("2001:db8::1");
    const auto closed = traffic().connect("192.0.2.9");
    traffic().disconnect(closed);

    EXPECT_EQ(flows("0.0.0.0/0"), 3U);
    EXPECT_EQ(flows("::/0"), 1U);
    EXPECT_EQ(flows("192.0.2.0/24"), 2U);
    EXPECT_EQ(flows("192.0.2.9/32"), 0U) << "closed";
    EXPECT_EQ(flows("0.0.0.0/0", "198.51.100.25:25"), 2U);
    EXPECT_EQ(flows("0.0.0.0/0", "198.51.100.25:587"), 1U);
    EXPECT_EQ(flows("0.0.0.0/0", "198.51.100.26:25"), 0U);
    EXPECT_EQ(flows("0.0.0.0/0", nullptr, 2), 1U);
    EXPECT_EQ(flows("0.0.0.0/0", nullptr, 3), 0U);
}

TEST_F(WholeGate, TellsItsSinkByWalkAndByRefresh)
{
    start(options());
    traffic().connect("192.0.2.1");
    traffic().connect("192.0.7.1");
    EXPECT_THAT(opened_, IsEmpty());
    EXPECT_TRUE(gate_->refresh(block("192.0.2.0/24")));
    EXPECT_THAT(opened_, ElementsAre(Pair("192.0.2.1", 1)));
    gate_->walk();
    EXPECT_THAT(opened_, ElementsAre(Pair("192.0.2.1", 1), Pair("192.0.7.1", 1)));
    EXPECT_EQ(syns_, 0U);
    EXPECT_TRUE(gate_->walk_claims(1024));
    EXPECT_EQ(syns_, 2U);
}

TEST_F(WholeGate, GoesOnWhereTheLastDaemonEnded)
{
    start(options());
    const auto since = gate_->counting_since();
    traffic().connect("192.0.2.1");
    gate_.reset();
    traffic().connect("192.0.2.1"); // nobody at home, and it counts

    start(options());
    EXPECT_TRUE(gate_->maps_adopted());
    EXPECT_EQ(gate_->counting_since(), since);
    EXPECT_EQ(flows("192.0.2.1/32"), 2U);
    EXPECT_EQ(gate_->networks()[1].tally.opened, 2U);
    for (const auto &one : gate_->status().attachments)
        EXPECT_TRUE(one.adopted) << one.direction;
}

TEST_F(WholeGate, TakesOtherOptionsAndLosesNoCount)
{
    start(options());
    traffic().connect("192.0.2.1");

    auto other = options();
    other.interfaces = {"tg0", "tg1"};
    other.mode = kernel::Mode::enforce;
    other.strict = true;
    other.services = {{"submission", {587}, {}}, {"lmtp", {24}, {}}, {"smtp", {25}, {}}};
    other.networks = {{"narrow", block("192.0.2.0/24")}};
    must(gate_->reconfigure(other));
    EXPECT_EQ(gate_->status().mode, "enforce");
    EXPECT_TRUE(gate_->status().strict);
    EXPECT_EQ(gate_->status().attachments.size(), 4U);
    EXPECT_EQ(gate_->service_ids().at("smtp"), 1);
    EXPECT_EQ(flows("192.0.2.1/32"), 1U);
    ASSERT_EQ(gate_->networks().size(), 1U);
    EXPECT_EQ(gate_->networks()[0].tally.opened, 1U);
    traffic().connect("192.0.2.1", 24);
    EXPECT_EQ(gate_->service_tally(3, Family::ipv4).opened, 1U);
}

TEST_F(WholeGate, StaysAsItIsWhenNewOptionsCannotBe)
{
    start(options());
    traffic().connect("192.0.2.1");

    auto bad_interface = options();
    bad_interface.interfaces = {"tg1", "tgnowhere"};
    bad_interface.mode = kernel::Mode::enforce;
    bad_interface.services = {{"other", {26}, {}}};
    bad_interface.networks = {};
    EXPECT_EQ(message_of(gate_->reconfigure(bad_interface)), "interface tgnowhere does not exist");

    auto many = options();
    many.mode = kernel::Mode::enforce;
    for (int i = 0; i < 20; i++)
        many.networks.push_back({"n", block("198.51.100." + std::to_string(i) + "/32")});
    EXPECT_THAT(message_of(gate_->reconfigure(many)), HasSubstr("no room for network"));

    EXPECT_EQ(gate_->status().mode, "observe");
    EXPECT_EQ(gate_->status().attachments.size(), 2U);
    EXPECT_EQ(gate_->status().attachments[0].interface, "tg0");
    EXPECT_EQ(gate_->networks().size(), 2U);
    EXPECT_THAT(gate_->service_ids(), ElementsAre(Pair("smtp", 1), Pair("submission", 2)));
    traffic().connect("192.0.2.1");
    EXPECT_EQ(gate_->service_tally(1, Family::ipv4).opened, 2U);
    EXPECT_EQ(gate_->networks()[1].tally.opened, 2U);
}

TEST_F(WholeGate, BecomesAGatewayAndAHostAgain)
{
    start(options());
    EXPECT_FALSE(gate_->is_gateway());
    auto gateway = options();
    gateway.inside = {"tg1"};
    must(gate_->reconfigure(gateway));
    EXPECT_TRUE(gate_->is_gateway());
    EXPECT_EQ(gate_->status().attachments[1].interface, "tg1");
    EXPECT_EQ(gate_->status().attachments[1].direction, "egress");

    gateway.inside = {"tgnowhere"};
    EXPECT_EQ(message_of(gate_->reconfigure(gateway)), "interface tgnowhere does not exist");
    EXPECT_TRUE(gate_->is_gateway());
    must(gate_->reconfigure(options()));
    EXPECT_FALSE(gate_->is_gateway());
}

TEST_F(WholeGate, LooksIntoTheTunnelsOfThoseWhoAreConfiguredNow)
{
    auto balanced = options();
    const auto syns = [&](const std::string &balancer) {
        const auto before = verdicts("ingress")["pass_syn"];
        auto wire = (Ethernet{} / Ipv4{.from = balancer} / (Ethernet{} / Ipv4{} / Tcp{})).wire();
        bpf_test_run_opts run{};
        run.sz = sizeof(run);
        run.data_in = wire.data();
        run.data_size_in = static_cast<std::uint32_t>(wire.size());
        EXPECT_EQ(bpf_prog_test_run_opts(program_of("xdp").get(), &run), 0);
        return verdicts("ingress")["pass_syn"] - before;
    };

    balanced.tunnels_from = {block("203.0.113.9/32")};
    start(balanced);
    EXPECT_EQ(syns("203.0.113.9"), 1U);
    EXPECT_EQ(syns("203.0.113.10"), 0U);
    balanced.tunnels_from = {block("203.0.113.10/32")};
    must(gate_->reconfigure(balanced));
    EXPECT_EQ(syns("203.0.113.9"), 0U);
    EXPECT_EQ(syns("203.0.113.10"), 1U);
    must(gate_->reconfigure(options()));
    EXPECT_EQ(syns("203.0.113.10"), 0U);
}

TEST_F(WholeGate, DoesNotStartWhereItCannot)
{
    auto nowhere = options();
    nowhere.interfaces = {"tg0", "tgnowhere"};
    EXPECT_EQ(message_of(try_start(nowhere)), "interface tgnowhere does not exist");
    EXPECT_FALSE(std::filesystem::exists(pin_dir())) << "nothing was made";

    start(options());
    EXPECT_THAT(message_of(try_start(options())), HasSubstr("another tallygated holds"));
}

TEST_F(WholeGate, WarnsOfWhatItFinds)
{
    start(options());
    std::filesystem::create_directory(pin_dir() + "/v99");
    EXPECT_THAT(gate_->status().warnings, ElementsAre(HasSubstr(pin_dir() + "/v99")));
    std::filesystem::remove(pin_dir() + "/v99");
    for (int i = 0; i < 70; i++) // of 64 that there is room for
        traffic().connect("203.0.113." + std::to_string(i));
    EXPECT_THAT(gate_->status().warnings, Contains("table sources is over 90 % full"));
    EXPECT_THAT(gate_->status().warnings, Contains(HasSubstr("left as pass_sources_full")));
    run("ip link delete tg0");
    EXPECT_THAT(gate_->status().warnings, Contains(HasSubstr("tg0: the interface is gone")));
}

} // namespace
} // namespace tallygate::test
