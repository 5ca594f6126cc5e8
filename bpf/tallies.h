/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The totals of services and networks. One copy for each CPU: a flood over many queues never
 * bounces a cache line, and no forged source can push a count out.
 */
#pragma once

#include "addresses.h"
#include "hints.h"
#include "maps.h"
#include "settings.h"

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
    const struct tg_settings *settings = find_settings();
    const struct tg_network *network;

    if (!settings || !settings->networks_configured || !is_hinted(TG_HINT_NETWORKS, client))
        return 0;
    network = bpf_map_lookup_elem(&networks, &key);
    return network ? network->id : 0;
}

/* NULL for network 0 too, which is no network. */
static __always_inline struct tg_tally *find_network_tally(__u32 network)
{
    return network ? bpf_map_lookup_elem(&network_tallies, &network) : NULL;
}

/* NULL for limit 0 too, which is no limit. */
static __always_inline struct tg_limit_tally *find_limit_tally(__u32 limit)
{
    return limit ? bpf_map_lookup_elem(&limit_tallies, &limit) : NULL;
}

static __always_inline __u64 *find_verdict_count(enum tg_hook hook, enum tg_verdict verdict)
{
    __u32 index = hook * TG_VERDICT_COUNT + verdict;

    return bpf_map_lookup_elem(&verdict_counts, &index);
}

static __always_inline void add_dropped(struct tg_tally *tally, __u32 syn)
{
    if (!tally)
        return;
    tally->syn += syn;
    tally->dropped += syn;
}

/*
 * What networks hold open, each with all that is inside of it. A network that is nested deeper
 * than the steps go is in the tallies, and in no limit.
 */
static __always_inline void add_network_live(__u32 network, __s64 amount)
{
    for (int step = 0; step < TG_NETWORK_STEPS_MAX && network; step++) {
        struct tg_network_node *node = bpf_map_lookup_elem(&network_nodes, &network);

        if (!node)
            return;
        __sync_fetch_and_add(&node->live, amount);
        network = node->parent;
    }
}
