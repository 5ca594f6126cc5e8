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

#define TG_ABI_VERSION 8

/* Bounds that are part of the layout. Table sizes are configuration; see maps.h. */
#define TG_SERVICES_MAX 256 /* ids 1 to 255; 0 is "none" */
#define TG_NAME_BYTES 64    /* a service's or a network's name, zero-terminated */
#define TG_BUCKET_WAYS 4
#define TG_PENDING_WAYS 2
#define TG_LIMITS_MAX 64
#define TG_RULES_MAX 8         /* of one service and family, beside those of networks */
#define TG_NETWORK_RULES_MAX 4 /* of one network */
#define TG_NETWORK_STEPS_MAX 8 /* up from a network to those around it */
#define TG_BUDGETS_MAX 4096
#define TG_REPEATS 64       /* slots of each CPU */
#define TG_REPEATS_SHIFT 26 /* leaves so many of the 32 bits of a hash */
#define TG_BATCH_SYNS 32

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
    __u64 hash_seed[2];
    __u64 lease_until_ns; /* CLOCK_MONOTONIC; past it nothing is dropped */
    __u64 created_unix_ns;
    __u32 mode;   /* enum tg_mode */
    __u32 strict; /* 1: malformed and bogus packets are dropped when enforcing */
    __u32 ipv6_source_bits;
    __u32 networks_configured; /* 0 spares a packet the trie */
    __u32 tunnels_configured;  /* 0: no sender of tunnels is trusted */
    __u32 lists_configured;    /* 0: nothing is blocked, and nothing allowed */
    __u32 generation;          /* grows with whatever may end a rejection: see struct tg_repeat */
    __u32 reserved;
};
TG_ABI_SIZE(struct tg_settings, 64);

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

/* Limits by name, and which holder has which budget: for the daemon that adopts the tables. */
struct tg_limit_record {
    char name[TG_NAME_BYTES]; /* empty: the id is free */
};
TG_ABI_SIZE(struct tg_limit_record, 64);

struct tg_budget_record {
    __u32 network; /* 0: all together */
    __u16 limit;   /* 0: the budget is free */
    __u16 family;  /* enum tg_family, of all together */
};
TG_ABI_SIZE(struct tg_budget_record, 8);

/* What the trie answers for a client: the longest network that holds it. */
struct tg_network {
    __u32 id;
    __u32 parent;
};
TG_ABI_SIZE(struct tg_network, 8);

/*
 * What a network is to limits, by its id. `live` is what all inside have open, kept by the
 * programs, and set right by the daemon when networks move.
 */
struct tg_network_rule {
    __u16 budget;
    __u8 limit; /* its id; 0: none */
    __u8 reserved;
};

struct tg_network_node {
    __u64 live;
    __u32 parent; /* the next wider network's id; 0: none */
    __u32 rule_count;
    struct tg_network_rule rules[TG_NETWORK_RULES_MAX];
    __u64 reserved[4];
};
TG_ABI_SIZE(struct tg_network_node, 64);

/*
 * What the lists say of an address, by the longest entry that holds it. The daemon has laid
 * the wider entries into it, so one look-up decides; ends are CLOCK_MONOTONIC, 0 is never and
 * all ones is for good.
 */
struct tg_listed {
    __u64 allow_until_ns;
    __u64 block_until_ns;
};
TG_ABI_SIZE(struct tg_listed, 16);

/*
 * Bits that say where a trie may have an answer: without one the trie need not be asked. One
 * for each IPv4 /16, and one for each of as many hashes of an IPv6 /32.
 */
enum tg_hint {
    TG_HINT_NETWORKS,
    TG_HINT_LISTS,
    TG_HINT_PROVEN,
    TG_HINT_COUNT,
};
#define TG_HINT_BITS 131072 /* of one table: IPv4's first */
#define TG_HINT_WORDS (TG_HINT_BITS / 64)
#define TG_HINT_IPV6_SHIFT 16
#define TG_HINT_IPV6_MULTIPLIER 0x9e3779b1U /* the hash is its product's upper half */

enum tg_who {
    TG_WHO_ALL,
    TG_WHO_CLAIMED,
    TG_WHO_PROVEN,
};

enum tg_limit_action {
    TG_LIMIT_DROP,
    TG_LIMIT_COUNT, /* a dry run: it counts what it would drop */
};

/*
 * What a limit asks, by its id, 1 to TG_LIMITS_MAX - 1. A SYN conforms if the time that its
 * budget is due is no later than now + tolerance; then the budget is due an interval later.
 */
struct tg_limit {
    __u64 interval_ns;                    /* between SYNs; 0: their rate is not limited */
    __u64 tolerance_ns;                   /* (burst - 1) intervals */
    __u64 services[TG_SERVICES_MAX / 64]; /* bits by id; for limits of networks */
    __u32 live_max;
    __u8 has_live_max;
    __u8 who;    /* enum tg_who */
    __u8 action; /* enum tg_limit_action */
    __u8 reserved;
    __u64 reserved_too;
};
TG_ABI_SIZE(struct tg_limit, 64);

enum tg_scope {
    TG_SCOPE_SOURCE, /* state in the source's claim: one rule of a service at most */
    TG_SCOPE_PREFIX, /* state in `rates` */
    TG_SCOPE_ALL,    /* state in `budgets` */
    TG_SCOPE_COUNT,
};

/* Whom a limit holds at one service and family. */
struct tg_rule {
    __u16 budget; /* of TG_SCOPE_ALL */
    __u8 limit;
    __u8 scope;       /* enum tg_scope */
    __u8 prefix_bits; /* of 128: what of the client's address is one holder */
    __u8 is_source;   /* 1: a holder is a whole source, so it may have a live limit */
    __u16 reserved;
};

struct tg_rules {
    __u32 count;
    __u32 network_limits; /* 1: some network's limit is for this service */
    struct tg_rule rules[TG_RULES_MAX];
    /* The one of them that, of all together, may reject a newcomer before anything else is asked;
     * its limit is 0: none may. Counts only while `count` is not 0. */
    struct tg_rule together;
    __u64 reserved[6];
};
TG_ABI_SIZE(struct tg_rules, 128);

/* The state of a limit for one network, or for everybody together. Never evicted. */
struct tg_budget {
    __u64 due_ns;
    __u64 reserved[7]; /* a cache line each: two hot budgets must not share one */
};
TG_ABI_SIZE(struct tg_budget, 64);

/* The states of limits for prefixes: four in a cache line, found by a keyed hash. */
struct tg_rates {
    __u64 tags[TG_BUCKET_WAYS]; /* of the limit and the prefix; 0: free */
    __u64 due_ns[TG_BUCKET_WAYS];
};
TG_ABI_SIZE(struct tg_rates, 64);

/* What a limit rejected, by its id. One copy for each CPU, which begins as far below 0 as that CPU
 * holds back of the limit that had the number before (kernel/totals). */
struct tg_limit_tally {
    __u64 dropped;
    __u64 would_drop;
};
TG_ABI_SIZE(struct tg_limit_tally, 16);

/* A client at one service. The address is the source's first: IPv6 is cut to its /64. */
struct tg_source_key {
    struct tg_addr addr;
    __u16 service;
    __u16 reserved;
};
TG_ABI_SIZE(struct tg_source_key, 20);

/*
 * Claimed sources: they sent SYNs and have proven nothing, so they may be forged. Four in a
 * bucket; a new one takes the place of the one that has been idle longest, which the limits
 * cannot tell from a new one. A proven source has a way here too while it sends SYNs: the state
 * of its limit is in it, and its tallies are not.
 *
 * `word` is in units of TG_CLAIM_UNIT_NS above, and the service below: 0 is a free way, and a
 * way with service 0 is just being given to another source.
 */
#define TG_CLAIM_UNIT_NS 8 /* 56 bits of it are 18 years of uptime */
#define TG_CLAIM_SERVICE_BITS 8

struct tg_claim_state {
    __u64 word; /* when its limit is due, or when it was last seen << 8 | service */
    __u32 syn;
    __u32 dropped;
};

struct tg_claims {
    struct tg_addr sources[TG_BUCKET_WAYS];
    struct tg_claim_state states[TG_BUCKET_WAYS];
};
TG_ABI_SIZE(struct tg_claims, 128);

/* SYNs of two neighbouring IPv4 /24, forged or not; they wrap. */
struct tg_prefix_pair {
    __u32 syn[2];
};
TG_ABI_SIZE(struct tg_prefix_pair, 8);
#define TG_PREFIX_PAIRS (1 << 23)

/*
 * The same of IPv6 /48, four in a cache line. More of them than fit push the smallest out, so
 * that what is missing here shows in the service's totals alone.
 */
struct tg_ipv6_prefixes {
    __u64 prefixes[TG_BUCKET_WAYS]; /* the address's first 48 bits << 16 | 1; 0: free */
    __u64 syn[TG_BUCKET_WAYS];
};
TG_ABI_SIZE(struct tg_ipv6_prefixes, 64);

/*
 * What gathers on one CPU before it goes into the tables, so that a flood from one source or
 * one prefix, spread over many queues, writes into no shared line. `sequence` is odd while the
 * counts move to the tables: a reader adds them if it has not changed meanwhile.
 *
 * A rejection stays valid until `until_ns`, a moment, under the same generation. Its line is all
 * that the next SYN of that client needs: what is told of one of them is the same for each.
 */
struct tg_repeat {
    __u32 sequence;
    __u32 rejected;        /* SYNs from `client` to `server`, dropped, and nowhere else yet */
    struct tg_addr client; /* whole: its neighbour in the same /64 may be allowed */
    struct tg_addr server;
    __be16 server_port;
    __u16 service;
    __u32 generation;
    __u64 until_ns; /* 0: nobody is rejected here */
    __u32 tick;     /* of the kernel's clock, in which that was last looked at */
    __u8 verdict;
    __u8 limit; /* 0: a list blocks it */
    __u8 is_proven;
    __u8 ipv6;
    /* The second line: where they go, and the SYNs of one prefix, whoever sends them. */
    __u32 network;
    __u32 place;      /* a slot if it is proven, else bucket * TG_BUCKET_WAYS + way, or all ones */
    __u64 prefix;     /* IPv4: its /24's number << 8 | 2; IPv6: as in tg_ipv6_prefixes; 0: none */
    __u32 prefix_syn; /* not yet in the prefixes */
    __u32 reserved_words[11];
};
TG_ABI_SIZE(struct tg_repeat, 128);

/* A SYN that its prefix has not heard of. */
struct tg_waiting_syn {
    struct tg_source_key key;
    __u32 bucket; /* of claims: there its source, if it has a way, has not heard of its drop either;
                     all ones: that is done */
};
TG_ABI_SIZE(struct tg_waiting_syn, 24);

/*
 * SYNs of one CPU that go into the tables together, when there are enough of them: their lines,
 * which are cold, come at the same time then. `sequence` is odd while they move.
 */
struct tg_batch {
    __u32 sequence;
    __u32 count;
    __u64 reserved[7];
    struct tg_waiting_syn syns[TG_BATCH_SYNS];
};
TG_ABI_SIZE(struct tg_batch, 832);

enum tg_slot_use {
    TG_SLOT_FREE,
    TG_SLOT_USED,    /* its source is in the index, under this slot */
    TG_SLOT_LEAVING, /* its source is leaving the index, or has left */
};

/*
 * A proven source's slot: one cache line, mapped by the daemon and read without a system
 * call. A slot is the daemon's to read once it is in use, and never moves.
 */
struct tg_source {
    struct tg_tally tally;
    struct tg_source_key key;
    __u32 used; /* enum tg_slot_use */
};
TG_ABI_SIZE(struct tg_source, 64);

/*
 * Who may be proven: two bits for each. Beside them, by another bit of the source's hash, the slots
 * of those that were met here last, which spares them the index. A slot says itself whose it is.
 */
struct tg_filter {
    __u64 bits;
    __u32 met[2];
};
TG_ABI_SIZE(struct tg_filter, 16);

/* Written by the programs alone, and only growing. One element. */
struct tg_progress {
    __u64 sources_high_water; /* slots below it have been handed out */
    __u64 reconcile_adopted;  /* flows made for a socket that had none */
    __u64 reconcile_closed;   /* flows closed because their socket is gone */
    __u64 idle_closed;        /* flows closed because nothing passed for long */
};
TG_ABI_SIZE(struct tg_progress, 32);

/* What happens to tables, beside the verdicts. One copy for each CPU. */
enum tg_table_event {
    TG_EVENT_CLAIM_EVICTED,
    TG_EVENT_CLAIM_EVICTED_OWING, /* its limit was due: that debt is forgiven */
    TG_EVENT_CLAIM_MISSED,        /* another CPU was taking the same way: not claimed */
    TG_EVENT_RATE_EVICTED,
    TG_EVENT_RATE_EVICTED_OWING,
    TG_EVENT_IPV6_PREFIX_EVICTED,
    TG_EVENT_LIMIT_CONTENDED, /* charged by others too often to be charged: it passed */
    TG_EVENT_COUNT,
};

/*
 * Two SYN-ACKs of the server, the newer one first, each remembered until the client's ACK proves
 * that it was received. A word each, so a reader never sees the tag of one connection with the
 * number of another.
 */
struct tg_pending {
    __u64 words[TG_PENDING_WAYS]; /* tag << 32 | the server's number after its SYN; 0: empty */
};
TG_ABI_SIZE(struct tg_pending, 16);

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

/*
 * What the lists and limits know of the next SYN of an address at a service: what explain_syn
 * answers. Whether a limit rejects follows from its state and its own numbers, which the daemon
 * has.
 */
struct tg_explained_rule {
    __u64 due_ns;
    __u32 live;
    __u32 network;    /* of a network's limit: its id */
    __u8 limit;       /* 0: it has gone meanwhile */
    __u8 scope;       /* enum tg_scope, or TG_SCOPE_COUNT for a network's */
    __u8 prefix_bits; /* of 128 */
    __u8 is_source;
    __u8 applies; /* 0: not to this source, which is proven, or claimed */
    __u8 reserved[3];
};
TG_ABI_SIZE(struct tg_explained_rule, 24);

#define TG_EXPLAINED_MAX (TG_RULES_MAX + 8)

struct tg_explained {
    struct tg_addr client;
    __u16 service;
    __u16 reserved;
    __u32 rule_count; /* all together last but for the networks', which follow */
    struct tg_listed listed;
    __u64 now_ns;
    __u32 slot; /* all ones: it is not proven */
    __u32 network;
    __u32 claimed_syn;
    __u32 claimed_dropped;
    struct tg_explained_rule rules[TG_EXPLAINED_MAX];
};
TG_ABI_SIZE(struct tg_explained, 448);

enum tg_explained_or_not {
    TG_EXPLAINED_NOT,
    TG_EXPLAINED,
};

/* What became of a flow that the daemon asked for. */
enum tg_mended {
    TG_MENDED_NOT, /* it was as it should be, or has changed meanwhile */
    TG_MENDED,
    TG_MENDED_FULL, /* there is no room */
};
