/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who sends. A source that only sent SYNs is claimed and may be forged: it lives in a bounded
 * table that may forget it. One that finished a handshake is proven: it has a slot for good.
 */
#pragma once

#include "injected.h"
#include "maps.h"
#include "parse.h"
#include "tallies.h"

#define NO_SLOT 0xffffffff

/* Set before loading. What an IPv6 source keeps of its last 64 bits: nothing, by default. */
const volatile __be32 ipv6_source_mask[2] = {0, 0};
const volatile __u32 sources_max = SOURCES_MAX;

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
    struct tg_source *source;
    __u32 slot;

    if (known)
        return *known;

    slot = take_slot();
    source = slot == NO_SLOT ? NULL : find_slot(slot);
    if (!source)
        return NO_SLOT;

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

/* Remembers a source that has proven nothing. False if the table would not take it. */
static __always_inline bool claim(const struct tg_source_key *key)
{
    struct tg_claim first = {.syn = 1};
    struct tg_claim *known = bpf_map_lookup_elem(&claims, key);

    if (!known) {
        first.first_ns = now_ns();
        if (bpf_map_update_elem(&claims, key, &first, BPF_NOEXIST) == 0)
            return true;
        known = bpf_map_lookup_elem(&claims, key);
    }
    if (known)
        __sync_fetch_and_add(&known->syn, 1);
    return known != NULL;
}

/* A SYN adds to tallies and makes no flow. */
static __always_inline enum tg_verdict count_syn(const struct packet *packet, __u16 service)
{
    struct tg_source_key key = source_key_of(&packet->ends.client, service);
    struct tg_tally *tally = find_service_tally(service, packet->ipv6);
    struct tg_source *source;
    const __u32 *slot;

    if (tally)
        tally->syn++;
    tally = find_network_tally(find_network(&packet->ends.client));
    if (tally)
        tally->syn++;

    slot = bpf_map_lookup_elem(&source_index, &key);
    source = slot ? find_slot(*slot) : NULL;
    if (source) {
        __sync_fetch_and_add(&source->tally.syn, 1);
        return TG_PASS_SYN;
    }
    return claim(&key) ? TG_PASS_SYN : TG_PASS_SYN_UNCLAIMED;
}
