// SPDX-License-Identifier: BSD-2-Clause
//
// The same connection on two CPUs at once: both hooks, or the same one twice, or a packet and
// the daemon's order to close. Whoever is first, a flow opens once and closes once.
#include <sys/mman.h>
#include <unistd.h>

#include "kernel/conversation.hpp"
#include "kernel/gate_fixture.hpp"
#include "kernel/partner.hpp"
#include "reconcile.skel.h"

namespace tallygate::test {
namespace {

constexpr unsigned rounds = 10'000;
constexpr std::uint32_t later = 500'000'000; ///< where the next incarnation's numbers start

struct Race {
    const char *name;
    Segments before;
    Segments mine;
    Segments theirs;
};

// clang-format off
const Segments asked = {
    {server, syn | ack,       0, 1,   0, TG_PASS_SYN_ACK},
};
const Segments opened = asked + Segments{
    {client, ack,             1, 1,   0, TG_PASS_OPENED},
};
const Segments both_fins = opened + Segments{
    {client, fin | ack,       1, 1,   0, TG_PASS_OPEN_FLOW},
    {server, fin | ack,       1, 1,   0, TG_PASS_OPEN_FLOW},
};
const Segment client_rst =   {client, rst,       1, 0, 0, TG_PASS_CLOSED_RST};
const Segment server_rst =   {server, rst,       1, 0, 0, TG_PASS_CLOSED_RST};
const Segment client_ack =   {client, ack,       2, 2, 0, TG_PASS_CLOSED_FIN};
const Segment server_ack =   {server, ack,       2, 2, 0, TG_PASS_CLOSED_FIN};

/* Each begins with one flow, and ends with none. */
const Race races[] = {
    {"both sides reset",                  opened,    {client_rst}, {server_rst}},
    {"the client resets twice",           opened,    {client_rst}, {client_rst}},
    {"the server resets twice",           opened,    {server_rst}, {server_rst}},
    {"the last ACK of each side",         both_fins, {client_ack}, {server_ack}},
    {"the client's last ACK, and a RST",  both_fins + Segments{server_ack}, {client_ack},
        {server_rst}},
    {"the server's last ACK, and a RST",  both_fins + Segments{client_ack}, {client_rst},
        {server_ack}},
    {"the client's last ACK twice",       both_fins + Segments{server_ack}, {client_ack},
        {client_ack}},
    {"a FIN that ends it, and a RST",     opened + Segments{
        {server, fin | ack,   1, 1,   0, TG_PASS_OPEN_FLOW},
        {client, ack,         1, 2,   0, TG_PASS_OPEN_FLOW}},
        {{client, fin | ack,  1, 2,   0, TG_PASS_OPEN_FLOW}, client_rst},
        {{server, ack,        2, 2,   0, TG_PASS_CLOSED_FIN}, server_rst}},
    {"a RST, and the next incarnation",   opened,    {client_rst},
        {{server, syn | ack,  later, later + 1, 0, TG_PASS_CLOSED_REUSE}}},
    {"data, and RSTs",                    opened,
        {{client, ack,        1, 1,  10, TG_PASS_OPEN_FLOW}, client_rst},
        {{server, ack,        1, 1,  10, TG_PASS_OPEN_FLOW}, server_rst}},
};
// clang-format on

struct Frame {
    std::vector<std::uint8_t> wire;
    Program program;
};
using Frames = std::vector<Frame>;

class Races : public Gate {
protected:
    void SetUp() override
    {
        if (!Partner::has_room())
            GTEST_SKIP() << "a race needs two CPUs";
        ASSERT_NO_FATAL_FAILURE(Gate::SetUp());
        partner_.emplace(20260702);
    }

    void TearDown() override { partner_.reset(); }

    [[nodiscard]] GateOptions options() const override { return {.sources_max = 1 << 16}; }

    /// The conversation of a round: its port, its family, and the path its packets take.
    static Conversation conversation_of(unsigned round)
    {
        auto conversation = round % 2 ? ipv6_conversation() : Conversation{};
        conversation.client_port = 1024 + round % 60000;
        return conversation;
    }

    static Frames frames_of(const Segments &segments, const Conversation &conversation,
                            const Path &path)
    {
        Frames frames;
        for (const auto &segment : segments)
            frames.push_back({conversation.packet(segment).wire(),
                              segment.from == client ? path.ingress : path.egress});
        return frames;
    }

    void pass(const Frames &frames)
    {
        for (const auto &frame : frames)
            send_quickly(frame.wire, frame.program);
    }

    void race(const Frames &mine, const Frames &theirs)
    {
        partner_->race([&] { pass(mine); }, [&] { pass(theirs); });
    }

    void expect(std::uint64_t opened_total, std::uint64_t closed_total)
    {
        const auto sum = totals();
        EXPECT_EQ(sum.opened, opened_total);
        EXPECT_EQ(sum.closed, closed_total);
        EXPECT_EQ(flows(), opened_total - closed_total);
    }

    std::optional<Partner> partner_;
};

TEST_F(Races, TheSameAckOpensOneFlowAndProvesOneSource)
{
    for (unsigned round = 0; round < rounds; round++) {
        auto conversation = conversation_of(round);
        const auto bytes = std::to_string(round / 250) + "." + std::to_string(round % 250 + 1);
        conversation.client_address = conversation.ipv6
                                          ? "2001:db8:1:" + std::to_string(round % 9999) + "::1"
                                          : "198.18." + bytes;
        const auto &path = paths[round % std::size(paths)];
        const auto proof = frames_of({opened.back()}, conversation, path);
        pass(frames_of(asked, conversation, path));
        race(proof, proof);
        ASSERT_EQ(flows(), 1u) << round;
        pass(frames_of({server_rst}, conversation, path));
    }
    expect(rounds, rounds);

    /* Of two slots for one source one is given back, and the next source takes that. */
    EXPECT_GT(proven(), rounds / 2);
    EXPECT_LE(get<tg_progress>(maps().progress, 0u)->sources_high_water, proven() + 1);
}

TEST_F(Races, CloseOnceWhoeverIsFirst)
{
    std::uint64_t total = 0;
    for (const auto &row : races) {
        SCOPED_TRACE(row.name);
        for (unsigned round = 0; round < rounds; round++, total++) {
            const auto conversation = conversation_of(round);
            const auto &path = paths[round / 2 % std::size(paths)];
            pass(frames_of(row.before, conversation, path));
            race(frames_of(row.mine, conversation, path),
                 frames_of(row.theirs, conversation, path));
            ASSERT_EQ(flows(), 0u) << round;
        }
        expect(total, total);
    }
    EXPECT_EQ(slot_tally("192.0.2.10")->closed + slot_tally("2001:db8:0:10::")->closed, total);
}

/* An element of the table is used again at once, for another connection: a RST that found the
 * old one there must not close the new one. */
TEST_F(Races, DoNotCloseTheFlowThatTookThePlace)
{
    for (unsigned round = 0; round < rounds; round++) {
        const auto conversation = conversation_of(2 * round);
        const auto next = conversation_of(2 * round + 1);
        const auto &path = paths[round % std::size(paths)];
        const auto last = frames_of({client_rst}, conversation, path);
        auto theirs = frames_of({server_rst}, conversation, path);
        for (auto &frame : frames_of({opened.back()}, next, path))
            theirs.push_back(std::move(frame));

        pass(frames_of(opened, conversation, path));
        pass(frames_of(asked, next, path));
        race(last, theirs);
        ASSERT_EQ(live(), 1) << round;
        pass(frames_of({server_rst}, next, path));
        ASSERT_EQ(flows(), 0u) << round;
    }
    expect(2 * rounds, 2 * rounds);
}

/* Whoever reads a source's slot meanwhile, closed first, sees no live count below zero. */
TEST_F(Races, NeverShowLessThanNothing)
{
    pass(frames_of(opened, conversation_of(0), paths[0]));
    pass(frames_of({server_rst}, conversation_of(0), paths[0]));
    const auto bytes = sizeof(tg_source) * options().sources_max;
    void *const mapped =
        mmap(nullptr, bytes, PROT_READ, MAP_SHARED, bpf_map__fd(maps().sources), 0);
    ASSERT_NE(mapped, MAP_FAILED);
    const volatile tg_tally &tally = static_cast<const tg_source *>(mapped)->tally;

    std::atomic<bool> ends = false;
    std::atomic<std::uint64_t> below = 0;
    std::thread watcher([&] {
        for (; !ends; std::this_thread::yield()) {
            const std::uint64_t closed = tally.closed;
            std::atomic_thread_fence(std::memory_order_acquire);
            below += tally.opened < closed;
        }
    });
    for (unsigned round = 0; round < rounds; round += 2) {
        pass(frames_of(opened, conversation_of(round), paths[0]));
        race(frames_of({client_rst}, conversation_of(round), paths[0]),
             frames_of({server_rst}, conversation_of(round), paths[0]));
    }
    ends = true;
    watcher.join();
    EXPECT_EQ(below, 0u);
    EXPECT_EQ(tally.opened, rounds / 2 + 1);
    EXPECT_EQ(tally.closed, rounds / 2 + 1);
    munmap(mapped, bytes);
}

/// Reconcile's programs over the same maps.
class RacesWithReconcile : public Races {
protected:
    void SetUp() override
    {
        ASSERT_NO_FATAL_FAILURE(Races::SetUp());
        if (IsSkipped())
            return;
        reconcile_.reset(reconcile::open());
        ASSERT_NE(reconcile_, nullptr);
        bpf_map *map = nullptr;
        while ((map = bpf_object__next_map(reconcile_->obj, map))) {
            auto *const shared = bpf_object__find_map_by_name(skeleton()->obj, bpf_map__name(map));
            if (!shared)
                continue; /* its own variables */
            ASSERT_EQ(bpf_map__reuse_fd(map, bpf_map__fd(shared)), 0) << bpf_map__name(map);
        }
        ASSERT_EQ(reconcile::load(reconcile_.get()), 0);
    }

    void TearDown() override
    {
        Races::TearDown();
        reconcile_.reset();
    }

    static tg_flow_key key_of(const Conversation &conversation)
    {
        return {.client = to_addr(conversation.client_address),
                .server = to_addr(conversation.server_address),
                .client_port = htons(static_cast<std::uint16_t>(conversation.client_port)),
                .server_port = htons(static_cast<std::uint16_t>(conversation.server_port))};
    }

    /// As a flow is of which two rounds have found no socket, and no packet.
    tg_closing give_up(const Conversation &conversation)
    {
        const auto key = key_of(conversation);
        auto flow = get<tg_flow>(maps().flows, key).value_or(tg_flow{});
        flow.quiet_seconds = 2;
        flow.absent_rounds = 2;
        put(maps().flows, key, flow);
        return {.state = flow.state, .ends = key, .reason = TG_CLOSING_SOCKET_GONE};
    }

    void end(const tg_closing &closing)
    {
        bpf_test_run_opts run{};
        run.sz = sizeof(run);
        run.data_in = &closing;
        run.data_size_in = sizeof(closing);
        bpf_prog_test_run_opts(bpf_program__fd(reconcile_->progs.end_flow), &run);
    }

private:
    struct Destroy {
        void operator()(reconcile *skeleton) const { reconcile::destroy(skeleton); }
    };
    std::unique_ptr<reconcile, Destroy> reconcile_;
};

TEST_F(RacesWithReconcile, AFlowThatIsGivenUpAndResetClosesOnce)
{
    for (unsigned round = 0; round < rounds; round++) {
        const auto conversation = conversation_of(round);
        const auto &path = paths[round / 2 % std::size(paths)];
        pass(frames_of(opened, conversation, path));
        const auto closing = give_up(conversation);
        const auto last = frames_of({round % 4 < 2 ? client_rst : server_rst}, conversation, path);
        partner_->race([&] { pass(last); }, [&] { end(closing); });
        ASSERT_EQ(flows(), 0u) << round;
    }
    expect(rounds, rounds);
    const auto given_up = get<tg_progress>(maps().progress, 0u)->reconcile_closed;
    EXPECT_GT(given_up, 0u) << "nobody lost";
    EXPECT_LT(given_up, rounds) << "nobody won";
}

} // namespace
} // namespace tallygate::test
