/* SPDX-License-Identifier: BSD-2-Clause */
/* Is this packet to, or from, something that we guard? And can its sender be real? */
#pragma once

#include "addresses.h"
#include "maps.h"
#include "parse.h"

static __always_inline const __u32 *find_listener(const struct tg_flow_key *ends)
{
    struct tg_listener listener = {.addr = ends->server, .port = ends->server_port};

    return bpf_map_lookup_elem(&listeners, &listener);
}

/* The id of the service at the server's end, perhaps with TG_LEAVING; 0 if nobody guards it. */
static __always_inline __u32 find_service(const struct tg_flow_key *ends)
{
    __u32 port = bpf_ntohs(ends->server_port);
    const struct tg_port *entry = bpf_map_lookup_elem(&ports, &port);
    const __u32 *service;

    if (!entry)
        return 0;
    service = entry->listed ? find_listener(ends) : NULL;
    if (service)
        return *service;
    return entry->leaving ? entry->service | TG_LEAVING : entry->service;
}

/* This host, loopback, multicast and broadcast: what the kernel calls martian sources. */
static __always_inline bool is_bogon_ipv4(__be32 addr)
{
    __u32 host = bpf_ntohl(addr);
    __u32 first_octet = host >> 24;

    return first_octet == 0 || first_octet == 127 || (first_octet & 0xf0) == 224 ||
           host == 0xffffffff;
}

/* ::, ::1 and multicast; and ::ffff:0:0/96, which would pass for IPv4 in our tables. */
static __always_inline bool is_bogon_ipv6(const struct tg_addr *addr)
{
    if ((addr->words[0] & bpf_htonl(0xff000000)) == bpf_htonl(0xff000000))
        return true;
    if (addr->words[0] || addr->words[1])
        return false;
    return addr->words[2] == bpf_htonl(0x0000ffff) ||
           (!addr->words[2] && bpf_ntohl(addr->words[3]) <= 1);
}

/* A sender that cannot be: it gets no table entry, whoever it claims to be. */
static __always_inline bool is_bogon(const struct tg_flow_key *ends, bool ipv6)
{
    if (is_same_addr(&ends->client, &ends->server))
        return true;
    return ipv6 ? is_bogon_ipv6(&ends->client) : is_bogon_ipv4(ends->client.words[3]);
}
