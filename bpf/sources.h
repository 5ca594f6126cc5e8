/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proven sources: they finished a handshake, so they are who they say. Each has a slot until the
 * daemon gives it to another, which it does with those that stopped coming (slot_recycler.hpp). A
 * hint for its /16, and a filter before the index, spare those that never came the look into it.
 */
#pragma once

#include "addresses.h"
#include "claims.h"
#include "hints.h"
#include "maps.h"

#define NO_SLOT 0xffffffff

/* Set before loading. What an IPv6 source keeps of its last 64 bits: nothing, by default. */
const volatile __be32 ipv6_source_mask[2] = {0, 0};
const volatile __u32 sources_max = SOURCES_MAX;
const volatile __u32 filter_mask = FILTER_WORDS_MAX - 1; /* words - 1 */

static __always_inline struct tg_source_key source_key_of(const struct tg_addr *client,
                                                          __u16 service)
{
    struct tg_source_key key = {.addr = *client, .service = service};

    if (is_ipv6(client)) {
        key.addr.words[2] &= ipv6_source_mask[0];
        key.addr.words[3] &= ipv6_source_mask[1];
    }
    return key;
}

static __always_inline struct tg_source *find_slot(__u32 slot)
{
    return bpf_map_lookup_elem(&sources, &slot);
}

/* A word of the filter, and two bits in it. */
static __always_inline __u64 *find_filter(__u64 hash)
{
    __u32 index = hash >> 20 & filter_mask;

    return bpf_map_lookup_elem(&proven_filter, &index);
}

static __always_inline __u64 filter_bits(__u64 hash)
{
    return 1ULL << (hash >> 8 & 63) | 1ULL << (hash >> 14 & 63);
}

/* The slot of a source, if it has proven itself before; else NO_SLOT. */
static __always_inline __u32 find_proven(const struct tg_source_key *key, __u64 hash)
{
    const __u64 *word;
    __u64 bits = filter_bits(hash);
    const __u32 *slot;

    if (!is_hinted(TG_HINT_PROVEN, &key->addr))
        return NO_SLOT;
    word = find_filter(hash);
    if (!word || (*word & bits) != bits)
        return NO_SLOT;
    slot = bpf_map_lookup_elem(&source_index, key);
    return slot ? *slot : NO_SLOT;
}

/* Whoever finds a source in the index must find it here before. */
static __always_inline void set_filter(const struct tg_source_key *key, __u64 hash)
{
    __u64 *word = find_filter(hash);
    __u64 bits = filter_bits(hash);

    set_hint(TG_HINT_PROVEN, &key->addr);
    if (word && (*word & bits) != bits)
        __sync_fetch_and_or(word, bits);
}

/* A slot that nobody uses: one given back, or the next that was never used. */
static __always_inline __u32 take_slot(void)
{
    struct tg_progress *reached;
    __u32 slot, only = 0;
    __u64 next;

    if (bpf_map_pop_elem(&freed_slots, &slot) == 0)
        return slot;

    reached = bpf_map_lookup_elem(&progress, &only);
    if (!reached || reached->sources_high_water >= sources_max)
        return NO_SLOT;
    next = __sync_fetch_and_add(&reached->sources_high_water, 1);
    return next < sources_max ? next : NO_SLOT;
}

/* The slot of a source that has just proven itself: its own, or a new one. */
static __always_inline __u32 prove_source(const struct tg_source_key *key)
{
    const __u32 *known = bpf_map_lookup_elem(&source_index, key);
    __u64 hash = hash_source(key);
    struct tg_source *source;
    __u32 slot;

    if (known) {
        /* The daemon may just be making the filter anew, and not have seen this source. */
        set_filter(key, hash);
        return *known;
    }

    slot = take_slot();
    source = slot == NO_SLOT ? NULL : find_slot(slot);
    if (!source)
        return NO_SLOT;

    set_filter(key, hash);
    source->key = *key;
    if (bpf_map_update_elem(&source_index, key, &slot, BPF_NOEXIST) == 0) {
        /* An exchange and not a store: the daemon must not see `used` before the key. */
        __sync_lock_test_and_set(&source->used, 1);
        return slot;
    }

    /* Another CPU was first, or the index is full. */
    bpf_map_push_elem(&freed_slots, &slot, BPF_ANY);
    known = bpf_map_lookup_elem(&source_index, key);
    return known ? *known : NO_SLOT;
}
