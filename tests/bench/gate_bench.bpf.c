// SPDX-License-Identifier: BSD-2-Clause
/*
 * The gate as it is, and what it is measured against: programs that do nothing, only parse, or
 * parse and count the source in one of the kernel's own tables. Each gives the packet another
 * sender first, if it is told to: so all of them pay for that.
 */
#include "distribution.h"
#include "tallygate.bpf.c"

#define SENDER_OFFSET (sizeof(struct ethhdr) + offsetof(struct iphdr, saddr))
#define COUNTED_MAX (1 << 20) /* as many as claims has ways */

/* Written between the runs: enum distribution, or DISTRIBUTION_COUNT for the sender as it is. */
__u32 distribution = DISTRIBUTION_COUNT;
__u64 random_state = 0x9e3779b97f4a7c15ULL;
__u64 sources_counted = 0;

/* What another gate could keep of a source, in the tables that the kernel has for it. */
struct counted {
    __u64 syn;
    __u64 last_ns;
};

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, COUNTED_MAX);
    __type(key, struct tg_source_key);
    __type(value, struct counted);
} counted_lru SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, COUNTED_MAX);
    __type(key, struct tg_source_key);
    __type(value, struct counted);
} counted_hash SEC(".maps");

/* A xorshift: two nanoseconds, where bpf_get_prandom_u32 would cost more than a parse. */
static __always_inline __u32 next_random(void)
{
    __u64 state = random_state;

    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    random_state = state;
    return state >> 16;
}

static __always_inline bool change_sender(struct xdp_md *ctx)
{
    __be32 *sender = (void *)(long)ctx->data + SENDER_OFFSET;

    if (distribution == DISTRIBUTION_COUNT)
        return true;
    if ((void *)(sender + 1) > (void *)(long)ctx->data_end)
        return false;
    *sender = bpf_htonl(sender_address(distribution, next_random()));
    return true;
}

static __always_inline enum tg_verdict parse_one(struct xdp_md *ctx, struct packet *packet)
{
    struct cursor cursor = xdp_cursor(ctx);

    return parse_packet(&cursor, packet, TG_HOOK_INGRESS);
}

/* All the facts are made, as for a judge, and nobody looks at them. */
static __always_inline int parse_and(struct xdp_md *ctx, enum xdp_action action)
{
    struct packet packet = {};
    enum tg_verdict verdict;

    if (!change_sender(ctx))
        return XDP_ABORTED;
    verdict = parse_one(ctx, &packet);
    asm volatile("" : : "r"(&packet), "r"(verdict) : "memory");
    return action;
}

/* A full hash takes no newcomers, and looks for each of them in vain. */
static __always_inline int count_source_in(struct xdp_md *ctx, void *table)
{
    struct counted first = {.syn = 1, .last_ns = now_ns()};
    struct packet packet = {};
    struct counted *counted;
    struct tg_source_key key;

    if (!change_sender(ctx) || parse_one(ctx, &packet) != TG_UNDECIDED)
        return XDP_ABORTED;
    key = source_key_of(&packet.ends.client, 1);
    counted = bpf_map_lookup_elem(table, &key);
    if (counted) {
        __sync_fetch_and_add(&counted->syn, 1);
        counted->last_ns = first.last_ns;
    } else if (bpf_map_update_elem(table, &key, &first, BPF_ANY) == 0) {
        sources_counted++;
    }
    return XDP_DROP;
}

SEC("xdp")
int pass_all(struct xdp_md *ctx)
{
    (void)ctx;
    return XDP_PASS;
}

SEC("xdp")
int parse_and_pass(struct xdp_md *ctx)
{
    return parse_and(ctx, XDP_PASS);
}

SEC("xdp")
int parse_and_drop(struct xdp_md *ctx)
{
    return parse_and(ctx, XDP_DROP);
}

SEC("xdp")
int count_in_lru(struct xdp_md *ctx)
{
    return count_source_in(ctx, &counted_lru);
}

SEC("xdp")
int count_in_hash(struct xdp_md *ctx)
{
    return count_source_in(ctx, &counted_hash);
}

/* gate_xdp's body again: a program cannot call another one. */
SEC("xdp")
int gate(struct xdp_md *ctx)
{
    if (!change_sender(ctx))
        return XDP_ABORTED;
    return tg_verdict_drops(guard_ingress(xdp_cursor(ctx))) ? XDP_DROP : XDP_PASS;
}

/* Proves the packet's source at service 1, as a handshake would. */
SEC("xdp")
int prove(struct xdp_md *ctx)
{
    struct packet packet = {};
    struct tg_source_key key;

    if (!change_sender(ctx) || parse_one(ctx, &packet) != TG_UNDECIDED)
        return XDP_ABORTED;
    key = source_key_of(&packet.ends.client, 1);
    return prove_source(&key) == NO_SLOT ? XDP_ABORTED : XDP_PASS;
}
