/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The keyed hash of every table of ours that is found by one. Nobody outside knows the seed, so
 * nobody can aim at another's place. It stays with the pinned tables that were filled under it.
 */
#pragma once

#include <linux/types.h>

#include <bpf/bpf_helpers.h>

/* Set before loading. */
const volatile __u64 hash_seed[2] = {0, 0};

#define HASH_MULTIPLIER 0x9e3779b97f4a7c15ULL /* 2^64 divided by the golden ratio, odd */

static __always_inline __u64 mix(__u64 hash, __u64 word)
{
    hash = (hash ^ word) * HASH_MULTIPLIER;
    return hash ^ hash >> 29;
}

static __always_inline __u64 mix_words(__u64 hash, __u32 high, __u32 low)
{
    return mix(hash, (__u64)high << 32 | low);
}
