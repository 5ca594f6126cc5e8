/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Handshakes on their way. The server's SYN-ACK leaves its number in a fixed array; only a
 * client that received it can name that number back. A forger who sees nothing cannot, and a
 * flood of SYNs allocates nothing: it can only overwrite slots, which costs a handshake its
 * prompt proof, and reconcile finds that connection in the socket table.
 */
#pragma once

#include "hash.h"
#include "maps.h"
#include "parse.h"

/* Set before loading. */
const volatile __u32 pending_mask = PENDING_MAX - 1;

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

/* The server answered: whoever acknowledges `number` has seen this SYN-ACK. */
static __always_inline void expect_ack(const struct tg_flow_key *ends, __u32 number)
{
    __u64 hash = hash_ends(ends);
    struct tg_pending *slot = find_pending(hash);

    if (slot)
        *(volatile __u64 *)&slot->word = pending_word(hash, number);
}

/*
 * Does this ACK prove its handshake? TG_UNDECIDED: yes. Otherwise why not: a number that is
 * not the server's, or a connection of which we know no SYN-ACK.
 */
static __always_inline enum tg_verdict check_ack(const struct tg_pending *slot, __u64 hash,
                                                 __u32 number)
{
    __u64 word = slot ? *(const volatile __u64 *)&slot->word : 0;

    if (word == pending_word(hash, number))
        return TG_UNDECIDED;
    return word >> 32 == pending_word(hash, 0) >> 32 ? TG_PASS_BAD_ACK : TG_PASS_UNKNOWN_FLOW;
}
