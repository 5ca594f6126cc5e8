/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What reconcile reads of the kernel's sockets. The structs name the few fields that we need;
 * where they stand is found when the programs are loaded (CO-RE).
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <stdbool.h>
#include <tallygate/abi.h>

#define ARRIVALS_MAX 64

/* Written by the daemon: the interfaces by which a connection's packets must come in. */
__u32 arrivals[ARRIVALS_MAX] = {};
__u32 adopts_orphans = 0; /* also those of which nobody knows any more where they came in */

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct sock_common {
    volatile unsigned char skc_state;
    __u32 skc_tw_rcv_nxt;
    __u32 skc_tw_snd_nxt;
};

struct sock {
    struct sock_common __sk_common;
    int sk_rx_dst_ifindex; /* 5.16 */
};

struct inet_sock {
    struct sock sk;
    int rx_dst_ifindex; /* before */
};

struct inet_connection_sock {
    struct inet_sock icsk_inet;
};

struct tcp_sock {
    struct inet_connection_sock inet_conn;
    __u32 rcv_nxt;
    __u32 snd_nxt;
    __u32 snd_una;
    __u32 write_seq;
};

struct inet_timewait_sock {
    struct sock_common __tw_common;
    volatile unsigned char tw_substate;
};

struct tcp_timewait_sock {
    struct inet_timewait_sock tw_sk;
};

struct bpf_iter_meta {
    struct seq_file *seq;
};

struct bpf_iter__bpf_map_elem {
    struct bpf_iter_meta *meta;
    struct bpf_map *map;
    void *key;
    void *value;
};

#pragma clang attribute pop

/* The kernel's own numbers (net/tcp_states.h). */
enum tcp_state {
    STATE_ESTABLISHED = 1,
    STATE_FIN_WAIT1 = 4,
    STATE_FIN_WAIT2 = 5,
    STATE_CLOSE_WAIT = 8,
    STATE_LAST_ACK = 9,
    STATE_CLOSING = 11,
};

static __always_inline __u32 interface_of(const struct tcp_sock *tcp)
{
    if (bpf_core_field_exists(tcp->inet_conn.icsk_inet.sk.sk_rx_dst_ifindex))
        return tcp->inet_conn.icsk_inet.sk.sk_rx_dst_ifindex;
    if (bpf_core_field_exists(tcp->inet_conn.icsk_inet.rx_dst_ifindex))
        return tcp->inet_conn.icsk_inet.rx_dst_ifindex;
    return 0;
}

/* Its packets pass us: not the host's own over lo, nor those of an interface that is not ours. */
static __always_inline bool comes_in_by_us(const struct tcp_sock *tcp)
{
    __u32 interface = interface_of(tcp);

    for (int i = 0; i < ARRIVALS_MAX; i++)
        if (interface && arrivals[i] == interface)
            return true;
    return false;
}

/* What a flow would know, had every segment so far passed us. False: it is not live, or not ours.
 */
static __always_inline bool read_numbers(const struct tcp_sock *tcp, struct tg_flow *flow)
{
    __u8 state = tcp->inet_conn.icsk_inet.sk.__sk_common.skc_state;
    bool server_is_done = state == STATE_FIN_WAIT1 || state == STATE_FIN_WAIT2 ||
                          state == STATE_LAST_ACK || state == STATE_CLOSING;
    bool client_is_done =
        state == STATE_CLOSE_WAIT || state == STATE_LAST_ACK || state == STATE_CLOSING;

    if (state != STATE_ESTABLISHED && !server_is_done && !client_is_done)
        return false;
    flow->client_end = tcp->rcv_nxt;
    flow->client_ack = tcp->snd_una;
    flow->client_fin = tcp->rcv_nxt;
    flow->client_fin_seen = client_is_done;
    flow->server_start = tcp->snd_nxt - 1; /* nobody knows; not a number to come */
    flow->server_end = tcp->snd_nxt;
    flow->server_ack = tcp->rcv_nxt;
    flow->server_fin = tcp->snd_nxt;
    /* A FIN may still wait behind data; then the gate will see it leave. */
    flow->server_fin_seen = server_is_done && tcp->snd_nxt == tcp->write_seq;
    return comes_in_by_us(tcp);
}

/* Its process is gone, and the client's FIN is all that is missing: the kernel waits a minute. */
static __always_inline bool read_orphan(const struct tcp_timewait_sock *waiting,
                                        struct tg_flow *flow)
{
    if (!adopts_orphans || waiting->tw_sk.tw_substate != STATE_FIN_WAIT2)
        return false;
    flow->client_end = waiting->tw_sk.__tw_common.skc_tw_rcv_nxt;
    flow->client_ack = waiting->tw_sk.__tw_common.skc_tw_snd_nxt;
    flow->server_start = flow->client_ack - 1;
    flow->server_end = flow->client_ack;
    flow->server_ack = flow->client_end;
    flow->server_fin = flow->client_ack;
    flow->server_fin_seen = 1;
    return true;
}

static __always_inline bool read_and_release(struct bpf_sock *socket, struct tg_flow *flow)
{
    const struct tcp_timewait_sock *waiting;
    const struct tcp_sock *tcp;
    bool is_known;

    if (!socket)
        return false;
    tcp = bpf_skc_to_tcp_sock(socket);
    waiting = tcp ? NULL : bpf_skc_to_tcp_timewait_sock(socket);
    is_known = tcp ? read_numbers(tcp, flow) : waiting && read_orphan(waiting, flow);
    bpf_sk_release(socket);
    return is_known;
}

static __always_inline bool read_ipv4_socket(struct xdp_md *ctx, const struct tg_flow_key *ends,
                                             struct tg_flow *flow)
{
    struct bpf_sock_tuple tuple = {
        .ipv4 = {.saddr = ends->client.words[3],
                 .daddr = ends->server.words[3],
                 .sport = ends->client_port,
                 .dport = ends->server_port},
    };

    return read_and_release(
        bpf_skc_lookup_tcp(ctx, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0), flow);
}

static __always_inline bool read_ipv6_socket(struct xdp_md *ctx, const struct tg_flow_key *ends,
                                             struct tg_flow *flow)
{
    struct bpf_sock_tuple tuple = {};

    __builtin_memcpy(tuple.ipv6.saddr, &ends->client, sizeof(tuple.ipv6.saddr));
    __builtin_memcpy(tuple.ipv6.daddr, &ends->server, sizeof(tuple.ipv6.daddr));
    tuple.ipv6.sport = ends->client_port;
    tuple.ipv6.dport = ends->server_port;
    return read_and_release(
        bpf_skc_lookup_tcp(ctx, &tuple, sizeof(tuple.ipv6), BPF_F_CURRENT_NETNS, 0), flow);
}
