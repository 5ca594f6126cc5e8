/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SYNs by prefix: an exact counter for each IPv4 /24, whoever is forged, and a bounded table of
 * IPv6 /48. A prefix is one word here: IPv4's number << 8 | 2; the first 48 bits of IPv6's
 * << 16 | 1.
 */
#pragma once

#include <bpf/bpf_endian.h>
#include <stdbool.h>

#include "addresses.h"
#include "hash.h"
#include "maps.h"

/* Set before loading: buckets - 1. */
const volatile __u32 ipv6_prefixes_mask = IPV6_PREFIX_BUCKETS_MAX - 1;

static __always_inline __u64 prefix_of(const struct tg_addr *addr)
{
    if (!is_ipv6(addr))
        return (__u64)(bpf_ntohl(addr->words[3]) >> 8) << 8 | 2;
    return ((__u64)bpf_ntohl(addr->words[0]) << 32 | (bpf_ntohl(addr->words[1]) & 0xffff0000)) | 1;
}

static __always_inline bool is_ipv4_prefix(__u64 prefix)
{
    return prefix & 2;
}

static __always_inline __u32 *find_ipv4_prefix(__u64 prefix)
{
    __u32 number = prefix >> 8;
    __u32 index = number >> 1 & (TG_PREFIX_PAIRS - 1);
    struct tg_prefix_pair *pair = bpf_map_lookup_elem(&prefixes, &index);

    return pair ? &pair->syn[number & 1] : NULL;
}

/* So that the line is on its way while others are looked at: it is nearly always cold. */
static __always_inline void fetch_prefix(__u64 prefix)
{
    const __u32 *syn = is_ipv4_prefix(prefix) ? find_ipv4_prefix(prefix) : NULL;

    if (syn)
        (void)*(const volatile __u32 *)syn;
}

static __always_inline void add_to_ipv6_prefix(__u64 prefix, __u32 syn)
{
    __u32 index = mix(hash_seed[0], prefix) >> 32 & ipv6_prefixes_mask;
    struct tg_ipv6_prefixes *bucket = bpf_map_lookup_elem(&ipv6_prefixes, &index);
    __u32 way;
    __u64 old;

    if (!bucket)
        return;
    for (way = 0; way < TG_BUCKET_WAYS; way++) {
        old = bucket->prefixes[way];
        if (!old)
            break;
        if (old == prefix) {
            __sync_fetch_and_add(&bucket->syn[way], syn);
            return;
        }
    }
    /* All taken: any may go, for the daemon has seen nearly all of its count. */
    if (way == TG_BUCKET_WAYS)
        way = bpf_get_prandom_u32() % TG_BUCKET_WAYS;
    old = bucket->prefixes[way];
    if (__sync_val_compare_and_swap(&bucket->prefixes[way], old, prefix) != old)
        return; /* another CPU's; these are missing, as what is evicted is */
    if (old)
        count_event(TG_EVENT_IPV6_PREFIX_EVICTED);
    *(volatile __u64 *)&bucket->syn[way] = syn;
}

static __always_inline void add_to_ipv4_prefix(__u64 prefix, __u32 syn)
{
    __u32 *counter = is_ipv4_prefix(prefix) ? find_ipv4_prefix(prefix) : NULL;

    if (counter)
        __sync_fetch_and_add(counter, syn);
}

static __always_inline void add_to_prefix(__u64 prefix, __u32 syn)
{
    add_to_ipv4_prefix(prefix, syn);
    if (prefix & 1)
        add_to_ipv6_prefix(prefix, syn);
}
