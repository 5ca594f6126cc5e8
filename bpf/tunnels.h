/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A load balancer that answers nobody itself sends us its clients' packets in a tunnel, and we
 * answer the clients directly. Seen from outside every client is then the balancer. Where the
 * operator trusts the tunnel's sender, the packet inside is the one that counts.
 *
 * IP in IP, and GUE in its short form, where an IP packet follows a UDP header at once: what
 * Katran sends. Outer headers have no options, and a tunnel in a tunnel is not TCP.
 */
#pragma once

#include "parse.h"

#define GUE_PORT 6080

struct udp_header {
    struct tcp_ports ports;
    __be16 bytes;
    __be16 checksum;
};

/* Whose tunnels count: senders.h asks the table. Replay, which finds tunnels too, has its list. */
static __always_inline bool is_trusted_sender(const struct tg_prefix *sender);

/* Takes the outer IP header, and answers the protocol that follows; 0 if it is not trusted. */
static __always_inline __u8 take_outer(struct cursor *cursor, __be16 type)
{
    struct tg_prefix sender = {.length_bits = 128};
    const struct ipv6hdr *ipv6;
    const struct iphdr *ipv4;
    __u8 protocol;

    if (type == bpf_htons(ETH_P_IP)) {
        ipv4 = TAKE(cursor, struct iphdr);
        if (!ipv4 || ipv4->ihl != 5 || ipv4->frag_off & ~bpf_htons(IPV4_DONT_FRAGMENT))
            return 0;
        map_ipv4(&sender.addr, ipv4->saddr);
        protocol = ipv4->protocol;
    } else if (type == bpf_htons(ETH_P_IPV6)) {
        ipv6 = TAKE(cursor, struct ipv6hdr);
        if (!ipv6)
            return 0;
        __builtin_memcpy(&sender.addr, &ipv6->saddr, sizeof(sender.addr));
        protocol = ipv6->nexthdr;
    } else {
        return 0;
    }

    if (protocol != IPPROTO_IPIP && protocol != IPPROTO_IPV6 && protocol != IPPROTO_UDP)
        return 0;
    return is_trusted_sender(&sender) ? protocol : 0;
}

/* What find_tunnel() answers, in one number: how far in the inner packet is, and its version. */
#define TUNNEL_BYTES 0x7f
#define TUNNEL_IPV6 0x80

/* Where in a frame there is a tunnelled packet that counts; 0 if there is none. */
static __always_inline __u32 find_tunnel(struct cursor cursor)
{
    void *start = cursor.pos;
    __u8 protocol = take_outer(&cursor, take_ethernet(&cursor));
    const struct udp_header *udp;
    const __u8 *version;

    if (protocol == IPPROTO_UDP) {
        udp = TAKE(&cursor, struct udp_header);
        if (!udp || udp->ports.dest != bpf_htons(GUE_PORT))
            return 0;
    } else if (!protocol) {
        return 0;
    }

    version = cursor.pos;
    if (cursor.pos + 1 > cursor.end || (*version >> 4 != 4 && *version >> 4 != 6))
        return 0;
    return (cursor.pos - start) | (*version >> 4 == 6 ? TUNNEL_IPV6 : 0);
}

/*
 * The same number, of which the verifier knows nothing: a global function is verified on its
 * own. All ways to a tunnel meet here, and are followed further as one.
 */
__noinline __u32 forget(__u32 number)
{
    asm volatile("" : "+r"(number));
    return number;
}
