/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rates: a limit's budget is one word, the time at which its last SYN is due. A SYN conforms if
 * that is no later than now and the burst before it; then it is due one interval later. What is
 * rejected writes nothing. (The generic cell rate algorithm, virtual scheduling; ITU-T I.371.)
 *
 * The budgets of prefixes sit four in a cache line. A due time in the past is as good as none,
 * so taking the earliest for a newcomer loses nothing while any is past.
 */
#pragma once

#include <stdbool.h>

#include "addresses.h"
#include "claims.h"
#include "hash.h"
#include "maps.h"

/* Set before loading: buckets - 1. */
const volatile __u32 rates_mask = RATE_BUCKETS_MAX - 1;

static __always_inline bool conforms(__u64 due_ns, __u64 tolerance_ns, __u64 now)
{
    return due_ns <= now + tolerance_ns;
}

/* False if that no longer conforms: another CPU has charged it since it was looked at. */
static __always_inline bool charge(__u64 *due_ns, const struct tg_limit *limit, __u64 now)
{
    for (int i = 0; i < CHARGES_MAX; i++) {
        __u64 due = *(volatile __u64 *)due_ns;

        if (!conforms(due, limit->tolerance_ns, now))
            return false;
        if (__sync_val_compare_and_swap(due_ns, due,
                                        (due > now ? due : now) + limit->interval_ns) == due)
            return true;
    }
    count_event(TG_EVENT_LIMIT_CONTENDED);
    return true;
}

/* Never 0, which says "free". */
static __always_inline __u64 rate_tag(const struct tg_addr *client, __u32 prefix_bits, __u32 limit)
{
    struct tg_addr prefix = *client;
    __u64 hash = hash_seed[1];

    cut_to(&prefix, prefix_bits);
    hash = mix_words(hash, prefix.words[0], prefix.words[1]);
    hash = mix_words(hash, prefix.words[2], prefix.words[3]);
    return mix(hash ^ hash_seed[0], limit) | 1;
}

static __always_inline struct tg_rates *find_rates(__u64 tag)
{
    __u32 index = tag >> 32 & rates_mask;

    return bpf_map_lookup_elem(&rates, &index);
}

static __always_inline __u64 rate_due_ns(const struct tg_rates *bucket, __u64 tag)
{
    for (__u32 way = 0; way < TG_BUCKET_WAYS; way++)
        if (bucket->tags[way] == tag)
            return bucket->due_ns[way];
    return 0;
}

static __always_inline bool charge_rate(struct tg_rates *bucket, __u64 tag,
                                        const struct tg_limit *limit, __u64 now)
{
    __u64 old, least = ~0ULL;
    __u32 earliest = 0;

    for (__u32 way = 0; way < TG_BUCKET_WAYS; way++) {
        __u64 due = bucket->due_ns[way];

        if (bucket->tags[way] == tag)
            return charge(&bucket->due_ns[way], limit, now);
        if (due < least) {
            least = due;
            earliest = way;
        }
    }
    old = bucket->tags[earliest];
    if (__sync_val_compare_and_swap(&bucket->tags[earliest], old, tag) != old) {
        count_event(TG_EVENT_LIMIT_CONTENDED);
        return true;
    }
    if (old)
        count_event(least > now ? TG_EVENT_RATE_EVICTED_OWING : TG_EVENT_RATE_EVICTED);
    *(volatile __u64 *)&bucket->due_ns[earliest] = now + limit->interval_ns;
    return true;
}
