/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Claims: the sources of SYNs, which may all be forged. Four in a bucket of two neighbouring
 * cache lines, found by a keyed hash; nothing is allocated, and nothing is locked. A newcomer
 * takes the way that has been idle longest. Whoever holds a state of a limit that is due later
 * than now keeps it as long as another way of its bucket does not.
 */
#pragma once

#include <stdbool.h>

#include "addresses.h"
#include "hash.h"
#include "maps.h"

#define NO_WAY TG_BUCKET_WAYS
#define NO_PLACE 0xffffffff
#define CLAIM_SERVICE_MASK ((1 << TG_CLAIM_SERVICE_BITS) - 1)
#define CHARGES_MAX 3 /* tries to charge what another CPU is charging too */

/* Set before loading: buckets - 1. */
const volatile __u32 claims_mask = CLAIM_BUCKETS_MAX - 1;

static __always_inline __u64 hash_source(const struct tg_source_key *key)
{
    __u64 hash = hash_seed[0];

    hash = mix_words(hash, key->addr.words[0], key->addr.words[1]);
    hash = mix_words(hash, key->addr.words[2], key->addr.words[3]);
    return mix(hash ^ hash_seed[1], key->service);
}

static __always_inline struct tg_claims *find_bucket(__u32 index)
{
    return bpf_map_lookup_elem(&claims, &index);
}

static __always_inline __u64 read_word(const struct tg_claim_state *state)
{
    return *(const volatile __u64 *)&state->word;
}

static __always_inline __u64 claim_word(__u64 due_ns, __u16 service)
{
    return due_ns / TG_CLAIM_UNIT_NS << TG_CLAIM_SERVICE_BITS | service;
}

static __always_inline __u64 claim_due_ns(__u64 word)
{
    return (word >> TG_CLAIM_SERVICE_BITS) * TG_CLAIM_UNIT_NS;
}

/*
 * The way of a source in its bucket, or NO_WAY. This and take_way() are global functions: the
 * verifier looks at each once, and follows what comes after for any way at all.
 */
__noinline __u32 find_way(const struct tg_claims *bucket, const struct tg_source_key *key)
{
    if (!bucket || !key)
        return NO_WAY;
    for (__u32 way = 0; way < TG_BUCKET_WAYS; way++)
        if (is_same_addr(&bucket->sources[way], &key->addr) &&
            (read_word(&bucket->states[way]) & CLAIM_SERVICE_MASK) == key->service)
            return way;
    return NO_WAY;
}

/* The way that is free, or was idle longest. One that another CPU is just taking is neither. */
static __always_inline __u32 find_idlest(const struct tg_claims *bucket)
{
    __u64 word, least = ~0ULL;
    __u32 idlest = NO_WAY;

    for (__u32 way = 0; way < TG_BUCKET_WAYS; way++) {
        word = read_word(&bucket->states[way]);
        if (word < least && (!word || word & CLAIM_SERVICE_MASK)) {
            least = word;
            idlest = way;
        }
    }
    return idlest;
}

/*
 * Gives a way of the bucket to a newcomer: its number, or NO_WAY if another CPU was taking it.
 * While the address is written the way has no service, so that nobody takes it for either.
 */
__noinline __u32 take_way(struct tg_claims *bucket, const struct tg_source_key *key, __u64 now)
{
    __u32 way = bucket && key ? find_idlest(bucket) : NO_WAY;
    struct tg_claim_state *state;
    __u64 word;

    if (way >= NO_WAY || !bucket || !key) {
        count_event(TG_EVENT_CLAIM_MISSED);
        return NO_WAY;
    }
    state = &bucket->states[way];
    word = read_word(state);
    if (__sync_val_compare_and_swap(&state->word, word, claim_word(now, 0)) != word) {
        count_event(TG_EVENT_CLAIM_MISSED);
        return NO_WAY;
    }
    if (word)
        count_event(claim_due_ns(word) > now ? TG_EVENT_CLAIM_EVICTED_OWING
                                             : TG_EVENT_CLAIM_EVICTED);
    bucket->sources[way] = key->addr;
    state->syn = 0;
    state->dropped = 0;
    __sync_lock_test_and_set(&state->word, claim_word(now, key->service));
    return way;
}

/*
 * The source was here now, and its limit, if it has one, is due an interval later. False if that
 * no longer conforms: another CPU has charged it since it was looked at. By compare-and-swap, and
 * not for ever: a SYN that others outrun passes uncharged.
 */
static __always_inline bool charge_claim(struct tg_claim_state *state, __u64 now, __u64 interval_ns,
                                         __u64 tolerance_ns)
{
    for (int i = 0; i < CHARGES_MAX; i++) {
        __u64 word = read_word(state);
        __u64 due = claim_due_ns(word);
        __u64 later = (due > now ? due : now) + interval_ns;
        __u64 next = claim_word(later, word & CLAIM_SERVICE_MASK);

        if (interval_ns && due > now + tolerance_ns)
            return false;
        if (next <= word || __sync_val_compare_and_swap(&state->word, word, next) == word)
            return true;
    }
    count_event(TG_EVENT_LIMIT_CONTENDED);
    return true;
}
