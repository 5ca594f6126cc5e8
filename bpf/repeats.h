/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Repeats: what the same source or the same prefix sends again gathers in a line of this CPU's
 * own, and a rejection that is still valid is not worked out again. So a flood from one source,
 * over however many queues, reads shared lines and writes none.
 */
#pragma once

#include "batches.h"
#include "claims.h"
#include "maps.h"
#include "prefixes.h"
#include "settings.h"
#include "sources.h"

#define REPEATS_GATHERED_MAX 256 /* then they go into the tables: readers see them at last */

/*
 * So long a rejection is not worked out again, however long it will hold: who proves himself
 * meanwhile is told from who did not, and whatever else is overlooked here is soon over.
 */
#define REJECTION_NS (100 * 1000 * 1000ULL)

static __always_inline struct tg_repeat *find_repeat(__u64 prefix)
{
    __u32 index =
        bpf_get_smp_processor_id() * TG_REPEATS + (prefix >> 8 ^ prefix >> 16) % TG_REPEATS;

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
}

static __always_inline void add_rejected_slot(const struct tg_repeat *repeat)
{
    struct tg_source_key key = source_key_of(&repeat->client, repeat->service);
    struct tg_source *source = find_slot(repeat->place);

    /* Not if the slot is another's by now: the daemon has told of these, or the source is gone. */
    if (!source || !is_same_addr(&source->key.addr, &key.addr) ||
        source->key.service != key.service)
        return;
    __sync_fetch_and_add(&source->tally.syn, repeat->rejected);
    __sync_fetch_and_add(&source->tally.dropped, repeat->rejected);
}

static __always_inline void add_rejected(struct tg_repeat *repeat)
{
    if (repeat->is_proven)
        add_rejected_slot(repeat);
    else
        add_rejected_claim(repeat);
    repeat->rejected = 0;
}

/* Always 0. */
__noinline int move_rejected(struct tg_repeat *repeat)
{
    if (!repeat || !repeat->rejected)
        return 0;
    begin_move(repeat);
    add_rejected(repeat);
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

/* The clock, which may be read a moment after the tick, is asked once in a tick. */
static __always_inline bool is_still_valid(struct tg_repeat *repeat,
                                           const struct tg_settings *settings)
{
    __u32 tick = now_tick();
    __u64 now;

    if (repeat->tick == tick)
        return true;
    now = now_ns();
    if (now >= repeat->until_ns || !is_enforcing(settings, now))
        return false;
    repeat->tick = tick;
    return true;
}

static __always_inline bool is_still_rejected(struct tg_repeat *repeat,
                                              const struct tg_settings *settings,
                                              const struct tg_addr *client, __u16 service)
{
    return is_same_addr(&repeat->client, client) && repeat->service == service &&
           repeat->generation == settings->generation && settings->mode == TG_MODE_ENFORCE &&
           is_still_valid(repeat, settings);
}

/* The client that `repeat` rejects has sent another SYN. */
static __always_inline void count_repeat(struct tg_repeat *repeat, __u64 prefix)
{
    struct tg_waiting_syn syn;

    if (++repeat->rejected >= REPEATS_GATHERED_MAX)
        move_rejected(repeat);
    if (is_gathering(repeat, prefix) && repeat->prefix_syn + 1 < REPEATS_GATHERED_MAX) {
        repeat->prefix_syn++;
        return;
    }
    syn = (struct tg_waiting_syn){.key = source_key_of(&repeat->client, repeat->service),
                                  .bucket = NO_BUCKET};
    count_prefix(repeat, prefix, &syn);
}
