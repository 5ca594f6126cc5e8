/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Open connections, from proven handshake to close. Sequence numbers wrap: they are compared
 * by the sign of their difference, and only ever with numbers of the same side.
 */
#pragma once

#include "dirty.h"
#include "injected.h"
#include "maps.h"
#include "parse.h"
#include "pending.h"
#include "sources.h"
#include "tallies.h"

/*
 * How far from what we know of a flow a client's segment may lie. Ahead: a receive window that
 * Linux gives out (tcp_rmem's largest default is 6 MiB). Behind: a retransmission, a keepalive,
 * an acknowledgement that was overtaken. A blind forger must meet both numbers at once, which
 * one in 2^25 does; without this check its segments would widen the window for its RSTs.
 */
#define SEQUENCE_AHEAD_MAX (8 << 20)
#define SEQUENCE_BEHIND_MAX (1 << 16)

static __always_inline bool is_before(__u32 one, __u32 other)
{
    return (__s32)(one - other) < 0;
}

static __always_inline void advance(__u32 *number, __u32 to)
{
    if (is_before(*number, to))
        *number = to;
}

/* The flow, with its state as it was found, or NULL if none is open between these ends. */
static __always_inline struct tg_flow *find_flow(const struct tg_flow_key *ends, __u64 *state)
{
    struct tg_flow *flow = bpf_map_lookup_elem(&flows, ends);

    if (!flow)
        return NULL;
    *state = *(volatile __u64 *)&flow->state;
    if ((*state & 0xff) == TG_FLOW_OPEN)
        return flow;

    /* Closed, and its removal failed: before 6.7 a map can be busy. Now it goes. */
    bpf_map_delete_elem(&flows, ends);
    return NULL;
}

/*
 * By atomic addition, although each CPU has its own: reconcile opens and closes flows too, and
 * on older kernels a packet's program may interrupt what test-run runs.
 */
static __always_inline void add_one(__u64 *total)
{
    __sync_fetch_and_add(total, 1);
}

static __always_inline void count_opened(const struct tg_flow_key *ends, const struct tg_flow *flow)
{
    struct tg_source *source = find_slot(flow->source_slot);
    struct tg_tally *tally = find_service_tally(flow->service, is_ipv6(&ends->client));

    if (source) {
        add_one(&source->tally.opened);
        mark_slot(flow->source_slot);
    }
    if (tally)
        add_one(&tally->opened);
    tally = find_network_tally(flow->network);
    if (tally)
        add_one(&tally->opened);
    add_network_live(flow->network, 1);
}

/*
 * Closes a flow once. Elements of a hash are recycled at once, so the pointer may by now show
 * another flow. That `ends` still lead here, after `state` was read, says that `state` is theirs;
 * the generation in it says that nothing has changed since. Who loses the exchange counts nothing.
 */
static __always_inline bool close_once(const struct tg_flow_key *ends, struct tg_flow *flow,
                                       __u64 state)
{
    __u32 slot = flow->source_slot;
    struct tg_source *source = find_slot(slot);
    struct tg_tally *service = find_service_tally(flow->service, is_ipv6(&ends->client));
    __u32 network_id = flow->network;
    struct tg_tally *network = find_network_tally(network_id);
    __u64 closed = (state & ~0xffULL) | TG_FLOW_CLOSED;

    if (bpf_map_lookup_elem(&flows, ends) != flow ||
        __sync_val_compare_and_swap(&flow->state, state, closed) != state)
        return false;

    if (source) {
        add_one(&source->tally.closed);
        mark_slot(slot);
    }
    if (service)
        add_one(&service->closed);
    if (network)
        add_one(&network->closed);
    add_network_live(network_id, -1);
    bpf_map_delete_elem(&flows, ends);
    return true;
}

static __always_inline enum tg_verdict close_flow(const struct tg_flow_key *ends,
                                                  struct tg_flow *flow, __u64 state,
                                                  enum tg_verdict verdict)
{
    return close_once(ends, flow, state) ? verdict : TG_PASS_UNKNOWN_FLOW;
}

/*
 * Both sides have said FIN, and each has acknowledged the other's. Asked after every segment
 * on either hook: whichever sees the last acknowledgement closes the flow.
 */
static __always_inline enum tg_verdict close_if_finished(const struct tg_flow_key *ends,
                                                         struct tg_flow *flow, __u64 state)
{
    if (!flow->client_fin_seen && !flow->server_fin_seen)
        return TG_PASS_OPEN_FLOW;

    /*
     * The last two acknowledgements may pass the two hooks at the same moment, on two CPUs.
     * This full barrier, after our own fields are written and before the other hook's are
     * read, is what makes at least one of them see both.
     */
    if (__sync_fetch_and_add(&flow->state, 0) != state)
        return TG_PASS_UNKNOWN_FLOW;
    if (!flow->client_fin_seen || !flow->server_fin_seen ||
        is_before(flow->server_ack, flow->client_fin) ||
        is_before(flow->client_ack, flow->server_fin))
        return TG_PASS_OPEN_FLOW;
    return close_flow(ends, flow, state, TG_PASS_CLOSED_FIN);
}

/* The kernel's own rule for a RST (RFC 5961), or anyone could zero a victim's live count. */
static __always_inline bool is_valid_rst(const struct tg_flow *flow, __u32 seq)
{
    if (flow->client_fin_seen && seq == flow->server_ack - 1)
        return true;
    if (seq == flow->server_ack)
        return true; /* what the server has acknowledged was sent, whether we saw it or not */
    return !is_before(seq, flow->server_ack) && !is_before(flow->client_end, seq);
}

static __always_inline bool is_in_window(const struct tg_flow *flow, const struct packet *packet)
{
    __u32 ahead = packet->seq - flow->server_ack + SEQUENCE_BEHIND_MAX;
    __u32 unsent = flow->server_end - packet->ack_seq; /* wraps far up if never sent */
    __u32 in_flight = flow->server_end - flow->client_ack;

    return ahead <= SEQUENCE_AHEAD_MAX + SEQUENCE_BEHIND_MAX &&
           unsent <= in_flight + SEQUENCE_BEHIND_MAX;
}

static __always_inline void note_client(struct tg_flow *flow, const struct packet *packet)
{
    __u32 end = packet->seq + packet->payload_bytes + packet->fin;

    flow->quiet_seconds = 0;
    advance(&flow->client_end, end);
    advance(&flow->client_ack, packet->ack_seq);
    if (packet->fin) {
        flow->client_fin = end;
        flow->client_fin_seen = 1;
    }
}

/* A packet from the client of an open flow. */
static __always_inline enum tg_verdict follow_client(const struct packet *packet,
                                                     const struct tg_flow_key *ends,
                                                     struct tg_flow *flow, __u64 state)
{
    if (packet->rst)
        return is_valid_rst(flow, packet->seq) ? close_flow(ends, flow, state, TG_PASS_CLOSED_RST)
                                               : TG_PASS_RST_IGNORED;
    if (!is_in_window(flow, packet))
        return TG_PASS_OUT_OF_WINDOW;

    note_client(flow, packet);
    return close_if_finished(ends, flow, state);
}

/* A packet from the server of an open flow: our own kernel's, so its numbers are true. */
static __always_inline enum tg_verdict follow_server(const struct packet *packet,
                                                     const struct tg_flow_key *ends,
                                                     struct tg_flow *flow, __u64 state)
{
    __u32 end = packet->seq + packet->payload_bytes + packet->fin;

    if (packet->rst)
        return close_flow(ends, flow, state, TG_PASS_CLOSED_RST);
    flow->quiet_seconds = 0;

    /* Until now we knew where the server stands by the segment that opened the flow, and that
     * may have overtaken others. */
    if (packet->ack && flow->server_end == flow->server_start)
        flow->server_ack = packet->ack_seq;
    else if (packet->ack)
        advance(&flow->server_ack, packet->ack_seq);
    advance(&flow->server_end, end);
    if (packet->fin) {
        flow->server_fin = end;
        flow->server_fin_seen = 1;
    }
    return close_if_finished(ends, flow, state);
}

/* Different from every other of the same ends, and open. */
static __always_inline __u64 new_state(void)
{
    return (__u64)bpf_get_prandom_u32() << 8 | TG_FLOW_OPEN;
}

/* An ACK of no open flow: if it names the server's number, a connection has just been made. */
static __always_inline enum tg_verdict open_flow(const struct packet *packet,
                                                 const struct tg_flow_key *ends, __u16 service)
{
    struct tg_source_key key = source_key_of(&ends->client, service);
    __u64 hash = hash_ends(ends);
    __u64 expected = pending_word(hash, packet->ack_seq);
    struct tg_pending *bucket = find_pending(hash);
    __u32 way = 0;
    enum tg_verdict verdict = check_ack(bucket, expected, &way);
    struct tg_flow flow = {
        .state = new_state(),
        .client_end = packet->seq,
        .client_ack = packet->ack_seq,
        .server_start = packet->ack_seq,
        .server_end = packet->ack_seq,
        .server_ack = packet->seq,
        .service = service,
    };

    if (verdict != TG_UNDECIDED)
        return verdict;

    flow.source_slot = prove_source(&key);
    if (flow.source_slot == NO_SLOT)
        return TG_PASS_SOURCES_FULL;
    flow.opened_ns = now_ns();
    flow.network = find_network(&ends->client);
    note_client(&flow, packet);

    /* Whoever inserts counts; another CPU with the same ACK finds the flow there. */
    if (bpf_map_update_elem(&flows, ends, &flow, BPF_NOEXIST) != 0)
        return bpf_map_lookup_elem(&flows, ends) ? TG_PASS_OPEN_FLOW : TG_PASS_FLOWS_FULL;
    count_opened(ends, &flow);
    forget_pending(bucket, expected, way);
    return TG_PASS_OPENED;
}

/*
 * The server accepted a SYN. If a flow is open between these ends under another number, the
 * kernel knows better: that connection is over, and this is the next one. Under the same
 * number it is a retransmission, and the client's ACK was lost after it had passed us.
 */
static __always_inline enum tg_verdict answer_syn(const struct packet *packet,
                                                  const struct tg_flow_key *ends,
                                                  struct tg_flow *flow, __u64 state)
{
    enum tg_verdict verdict = TG_PASS_SYN_ACK;
    __u32 number = packet->seq + 1;

    if (flow && flow->server_start == number)
        return verdict;
    if (flow)
        verdict = close_flow(ends, flow, state, TG_PASS_CLOSED_REUSE);
    expect_ack(ends, number);
    return verdict;
}
