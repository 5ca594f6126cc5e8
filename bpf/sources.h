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
static __always_inline struct tg_filter *find_filter(__u64 hash)
{
    __u32 index = hash >> 20 & filter_mask;

    return bpf_map_lookup_elem(&proven_filter, &index);
}

static __always_inline __u64 filter_bits(__u64 hash)
{
    return 1ULL << (hash >> 8 & 63) | 1ULL << (hash >> 14 & 63);
}

static __always_inline bool has_key(const struct tg_source *source, const struct tg_source_key *key)
{
    return is_same_addr(&source->key.addr, &key->addr) && source->key.service == key->service;
}

/* Not while the slot is leaving the index: it will be another's, and only who is at it now is
 * waited for. */
static __always_inline bool is_slot_of(__u32 slot, const struct tg_source_key *key)
{
    const struct tg_source *source = find_slot(slot);

    return source && *(const volatile __u32 *)&source->used == TG_SLOT_USED && has_key(source, key);
}

/* By the index, where an element is another's as soon as the daemon has taken its source out. A
 * slot has its key before the index leads there. */
static __always_inline __u32 look_up_slot(const struct tg_source_key *key)
{
    const __u32 *known = bpf_map_lookup_elem(&source_index, key);
    __u32 slot = known ? *(const volatile __u32 *)known : NO_SLOT;
    const struct tg_source *source = find_slot(slot);

    return source && has_key(source, key) ? slot : NO_SLOT;
}

/* The slot of a source that the filter lets pass: as it was when it was last met, or by the index.
 * NO_SLOT if it is in neither. */
static __always_inline __u32 recall_slot(struct tg_filter *filter, __u64 hash,
                                         const struct tg_source_key *key)
{
    __u32 *met = &filter->met[hash & 1];
    __u32 slot = *(volatile __u32 *)met;

    if (is_slot_of(slot, key))
        return slot;
    slot = look_up_slot(key);
    if (slot != NO_SLOT)
        *(volatile __u32 *)met = slot;
    return slot;
}

/* The slot of a source, if it has proven itself before; else NO_SLOT. */
static __always_inline __u32 find_proven(const struct tg_source_key *key, __u64 hash)
{
    struct tg_filter *filter;
    __u64 bits = filter_bits(hash);

    if (!is_hinted(TG_HINT_PROVEN, &key->addr))
        return NO_SLOT;
    filter = find_filter(hash);
    if (!filter || (filter->bits & bits) != bits)
        return NO_SLOT;
    return recall_slot(filter, hash, key);
}

/* Whoever finds a source in the index must find it here before. */
static __always_inline void set_filter(struct tg_filter *filter, const struct tg_source_key *key,
                                       __u64 hash)
{
    __u64 bits = filter_bits(hash);

    set_hint(TG_HINT_PROVEN, &key->addr);
    if ((filter->bits & bits) != bits)
        __sync_fetch_and_or(&filter->bits, bits);
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
    __u64 hash = hash_source(key);
    struct tg_filter *filter = find_filter(hash);
    __u32 known = filter ? recall_slot(filter, hash, key) : NO_SLOT;
    struct tg_source *source;
    __u32 slot;

    if (!filter)
        return NO_SLOT;
    if (known != NO_SLOT) {
        /* The daemon may just be making the filter anew, and not have seen this source. */
        set_filter(filter, key, hash);
        return known;
    }

    slot = take_slot();
    source = slot == NO_SLOT ? NULL : find_slot(slot);
    if (!source)
        return NO_SLOT;

    set_filter(filter, key, hash);
    /* What a CPU held back of the last owner may have come when the slot was empty already. */
    source->tally = (struct tg_tally){};
    source->key = *key;
    if (bpf_map_update_elem(&source_index, key, &slot, BPF_NOEXIST) == 0) {
        /* An exchange and not a store: nobody must see `used` before the key. */
        __sync_lock_test_and_set(&source->used, TG_SLOT_USED);
        return slot;
    }

    /* Another CPU was first, or the index is full. */
    bpf_map_push_elem(&freed_slots, &slot, BPF_ANY);
    return recall_slot(filter, hash, key);
}
