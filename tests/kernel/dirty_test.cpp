// SPDX-License-Identifier: BSD-2-Clause
//
// Whatever changes a slot of a source or a way of a claim marks it, and nothing else: of what is
// not marked the daemon never hears.
#include <functional>
#include <set>

#include "kernel/limited_gate.hpp"

namespace tallygate::test {
namespace {

using Places = std::set<std::uint32_t>;

constexpr const char *known = "192.0.2.1";
constexpr const char *newcomer = "192.0.2.2";
constexpr const char *ipv6_newcomer = "2001:db8:1:2::3";
constexpr int gathered_max = 1024;
constexpr Limit one_an_hour{.interval_ns = 3600 * second_ns, .burst = 1};

class Dirty : public OneCpuGate {
public:
    using LimitedGate::connect;
    using LimitedGate::disconnect;
    using LimitedGate::limit_newcomers;
    using LimitedGate::limit_source;
    using LimitedGate::send_syn;
    using LimitedGate::send_syns;

    /// From as many /24, so that no prefix gathers.
    void send_from_many(unsigned count)
    {
        for (unsigned i = 0; i < count; i++, next_++)
            send_syn("10." + std::to_string(next_ / 256) + "." + std::to_string(next_ % 256) +
                     ".1");
    }
    void begin(const std::string &address, unsigned port)
    {
        send_syn(address, port);
        send(conversation_from(address, port).packet({server, syn | ack, 0, 1, 0, TG_PASS_SYN_ACK}),
             Program::tc_egress);
    }
    void acknowledge(const std::string &address, unsigned port)
    {
        send(conversation_from(address, port).packet({client, ack, 1, 1, 0, TG_PASS_OPENED}));
    }
    void finish(const std::string &address)
    {
        const auto conversation = conversation_from(address);
        send(conversation.packet({client, fin | ack, 1, 1, 0, TG_PASS_OPEN_FLOW}));
        send(conversation.packet({server, fin | ack, 1, 2, 0, TG_PASS_OPEN_FLOW}),
             Program::tc_egress);
        send(conversation.packet({client, ack, 2, 2, 0, TG_PASS_CLOSED_FIN}));
    }
    void answer_under_another_number(const std::string &address)
    {
        auto conversation = conversation_from(address);
        conversation.server_start += 77777;
        send(conversation.packet({server, syn | ack, 0, 1, 0, TG_PASS_CLOSED_REUSE}),
             Program::tc_egress);
    }

protected:
    [[nodiscard]] GateOptions options() const override { return {.prefix_pairs = TG_PREFIX_PAIRS}; }

    /// What is marked, which is so no longer.
    Places take(bpf_map *map)
    {
        Places places;
        for (std::uint32_t word = 0; word < bpf_map__max_entries(map); word++) {
            for (std::uint32_t bit = 0; bit < 64; bit++)
                if (*get<std::uint64_t>(map, word) >> bit & 1)
                    places.insert(word * 64 + bit);
            put(map, word, std::uint64_t{0});
        }
        return places;
    }
    Places take_slots() { return take(maps().dirty_sources); }
    Places take_buckets() { return take(maps().dirty_claims); }

    std::uint32_t slot_of(const std::string &address)
    {
        const tg_source_key key{.addr = to_addr(address), .service = smtp, .reserved = 0};
        return get<std::uint32_t>(maps().source_index, key).value_or(~0U);
    }
    /// Where this address has a way.
    Places buckets_of(const std::string &address)
    {
        const auto addr = to_addr(address);
        Places buckets;
        for (std::uint32_t i = 0; i < bpf_map__max_entries(maps().claims); i++) {
            const auto bucket = get<tg_claims>(maps().claims, i);
            for (const auto &source : bucket->sources)
                if (std::memcmp(&source, &addr, sizeof(addr)) == 0)
                    buckets.insert(i);
        }
        return buckets;
    }

private:
    unsigned next_ = 0;
};

struct Writer {
    const char *name;
    std::function<void(Dirty &)> prepare;
    std::function<void(Dirty &)> act;
};

// clang-format off
const Writer slot_writers[] = {
    {"a SYN", [](Dirty &) {}, [](Dirty &gate) { gate.send_syn(known, 40001); }},
    {"a SYN that is dropped",
     [](Dirty &gate) { gate.limit_source(one_an_hour); gate.send_syn(known, 40001); },
     [](Dirty &gate) { gate.send_syn(known, 40002); }},
    {"SYNs that were held back",
     [](Dirty &gate) {
         gate.limit_source(one_an_hour);
         gate.send_syns(known, 2 + gathered_max - 1);
     },
     [](Dirty &gate) { gate.send_syn(known); }},
    {"a connection that opens", [](Dirty &gate) { gate.begin(known, 40001); },
     [](Dirty &gate) { gate.acknowledge(known, 40001); }},
    {"a RST", [](Dirty &) {}, [](Dirty &gate) { gate.disconnect(known); }},
    {"the last acknowledgement of two FINs", [](Dirty &) {},
     [](Dirty &gate) { gate.finish(known); }},
    {"the next connection between the same ends", [](Dirty &) {},
     [](Dirty &gate) { gate.answer_under_another_number(known); }},
};

const Writer claim_writers[] = {
    {"the first SYN", [](Dirty &) {}, [](Dirty &gate) { gate.send_syn(newcomer); }},
    {"the next SYN", [](Dirty &gate) { gate.send_syn(newcomer); },
     [](Dirty &gate) { gate.send_syn(newcomer); }},
    {"a SYN that is dropped",
     [](Dirty &gate) { gate.limit_source(one_an_hour); gate.send_syn(newcomer); },
     [](Dirty &gate) { gate.send_syn(newcomer); }},
    {"SYNs that were held back",
     [](Dirty &gate) {
         gate.limit_source(one_an_hour);
         gate.send_syns(newcomer, 2 + gathered_max - 1);
     },
     [](Dirty &gate) { gate.send_syn(newcomer); }},
    {"SYNs that waited in a batch",
     [](Dirty &gate) {
         gate.send_syn(newcomer);
         gate.limit_newcomers(one_an_hour);
         gate.send_from_many(64 + TG_BATCH_SYNS); // so that its prefix gathers no more
         gate.send_syn(newcomer, 2);
     },
     [](Dirty &gate) { gate.send_from_many(TG_BATCH_SYNS); }},
};
// clang-format on

TEST_F(Dirty, IsTheSlotOfAKnownSourceAfter)
{
    for (const auto &row : slot_writers) {
        SCOPED_TRACE(row.name);
        TearDown();
        forget_limits();
        SetUp();
        tg_progress reached{};
        reached.sources_high_water = 200; // his mark is not in the first word
        put(maps().progress, std::uint32_t{0}, reached);
        connect(known);
        row.prepare(*this);
        take_slots();
        row.act(*this);
        EXPECT_EQ(take_slots(), Places{slot_of(known)});
    }
}

TEST_F(Dirty, IsTheBucketOfANewcomerAfter)
{
    for (const auto &row : claim_writers) {
        SCOPED_TRACE(row.name);
        TearDown();
        forget_limits();
        SetUp();
        row.prepare(*this);
        take_buckets();
        row.act(*this);
        const auto buckets = buckets_of(newcomer);
        EXPECT_EQ(buckets.size(), 1u);
        EXPECT_EQ(take_buckets(), buckets);
        EXPECT_EQ(take_slots(), Places{});
    }
}

/* It may be the way of another until then, of which the daemon goes on telling. */
TEST_F(Dirty, IsTheBucketInWhichAKnownSourceGetsAWay)
{
    connect(known);
    const auto before = buckets_of(known);
    put(maps().claims, *before.begin(), tg_claims{});
    limit_source(one_an_hour);
    take_buckets();
    send_syn(known, 40001);
    EXPECT_EQ(buckets_of(known), before);
    EXPECT_EQ(take_buckets(), before);
}

TEST_F(Dirty, IsTheSourceOfAnIpv6Client)
{
    send_syn(ipv6_newcomer);
    EXPECT_EQ(take_buckets(), buckets_of("2001:db8:1:2::"));
    connect(ipv6_newcomer);
    EXPECT_EQ(take_slots(), Places{slot_of("2001:db8:1:2::")});
}

TEST_F(Dirty, IsNothingAfterAPacketThatCountsNowhere)
{
    connect(known);
    take_slots();
    take_buckets();
    const auto conversation = conversation_from(known);
    send(conversation.packet({client, ack, 1, 1, 100, TG_PASS_OPEN_FLOW}));
    send(conversation.packet({server, ack, 1, 101, 100, TG_PASS_OPEN_FLOW}), Program::tc_egress);
    EXPECT_EQ(take_slots(), Places{});
    EXPECT_EQ(take_buckets(), Places{});
}

} // namespace
} // namespace tallygate::test
