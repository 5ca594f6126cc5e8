/* SPDX-License-Identifier: BSD-2-Clause */
/* Addresses as our tables have them, where IPv4 stands in ::ffff:0:0/96. */
#pragma once

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <stdbool.h>
#include <tallygate/abi.h>

static __always_inline bool is_ipv6(const struct tg_addr *addr)
{
    return addr->words[0] || addr->words[1] || addr->words[2] != bpf_htonl(0x0000ffff);
}

/* The last word first: it tells two IPv4 addresses apart. */
static __always_inline bool is_same_addr(const struct tg_addr *one, const struct tg_addr *other)
{
    return one->words[3] == other->words[3] &&
           !((one->words[2] ^ other->words[2]) | (one->words[1] ^ other->words[1]) |
             (one->words[0] ^ other->words[0]));
}

/* The mask of one of an address's four words, in network order, for a prefix of `bits`. */
static __always_inline __be32 word_mask(__u32 bits, __u32 word)
{
    if (bits >= (word + 1) * 32)
        return 0xffffffff;
    if (bits <= word * 32)
        return 0;
    return bpf_htonl(0xffffffffU << (32 - (bits & 31)));
}

static __always_inline void cut_to(struct tg_addr *addr, __u32 bits)
{
    addr->words[0] &= word_mask(bits, 0);
    addr->words[1] &= word_mask(bits, 1);
    addr->words[2] &= word_mask(bits, 2);
    addr->words[3] &= word_mask(bits, 3);
}
