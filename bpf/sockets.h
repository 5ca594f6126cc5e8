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
#include <linux/in6.h>
#include <stdbool.h>
#include <tallygate/abi.h>

#define FAMILY_IPV4 2  /* AF_INET, which no header for programs has */
#define FAMILY_IPV6 10 /* AF_INET6 */

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct sock_common {
    __be32 skc_daddr;
    __be32 skc_rcv_saddr;
    __be16 skc_dport;
    __u16 skc_num;
    unsigned short skc_family;
    volatile unsigned char skc_state;
    struct in6_addr skc_v6_daddr;
    struct in6_addr skc_v6_rcv_saddr;
    __u32 skc_tw_rcv_nxt;
    __u32 skc_tw_snd_nxt;
};

struct sock {
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
    volatile unsigned char tw_substate;
};

struct tcp_timewait_sock {
    struct inet_timewait_sock tw_sk;
};

struct seq_file;
struct bpf_map;

struct bpf_iter_meta {
    struct seq_file *seq;
};

struct bpf_iter__tcp {
    struct bpf_iter_meta *meta;
    struct sock_common *sk_common;
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
    STATE_SYN_RECV = 3,
    STATE_FIN_WAIT1 = 4,
    STATE_FIN_WAIT2 = 5,
    STATE_TIME_WAIT = 6,
    STATE_CLOSE_WAIT = 8,
    STATE_LAST_ACK = 9,
    STATE_CLOSING = 11,
    STATE_NEW_SYN_RECV = 12,
};

enum socket_stage {
    SOCKET_OTHER,     /* listens, or is over */
    SOCKET_HANDSHAKE, /* the client may have proven itself, and the server not accepted it yet */
    SOCKET_CONNECTED, /* live, as a flow is */
};

/* A socket that waits only for the client's FIN looks like TIME-WAIT from outside. */
static __always_inline bool is_half_closed(struct sock_common *common)
{
    struct tcp_timewait_sock *waiting = bpf_skc_to_tcp_timewait_sock(common);

    return waiting && waiting->tw_sk.tw_substate == STATE_FIN_WAIT2;
}

static __always_inline enum socket_stage stage_of(struct sock_common *common)
{
    switch (common->skc_state) {
    case STATE_SYN_RECV:
    case STATE_NEW_SYN_RECV:
        return SOCKET_HANDSHAKE;
    case STATE_ESTABLISHED:
    case STATE_FIN_WAIT1:
    case STATE_FIN_WAIT2:
    case STATE_CLOSE_WAIT:
    case STATE_LAST_ACK:
    case STATE_CLOSING:
        return SOCKET_CONNECTED;
    case STATE_TIME_WAIT:
        return is_half_closed(common) ? SOCKET_CONNECTED : SOCKET_OTHER;
    default:
        return SOCKET_OTHER;
    }
}

/* Its ends as a flow knows them, the socket being the server's. */
static __always_inline bool read_ends(struct sock_common *common, struct tg_flow_key *ends)
{
    if (common->skc_family == FAMILY_IPV4) {
        ends->client.words[2] = bpf_htonl(0x0000ffff);
        ends->client.words[3] = common->skc_daddr;
        ends->server.words[2] = bpf_htonl(0x0000ffff);
        ends->server.words[3] = common->skc_rcv_saddr;
    } else if (common->skc_family == FAMILY_IPV6 && bpf_core_field_exists(common->skc_v6_daddr)) {
        BPF_CORE_READ_INTO(&ends->client, common, skc_v6_daddr);
        BPF_CORE_READ_INTO(&ends->server, common, skc_v6_rcv_saddr);
    } else {
        return false;
    }
    ends->client_port = common->skc_dport;
    ends->server_port = bpf_htons(common->skc_num);
    return true;
}

static __always_inline __u32 interface_of(struct tcp_sock *tcp)
{
    if (bpf_core_field_exists(tcp->inet_conn.icsk_inet.sk.sk_rx_dst_ifindex))
        return tcp->inet_conn.icsk_inet.sk.sk_rx_dst_ifindex;
    if (bpf_core_field_exists(tcp->inet_conn.icsk_inet.rx_dst_ifindex))
        return tcp->inet_conn.icsk_inet.rx_dst_ifindex;
    return 0;
}

/* What is known of the numbers, as if every segment so far had passed us. */
static __always_inline void read_numbers(struct sock_common *common, struct tg_socket *found)
{
    struct tcp_sock *tcp = bpf_skc_to_tcp_sock(common);
    __u8 state = common->skc_state;

    found->client_fin_seen =
        state == STATE_CLOSE_WAIT || state == STATE_LAST_ACK || state == STATE_CLOSING;
    if (!tcp) { /* the client's FIN is all that is missing */
        found->client_end = common->skc_tw_rcv_nxt;
        found->client_ack = common->skc_tw_snd_nxt;
        found->server_end = common->skc_tw_snd_nxt;
        found->server_fin_seen = 1;
        return;
    }
    found->arrived_on = interface_of(tcp);
    found->client_end = tcp->rcv_nxt;
    found->client_ack = tcp->snd_una;
    found->server_end = tcp->snd_nxt;
    /* A FIN may still wait behind data; then the gate will see it leave. */
    if (state != STATE_ESTABLISHED && state != STATE_CLOSE_WAIT)
        found->server_fin_seen = tcp->snd_nxt == tcp->write_seq;
}
