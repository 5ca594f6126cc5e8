/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The totals of services and networks. One copy for each CPU: a flood over many queues never
 * bounces a cache line, and no forged source can push a count out.
 */
#pragma once

#include "maps.h"
#include "parse.h"

/* Of an address in our tables, where IPv4 stands in ::ffff:0:0/96. */
static __always_inline bool is_ipv6(const struct tg_addr *addr)
{
    return addr->words[0] || addr->words[1] || addr->words[2] != bpf_htonl(0x0000ffff);
}

static __always_inline struct tg_tally *find_service_tally(__u16 service, bool ipv6)
{
    __u32 index = service * TG_FAMILY_COUNT + (ipv6 ? TG_FAMILY_IPV6 : TG_FAMILY_IPV4);

    return bpf_map_lookup_elem(&service_tallies, &index);
}

/*
 * The id of the longest network that holds the client; 0 if there is none. A packet counts
 * there only: the daemon adds a network's nested networks to its own.
 */
static __always_inline __u32 find_network(const struct tg_addr *client)
{
    struct tg_prefix key = {.length_bits = 128, .addr = *client};
    const struct tg_settings *now = find_settings();
    const struct tg_network *network;

    if (!now || !now->networks_configured)
        return 0;
    network = bpf_map_lookup_elem(&networks, &key);
    return network ? network->id : 0;
}

/* NULL for network 0 too, which is no network. */
static __always_inline struct tg_tally *find_network_tally(__u32 network)
{
    return network ? bpf_map_lookup_elem(&network_tallies, &network) : NULL;
}
