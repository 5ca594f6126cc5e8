// SPDX-License-Identifier: BSD-2-Clause
//
// Random conversations over a network that loses, repeats and reorders, with blind forgers in
// between. Whatever happens, the gate has open what the server has open.
#include <rapidcheck.h>

#include <sstream>

#include "kernel/endpoint.hpp"
#include "kernel/gate_fixture.hpp"

namespace tallygate::test {
namespace {

enum class Act {
    connect,
    client_says,
    server_says,
    client_closes,
    server_closes,
    server_says_and_closes,
    server_connects,
    client_aborts,
    server_aborts,
    client_vanishes,
    server_vanishes,
    client_retransmits,
    server_retransmits,
    client_keeps_alive,
    to_server,
    to_client,
    lose_to_server,
    lose_to_client,
    repeat_to_server,
    forge,
    settle,
};

struct Step {
    Act act;
    std::size_t pair;
    std::uint32_t choice; ///< which packet of the queue, or how many bytes
    std::uint16_t flags;  ///< of a forgery, as are the numbers
    std::uint32_t seq;
    std::uint32_t ack_seq;
};

std::ostream &operator<<(std::ostream &out, const Step &step)
{
    static constexpr const char *names[] = {
        "connect",        "client says",     "server says",      "client closes",
        "server closes",  "server ends",     "server connects",  "client aborts",
        "server aborts",  "client vanishes", "server vanishes",  "client repeats",
        "server repeats", "keepalive",       "to server",        "to client",
        "lose to server", "lose to client",  "repeat to server", "forge",
        "settle",
    };
    return out << names[static_cast<int>(step.act)] << " " << step.pair << " " << step.choice;
}

/* A forger who sees nothing draws from all numbers: a small size must not make them small. */
rc::Gen<std::uint32_t> any_number()
{
    return rc::gen::resize(
        rc::kNominalSize,
        rc::gen::cast<std::uint32_t>(rc::gen::inRange<std::uint64_t>(0, std::uint64_t{1} << 32)));
}

rc::Gen<Step> any_step()
{
    const auto act = rc::gen::weightedElement<Act>({{6, Act::connect},
                                                    {8, Act::client_says},
                                                    {6, Act::server_says},
                                                    {5, Act::client_closes},
                                                    {5, Act::server_closes},
                                                    {3, Act::server_says_and_closes},
                                                    {6, Act::server_connects},
                                                    {3, Act::client_aborts},
                                                    {2, Act::server_aborts},
                                                    {1, Act::client_vanishes},
                                                    {4, Act::server_vanishes},
                                                    {4, Act::client_retransmits},
                                                    {4, Act::server_retransmits},
                                                    {2, Act::client_keeps_alive},
                                                    {20, Act::to_server},
                                                    {20, Act::to_client},
                                                    {3, Act::lose_to_server},
                                                    {3, Act::lose_to_client},
                                                    {4, Act::repeat_to_server},
                                                    {8, Act::forge},
                                                    {10, Act::settle}});
    const auto flags = rc::gen::elementOf(std::vector<std::uint16_t>{
        syn, ack, ack, ack | psh, fin | ack, rst, rst | ack, syn | ack, 0});
    return rc::gen::map(rc::gen::tuple(act, rc::gen::inRange<std::size_t>(0, 3),
                                       rc::gen::inRange<std::uint32_t>(0, 1000), flags,
                                       any_number(), any_number()),
                        [](const auto &drawn) {
                            return std::apply([](auto... field) { return Step{field...}; }, drawn);
                        });
}

/// The ends of a connection, the networks on both sides of them, and what the gate may not
/// have heard.
struct Pair {
    const char *client_address;
    const char *server_address;
    unsigned client_port;
    Path path;
    Endpoint client;
    Endpoint server;
    Wires to_server{};
    Wires to_client{};
    bool reset_passed = false;         ///< the gate may close on a RST that the server challenges
    bool vanished = false;             ///< nothing told the gate
    std::uint64_t overtaken_total = 0; ///< opened after the server had forgotten the handshake
    /// Opened from both sides at once: the gate knows with the client's next ACK, if one comes.
    bool unseen = false;
    /// The server sent bytes or its FIN before that, so that the gate may not know where it stands,
    /// nor believe who acknowledges them: reconcile's business.
    bool said_unseen = false;
    std::uint64_t never_seen_total = 0;

    /// As the kernel hands over what is longer than a frame: with little more than its headers.
    [[nodiscard]] Packet packet(const Wire &wire, bool in) const
    {
        const auto whole = build(wire, in);
        return wire.payload_bytes > 1460 ? whole.readable_to(128) : whole;
    }

    [[nodiscard]] Packet build(const Wire &wire, bool in) const
    {
        const Tcp tcp{.from = in ? client_port : 25,
                      .to = in ? 25 : client_port,
                      .flags = wire.flags,
                      .seq = wire.seq,
                      .ack_seq = wire.ack_seq,
                      .payload_bytes = wire.payload_bytes};
        const std::string from = in ? client_address : server_address;
        const std::string to = in ? server_address : client_address;
        if (from.find(':') != std::string::npos)
            return Ethernet{} / Ipv6{.from = from, .to = to} / tcp;
        return Ethernet{} / Ipv4{.from = from, .to = to} / tcp;
    }

    [[nodiscard]] tg_flow_key key() const
    {
        return {.client = to_addr(client_address),
                .server = to_addr(server_address),
                .client_port = htons(static_cast<std::uint16_t>(client_port)),
                .server_port = htons(25)};
    }
};

enum class Sender { client, forger };

void append(Wires &queue, const Wires &more)
{
    queue.insert(queue.end(), more.begin(), more.end());
}

class Property : public Gate {
protected:
    void begin(std::uint32_t seed)
    {
        using Role = Endpoint::Role;
        clear_tables();
        base_ = totals();
        pairs_.clear();
        for (const auto &[client, server, port, path] :
             {std::tuple{"192.0.2.10", "198.51.100.25", 40000u, paths[0]},
              std::tuple{"192.0.2.10", "198.51.100.25", 40001u, paths[1]},
              std::tuple{"2001:db8:0:10::10", "2001:db8:0:25::25", 40000u, paths[2]}}) {
            pairs_.push_back(
                {client, server, port, path, {Role::client, seed + 1}, {Role::server, seed + 2}});
            seed += 2;
        }
    }

    void connect_all()
    {
        for (auto &pair : pairs_) {
            append(pair.to_server, pair.client.connect());
            settle(pair);
        }
    }

    /// What is still open ends as most connections do.
    void close_all(bool server_first)
    {
        for (auto &pair : pairs_) {
            for (const bool server_closes : {server_first, !server_first}) {
                if (server_closes)
                    leave(pair, pair.server.close());
                else
                    append(pair.to_server, pair.client.close());
                settle(pair);
            }
        }
    }

    void take(const Step &step)
    {
        auto &pair = pairs_[step.pair];
        auto &in = pair.to_server;
        auto &out = pair.to_client;
        const auto bytes = step.choice % 5 ? step.choice % 900 + 1 : step.choice * 64 + 1;
        switch (step.act) {
        case Act::connect:
            return append(in, pair.client.connect());
        case Act::client_says:
            return append(in, pair.client.say(bytes));
        case Act::client_closes:
            return append(in, pair.client.close());
        case Act::client_aborts:
            return append(in, pair.client.abort());
        case Act::client_retransmits:
            return append(in, pair.client.retransmit());
        case Act::client_keeps_alive:
            return append(in, pair.client.keep_alive());
        case Act::server_says:
            return leave(pair, pair.server.say(bytes));
        case Act::server_closes:
            return leave(pair, pair.server.close());
        case Act::server_says_and_closes:
            return leave(pair, pair.server.say_and_close(bytes));
        case Act::server_connects:
            return leave(pair, pair.server.connect_if_idle());
        case Act::server_aborts:
            return leave(pair, pair.server.abort());
        case Act::server_retransmits:
            return leave(pair, pair.server.retransmit());
        case Act::client_vanishes:
            return pair.client.vanish();
        case Act::server_vanishes:
            pair.vanished = true;
            return pair.server.vanish();
        case Act::to_server:
            return arrive(pair, pull(in, step.choice));
        case Act::to_client:
            return reach_client(pair, pull(out, step.choice));
        case Act::lose_to_server:
            pull(in, step.choice);
            return;
        case Act::lose_to_client:
            pull(out, step.choice);
            return;
        case Act::repeat_to_server:
            if (!in.empty())
                in.push_back(Wire(in[step.choice % in.size()]));
            return;
        case Act::forge:
            return arrive(pair, {{step.flags, step.seq, step.ack_seq, step.choice % 3 * 100}},
                          Sender::forger);
        case Act::settle:
            return settle(pair);
        }
    }

    /// Everything under way arrives, in order, until nobody has anything to say.
    void settle(Pair &pair)
    {
        for (int round = 0; round < 200; round++) {
            if (pair.to_server.empty() && pair.to_client.empty())
                return;
            arrive(pair, pull(pair.to_server, 0));
            reach_client(pair, pull(pair.to_client, 0));
        }
        RC_FAIL("the endpoints of the test never stop talking");
    }

    void expect_agreement()
    {
        const auto sum = totals();
        const auto opened = sum.opened - base_.opened;
        const auto closed = sum.closed - base_.closed;
        RC_ASSERT(closed <= opened);
        RC_ASSERT(opened - closed == flows());

        std::uint64_t established = 0;
        for (const auto &pair : pairs_) {
            established += pair.server.established_total() + pair.overtaken_total -
                           pair.never_seen_total - pair.unseen;
            const bool known = get<tg_flow>(maps().flows, pair.key()).has_value();
            if (pair.server.is_open())
                RC_ASSERT(known || pair.reset_passed || pair.unseen);
            else
                RC_ASSERT(!known || pair.vanished || pair.said_unseen);
        }
        RC_ASSERT(opened == established);
    }

    void expect_agreement_of_sources()
    {
        const auto first = slot_tally("192.0.2.10").value_or(tg_tally{});
        const auto second = slot_tally("2001:db8:0:10::").value_or(tg_tally{});
        const auto sum = totals();
        RC_ASSERT(first.opened + second.opened == sum.opened);
        RC_ASSERT(first.closed + second.closed == sum.closed);
    }

    /// A property that never meets a rule does not test it.
    void expect_that_all_of_it_happened()
    {
        for (const auto verdict : {TG_PASS_SYN, TG_PASS_SYN_ACK_IN, TG_PASS_BAD_ACK, TG_PASS_OPENED,
                                   TG_PASS_OPEN_FLOW, TG_PASS_UNKNOWN_FLOW, TG_PASS_OUT_OF_WINDOW,
                                   TG_PASS_RST_IGNORED, TG_PASS_CLOSED_FIN, TG_PASS_CLOSED_RST})
            EXPECT_GT(count_of(verdict, TG_HOOK_INGRESS), 0u) << verdict_name(verdict);
        for (const auto verdict : {TG_PASS_SYN_ACK, TG_PASS_OPEN_FLOW, TG_PASS_UNKNOWN_FLOW,
                                   TG_PASS_CLOSED_FIN, TG_PASS_CLOSED_RST, TG_PASS_CLOSED_REUSE})
            EXPECT_GT(count_of(verdict, TG_HOOK_EGRESS), 0u) << verdict_name(verdict);
        EXPECT_GT(crossed_total_, 0u) << "nobody opened from both sides at once";
    }

    std::vector<Pair> pairs_;

private:
    static Wires pull(Wires &queue, std::size_t choice)
    {
        if (queue.empty())
            return {};
        const auto at = queue.begin() + static_cast<long>(choice % queue.size());
        const Wires one{*at};
        queue.erase(at);
        return one;
    }

    /// Through the gate and into the server, whose answers pass the gate at once.
    void arrive(Pair &pair, const Wires &wires, Sender sender = Sender::client)
    {
        for (const auto &wire : wires) {
            const auto established = pair.server.established_total();
            const auto verdict = send(pair.packet(wire, true), pair.path.ingress);
            if (wire.flags & rst && sender == Sender::client)
                pair.reset_passed = true;
            const auto answers = pair.server.receive(wire);
            if (pair.server.established_total() != established) {
                RC_ASSERT(verdict == TG_PASS_OPENED || pair.server.is_crossed());
                crossed_total_ += pair.server.is_crossed();
                pair.never_seen_total += pair.unseen;
                pair.unseen = verdict != TG_PASS_OPENED;
                pair.said_unseen = false;
                pair.reset_passed = false;
                pair.vanished = false;
            } else if (verdict == TG_PASS_OPENED && pair.unseen) {
                pair.unseen = false;
            } else if (verdict == TG_PASS_OPENED) {
                /* A RST overtook the last ACK, say: the server's answer closes at once. */
                RC_ASSERT(pair.reset_passed || pair.vanished);
                pair.overtaken_total++;
            }
            leave(pair, answers);
        }
    }

    void leave(Pair &pair, const Wires &wires)
    {
        for (const auto &wire : wires) {
            send(pair.packet(wire, false), pair.path.egress);
            const bool said = wire.payload_bytes != 0 || wire.flags & fin;
            pair.said_unseen = pair.said_unseen || (pair.unseen && said);
        }
        append(pair.to_client, wires);
    }

    static void reach_client(Pair &pair, const Wires &wires)
    {
        for (const auto &wire : wires)
            append(pair.to_server, pair.client.receive(wire));
    }

    tg_tally base_{};
    std::uint64_t crossed_total_ = 0;
};

TEST_F(Property, TheGateHasOpenWhatTheServerHasOpen)
{
    EXPECT_TRUE(rc::check([this] {
        const auto seed = *any_number();
        const auto steps = *rc::gen::container<std::vector<Step>>(any_step());
        begin(seed);
        if (*rc::gen::arbitrary<bool>())
            connect_all();
        for (const auto &step : steps) {
            take(step);
            expect_agreement();
        }
        for (auto &pair : pairs_)
            settle(pair);
        expect_agreement();
        close_all(seed % 2);
        expect_agreement();
        expect_agreement_of_sources();
    }));
    expect_that_all_of_it_happened();
}

/* A forger who sees nothing: every flag, every number, into open connections and beside them. */
TEST_F(Property, BlindForgersOpenAndCloseNothing)
{
    EXPECT_TRUE(rc::check([this] {
        begin(*any_number());
        connect_all();
        const auto before = totals();
        RC_ASSERT(flows() == 3u);
        for (auto step : *rc::gen::container<std::vector<Step>>(any_step())) {
            const auto &pair = pairs_[step.pair];
            const Wire forged{step.flags, step.seq, step.ack_seq, step.choice % 3 * 100};
            send(pair.packet(forged, true), pair.path.ingress);
        }
        RC_ASSERT(totals().opened == before.opened);
        RC_ASSERT(totals().closed == before.closed);
        RC_ASSERT(flows() == 3u);
    }));
}

} // namespace
} // namespace tallygate::test
