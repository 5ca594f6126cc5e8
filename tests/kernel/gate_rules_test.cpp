// SPDX-License-Identifier: BSD-2-Clause
//
// Modes, lists and limits of the gate as the daemon holds it, on a veth pair of the test's own.
#include <gmock/gmock.h>
#include <net/if.h>

#include <map>
#include <thread>

#include "kernel/gate.hpp"
#include "kernel/limit_options.hpp"
#include "kernel/sandbox.hpp"
#include "kernel/told_ledger.hpp"

namespace tallygate::test {
namespace {

using core::ListNode;
using core::Mode;
using kernel::KernelGate;
using kernel::ListTable;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using namespace std::chrono_literals;

class RuledGate : public PinTest {
protected:
    void SetUp() override { run("ip link add tg0 type veth peer name tg0peer"); }

    kernel::GateOptions options(std::vector<kernel::LimitOption> limits = {}) const
    {
        kernel::GateOptions options;
        options.pin_dir = pin_dir();
        options.sizes = small_sizes();
        options.interfaces = {"tg0"};
        options.services = {{"smtp", {25}, {}}};
        options.networks = {{"wide", block("198.51.0.0/16")}, {"narrow", block("198.51.100.0/24")}};
        options.limits = std::move(limits);
        return options;
    }

    void start(const kernel::GateOptions &with)
    {
        gate_.reset();
        gate_ = must(KernelGate::start(with, ledger_.changes_sink()));
        traffic_.emplace(program_of("xdp"), program_of("tcx_egress"));
    }

    int program_of(const std::string &kind)
    {
        const kernel::LinkName name{must(kernel::current_netns()),
                                    static_cast<int>(::if_nametoindex("tg0")), kind};
        const Fd link{bpf_obj_get((gate_->status().pin_dir + "/links/" + name.text()).c_str())};
        bpf_link_info info{};
        std::uint32_t size = sizeof(info);
        EXPECT_EQ(bpf_obj_get_info_by_fd(link.get(), &info, &size), 0);
        return programs_.emplace_back(bpf_prog_get_fd_by_id(info.prog_id)).get();
    }

    /// How many of so many SYNs get through.
    unsigned pass(const std::string &client, unsigned syns)
    {
        const auto before = dropped();
        for (unsigned i = 0; i < syns; i++)
            traffic_->send_syn(client);
        return syns - static_cast<unsigned>(dropped() - before);
    }

    std::uint64_t dropped() const { return gate_->service_tally(1, Family::ipv4).dropped; }
    std::uint64_t would_drop() const { return gate_->service_tally(1, Family::ipv4).would_drop; }

    void tell_all()
    {
        gate_->walk();
        while (!gate_->walk_claims(64)) {
        }
    }

    ToldLedger ledger_;
    OwnNetwork network_;
    std::unique_ptr<KernelGate> gate_;
    std::vector<Fd> programs_;
    std::optional<Traffic> traffic_;
};

TEST_F(RuledGate, ObservesUntilItIsTold)
{
    start(options({of("a", {"0.0.0.0/32"}, 1h, 3)}));
    EXPECT_EQ(gate_->mode(), Mode::observe);
    EXPECT_EQ(pass("192.0.2.1", 5), 5U);
    EXPECT_EQ(would_drop(), 2U);
    gate_->set_mode(Mode::enforce, std::nullopt);
    EXPECT_EQ(gate_->mode(), Mode::enforce);
    EXPECT_EQ(gate_->status().mode, "enforce");
    EXPECT_EQ(pass("192.0.2.1", 5), 0U);
    gate_->set_mode(Mode::observe, std::nullopt);
    EXPECT_EQ(pass("192.0.2.1", 5), 5U);
    EXPECT_THAT(gate_->limits(), ElementsAre(core::LimitCounts{"a", 5, 7}));
}

TEST_F(RuledGate, StopsEnforcingByItselfAfterAWhile)
{
    start(options({of("a", {"0.0.0.0/32"}, 1h, 1)}));
    gate_->set_mode(Mode::enforce, 400ms);
    EXPECT_EQ(pass("192.0.2.1", 5), 1U);
    gate_->renew_lease(); // and not beyond
    std::this_thread::sleep_for(500ms);
    EXPECT_EQ(pass("192.0.2.1", 5), 5U) << "whatever becomes of the daemon";
    gate_->renew_lease();
    EXPECT_EQ(gate_->mode(), Mode::observe);
    gate_->set_mode(Mode::enforce, 10min);
    gate_->set_mode(Mode::enforce, std::nullopt);
    gate_->renew_lease();
    EXPECT_EQ(pass("192.0.2.1", 5), 0U) << "confirmed";
}

TEST_F(RuledGate, KeepsTheModeThatWasSetOverAReload)
{
    start(options());
    gate_->set_mode(Mode::enforce, std::nullopt);
    must(gate_->reconfigure(options({of("a", {"0.0.0.0/32"})})));
    EXPECT_EQ(gate_->mode(), Mode::enforce);
    auto other = options();
    other.mode = Mode::enforce;
    must(gate_->reconfigure(other));
    must(gate_->reconfigure(options()));
    EXPECT_EQ(gate_->mode(), Mode::observe) << "the configuration says something else than before";
}

TEST_F(RuledGate, TellsAFloodOfOneSourceAtOnce)
{
    start(options({of("a", {"0.0.0.0/32"}, 1h, 1)}));
    gate_->set_mode(Mode::enforce, std::nullopt);
    EXPECT_EQ(pass("192.0.2.1", 100), 1U);
    tell_all();
    EXPECT_EQ(ledger_.of("192.0.2.1").syn, 100U);
    EXPECT_EQ(ledger_.of("192.0.2.1").dropped, 99U);
    pass("192.0.2.1", 1000);
    tell_all();
    EXPECT_EQ(ledger_.of("192.0.2.1").syn, 1100U);
    EXPECT_EQ(ledger_.of("192.0.2.1").dropped, 1099U);

    std::map<std::string, std::uint64_t> prefixes;
    const auto tell = [&](std::uint32_t first, std::span<const std::uint32_t> syn) {
        for (std::uint32_t i = 0; i < syn.size(); i++)
            if (syn[i] != 0)
                prefixes[Block{Address::from_ipv4((first + i) << 8), 120}.text()] += syn[i];
    };
    while (!gate_->walk_prefixes({.ipv4 = tell, .ipv6 = [](const Block &, std::uint64_t) {}})) {
    }
    EXPECT_THAT(prefixes, ElementsAre(testing::Pair("192.0.2.0/24", 1100)));
}

TEST_F(RuledGate, TellsAFloodOfOneProvenSourceAtOnce)
{
    start(options({of("a", {"0.0.0.0/32"}, 1h, 1)}));
    traffic_->connect("192.0.2.1");
    gate_->set_mode(Mode::enforce, std::nullopt);
    EXPECT_EQ(pass("192.0.2.1", 100), 0U);
    tell_all();
    EXPECT_EQ(ledger_.of("192.0.2.1").syn, 101U);
    EXPECT_EQ(ledger_.of("192.0.2.1").dropped, 100U);
    pass("192.0.2.1", 50);
    EXPECT_TRUE(gate_->refresh(block("192.0.2.1/32")));
    EXPECT_EQ(ledger_.of("192.0.2.1").dropped, 150U) << "an answer is up to date";
}

TEST_F(RuledGate, BlocksAndAllows)
{
    start(options());
    gate_->set_mode(Mode::enforce, std::nullopt);
    must(gate_->change_lists({{block("192.0.2.0/24"), ListNode::never, ListNode::for_good}}, {}));
    EXPECT_EQ(pass("192.0.2.1", 2), 0U);
    must(gate_->replace_lists(
        must(ListTable::build({{block("192.0.2.0/24"), ListNode::never, ListNode::for_good},
                               {block("192.0.2.1/32"), ListNode::for_good, ListNode::for_good}},
                              gate_->lists_max()))));
    EXPECT_EQ(pass("192.0.2.1", 2), 2U);
    EXPECT_EQ(pass("192.0.2.2", 2), 0U);
    for (const auto &table : gate_->status().tables)
        if (table.name == "lists") {
            EXPECT_EQ(table.entries, 2U);
        }
    must(gate_->change_lists({}, {block("192.0.2.0/24"), block("192.0.2.1/32")}));
    EXPECT_EQ(pass("192.0.2.2", 2), 2U);
}

TEST_F(RuledGate, KeepsTheListsOfTheLastDaemonInForce)
{
    start(options());
    must(gate_->change_lists({{block("192.0.2.0/24"), ListNode::never, ListNode::for_good}}, {}));
    traffic_.reset();
    auto enforcing = options();
    enforcing.mode = Mode::enforce;
    start(enforcing);
    EXPECT_EQ(pass("192.0.2.1", 2), 0U);
    must(gate_->replace_lists(must(ListTable::build({}, gate_->lists_max()))));
    EXPECT_EQ(pass("192.0.2.1", 2), 2U);
}

TEST_F(RuledGate, KnowsWhatIsOpenInANetworkThatMoved)
{
    auto limit = of_networks("a", {"wide"});
    limit.rate.reset();
    limit.live_max = 2;
    auto before = options({limit});
    before.networks = {{"wide", block("198.51.100.0/24")}};
    start(before);
    gate_->set_mode(Mode::enforce, std::nullopt);
    traffic_->connect("198.51.100.1");
    const auto second = traffic_->connect("198.51.100.2");
    EXPECT_EQ(pass("198.51.100.3", 1), 0U);

    auto wider = options({limit}); // the /24 is "narrow", inside of "wide" now
    must(gate_->reconfigure(wider));
    EXPECT_EQ(pass("198.51.7.1", 1), 0U) << "with the two that are open in the /24";
    traffic_->disconnect(second);
    EXPECT_EQ(pass("198.51.7.1", 1), 1U);

    wider.networks.pop_back();
    must(gate_->reconfigure(wider));
    gate_->walk();
    gate_->walk();
    EXPECT_EQ(pass("198.51.7.1", 1), 1U) << "one is open";
    traffic_->connect("198.51.7.2");
    EXPECT_EQ(pass("198.51.7.1", 1), 0U);
}

TEST_F(RuledGate, RefusesLimitsThatCannotBe)
{
    EXPECT_THAT(message_of(KernelGate::start(options({of_networks("a", {"nowhere"})}),
                                             ledger_.changes_sink())),
                HasSubstr("limit a is for network nowhere"));
    start(options({of("a", {"0.0.0.0/32"}, 1h, 1)}));
    gate_->set_mode(Mode::enforce, std::nullopt);
    EXPECT_THAT(message_of(gate_->reconfigure(options({of_networks("a", {"nowhere"})}))),
                HasSubstr("limit a is for network nowhere"));
    EXPECT_EQ(pass("192.0.2.1", 5), 1U);
}

TEST_F(RuledGate, CountsWhatHappensToItsTables)
{
    start(options({of("a", {"0.0.0.0/32"}, 1h, 1)}));
    for (int i = 0; i < 16; i++)
        for (int j = 1; j < 255; j++)
            traffic_->send_syn("10.0." + std::to_string(i) + "." + std::to_string(j));
    std::map<std::string, std::uint64_t> events;
    for (const auto &row : gate_->table_events())
        events[row.event] = row.count;
    EXPECT_GT(events["claim_evicted_owing"], 1000U) << "of 1024 that there is room for";
    EXPECT_EQ(events.count("list_write_retried"), 1U);
}

TEST(EventHistory, KnowsWhatIsRecent)
{
    kernel::EventHistory history;
    std::uint64_t count = 5;
    const auto read = [&] { return std::vector<kernel::TableEventCount>{{"a", count}}; };
    EXPECT_EQ(history.growth(read(), 0), 0U) << "nobody knows since when";
    history.note(0s, read);
    history.note(60s, read);
    count = 7;
    EXPECT_EQ(history.growth(read(), 0), 2U);
    history.note(119s, read);
    EXPECT_EQ(history.growth(read(), 0), 2U);
    history.note(120s, read);
    EXPECT_EQ(history.growth(read(), 0), 2U);
    history.note(180s, read);
    EXPECT_EQ(history.growth(read(), 0), 0U);
}

TEST_F(RuledGate, ExplainsTheNextSyn)
{
    auto dry = of("dry", {"0.0.0.0/24"}, 1h, 1);
    dry.action = kernel::LimitOption::Action::count;
    auto claimed = of("newcomers", {"0.0.0.0/0"}, 1h, 9);
    claimed.who = kernel::LimitOption::Who::claimed;
    auto held = of_networks("held", {"wide"}, 1h, 5);
    held.live_max = 7;
    start(options({of("source", {"0.0.0.0/32"}, 1h, 3), dry, claimed, held}));
    traffic_->connect("198.51.100.1");
    pass("198.51.100.1", 1);

    auto told = must(gate_->explain(address("198.51.100.1"), 1));
    EXPECT_EQ(told.source, address("198.51.100.1"));
    EXPECT_TRUE(told.is_proven);
    EXPECT_EQ(told.tally->opened, 1U);
    EXPECT_EQ(told.network, "narrow");
    EXPECT_EQ(told.claimed_syn, 1U) << "before it was proven";
    ASSERT_EQ(told.limits.size(), 4U);
    EXPECT_EQ(told.limits[0].limit, "source");
    EXPECT_EQ(told.limits[0].scope, "source");
    EXPECT_EQ(told.limits[0].holder, "198.51.100.1/32");
    EXPECT_EQ(told.limits[0].syns_left, 1U);
    EXPECT_EQ(told.limits[1].limit, "dry");
    EXPECT_EQ(told.limits[1].holder, "198.51.100.0/24");
    EXPECT_EQ(told.limits[1].verdict, "prefix_rate");
    EXPECT_TRUE(told.limits[1].counts_only);
    EXPECT_GT(told.limits[1].conforms_in, 59min);
    EXPECT_EQ(told.limits[2].limit, "held");
    EXPECT_EQ(told.limits[2].scope, "network");
    EXPECT_EQ(told.limits[2].holder, "wide");
    EXPECT_EQ(told.limits[2].live, 1U);
    EXPECT_EQ(told.limits[2].live_max, 7U);
    EXPECT_EQ(told.limits[3].limit, "newcomers");
    EXPECT_FALSE(told.limits[3].applies);
    EXPECT_EQ(told.verdict, "would_drop_prefix_rate");

    pass("198.51.100.1", 1);
    gate_->set_mode(Mode::enforce, std::nullopt);
    EXPECT_EQ(must(gate_->explain(address("198.51.100.1"), 1)).verdict, "drop_source_rate");
    EXPECT_EQ(must(gate_->explain(address("203.0.113.1"), 1)).verdict, "pass_syn");
}

TEST_F(RuledGate, ExplainsWithWhatTheCpusHoldBack)
{
    start(options({of("source", {"0.0.0.0/32"}, 1h, 3)}));
    gate_->set_mode(Mode::enforce, std::nullopt);
    EXPECT_EQ(pass("198.51.100.1", 20), 3U);
    const auto newcomer = must(gate_->explain(address("198.51.100.1"), 1));
    EXPECT_EQ(newcomer.claimed_syn, 20U);
    EXPECT_EQ(newcomer.claimed_dropped, 17U);

    traffic_->connect("198.51.100.2");
    EXPECT_EQ(pass("198.51.100.2", 20), 2U);
    const auto proven = must(gate_->explain(address("198.51.100.2"), 1));
    EXPECT_EQ(proven.tally->syn, 20U);
    EXPECT_EQ(proven.tally->dropped, 18U);
    EXPECT_EQ(proven.claimed_syn, 1U) << "before it was proven";
}

TEST_F(RuledGate, ExplainsWhatTheListsSay)
{
    start(options());
    const auto end = std::chrono::time_point_cast<std::chrono::nanoseconds>(
        std::chrono::system_clock::now() + 1h);
    must(gate_->change_lists({{block("192.0.2.0/24"), ListNode::never, end},
                              {block("192.0.2.1/32"), ListNode::for_good, end}},
                             {}));
    auto told = must(gate_->explain(address("192.0.2.9"), 1));
    EXPECT_EQ(told.verdict, "would_drop_blocked");
    EXPECT_LT(std::chrono::abs(told.block_until - end), 1s);
    EXPECT_EQ(told.allow_until, ListNode::never);
    told = must(gate_->explain(address("192.0.2.1"), 1));
    EXPECT_EQ(told.verdict, "pass_syn");
    EXPECT_EQ(told.allow_until, ListNode::for_good);
}

TEST_F(RuledGate, RemembersWhoWasProvenBefore)
{
    auto claimed = of("newcomers", {"0.0.0.0/0"}, 1h, 1);
    claimed.who = kernel::LimitOption::Who::claimed;
    auto with = options({claimed});
    with.proven_before["smtp"] = {{address("192.0.2.1"), {}}};
    with.proven_before["a service that is gone"] = {{address("192.0.2.2"), {}}};
    start(with);
    gate_->set_mode(Mode::enforce, std::nullopt);
    EXPECT_TRUE(must(gate_->explain(address("192.0.2.1"), 1)).is_proven);
    EXPECT_EQ(pass("192.0.2.2", 3), 1U);
    EXPECT_EQ(pass("192.0.2.1", 3), 3U);
}

} // namespace
} // namespace tallygate::test
