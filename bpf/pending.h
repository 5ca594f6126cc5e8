/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Handshakes on their way. The server's SYN-ACK leaves its number in a fixed array; only a
 * client that received it can name that number back. A forger who sees nothing cannot, and a
 * flood of SYNs allocates nothing: it can only push out what is older, which costs a handshake its
 * prompt proof, and reconcile finds that connection in the socket table.
 *
 * Two ways in a bucket, first in, first out: a handshake is lost only if two others come to its
 * bucket while it is under way.
 */
#pragma once

#include "hash.h"
#include "maps.h"
#include "parse.h"

/* Set before loading. */
const volatile __u32 pending_mask = PENDING_BUCKETS_MAX - 1;

static __always_inline __u64 hash_ends(const struct tg_flow_key *ends)
{
    __u64 hash = hash_seed[0];

    hash = mix_words(hash, ends->client.words[0], ends->client.words[1]);
    hash = mix_words(hash, ends->client.words[2], ends->client.words[3]);
    hash = mix_words(hash, ends->server.words[0], ends->server.words[1]);
    hash = mix_words(hash, ends->server.words[2], ends->server.words[3]);
    return mix_words(hash ^ hash_seed[1], ends->client_port, ends->server_port);
}

static __always_inline struct tg_pending *find_pending(__u64 hash)
{
    __u32 index = hash & pending_mask;

    return bpf_map_lookup_elem(&pending, &index);
}

/* Never 0, which says "empty". */
static __always_inline __u64 pending_word(__u64 hash, __u32 number)
{
    return (hash | 1ULL << 32) >> 32 << 32 | number;
}

static __always_inline bool is_of_same(__u64 word, __u64 other)
{
    return word >> 32 == other >> 32;
}

/*
 * The server answered: whoever acknowledges `number` has seen this SYN-ACK. Two CPUs that meet in
 * a bucket at the same moment may lose one of the two.
 */
static __always_inline void expect_ack(const struct tg_flow_key *ends, __u32 number)
{
    __u64 hash = hash_ends(ends);
    __u64 word = pending_word(hash, number);
    struct tg_pending *bucket = find_pending(hash);
    volatile __u64 *words;
    __u64 newest;

    if (!bucket)
        return;
    words = bucket->words;
    newest = words[0];
    if (is_of_same(words[1], word)) {
        words[1] = word;
        return;
    }
    if (newest && !is_of_same(newest, word))
        words[1] = newest;
    words[0] = word;
}

/*
 * Does this ACK prove its handshake? TG_UNDECIDED: yes, and `way` is where it stood. Otherwise why
 * not: a number that is not the server's, or a connection of which we know no SYN-ACK.
 */
static __always_inline enum tg_verdict check_ack(const struct tg_pending *bucket, __u64 expected,
                                                 __u32 *way)
{
    enum tg_verdict verdict = TG_PASS_UNKNOWN_FLOW;

    for (__u32 i = 0; bucket && i < TG_PENDING_WAYS; i++) {
        __u64 word = *(const volatile __u64 *)&bucket->words[i];

        if (word == expected) {
            *way = i;
            return TG_UNDECIDED;
        }
        if (is_of_same(word, expected))
            verdict = TG_PASS_BAD_ACK;
    }
    return verdict;
}

/* The handshake is proven. Not if another has taken its way meanwhile. */
static __always_inline void forget_pending(struct tg_pending *bucket, __u64 expected, __u32 way)
{
    __u64 *word = way ? &bucket->words[1] : &bucket->words[0];

    __sync_val_compare_and_swap(word, expected, 0);
}
