/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Makes SYNs. It is run on frames that are all copies of one, gives each another sender, and
 * sends it out by an interface. A frame comes back when its receiver is done with it, as it was
 * left; so whatever differs from frame to frame is written anew, and checksums come from the
 * sums over all that never differs.
 */
#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <stdbool.h>

#include "distribution.h"

/* Set before loading. */
const volatile __u32 distribution = DISTRIBUTION_RANDOM;
const volatile __u32 interface_index = 0;
const volatile __u64 interval_ns = 0; /* between frames; 0: as fast as can be */
const volatile __u32 ip_sum = 0;      /* of the IP header without its checksum and sender */
const volatile __u32 tcp_sum = 0;     /* of all that TCP sums up, without checksum, sender, port */

/* What is late by more is left out: a receiver that was stopped for a while gets no burst. */
#define LATE_NS_MAX 20000000

__u64 random_state = 1;
__u64 due_ns = 0;
__u64 sent = 0;

struct syn {
    struct ethhdr ethernet;
    struct iphdr ip;
    struct tcphdr tcp;
} __attribute__((packed));

/* A xorshift: two nanoseconds, where bpf_get_prandom_u32 would cost as much as the sending. */
static __always_inline __u64 next_random(void)
{
    __u64 state = random_state;

    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    random_state = state;
    return state >> 8;
}

static __always_inline __u16 folded(__u32 sum)
{
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return ~sum;
}

/*
 * Is the next frame due? A run that has none to send drops its own: so the rate is even, where a
 * process that sleeps between calls would send in bursts, for a call takes 20 ms to end.
 */
static __always_inline bool is_due(void)
{
    __u64 now;

    if (!interval_ns)
        return true;
    now = bpf_ktime_get_ns();
    if (now < due_ns)
        return false;
    due_ns = (now - due_ns > LATE_NS_MAX ? now : due_ns) + interval_ns;
    return true;
}

SEC("xdp")
int send_syn(struct xdp_md *ctx)
{
    struct syn *syn = (void *)(long)ctx->data;
    __u64 random;
    __be32 sender;
    __be16 port;
    __u32 sum;

    if ((void *)(syn + 1) > (void *)(long)ctx->data_end)
        return XDP_ABORTED;
    if (!is_due())
        return XDP_DROP;
    random = next_random();
    port = bpf_htons(1024 | random >> 32);
    sender = bpf_htonl(sender_address(distribution, random));
    sum = (sender & 0xffff) + (sender >> 16);
    syn->ip.saddr = sender;
    syn->ip.check = folded(ip_sum + sum);
    syn->tcp.source = port;
    syn->tcp.check = folded(tcp_sum + sum + port);
    sent++;
    return bpf_redirect(interface_index, 0);
}

char _license[] SEC("license") = "Dual BSD/GPL";
