// SPDX-License-Identifier: BSD-2-Clause
//
// Packets through Replay: it runs the gate's own programs, sends each packet to the right one,
// and knows what it cannot know.
#include "kernel/replay.hpp"

#include <gmock/gmock.h>

#include <fstream>
#include <iterator>
#include <numeric>

#include "gate.skel.h"
#include "kernel/conversation.hpp"
#include "kernel/limit_options.hpp"
#include "kernel/map_view.hpp"
#include "kernel/program_tag.hpp"
#include "kernel/replay_roles.hpp"
#include "kernel/sandbox.hpp"
#include "kernel/totals.hpp"

namespace tallygate::test {
namespace {

using kernel::Frame;
using kernel::Replay;
using kernel::ReplayCounts;
using kernel::ReplayOptions;

const Segments handshake = {
    {client, syn, 0, 0, 0, TG_PASS_SYN},
    {server, syn | ack, 0, 1, 0, TG_PASS_SYN_ACK},
    {client, ack, 1, 1, 0, TG_PASS_OPENED},
};
const Segments fins = {
    {client, fin | ack, 1, 1, 0, TG_PASS_OPEN_FLOW},
    {server, fin | ack, 1, 2, 0, TG_PASS_OPEN_FLOW},
    {client, ack, 2, 2, 0, TG_PASS_CLOSED_FIN},
};

ReplayOptions for_port_25()
{
    ReplayOptions options;
    options.services = {{"smtp", {25}, {}}};
    options.packets_bound = 1000;
    return options;
}

ReplayOptions for_any_port()
{
    ReplayOptions options;
    options.any_port_service = "all";
    options.packets_bound = 1000;
    return options;
}

/// A packet's bytes with `captured` of them in the capture.
void feed(Replay &replay, const std::vector<std::uint8_t> &bytes, std::size_t captured,
          std::chrono::nanoseconds time = std::chrono::hours(1))
{
    Frame frame;
    frame.bytes = std::span{bytes}.first(captured);
    frame.wire_bytes = static_cast<std::uint32_t>(bytes.size());
    frame.is_cut = captured < bytes.size();
    frame.time = time;
    must(replay.feed(frame));
}

void feed(Replay &replay, const Packet &packet,
          std::chrono::nanoseconds time = std::chrono::hours(1))
{
    feed(replay, packet.bytes, packet.bytes.size(), time);
}

void feed(Replay &replay, const Conversation &conversation, const Segments &segments)
{
    for (const auto &segment : segments)
        feed(replay, conversation.build(segment));
}

/// What this packet alone is to a gate that has seen nothing; none if it was skipped.
std::optional<tg_verdict> verdict_of(Replay &replay, const std::vector<std::uint8_t> &bytes,
                                     std::size_t captured)
{
    const auto before = replay.report().verdicts;
    feed(replay, bytes, captured);
    for (int verdict = 0; verdict < TG_VERDICT_COUNT; verdict++)
        if (replay.report().verdicts[static_cast<std::size_t>(verdict)] !=
            before[static_cast<std::size_t>(verdict)])
            return static_cast<tg_verdict>(verdict);
    return std::nullopt;
}

/// Both families of the first service, by the gate's own count.
core::Tally tally(const Replay &replay)
{
    const auto totals = must(kernel::Totals::open(replay.skeleton().obj));
    auto sum = totals.service(1, Family::ipv4);
    sum += totals.service(1, Family::ipv6);
    return sum;
}

TEST(Replay, RunsTheInstructionsThatGuardACard)
{
    const auto replay = must(Replay::load(for_port_25()));
    std::unique_ptr<gate, void (*)(gate *)> attached{gate::open_and_load(), gate::destroy};
    ASSERT_NE(attached, nullptr);
    const auto &programs = attached->progs;

    EXPECT_EQ(replay.program_tag().size(), 16u);
    EXPECT_EQ(replay.program_tag(), kernel::program_tag(bpf_program__fd(programs.gate_xdp)));
    EXPECT_EQ(replay.egress_program_tag(),
              kernel::program_tag(bpf_program__fd(programs.gate_tc_egress)));
}

/// A RST far outside of the window, under the gate's rule and without it: BROKEN_GATE is the gate
/// with that one rule replaced, see CMakeLists.txt.
TEST(Replay, ChangesWhenARuleOfTheGateDoes)
{
    std::ifstream file{BROKEN_GATE, std::ios::binary};
    const std::vector<char> broken{std::istreambuf_iterator<char>{file}, {}};
    ASSERT_FALSE(broken.empty()) << BROKEN_GATE;
    const Segments blind_rst = {{client, rst, 100'000'000, 0, 0, TG_PASS_RST_IGNORED}};

    auto replay = must(Replay::load(for_port_25()));
    feed(replay, {}, handshake + blind_rst);
    EXPECT_EQ(replay.report().total.live(), 1u);
    EXPECT_EQ(replay.report().verdicts[TG_PASS_RST_IGNORED], 1u);

    auto options = for_port_25();
    options.object = std::as_bytes(std::span{broken});
    auto changed = must(Replay::load(options));
    feed(changed, {}, handshake + blind_rst);
    EXPECT_EQ(changed.report().total.live(), 0u);
    EXPECT_EQ(changed.report().total.closed_rst, 1u);
    EXPECT_NE(changed.program_tag(), replay.program_tag());
}

TEST(Replay, CountsWhatTheGateTallies)
{
    for (const auto &options : {for_port_25(), for_any_port()}) {
        auto replay = must(Replay::load(options));
        for (unsigned port = 40000; port < 40020; port++) {
            auto conversation = port % 2 ? Conversation{} : ipv6_conversation();
            conversation.client_port = port;
            feed(replay, conversation, port % 3 ? handshake + fins : handshake);
        }
        feed(replay, {.client_port = 40001, .server_start = 9000}, handshake);
        feed(replay, Ethernet{} / Ipv4{} / Tcp{.to = 26});

        const auto &total = replay.report().total;
        const auto gates = tally(replay);
        EXPECT_EQ(total.syn, gates.syn);
        EXPECT_EQ(total.opened, gates.opened);
        EXPECT_EQ(total.closed(), gates.closed);
        EXPECT_GE(total.opened, 21u);
        EXPECT_EQ(replay.report().packets,
                  replay.report().skipped + std::accumulate(replay.report().verdicts.begin(),
                                                            replay.report().verdicts.end(),
                                                            std::uint64_t{0}));
    }
}

TEST(Replay, TakesFramesOfEverySize)
{
    auto replay = must(Replay::load(for_port_25()));
    auto bytes = (Ethernet{} / Ipv4{} / Tcp{.payload_bytes = 3500}).bytes;

    for (std::size_t size = 0; size <= bytes.size(); size += size < 100 ? 1 : 97) {
        const std::vector<std::uint8_t> frame{bytes.begin(),
                                              bytes.begin() + static_cast<std::ptrdiff_t>(size)};
        feed(replay, frame, frame.size());
    }
    feed(replay, std::vector<std::uint8_t>(200'000, 0xff), 200'000);
    EXPECT_EQ(replay.report().skipped, 0u);
}

/// A capture may cut a packet anywhere. Either we say that we cannot know, or what we say of it
/// is what we say of the whole.
TEST(Replay, NeverJudgesACutPacketOtherwiseThanTheWhole)
{
    const struct {
        const char *name;
        Packet packet;
        std::size_t enough; ///< so many bytes tell all
    } rows[] = {
        {"IPv4", Ethernet{} / Ipv4{} / Tcp{}, 54},
        {"TCP options", Ethernet{} / Ipv4{} / Tcp{.option_words = 10}, 54},
        {"IPv4 options", Ethernet{} / Ipv4{.option_words = 5} / Tcp{.option_words = 5}, 74},
        {"a VLAN", Ethernet{} / Vlan{} / Ipv4{} / Tcp{}, 58},
        {"IPv6", Ethernet{} / Ipv6{} / Tcp{.option_words = 3}, 74},
        {"IPv6 options",
         Ethernet{} / Ipv6{} / Options{.number = 60, .words = 3, .length = {}} /
             Tcp{.option_words = 3},
         106},
        {"no flags", Ethernet{} / Ipv4{} / Tcp{.flags = 0}, 54},
        {"a header too short", Ethernet{} / Ipv4{} / Tcp{.header_words = 4}, 54},
        {"a length beyond the frame", Ethernet{} / Ipv4{.total_bytes = 2000} / Tcp{}, 34},
        {"not TCP", Ethernet{} / Ipv4{} / Udp{}, 34},
        {"not IP", Ethernet{.type = 0x0806} / Udp{}, 14},
        {"another port", Ethernet{} / Ipv4{} / Tcp{.to = 26}, 38},
        {"a later fragment", Ethernet{} / Ipv4{.fragment = 100} / Tcp{}, 34},
    };
    auto replay = must(Replay::load(for_port_25()));

    for (const auto &row : rows) {
        const auto whole = verdict_of(replay, row.packet.bytes, row.packet.bytes.size());
        for (std::size_t captured = 0; captured < row.packet.bytes.size(); captured++) {
            const auto cut = verdict_of(replay, row.packet.bytes, captured);
            EXPECT_TRUE(!cut || cut == whole) << row.name << " cut to " << captured;
            EXPECT_TRUE(cut || captured < row.enough) << row.name << " cut to " << captured;
        }
    }
}

TEST(Replay, KnowsALongPacketByItsWireLength)
{
    auto replay = must(Replay::load(for_port_25()));
    const Segments data = {{server, ack, 1, 1, 60000, TG_PASS_OPEN_FLOW}};
    const Segments end = {{server, fin | ack, 60001, 1, 0, TG_PASS_OPEN_FLOW},
                          {client, fin | ack, 1, 60002, 0, TG_PASS_OPEN_FLOW},
                          {server, ack, 60002, 2, 0, TG_PASS_CLOSED_FIN}};

    feed(replay, {}, handshake);
    feed(replay, Conversation{}.build(data[0]).bytes, 96);
    feed(replay, {}, end);
    EXPECT_EQ(replay.report().total.closed_fin, 1u);
}

TEST(Replay, CountsASourceAtItsService)
{
    auto options = for_any_port();
    options.by_source = true;
    auto replay = must(Replay::load(options));

    feed(replay, {}, handshake + fins);
    feed(replay, ipv6_conversation(), handshake);
    const auto &sources = replay.report().sources;
    ASSERT_EQ(sources.size(), 2u);
    EXPECT_EQ(sources.at({"all", address("192.0.2.10")}).closed_fin, 1u);
    EXPECT_EQ(sources.at({"all", address("2001:db8:0:10::")}).live(), 1u);
}

TEST(Replay, ForgetsTheOlderHalfOfAFloodAndNoOpenFlow)
{
    kernel::ReplayRoles roles{64};
    packet_facts facts{};
    facts.ends.server_port = htons(6000);
    facts.ports_known = true;
    facts.syn = true;

    facts.ends.client_port = htons(1);
    EXPECT_TRUE(roles.is_from_client(facts));
    roles.note(facts, TG_PASS_OPENED);
    for (std::uint16_t port = 2; port < 2000; port++) {
        facts.ends.client_port = htons(port);
        EXPECT_TRUE(roles.is_from_client(facts));
        EXPECT_LE(roles.size(), 65u);
    }

    facts.syn = false;
    facts.ends.client_port = htons(1);
    EXPECT_TRUE(roles.is_from_client(facts)) << "its port is the lower one, but it is open";
    roles.note(facts, TG_PASS_CLOSED_FIN);
    EXPECT_FALSE(roles.is_from_client(facts));
    facts.ends.client_port = htons(1999);
    EXPECT_TRUE(roles.is_from_client(facts)) << "the newest of the flood";
}

/// When captures are made: so much more than a machine's uptime that it is another case.
constexpr std::chrono::seconds begin{1'700'000'000};

/// Ten SYNs of one source and three of another within a second, over and over.
void feed_floods(Replay &replay, std::chrono::seconds time)
{
    Conversation flood;
    Conversation other;
    flood.client_address = "192.0.2.1";
    other.client_address = "203.0.113.1";
    for (int i = 0; i < 10; i++) {
        flood.client_port = other.client_port = static_cast<unsigned>(20000 + i);
        feed(replay, flood.build({client, syn, 0, 0, 0, TG_PASS_SYN}), time);
        if (i < 3)
            feed(replay, other.build({client, syn, 0, 0, 0, TG_PASS_SYN}), time);
    }
}

struct LimitedRun {
    const char *name;
    kernel::Mode mode;
    kernel::LimitOption::Action action;
    bool drops;
};

TEST(Replay, SaysTheSameOfWhatWouldBeDroppedAndWhatIs)
{
    using namespace std::chrono_literals;
    using kernel::Mode;
    using Action = kernel::LimitOption::Action;
    const LimitedRun runs[] = {
        {"nothing is enforced", Mode::observe, Action::drop, false},
        {"it is", Mode::enforce, Action::drop, true},
        {"a dry run", Mode::enforce, Action::count, false},
    };
    for (const auto &run : runs) {
        SCOPED_TRACE(run.name);
        auto options = for_port_25();
        options.mode = run.mode;
        options.by_source = true;
        options.limits = {of("per-source", {"0.0.0.0/32"}, 1s, 5)};
        options.limits[0].action = run.action;
        auto replay = must(Replay::load(options));
        feed_floods(replay, begin);      // 5 and 3 conform
        feed_floods(replay, begin + 2s); // 2 more, and 3

        const auto &report = replay.report();
        const auto &source =
            report.sources.at({.service = "smtp", .address = address("192.0.2.1")});
        EXPECT_EQ(report.total.syn, 26u);
        EXPECT_EQ(source.syn, 20u);
        for (const auto &counts : {report.total, report.services.at("smtp"), source}) {
            EXPECT_EQ(counts.dropped, run.drops ? 13u : 0u);
            EXPECT_EQ(counts.would_drop, run.drops ? 0u : 13u);
        }
        EXPECT_THAT(report.limits, testing::ElementsAre(core::LimitCounts{
                                       "per-source", run.drops ? 13u : 0u, run.drops ? 0u : 13u}));
    }
}

TEST(Replay, TakesListsWhoseEndsAreTimesOfTheCapture)
{
    using namespace std::chrono_literals;
    using core::ListNode;
    auto options = for_port_25();
    options.mode = kernel::Mode::enforce;
    options.lists = {{block("192.0.2.0/24"), ListNode::never, core::UnixTime{begin + 1s}}};
    auto replay = must(Replay::load(options));
    feed_floods(replay, begin);
    feed_floods(replay, begin + 2s);
    EXPECT_EQ(replay.report().total.dropped, 10u);
    EXPECT_EQ(replay.report().total.syn, 26u);
    EXPECT_EQ(replay.report().verdicts[TG_DROP_BLOCKED], 10u);
}

TEST(Replay, HoldsOnWhenTheCapturesClockIsWrong)
{
    using namespace std::chrono_literals;
    auto options = for_port_25();
    options.limits = {of("per-source", {"0.0.0.0/32"}, 1s, 5)};
    auto replay = must(Replay::load(options));

    feed_floods(replay, 0s); // a card without a clock; 5 and 3 conform
    EXPECT_EQ(replay.report().total.would_drop, 5u);
    feed_floods(replay, begin); // it has been set: as many again
    EXPECT_EQ(replay.report().total.would_drop, 10u);
    feed_floods(replay, begin + 1h); // the clock stands, and nothing comes back
    EXPECT_EQ(replay.report().total.would_drop, 10u + 10 + 1);
}

TEST(Replay, KnowsTheNetworksAroundAClient)
{
    using namespace std::chrono_literals;
    auto options = for_port_25();
    options.networks = {{"outer", block("192.0.0.0/8")}, {"inner", block("192.0.2.0/24")}};
    options.limits = {of_networks("around", {"outer"}, 1s, 4),
                      of_networks("longest", {"inner"}, 1s, 100)};
    auto replay = must(Replay::load(options));
    feed_floods(replay, begin);
    EXPECT_THAT(replay.report().limits, testing::ElementsAre(core::LimitCounts{"around", 0, 6},
                                                             core::LimitCounts{"longest", 0, 0}));
}

TEST(Replay, RefusesLimitsThatCannotBe)
{
    auto options = for_port_25();
    options.limits = {of_networks("a", {"sender"})};
    EXPECT_EQ(message_of(Replay::load(options)),
              "limit a is for network sender, which is not configured");
}

} // namespace
} // namespace tallygate::test
