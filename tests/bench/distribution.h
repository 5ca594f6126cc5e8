/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who sends the SYNs of a flood. None of them is in 0.0.0.0/8, 127.0.0.0/8 or 224.0.0.0/3: those
 * can send nothing, and a gate may tell by that alone. Nor in 198.18.0.0/15, where scripts/bench
 * has its real clients. C for the programs and C++ for the rest.
 */
#pragma once

#include <linux/types.h>

enum distribution {
    DISTRIBUTION_RANDOM, /* nearly every SYN has a sender of its own */
    DISTRIBUTION_HOT,    /* three senders */
    DISTRIBUTION_64K,    /* 65,536 senders, in as many /24 as they can be */
    DISTRIBUTION_COUNT,
};

#define DISTRIBUTION_MULTIPLIER 0x9e3779b1U /* odd, so no two of 65,536 products are the same */
#define HOT_SENDERS 3
#define REAL_CLIENTS 0xc6120000U /* 198.18.0.0/15 */

/* In host order, from 32 random bits. */
static inline __attribute__((always_inline)) __u32 sender_address(__u32 distribution, __u32 random)
{
    __u32 first, address;

    if (distribution == DISTRIBUTION_HOT)
        return 0xcb007107 + random % HOT_SENDERS * 0x101; /* 203.0.113.7 and two others */
    if (distribution == DISTRIBUTION_64K)
        return 0x10000000 | ((random & 0xffff) * DISTRIBUTION_MULTIPLIER & 0x0fffffff);

    first = 1 + (random >> 24) * 222 / 256; /* 1 to 222, and then not 127 */
    address = (first < 127 ? first : first + 1) << 24 | (random & 0x00ffffff);
    return address >> 17 == REAL_CLIENTS >> 17 ? address ^ 1 << 24 : address;
}
