/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Receivers to compare a gate with: what drops everything, what also reads the packet first, and
 * what drops everything but one block of clients. Each counts what it saw, and the interface's
 * frames come one after another, so the counts need no atomics.
 */
#include <linux/bpf.h>

#include "injected.h"
#include "parse.h"

/* Set before loading; in network order. Packets from this block pass. */
const volatile __be32 clients = 0;
const volatile __be32 clients_mask = 0;

__u64 received = 0;
__u64 dropped = 0;

static __always_inline int drop(void)
{
    dropped++;
    return XDP_DROP;
}

/* All the facts, as a gate makes them. */
static __always_inline enum tg_verdict parse(struct xdp_md *ctx, struct packet *packet)
{
    void *data = (void *)(long)ctx->data;
    void *end = (void *)(long)ctx->data_end;
    struct cursor cursor = {data, end, frame_bytes(end - data)};

    return parse_packet(&cursor, packet, TG_HOOK_INGRESS);
}

SEC("xdp")
int drop_all(struct xdp_md *ctx)
{
    (void)ctx;
    received++;
    return drop();
}

SEC("xdp")
int parse_and_drop(struct xdp_md *ctx)
{
    struct packet packet = {};
    enum tg_verdict verdict = parse(ctx, &packet);

    asm volatile("" : : "r"(&packet), "r"(verdict) : "memory");
    received++;
    return drop();
}

/* What is not IPv4 passes: addresses must be found. */
SEC("xdp")
int drop_all_but_clients(struct xdp_md *ctx)
{
    struct packet packet = {};
    enum tg_verdict verdict = parse(ctx, &packet);

    received++;
    if (verdict != TG_UNDECIDED || packet.ipv6)
        return XDP_PASS;
    return (packet.ends.client.words[3] & clients_mask) == clients ? XDP_PASS : drop();
}

char _license[] SEC("license") = "Dual BSD/GPL";
