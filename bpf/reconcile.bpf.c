// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reconcile: the flows against the kernel's own socket table, and the difference mended. The
 * programs here see no packet. Two are iterators that the daemon reads, slice by slice; two
 * are run by it with a struct of abi.h in the place of a packet, which on every kernel runs
 * them like a packet's program: not interrupted by one on this CPU.
 *
 * What they open and close goes through the same functions as a packet's flow, and a close
 * through the same exchange: a flow that a packet closes at this moment is counted once.
 */
#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#include "flows.h"
#include "maps.h"
#include "services.h"
#include "sockets.h"

/* Written by the daemon before each round. A number is never used twice, nor by two daemons. */
__u32 round_number = 0;
__u32 round_seconds = 0;     /* since the round before it began, at least 1 */
__u64 round_begun_ns = 0;    /* CLOCK_MONOTONIC */
__u32 sockets_looked_at = 0; /* 0: on a gateway, where there are none */

static __always_inline void count_one(__u64 *total)
{
    __sync_fetch_and_add(total, 1);
}

static __always_inline struct tg_progress *find_progress(void)
{
    __u32 only = 0;

    return bpf_map_lookup_elem(&progress, &only);
}

/* Tells of every connection of our services, and notes in its flow that it has a socket. */
SEC("iter/tcp")
int list_sockets(struct bpf_iter__tcp *ctx)
{
    struct sock_common *common = ctx->sk_common;
    struct tg_socket found = {};
    enum socket_stage stage;
    struct tg_flow *flow;
    __u32 service;

    if (!common)
        return 0;
    stage = stage_of(common);
    if (stage == SOCKET_OTHER || !read_ends(common, &found.ends))
        return 0;
    service = find_service(&found.ends);
    if (!service)
        return 0;

    flow = bpf_map_lookup_elem(&flows, &found.ends);
    if (flow) {
        flow->absent_rounds = TG_SOCKET_PRESENT;
        flow->socket_seen |= stage == SOCKET_CONNECTED;
    }
    if (stage != SOCKET_CONNECTED ||
        (!flow && (service & TG_LEAVING || is_bogon(&found.ends, is_ipv6(&found.ends.client)))))
        return 0;
    read_numbers(common, &found);
    found.service = service;
    found.flow_known = flow != NULL;
    bpf_seq_write(ctx->meta->seq, &found, sizeof(found));
    return 0;
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

    if (!ends || !flow || (flow->state & 0xff) != TG_FLOW_OPEN)
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

/* Run with a struct tg_socket: a flow for a connection that has none. */
SEC("xdp")
int adopt_flow(struct xdp_md *ctx)
{
    const struct tg_socket *socket = (void *)(long)ctx->data;
    struct tg_progress *reached = find_progress();
    struct tg_flow_key ends;
    struct tg_source_key key;
    struct tg_flow flow = {.state = new_state()};

    if ((void *)(socket + 1) > (void *)(long)ctx->data_end || !reached)
        return TG_MENDED_NOT;
    ends = socket->ends;
    key = source_key_of(&ends.client, socket->service);
    flow.client_end = socket->client_end;
    flow.client_ack = socket->client_ack;
    flow.client_fin = socket->client_end;
    flow.server_start = socket->server_end - 1; /* nobody knows; not a number to come */
    flow.server_end = socket->server_end;
    flow.server_ack = socket->client_end;
    flow.server_fin = socket->server_end;
    flow.service = socket->service;
    flow.client_fin_seen = socket->client_fin_seen;
    flow.server_fin_seen = socket->server_fin_seen;
    flow.socket_seen = 1;
    flow.aged_in = round_number;
    flow.opened_ns = now_ns();
    flow.network = find_network(&ends.client);
    flow.source_slot = prove_source(&key);
    if (flow.source_slot == NO_SLOT)
        return TG_MENDED_FULL;
    if (bpf_map_update_elem(&flows, &ends, &flow, BPF_NOEXIST) != 0)
        return bpf_map_lookup_elem(&flows, &ends) ? TG_MENDED_NOT : TG_MENDED_FULL;
    count_opened(&ends, &flow);
    count_one(&reached->reconcile_adopted);
    return TG_MENDED;
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
    if (!flow || flow->state != state || !flow->quiet_seconds || (!idle && !flow->absent_rounds))
        return TG_MENDED_NOT;
    if (!close_once(&ends, flow, state))
        return TG_MENDED_NOT;
    count_one(idle ? &reached->idle_closed : &reached->reconcile_closed);
    return TG_MENDED;
}

char _license[] SEC("license") = "Dual BSD/GPL";
