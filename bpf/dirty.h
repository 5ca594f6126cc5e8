/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Dirty bits: which slots of sources, and which buckets of claims, have changed since the daemon
 * looked last. Of a million it then reads the few that have.
 *
 * Whoever changes something marks it afterwards; the daemon clears a bit and then looks. A change
 * ends with an atomic addition or exchange, so on x86 it is there before the bit is read: who finds
 * it set comes before whoever clears it. On arm64 an addition alone gives no such order.
 */
#pragma once

#include <linux/types.h>

#include "maps.h"

static __always_inline void mark_dirty(__u64 *word, __u32 number)
{
    __u64 bit = 1ULL << number % 64;

    if (word && !(*(volatile __u64 *)word & bit))
        __sync_fetch_and_or(word, bit);
}

static __always_inline void mark_slot(__u32 slot)
{
    __u32 index = slot / 64;

    mark_dirty(bpf_map_lookup_elem(&dirty_sources, &index), slot);
}

static __always_inline void mark_bucket(__u32 bucket)
{
    __u32 index = bucket / 64;

    mark_dirty(bpf_map_lookup_elem(&dirty_claims, &index), bucket);
}
