/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bytes to facts. Parsing never looks at a map and never decides policy: it fills in a
 * `struct packet`, or says why this packet cannot be one of a service's.
 *
 * A bad packet may still be known by its ports (`ports_known`), and then whose it is decides
 * before how bad it is: a packet to a port that nobody guards always passes.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <stdbool.h>
#include <tallygate/abi.h>

#include "cursor.h"

#define VLAN_TAGS_MAX 2
#define IPV6_EXTENSIONS_MAX 6
#define IPV6_EXTENSION_MASK 0xffc /* 8 to 2048 bytes, and the verifier's proof of it */
#define IP_BYTES_MAX 65535
#define IPV4_DONT_FRAGMENT 0x4000
#define IPV4_MORE_FRAGMENTS 0x2000
#define IPV4_OFFSET_MASK 0x1fff
#define IPV6_MORE_FRAGMENTS 0x0001
#define IPV6_OFFSET_MASK 0xfff8
#define ETH_P_QINQ_OLD 0x9100 /* QinQ before 802.1ad had a number */

/* The facts about a TCP packet. Numbers are in host order, the ends in network order. */
struct packet {
    struct tg_flow_key ends;
    __u32 seq;
    __u32 ack_seq;
    __u32 payload_bytes;
    bool syn;
    bool ack;
    bool fin;
    bool rst;
    bool ipv6;
    bool first_fragment;
    bool ports_known;
};

struct vlan_tag {
    __be16 control;
    __be16 inner_type;
};

struct tcp_ports {
    __be16 source;
    __be16 dest;
};

struct ipv6_fragment {
    __u8 next;
    __u8 reserved;
    __be16 offset_and_more;
};

/* Who is the client depends on the hook: it sends what comes in and receives what goes out. */
static __always_inline struct tg_addr *sender_of(struct packet *packet, enum tg_hook hook)
{
    return hook == TG_HOOK_INGRESS ? &packet->ends.client : &packet->ends.server;
}

static __always_inline struct tg_addr *receiver_of(struct packet *packet, enum tg_hook hook)
{
    return hook == TG_HOOK_INGRESS ? &packet->ends.server : &packet->ends.client;
}

/*
 * Both ports in one go, as the flow's key has them: a word that was written in two halves and is
 * read whole, as the key's hash does, is not to be had before both halves are in the cache.
 */
static __always_inline void put_ports(struct tg_flow_key *ends, const struct tcp_ports *ports,
                                      enum tg_hook hook)
{
    __u32 both;

    __builtin_memcpy(&both, ports, sizeof(both));
    if (hook != TG_HOOK_INGRESS)
        both = both << 16 | both >> 16;
    __builtin_memcpy(&ends->client_port, &both, sizeof(both));
}

static __always_inline bool has_sane_flags(const struct packet *packet)
{
    if (packet->syn)
        return !packet->fin && !packet->rst;
    return packet->ack || packet->rst;
}

static __always_inline enum tg_verdict parse_tcp(struct cursor *cursor, struct packet *packet,
                                                 enum tg_hook hook)
{
    enum tg_verdict incomplete = packet->first_fragment ? TG_PASS_TINY_FRAGMENT : TG_PASS_MALFORMED;
    struct cursor ports_cursor = *cursor;
    const struct tcp_ports *ports = TAKE(&ports_cursor, struct tcp_ports);
    const struct tcphdr *tcp;

    if (!ports)
        return incomplete;
    put_ports(&packet->ends, ports, hook);
    packet->ports_known = true;

    tcp = TAKE(cursor, struct tcphdr);
    if (!tcp)
        return incomplete;
    packet->seq = bpf_ntohl(tcp->seq);
    packet->ack_seq = bpf_ntohl(tcp->ack_seq);
    packet->syn = tcp->syn;
    packet->ack = tcp->ack;
    packet->fin = tcp->fin;
    packet->rst = tcp->rst;

    if (tcp->doff < 5 || !has_sane_flags(packet))
        return TG_PASS_MALFORMED;
    if (tcp->doff > 5 && !cursor_take(cursor, (tcp->doff - 5) * 4))
        return incomplete;
    packet->payload_bytes = cursor->left;
    return TG_UNDECIDED;
}

/*
 * Makes the cursor end where the IP packet ends. A super-packet above 64 KiB, which only the
 * kernel itself builds, says 0: then it is as long as its frame.
 */
static __always_inline bool limit_to(struct cursor *cursor, __u32 bytes, enum tg_hook hook)
{
    if (bytes == 0 && (hook == TG_HOOK_EGRESS || cursor->left > IP_BYTES_MAX))
        return true;
    if (bytes > cursor->left)
        return false;
    cursor->left = bytes;
    return true;
}

static __always_inline void map_ipv4(struct tg_addr *addr, __be32 ipv4)
{
    addr->words[2] = bpf_htonl(0x0000ffff);
    addr->words[3] = ipv4;
}

static __always_inline enum tg_verdict parse_ipv4(struct cursor *cursor, struct packet *packet,
                                                  enum tg_hook hook)
{
    struct cursor start = *cursor;
    const struct iphdr *ip = TAKE(cursor, struct iphdr);
    __u32 header_bytes, total_bytes, fragment;

    if (!ip)
        return TG_PASS_MALFORMED;
    if (ip->protocol != IPPROTO_TCP)
        return TG_PASS_NOT_TCP;

    fragment = bpf_ntohs(ip->frag_off);
    if (fragment & IPV4_OFFSET_MASK)
        return TG_PASS_FRAGMENT;
    packet->first_fragment = fragment & IPV4_MORE_FRAGMENTS;

    header_bytes = ip->ihl * 4;
    total_bytes = bpf_ntohs(ip->tot_len);
    if (ip->version != 4 || header_bytes < sizeof(*ip) || !limit_to(&start, total_bytes, hook) ||
        start.left < header_bytes)
        return TG_PASS_MALFORMED;
    cursor->left = start.left - sizeof(*ip);
    map_ipv4(sender_of(packet, hook), ip->saddr);
    map_ipv4(receiver_of(packet, hook), ip->daddr);

    if (header_bytes > sizeof(*ip) && !cursor_take(cursor, header_bytes - sizeof(*ip)))
        return TG_PASS_MALFORMED;
    return parse_tcp(cursor, packet, hook);
}

/*
 * The extension headers that we step over: how many bytes one unit of their length is, beyond
 * the first 8 bytes, which all of them have. A table and not branches: the verifier would follow
 * every combination of branches through every header.
 */
struct ipv6_extension_kind {
    __u8 is_extension;
    __u8 unit_bytes;
};

static const struct ipv6_extension_kind ipv6_extension_kinds[256] = {
    [IPPROTO_HOPOPTS] = {1, 8}, /* RFC 8200: in words of eight, less one */
    [IPPROTO_ROUTING] = {1, 8},  [IPPROTO_DSTOPTS] = {1, 8},
    [IPPROTO_AH] = {1, 4},       /* RFC 4302: in words of four, less two */
    [IPPROTO_FRAGMENT] = {1, 0}, /* has no length: this byte is reserved */
};

static __always_inline bool is_ipv6_extension(__u8 next)
{
    return ipv6_extension_kinds[next].is_extension;
}

/* Steps over one extension header and answers with what follows it in `next`. */
static __always_inline enum tg_verdict take_ipv6_extension(struct cursor *cursor,
                                                           struct packet *packet, __u8 *next)
{
    struct cursor fixed = *cursor;
    const struct ipv6_fragment *header = TAKE(&fixed, struct ipv6_fragment);
    __u16 fragment;
    __u32 bytes;

    if (!header)
        return TG_PASS_MALFORMED;
    fragment = *next == IPPROTO_FRAGMENT ? bpf_ntohs(header->offset_and_more) : 0;
    if (fragment & IPV6_OFFSET_MASK)
        return TG_PASS_FRAGMENT;
    packet->first_fragment |= fragment & IPV6_MORE_FRAGMENTS;

    bytes = header->reserved * ipv6_extension_kinds[*next].unit_bytes + 8;
    *next = header->next;
    return cursor_take(cursor, bytes & IPV6_EXTENSION_MASK) ? TG_UNDECIDED : TG_PASS_MALFORMED;
}

static __always_inline enum tg_verdict parse_ipv6(struct cursor *cursor, struct packet *packet,
                                                  enum tg_hook hook)
{
    const struct ipv6hdr *ip = TAKE(cursor, struct ipv6hdr);
    enum tg_verdict verdict;
    __u8 next;

    if (!ip || ip->version != 6 || !limit_to(cursor, bpf_ntohs(ip->payload_len), hook))
        return TG_PASS_MALFORMED;
    __builtin_memcpy(sender_of(packet, hook), &ip->saddr, sizeof(struct tg_addr));
    __builtin_memcpy(receiver_of(packet, hook), &ip->daddr, sizeof(struct tg_addr));
    packet->ipv6 = true;
    next = ip->nexthdr;

    for (int i = 0; i < IPV6_EXTENSIONS_MAX && is_ipv6_extension(next); i++) {
        verdict = take_ipv6_extension(cursor, packet, &next);
        if (verdict != TG_UNDECIDED)
            return verdict;
    }
    if (next == IPPROTO_TCP)
        return parse_tcp(cursor, packet, hook);
    return is_ipv6_extension(next) ? TG_PASS_EXTENSION_LIMIT : TG_PASS_NOT_TCP;
}

static __always_inline bool is_vlan(__be16 type)
{
    return type == bpf_htons(ETH_P_8021Q) || type == bpf_htons(ETH_P_8021AD) ||
           type == bpf_htons(ETH_P_QINQ_OLD);
}

/*
 * Takes the Ethernet header with its tags, and answers the type of what they carry: that of a
 * tag if there are too many of them, or if the frame ends before they do.
 */
static __always_inline __be16 take_ethernet(struct cursor *cursor)
{
    const struct ethhdr *ethernet = TAKE(cursor, struct ethhdr);
    __be16 type = ethernet ? ethernet->h_proto : bpf_htons(ETH_P_8021Q);

    for (int i = 0; i < VLAN_TAGS_MAX && is_vlan(type); i++) {
        const struct vlan_tag *tag = TAKE(cursor, struct vlan_tag);

        if (!tag)
            break;
        type = tag->inner_type;
    }
    return type;
}

static __always_inline enum tg_verdict parse_ip(struct cursor *cursor, struct packet *packet,
                                                __be16 type, enum tg_hook hook)
{
    if (type == bpf_htons(ETH_P_IP))
        return parse_ipv4(cursor, packet, hook);
    if (type == bpf_htons(ETH_P_IPV6))
        return parse_ipv6(cursor, packet, hook);
    return TG_PASS_NOT_TCP;
}

static __always_inline enum tg_verdict parse_packet(struct cursor *cursor, struct packet *packet,
                                                    enum tg_hook hook)
{
    __be16 type = take_ethernet(cursor);

    if (is_vlan(type))
        return TG_PASS_UNPARSED;
    return parse_ip(cursor, packet, type, hook);
}
