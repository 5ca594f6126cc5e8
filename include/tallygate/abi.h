/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the kernel programs and the daemon say to each other.
 *
 * Every struct here is a map key or a map value, and both sides compile this very file: the
 * programs as C, the daemon as C++. Nothing else may define these layouts. Padding is always
 * a named field, because a hidden byte in a key makes two equal keys different.
 *
 * A change that moves or resizes a field, or the meaning of one, raises TG_ABI_VERSION. The
 * maps are pinned under a directory with that number, so a daemon never misreads old maps.
 */
#pragma once

#include <linux/types.h>
#include <tallygate/verdicts.h>

#ifdef __cplusplus
#define TG_ABI_SIZE(type, size) static_assert(sizeof(type) == (size), #type " changed size")
#else
#define TG_ABI_SIZE(type, size) _Static_assert(sizeof(type) == (size), #type " changed size")
#endif

#define TG_ABI_VERSION 2

/* Bounds that are part of the layout. Table sizes are configuration; see maps.h. */
#define TG_SERVICES_MAX 256 /* ids 1 to 255; 0 is "none" */
#define TG_NAME_BYTES 64    /* a service's or a network's name, zero-terminated */

/* IPv6, or IPv4 mapped into ::ffff:0:0/96, so that one table serves both families. */
struct tg_addr {
    __be32 words[4];
};
TG_ABI_SIZE(struct tg_addr, 16);

/* A longest-prefix key. The kernel requires the length first; IPv4 lengths are 96 + n. */
struct tg_prefix {
    __u32 length_bits;
    struct tg_addr addr;
};
TG_ABI_SIZE(struct tg_prefix, 20);

enum tg_family {
    TG_FAMILY_IPV4,
    TG_FAMILY_IPV6,
    TG_FAMILY_COUNT,
};

/* Totals that only grow: windows, rates and live counts are the daemon's work. */
struct tg_tally {
    __u64 syn;
    __u64 opened;
    __u64 closed; /* live = opened - closed; read closed first, and it is never negative */
    __u64 dropped;
    __u64 would_drop;
};
TG_ABI_SIZE(struct tg_tally, 40);

enum tg_mode {
    TG_MODE_OBSERVE,
    TG_MODE_ENFORCE,
};

/*
 * One element, written by the daemon, read by every program. It outlives both: the seed must
 * stay with the tables that were filled under it.
 */
struct tg_settings {
    __u64 hash_seed;
    __u64 lease_until_ns; /* CLOCK_MONOTONIC; past it nothing is dropped */
    __u64 created_unix_ns;
    __u32 mode;   /* enum tg_mode */
    __u32 strict; /* 1: malformed and bogus packets are dropped when enforcing */
    __u32 ipv6_source_bits;
    __u32 networks_configured; /* 0 spares a packet the trie */
    __u32 tunnels_configured;  /* 0: no sender of tunnels is trusted */
    __u32 reserved;
};
TG_ABI_SIZE(struct tg_settings, 48);

/*
 * What is guarded on a port. An entry with neither is not ours, which is what nearly every
 * entry of the 65,536 says.
 */
struct tg_port {
    __u16 service; /* on any address; 0: none */
    __u8 listed;   /* 1: services on listed addresses exist, ask the listeners first */
    __u8 leaving;  /* 1: `service` is no longer configured here, see TG_LEAVING */
};
TG_ABI_SIZE(struct tg_port, 4);

/*
 * Beside a service's id: it was guarded here and is no longer configured. Flows that are open
 * are followed to their end, or they would count as live for ever; nothing new is counted.
 */
#define TG_LEAVING 0x10000

struct tg_listener {
    struct tg_addr addr;
    __be16 port;
    __u16 reserved;
};
TG_ABI_SIZE(struct tg_listener, 20);

/* Who is who in the pinned tables: names keep their ids over restarts and reloads. */
struct tg_service_record {
    char name[TG_NAME_BYTES]; /* empty: the id is free */
};
TG_ABI_SIZE(struct tg_service_record, 64);

struct tg_network_record {
    char name[TG_NAME_BYTES]; /* empty: the id is free */
    struct tg_prefix prefix;
    __u32 parent;  /* the next wider network's id; 0: none */
    __u32 retired; /* 1: no longer in the trie; its totals count for the parent */
};
TG_ABI_SIZE(struct tg_network_record, 92);

/* What the trie answers for a client: the longest network that holds it. */
struct tg_network {
    __u32 id;
    __u32 parent;
};
TG_ABI_SIZE(struct tg_network, 8);

/* A client at one service. The address is the source's first: IPv6 is cut to its /64. */
struct tg_source_key {
    struct tg_addr addr;
    __u16 service;
    __u16 reserved;
};
TG_ABI_SIZE(struct tg_source_key, 20);

/* A claimed source: it sent SYNs and has proven nothing, so it may be forged. */
struct tg_claim {
    __u64 syn;
    __u64 first_ns; /* tells an evicted claim that came back from one that stayed */
};
TG_ABI_SIZE(struct tg_claim, 16);

/*
 * A proven source's slot: one cache line, mapped by the daemon and read without a system
 * call. A slot is the daemon's to read once `used` is 1, and never moves.
 */
struct tg_source {
    struct tg_tally tally;
    struct tg_source_key key;
    __u32 used;
};
TG_ABI_SIZE(struct tg_source, 64);

/* Written by the programs alone, and only growing. One element. */
struct tg_progress {
    __u64 sources_high_water; /* slots below it have been handed out */
    __u64 reconcile_adopted;  /* flows made for a socket that had none */
    __u64 reconcile_closed;   /* flows closed because their socket is gone */
    __u64 idle_closed;        /* flows closed because nothing passed for long */
};
TG_ABI_SIZE(struct tg_progress, 32);

/*
 * The server's SYN-ACK, remembered until the client's ACK proves it was received. One word, so
 * a reader never sees the tag of one connection with the number of another.
 */
struct tg_pending {
    __u64 word; /* tag << 32 | the server's first sequence number after its SYN; 0: empty */
};
TG_ABI_SIZE(struct tg_pending, 8);

struct tg_flow_key {
    struct tg_addr client;
    struct tg_addr server;
    __be16 client_port;
    __be16 server_port;
};
TG_ABI_SIZE(struct tg_flow_key, 36);

enum tg_flow_state {
    TG_FLOW_CLOSED,
    TG_FLOW_OPEN,
};

/* Instead of absent_rounds: the round under way has seen the socket. */
#define TG_SOCKET_PRESENT 0xff

/*
 * One connection. Sequence numbers are in host order. The client_ fields are written by the
 * ingress program alone, the server_ fields by the egress program alone, and the last four by
 * reconcile alone, but for the 0 that a packet puts into quiet_seconds: none needs an atomic.
 * `state` changes only by compare-and-swap, and whoever wins the change to closed counts it: that
 * is why a flow closes exactly once.
 */
struct tg_flow {
    __u64 state; /* generation << 8 | enum tg_flow_state */
    __u64 opened_ns;
    __u32 client_end;   /* after the last byte the client sent */
    __u32 client_ack;   /* what the client has acknowledged */
    __u32 client_fin;   /* after the client's FIN, if it was seen */
    __u32 server_start; /* the server's first byte: tells one incarnation from the next */
    __u32 server_end;
    __u32 server_ack;
    __u32 server_fin;
    __u32 source_slot;
    __u32 network; /* the id at opening, so that closing finds the same tally; 0: none */
    __u16 service;
    __u8 client_fin_seen;
    __u8 server_fin_seen;
    __u16 quiet_seconds; /* 1 and those since reconcile first found it quiet; a packet writes 0 */
    __u8 absent_rounds;  /* of reconcile in which no socket had these ends, or TG_SOCKET_PRESENT */
    __u8 socket_seen;    /* 1: a socket had them once, so its absence means something */
    __u32 aged_in;       /* the round that last counted its quiet and its absence */
};
TG_ABI_SIZE(struct tg_flow, 64);

/* What reconcile's programs and the daemon say to each other; no map holds these. */
enum tg_socket_stage {
    TG_SOCKET_HANDSHAKE, /* the client may have proven itself, and the server not accepted it yet */
    TG_SOCKET_CONNECTED, /* live, as a flow is */
    TG_SOCKET_OVER,      /* TIME-WAIT */
};

/* A socket of the kernel: the server's end of a connection. */
struct tg_socket {
    struct tg_flow_key ends;
    __u32 stage; /* enum tg_socket_stage */
};
TG_ABI_SIZE(struct tg_socket, 40);

enum tg_noted {
    TG_NOTED_NOT_OURS,
    TG_NOTED_FLOW,
    TG_NOTED_NO_FLOW,
};

/* How long a flow has been without packets, and without a socket. */
struct tg_flow_age {
    __u64 state; /* as the flow had it: closing it needs the same */
    struct tg_flow_key ends;
    __u16 quiet_seconds;
    __u8 absent_rounds;
    __u8 socket_seen;
    __u8 client_fin_seen;
    __u8 server_fin_seen;
    __u16 service;
    __u32 reserved;
};
TG_ABI_SIZE(struct tg_flow_age, 56);

enum tg_closing_reason {
    TG_CLOSING_SOCKET_GONE,
    TG_CLOSING_IDLE,
};

/* A flow to close, unless it has changed since it had this state. */
struct tg_closing {
    __u64 state;
    struct tg_flow_key ends;
    __u32 reason; /* enum tg_closing_reason */
};
TG_ABI_SIZE(struct tg_closing, 48);

/* What became of a flow that the daemon asked for. */
enum tg_mended {
    TG_MENDED_NOT, /* it was as it should be, or has changed meanwhile */
    TG_MENDED,
    TG_MENDED_FULL, /* there is no room */
};
