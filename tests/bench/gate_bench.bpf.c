// SPDX-License-Identifier: BSD-2-Clause
/*
 * The gate as it is, and what it is measured against: a program that does nothing, one that
 * only parses, and both with a client that nobody has seen before in every packet.
 */
#include "tallygate.bpf.c"

#define CLIENT_OFFSET (sizeof(struct ethhdr) + offsetof(struct iphdr, saddr))

__u64 random_state = 0x9e3779b97f4a7c15ULL;

/* A xorshift: two nanoseconds, where bpf_get_prandom_u32 would cost more than a parse. */
static __always_inline __u32 next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state >> 16;
}

/* Writes another client into an IPv4 packet, from 16.0.0.0/4: never a bogon. */
static __always_inline bool change_client(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data;
    __be32 *client = data + CLIENT_OFFSET;

    if ((void *)(client + 1) > (void *)(long)ctx->data_end)
        return false;
    *client = bpf_htonl(0x10000000 | (next_random() & 0x0fffffff));
    return true;
}

/* All the facts are made, as for a judge, and nobody looks at them. */
static __always_inline int parse_and_pass(struct xdp_md *ctx)
{
    struct cursor cursor = xdp_cursor(ctx);
    struct packet packet = {};
    enum tg_verdict verdict = parse_packet(&cursor, &packet, TG_HOOK_INGRESS);

    asm volatile("" : : "r"(&packet), "r"(verdict) : "memory");
    return XDP_PASS;
}

SEC("xdp")
int pass_all(struct xdp_md *ctx)
{
    (void)ctx;
    return XDP_PASS;
}

SEC("xdp")
int parse_only(struct xdp_md *ctx)
{
    return parse_and_pass(ctx);
}

SEC("xdp")
int parse_new_source(struct xdp_md *ctx)
{
    return change_client(ctx) ? parse_and_pass(ctx) : XDP_ABORTED;
}

/* gate_xdp's body again: a program cannot call another one. */
SEC("xdp")
int gate_new_source(struct xdp_md *ctx)
{
    if (!change_client(ctx))
        return XDP_ABORTED;
    return tg_verdict_drops(guard_ingress(xdp_cursor(ctx))) ? XDP_DROP : XDP_PASS;
}
