/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Repeats: what the same source or the same prefix sends again gathers in lines of this CPU's
 * own. So a flood from one source, over however many queues, reads shared lines and writes none.
 */
#pragma once

#include "batches.h"
#include "claims.h"
#include "dirty.h"
#include "maps.h"
#include "prefixes.h"
#include "sources.h"
#include "tallies.h"

#define REPEATS_GATHERED_MAX 1024 /* then they go into the tables */

/* Neighbours, and one client at two servers of ours, do not come into each other's way. */
static __always_inline struct tg_repeat *find_repeat(const struct tg_flow_key *ends)
{
    const __be32 *client = ends->client.words;
    __u32 words = client[0] ^ client[1] ^ client[3] ^ ends->server.words[3] ^ ends->server_port;
    __u32 slot = words * 0x9e3779b1U >> TG_REPEATS_SHIFT;
    __u32 index = bpf_get_smp_processor_id() * TG_REPEATS + slot;

    _Static_assert(TG_REPEATS == 1ULL << (32 - TG_REPEATS_SHIFT), "a slot is one of this CPU's");
    return bpf_map_lookup_elem(&repeats, &index);
}

/* Around what moves counts into the tables: readers wait for an even number. */
static __always_inline void begin_move(struct tg_repeat *repeat)
{
    __sync_fetch_and_add(&repeat->sequence, 1);
}

static __always_inline void end_move(struct tg_repeat *repeat)
{
    __sync_fetch_and_add(&repeat->sequence, 1);
}

static __always_inline void add_rejected_claim(const struct tg_repeat *repeat)
{
    struct tg_source_key source = source_key_of(&repeat->client, repeat->service);
    struct tg_claims *bucket = find_bucket(repeat->place / TG_BUCKET_WAYS);
    struct tg_claim_state *state;
    __u32 way = repeat->place % TG_BUCKET_WAYS;

    /* Not if the way is another's by now: the prefix knows them, and nobody by name. */
    if (!bucket || !is_same_addr(&bucket->sources[way], &source.addr))
        return;
    state = &bucket->states[way];
    __sync_fetch_and_add(&state->syn, repeat->rejected);
    __sync_fetch_and_add(&state->dropped, repeat->rejected);
    mark_bucket(repeat->place / TG_BUCKET_WAYS);
}

static __always_inline void add_rejected_slot(const struct tg_repeat *repeat)
{
    struct tg_source_key key = source_key_of(&repeat->client, repeat->service);
    struct tg_source *source = find_slot(repeat->place);

    /* Not if the slot is another's by now: the daemon has told of these, or the source is gone. */
    if (!source || !has_key(source, &key))
        return;
    __sync_fetch_and_add(&source->tally.syn, repeat->rejected);
    __sync_fetch_and_add(&source->tally.dropped, repeat->rejected);
    mark_slot(repeat->place);
}

/* The totals are the CPU's own as well. */
static __always_inline void add_rejected_totals(const struct tg_repeat *repeat)
{
    struct tg_limit_tally *limit = find_limit_tally(repeat->limit);
    __u64 *verdict = find_verdict_count(TG_HOOK_INGRESS, repeat->verdict);

    add_dropped(find_service_tally(repeat->service, is_ipv6(&repeat->client)), repeat->rejected);
    add_dropped(find_network_tally(repeat->network), repeat->rejected);
    if (limit)
        limit->dropped += repeat->rejected;
    if (verdict)
        *verdict += repeat->rejected;
}

/* Always 0. */
__noinline int move_rejected(struct tg_repeat *repeat)
{
    if (!repeat || !repeat->rejected)
        return 0;
    begin_move(repeat);
    add_rejected_totals(repeat);
    add_to_prefix(prefix_of(&repeat->client), repeat->rejected);
    if (repeat->is_proven)
        add_rejected_slot(repeat);
    else
        add_rejected_claim(repeat);
    repeat->rejected = 0;
    end_move(repeat);
    return 0;
}

static __always_inline void move_prefix(struct tg_repeat *repeat)
{
    if (!repeat->prefix_syn)
        return;
    begin_move(repeat);
    add_to_prefix(repeat->prefix, repeat->prefix_syn);
    repeat->prefix_syn = 0;
    end_move(repeat);
}

/* Is this prefix the one whose SYNs gather here? Then its next comes soon, from the same source
 * perhaps, and its lines are in the cache. */
static __always_inline bool is_gathering(const struct tg_repeat *repeat, __u64 prefix)
{
    return repeat && repeat->prefix == prefix;
}

/* One more SYN of this prefix. The second in a row gathers, the others wait. Always 0. */
__noinline int count_prefix(struct tg_repeat *repeat, __u64 prefix,
                            const struct tg_waiting_syn *syn)
{
    if (is_gathering(repeat, prefix)) {
        if (++repeat->prefix_syn >= REPEATS_GATHERED_MAX)
            move_prefix(repeat);
        return 0;
    }
    /* Of IPv6 the table may not have it, and who reads looks for it there first. */
    if (!is_ipv4_prefix(prefix))
        add_to_prefix(prefix, 1);
    if (syn && (is_ipv4_prefix(prefix) || syn->bucket != NO_BUCKET))
        let_wait(syn);
    if (!repeat)
        return 0;
    move_prefix(repeat);
    repeat->prefix = prefix;
    return 0;
}
