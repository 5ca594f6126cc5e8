// SPDX-License-Identifier: BSD-2-Clause
//
// The slots that the filter remembers spare the index, and decide nothing: a slot is a source's
// only while it says so itself.
#include "kernel/limited_gate.hpp"

namespace tallygate::test {
namespace {

constexpr std::uint16_t submission = 2;

class Met : public LimitedGate {
protected:
    static tg_source_key key_of(const std::string &address, std::uint16_t service = smtp)
    {
        return {.addr = to_addr(address), .service = service, .reserved = 0};
    }
    std::optional<std::uint32_t> slot_of(const std::string &address, std::uint16_t service = smtp)
    {
        return get<std::uint32_t>(maps().source_index, key_of(address, service));
    }
    tg_source source_at(std::uint32_t slot) { return *get<tg_source>(maps().sources, slot); }

    /// Whoever comes may be proven by his bits, and was met in this slot.
    void everybody_was_met_at(std::uint32_t slot)
    {
        for (std::uint32_t i = 0; i < bpf_map__max_entries(maps().proven_filter); i++)
            put(maps().proven_filter, i, tg_filter{.bits = ~std::uint64_t{0}, .met = {slot, slot}});
    }
    bool is_met(std::uint32_t slot)
    {
        for (std::uint32_t i = 0; i < bpf_map__max_entries(maps().proven_filter); i++) {
            const auto filter = *get<tg_filter>(maps().proven_filter, i);
            if (filter.met[0] == slot || filter.met[1] == slot)
                return true;
        }
        return false;
    }
    void forget_index(const std::string &address)
    {
        const auto key = key_of(address);
        ASSERT_EQ(bpf_map__delete_elem(maps().source_index, &key, sizeof(key), 0), 0);
    }
    void change_use(std::uint32_t slot, tg_slot_use use)
    {
        auto source = source_at(slot);
        source.used = use;
        put(maps().sources, slot, source);
    }
    void connect_to(const std::string &address, unsigned server_port)
    {
        auto conversation = conversation_from(address, next_port_++);
        conversation.server_port = server_port;
        send(conversation.packet({client, syn, 0, 0, 0, TG_PASS_SYN}));
        send(conversation.packet({server, syn | ack, 0, 1, 0, TG_PASS_SYN_ACK}),
             Program::tc_egress);
        send(conversation.packet({client, ack, 1, 1, 0, TG_PASS_OPENED}));
    }

private:
    unsigned next_port_ = 50000;
};

TEST_F(Met, SparesTheIndex)
{
    connect("192.0.2.9"); // has the first slot, where everybody's place leads at first
    connect("192.0.2.1");
    const auto slot = *slot_of("192.0.2.1");
    send_syn("192.0.2.1", 40001);
    forget_index("192.0.2.1"); // which nobody does but for this
    send_syn("192.0.2.1", 40002);
    connect("192.0.2.1", 40003);
    EXPECT_EQ(source_at(slot).tally.syn, 3u);
    EXPECT_EQ(source_at(slot).tally.opened, 2u);
    EXPECT_EQ(proven(), 1u);
}

struct Neighbours {
    const char *name;
    const char *known;
    const char *newcomer;
};

// clang-format off
const Neighbours neighbours[] = {
    {"another address",                "192.0.2.1",       "192.0.2.2"},
    {"another /64 of the same /32",    "2001:db8:1:2::1", "2001:db8:1:3::1"},
    {"another /32",   "2001:db8::1",     "2001:db9::1"},
    {"another family", "192.0.2.1", "2001:db8::c000:201"},
};
// clang-format on

TEST_F(Met, OfAnotherMakesNobodyProven)
{
    for (const auto &row : neighbours) {
        SCOPED_TRACE(row.name);
        TearDown();
        forget_limits();
        SetUp();
        connect(row.known);
        everybody_was_met_at(0);
        send_syn(row.newcomer);
        EXPECT_EQ(source_at(0).tally.syn, 0u);
        EXPECT_EQ(proven(), 1u);
        EXPECT_EQ(claims(), 2u);
        connect(row.newcomer, 40001);
        EXPECT_EQ(proven(), 2u);
        EXPECT_EQ(source_at(0).tally.opened, 1u);
        EXPECT_EQ(source_at(1).tally.opened, 1u);
    }
}

TEST_F(Met, AtOneServiceIsNotKnownAtAnother)
{
    watch(587, submission);
    connect_to("192.0.2.1", 25);
    everybody_was_met_at(0);
    connect_to("192.0.2.1", 587);
    ASSERT_TRUE(slot_of("192.0.2.1", submission));
    EXPECT_NE(slot_of("192.0.2.1", submission), slot_of("192.0.2.1"));
    EXPECT_EQ(source_at(0).tally.syn, 0u);
    EXPECT_EQ(source_at(0).tally.opened, 1u);
}

TEST_F(Met, AnywhereAtAllIsFoundByTheIndex)
{
    connect("192.0.2.1");
    connect("192.0.2.2");
    for (const std::uint32_t slot : {1U, 2U, options().sources_max, ~0U}) {
        everybody_was_met_at(slot);
        send_syn("192.0.2.1", 40001);
    }
    EXPECT_EQ(source_at(0).tally.syn, 4u);
    EXPECT_EQ(source_at(1).tally.syn, 0u);
}

/* So many that some share a word of the filter and a place in it, whoever comes in between. */
TEST_F(Met, InOnePlaceEachKeepsHisOwnSlot)
{
    const auto address = [](unsigned i) {
        return "10.1." + std::to_string(i / 250) + "." + std::to_string(1 + i % 250);
    };
    constexpr unsigned sources = 250;
    for (std::uint32_t i = 0; i < bpf_map__max_entries(maps().proven_filter); i++)
        put(maps().proven_filter, i, tg_filter{});
    for (unsigned round = 0; round < 2; round++)
        for (unsigned i = 0; i < sources; i++) {
            connect(address(i), 40000 + round);
            send_syn(address(i), 41000 + round);
        }
    for (unsigned i = 0; i < sources; i++) {
        const auto source = source_at(*slot_of(address(i)));
        EXPECT_EQ(source.tally.opened, 2u) << address(i);
        EXPECT_EQ(source.tally.syn, 3u) << address(i);
    }
    unsigned shared = 0;
    for (unsigned i = 0; i < sources; i++)
        shared += is_met(*slot_of(address(i))) ? 0 : 1;
    EXPECT_GT(shared, 0u) << "somebody has taken somebody's place";
}

TEST_F(Met, WhileItIsLeavingAnswersNoMore)
{
    connect("192.0.2.1");
    const auto old_slot = *slot_of("192.0.2.1");
    change_use(old_slot, TG_SLOT_LEAVING);
    send_syn("192.0.2.1", 40001);
    EXPECT_EQ(source_at(old_slot).tally.syn, 1u) << "the index still says so";

    forget_index("192.0.2.1");
    send_syn("192.0.2.1", 40002);
    EXPECT_EQ(source_at(old_slot).tally.syn, 1u);
    connect("192.0.2.1", 40003);
    EXPECT_EQ(source_at(old_slot).tally.opened, 1u);
    const auto slot = slot_of("192.0.2.1");
    ASSERT_TRUE(slot);
    EXPECT_NE(*slot, old_slot);
    send_syn("192.0.2.1", 40004);
    EXPECT_EQ(source_at(*slot).tally.syn, 1u);
    disconnect("192.0.2.1");
    EXPECT_EQ(source_at(old_slot).tally.closed, 1u) << "a flow keeps its slot";
    EXPECT_EQ(source_at(*slot).tally.closed, 0u);
}

/* An entry of the index may become another's while it is read. */
TEST_F(Met, AnIndexThatLeadsToAnothersSlotLeadsNowhere)
{
    connect("192.0.2.1");
    const auto slot = *slot_of("192.0.2.1");
    everybody_was_met_at(~0U);
    put(maps().source_index, key_of("192.0.2.2"), slot);
    send_syn("192.0.2.2");
    EXPECT_EQ(source_at(slot).tally.syn, 0u);
    EXPECT_EQ(claim("192.0.2.2")->syn, 1u);
}

/* What a CPU held back of the last owner may have come after it was emptied. */
TEST_F(Met, ForTheFirstTimeBeginsAtZero)
{
    tg_source left{};
    left.tally.syn = 7;
    left.tally.dropped = 7;
    put(maps().sources, std::uint32_t{0}, left);
    connect("192.0.2.1");
    ASSERT_EQ(slot_of("192.0.2.1"), 0u);
    EXPECT_EQ(source_at(0).tally.syn, 0u);
    EXPECT_EQ(source_at(0).tally.dropped, 0u);
    EXPECT_EQ(source_at(0).tally.opened, 1u);
}

/* As whoever came second leaves it on the stack, with the key and never in use. */
TEST_F(Met, WhereNobodyIsIsNobody)
{
    connect("192.0.2.1");
    const auto slot = *slot_of("192.0.2.1");
    change_use(slot, TG_SLOT_FREE);
    forget_index("192.0.2.1");
    send_syn("192.0.2.1", 40001);
    EXPECT_EQ(source_at(slot).tally.syn, 0u);
    connect("192.0.2.1", 40002);
    EXPECT_NE(slot_of("192.0.2.1"), slot);
}

TEST_F(Met, WhoseSlotIsAnothersByNowCountsNothingThere)
{
    connect("192.0.2.1");
    const auto slot = *slot_of("192.0.2.1");
    disconnect("192.0.2.1");
    forget_index("192.0.2.1");
    put(maps().sources, slot, tg_source{});
    ASSERT_EQ(bpf_map_update_elem(bpf_map__fd(maps().freed_slots), nullptr, &slot, BPF_ANY), 0);
    connect("192.0.2.2");
    ASSERT_EQ(slot_of("192.0.2.2"), slot);

    send_syn("192.0.2.1", 40001);
    connect("192.0.2.1", 40002);
    EXPECT_EQ(source_at(slot).tally.syn, 0u);
    EXPECT_EQ(source_at(slot).tally.opened, 1u);
    EXPECT_EQ(source_at(*slot_of("192.0.2.1")).tally.opened, 1u);
}

} // namespace
} // namespace tallygate::test
