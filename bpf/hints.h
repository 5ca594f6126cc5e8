/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * May a trie have an answer for this address? A trie of a hundred entries costs twice a parse;
 * most addresses of a flood are in none of its entries, and one bit says so.
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

static __always_inline bool is_hinted(enum tg_hint trie, const struct tg_addr *addr)
{
    __u32 bit = hint_bit(addr);
    __u32 index = trie * TG_HINT_WORDS + bit / 64;
    const __u64 *word = bpf_map_lookup_elem(&hints, &index);

    return word && *word >> bit % 64 & 1;
}
