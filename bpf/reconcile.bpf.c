// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reconcile: the flows against the kernel's own socket table, and the difference mended. The
 * programs here see no packet. One is an iterator that the daemon reads, slice by slice; the
 * others are run by it, through test-run, with a struct of abi.h in the place of a packet.
 *
 * What they open and close goes through the same functions as a packet's flow, and a close
 * through the same exchange: a flow that a packet closes at this moment is counted once.
 */
#include <linux/bpf.h>

#include "flows.h"
#include "maps.h"
#include "services.h"
#include "sockets.h"

/* Written by the daemon before each round. A number is never used twice, nor by two daemons. */
__u32 round_number = 0;
__u32 round_seconds = 0;     /* since the round before it began, at least 1 */
__u64 round_begun_ns = 0;    /* CLOCK_MONOTONIC */
__u32 sockets_looked_at = 0; /* 0: on a gateway, where there are none */

static __always_inline struct tg_progress *find_progress(void)
{
    __u32 only = 0;

    return bpf_map_lookup_elem(&progress, &only);
}

/* Run with a struct tg_socket: notes in its flow that it has one, and answers enum tg_noted. */
SEC("xdp")
int note_socket(struct xdp_md *ctx)
{
    const struct tg_socket *socket = (void *)(long)ctx->data;
    struct tg_flow_key ends;
    struct tg_flow *flow;
    __u32 service;
    __u64 state;

    if ((void *)(socket + 1) > (void *)(long)ctx->data_end)
        return TG_NOTED_NOT_OURS;
    ends = socket->ends;
    service = find_service(&ends);
    if (!service)
        return TG_NOTED_NOT_OURS;

    flow = find_flow(&ends, &state);
    if (flow) {
        flow->socket_seen = 1;
        if (socket->stage != TG_SOCKET_OVER)
            flow->absent_rounds = TG_SOCKET_PRESENT;
        return TG_NOTED_FLOW;
    }
    if (service & TG_LEAVING || is_bogon(&ends, is_ipv6(&ends.client)))
        return TG_NOTED_NOT_OURS;
    return TG_NOTED_NO_FLOW;
}

/* The last packet may have passed at any time before the first round that found none. */
static __always_inline __u16 longer(__u16 quiet_seconds)
{
    __u32 seconds = quiet_seconds ? quiet_seconds + round_seconds : 1;

    return seconds < 0xffff ? seconds : 0xffff;
}

/* Once in a round, and not in the one in which it opened. */
static __always_inline void grow_older(struct tg_flow *flow)
{
    bool is_its_turn = flow->aged_in != round_number && flow->opened_ns < round_begun_ns;

    flow->aged_in = round_number;
    if (is_its_turn)
        flow->quiet_seconds = longer(flow->quiet_seconds);
    if (flow->absent_rounds == TG_SOCKET_PRESENT)
        flow->absent_rounds = 0;
    else if (is_its_turn && sockets_looked_at && flow->absent_rounds < TG_SOCKET_PRESENT - 1)
        flow->absent_rounds++;
}

/*
 * Tells of every flow. One that is told twice in a round, because the reader's buffer was
 * full, ages once.
 */
SEC("iter/bpf_map_elem")
int age_flows(struct bpf_iter__bpf_map_elem *ctx)
{
    const struct tg_flow_key *ends = ctx->key;
    struct tg_flow *flow = ctx->value;
    struct tg_flow_age age = {};

    if (!ends || !flow)
        return 0;
    grow_older(flow);
    age.state = flow->state;
    age.ends = *ends;
    age.quiet_seconds = flow->quiet_seconds;
    age.absent_rounds = flow->absent_rounds;
    age.socket_seen = flow->socket_seen;
    age.client_fin_seen = flow->client_fin_seen;
    age.server_fin_seen = flow->server_fin_seen;
    age.service = flow->service;
    bpf_seq_write(ctx->meta->seq, &age, sizeof(age));
    return 0;
}

static __always_inline enum tg_mended adopt(const struct tg_flow_key *ends, struct tg_flow *flow)
{
    struct tg_source_key key = source_key_of(&ends->client, flow->service);
    struct tg_progress *reached = find_progress();

    if (!reached)
        return TG_MENDED_NOT;
    flow->socket_seen = 1;
    flow->aged_in = round_number;
    flow->opened_ns = now_ns();
    flow->network = find_network(&ends->client);
    flow->source_slot = prove_source(&key);
    if (flow->source_slot == NO_SLOT)
        return TG_MENDED_FULL;
    if (bpf_map_update_elem(&flows, ends, flow, BPF_NOEXIST) != 0)
        return bpf_map_lookup_elem(&flows, ends) ? TG_MENDED_NOT : TG_MENDED_FULL;
    count_opened(ends, flow);
    add_one(&reached->reconcile_adopted);
    return TG_MENDED;
}

/* Run with a struct tg_socket: a flow for a connection that has none, if it comes in by us. */
SEC("xdp")
int adopt_flow(struct xdp_md *ctx)
{
    const struct tg_socket *socket = (void *)(long)ctx->data;
    struct tg_flow flow = {.state = new_state()};
    struct tg_flow_key ends;
    bool is_known;

    if ((void *)(socket + 1) > (void *)(long)ctx->data_end)
        return TG_MENDED_NOT;
    ends = socket->ends;
    flow.service = find_service(&ends);
    if (!flow.service)
        return TG_MENDED_NOT;
    is_known = is_ipv6(&ends.client) ? read_ipv6_socket(ctx, &ends, &flow)
                                     : read_ipv4_socket(ctx, &ends, &flow);
    return is_known ? adopt(&ends, &flow) : TG_MENDED_NOT;
}

/* Run with a struct tg_closing. A packet since the daemon looked makes the flow alive. */
SEC("xdp")
int end_flow(struct xdp_md *ctx)
{
    const struct tg_closing *closing = (void *)(long)ctx->data;
    struct tg_progress *reached = find_progress();
    struct tg_flow_key ends;
    struct tg_flow *flow;
    __u64 state;
    bool idle;

    if ((void *)(closing + 1) > (void *)(long)ctx->data_end || !reached)
        return TG_MENDED_NOT;
    ends = closing->ends;
    state = closing->state;
    idle = closing->reason == TG_CLOSING_IDLE;
    flow = bpf_map_lookup_elem(&flows, &ends);
    if (!flow || flow->state != state)
        return TG_MENDED_NOT;
    if ((state & 0xff) != TG_FLOW_OPEN) { /* closed and counted, and its removal failed */
        bpf_map_delete_elem(&flows, &ends);
        return TG_MENDED_NOT;
    }
    if (!flow->quiet_seconds || (!idle && !flow->absent_rounds))
        return TG_MENDED_NOT;
    if (!close_once(&ends, flow, state))
        return TG_MENDED_NOT;
    add_one(idle ? &reached->idle_closed : &reached->reconcile_closed);
    return TG_MENDED;
}

char _license[] SEC("license") = "Dual BSD/GPL";
