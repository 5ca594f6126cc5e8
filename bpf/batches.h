/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Batches: what a SYN adds to its prefix, and a rejected one to its claim, waits on its CPU until
 * there are enough of it. When every sender is forged all those lines are cold: asked for one
 * after the other each costs its whole way from memory, and together hardly more than one.
 */
#pragma once

#include "claims.h"
#include "dirty.h"
#include "maps.h"
#include "prefixes.h"

#define NO_BUCKET 0xffffffff

/* So that the lines are on their way before the first of them is needed. */
static __always_inline void fetch_lines(const struct tg_waiting_syn *syn)
{
    const struct tg_claims *bucket = find_bucket(syn->bucket);

    fetch_prefix(prefix_of(&syn->key.addr));
    if (bucket)
        (void)*(const volatile __u32 *)bucket;
}

/* A dropped SYN, in its source's claim, if it has one: a flood above a budget makes none. */
static __always_inline void add_to_claim(const struct tg_waiting_syn *syn)
{
    struct tg_claims *bucket = find_bucket(syn->bucket);
    __u32 way = bucket ? find_way(bucket, &syn->key) : NO_WAY;

    if (!bucket || way >= NO_WAY)
        return;
    __sync_fetch_and_add(&bucket->states[way].syn, 1);
    __sync_fetch_and_add(&bucket->states[way].dropped, 1);
    mark_bucket(syn->bucket);
}

/* Readers wait for an even number. Always 0. */
__noinline int move_batch(struct tg_batch *batch)
{
    if (!batch)
        return 0;
    __sync_fetch_and_add(&batch->sequence, 1);
    for (__u32 i = 0; i < TG_BATCH_SYNS; i++)
        fetch_lines(&batch->syns[i]);
    for (__u32 i = 0; i < TG_BATCH_SYNS; i++) {
        add_to_ipv4_prefix(prefix_of(&batch->syns[i].key.addr), 1);
        add_to_claim(&batch->syns[i]);
    }
    batch->count = 0;
    __sync_fetch_and_add(&batch->sequence, 1);
    return 0;
}

static __always_inline void let_wait(const struct tg_waiting_syn *syn)
{
    __u32 cpu = bpf_get_smp_processor_id();
    struct tg_batch *batch = bpf_map_lookup_elem(&batches, &cpu);
    __u32 count;

    if (!batch)
        return;
    count = batch->count % TG_BATCH_SYNS;
    batch->syns[count] = *syn;
    *(volatile __u32 *)&batch->count = count + 1; /* not before it is there to be read */
    if (count + 1 == TG_BATCH_SYNS)
        move_batch(batch);
}
