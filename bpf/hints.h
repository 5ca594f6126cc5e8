/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * May a table have an answer for this address? A trie of a hundred entries costs twice a parse, and
 * a word of cold memory more; most addresses of a flood are in nothing that we know, and one
 * bit says so.
 */
#pragma once

#include <bpf/bpf_endian.h>
#include <stdbool.h>

#include "addresses.h"
#include "maps.h"

/* The bit of an address, of TG_HINT_BITS. */
static __always_inline __u32 hint_bit(const struct tg_addr *addr)
{
    if (!is_ipv6(addr))
        return bpf_ntohl(addr->words[3]) >> 16;
    return TG_HINT_BITS / 2 +
           (bpf_ntohl(addr->words[0]) * TG_HINT_IPV6_MULTIPLIER >> TG_HINT_IPV6_SHIFT);
}

static __always_inline __u64 *find_hint(enum tg_hint table, __u32 bit)
{
    __u32 index = table * TG_HINT_WORDS + bit / 64;

    return bpf_map_lookup_elem(&hints, &index);
}

static __always_inline bool is_hinted(enum tg_hint table, const struct tg_addr *addr)
{
    __u32 bit = hint_bit(addr);
    const __u64 *word = find_hint(table, bit);

    return word && *word >> bit % 64 & 1;
}

static __always_inline void set_hint(enum tg_hint table, const struct tg_addr *addr)
{
    __u32 bit = hint_bit(addr);
    __u64 *word = find_hint(table, bit);

    if (word && !(*word >> bit % 64 & 1))
        __sync_fetch_and_or(word, 1ULL << bit % 64);
}
