/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A SYN: it adds to tallies, meets the lists and the limits, and makes no flow. When every source
 * is forged it needs nothing that is cold: whom a budget of all together keeps out is counted
 * with its prefix and its claim later, with others (batches.h).
 */
#pragma once

#include "dirty.h"
#include "limits.h"
#include "lists.h"
#include "parse.h"
#include "rejections.h"
#include "repeats.h"
#include "services.h"
#include "tallies.h"

/* What we know of who sent this SYN. */
struct sender {
    struct tg_source_key key;
    __u32 slot; /* NO_SLOT: not proven */
    __u32 bucket;
    __u32 way; /* NO_WAY: not in its bucket */
    __u32 network;
};

static __always_inline enum tg_verdict would(enum tg_verdict verdict)
{
    _Static_assert(TG_WOULD_DROP_SERVICE_RATE - TG_DROP_SERVICE_RATE ==
                       TG_WOULD_DROP_BLOCKED - TG_DROP_BLOCKED,
                   "the twins stand in the same order");
    return verdict - TG_DROP_BLOCKED + TG_WOULD_DROP_BLOCKED;
}

static __always_inline void count_in(struct tg_tally *tally, enum tg_verdict verdict)
{
    if (!tally)
        return;
    tally->syn++;
    if (tg_verdict_drops(verdict))
        tally->dropped++;
    else if (tg_verdict_would_drop(verdict))
        tally->would_drop++;
}

/* A SYN in the totals, which no flood can push out. */
static __always_inline void count_totals(__u16 service, bool ipv6, __u32 network,
                                         enum tg_verdict verdict)
{
    count_in(find_service_tally(service, ipv6), verdict);
    count_in(find_network_tally(network), verdict);
}

static __always_inline void count_limit(__u32 limit, enum tg_verdict verdict)
{
    struct tg_limit_tally *tally = find_limit_tally(limit);

    if (!tally)
        return;
    if (tg_verdict_drops(verdict))
        tally->dropped++;
    else
        tally->would_drop++;
}

static __always_inline void count_slot(__u32 slot, enum tg_verdict verdict)
{
    struct tg_source *source = find_slot(slot);

    if (!source)
        return;
    __sync_fetch_and_add(&source->tally.syn, 1);
    if (tg_verdict_drops(verdict))
        __sync_fetch_and_add(&source->tally.dropped, 1);
    else if (tg_verdict_would_drop(verdict))
        __sync_fetch_and_add(&source->tally.would_drop, 1);
    mark_slot(slot);
}

/* The SYN with its source: in its slot if it is proven, else in its claim, if it has one. */
static __always_inline void count_source(const struct sender *sender, struct tg_claims *bucket,
                                         enum tg_verdict verdict)
{
    struct tg_claim_state *state;

    if (sender->slot != NO_SLOT) {
        count_slot(sender->slot, verdict);
        return;
    }
    if (!bucket || sender->way >= NO_WAY)
        return;
    state = &bucket->states[sender->way];
    __sync_fetch_and_add(&state->syn, 1);
    if (tg_verdict_drops(verdict))
        __sync_fetch_and_add(&state->dropped, 1);
    mark_bucket(sender->bucket);
}

/*
 * The source's claim: charged, and its time set, and made if it has none. A proven source needs
 * one only for the state of its limit. False if that limit rejects the SYN after all.
 */
static __always_inline bool enter_claim(struct sender *sender, struct tg_claims *bucket,
                                        const struct weighing *letter)
{
    if (!bucket || (sender->slot != NO_SLOT && !letter->claim_interval_ns))
        return true;
    if (sender->way >= NO_WAY) {
        sender->way = take_way(bucket, &sender->key, letter->now);
        mark_bucket(sender->bucket);
    }
    if (sender->way >= NO_WAY)
        return true;
    return charge_claim(&bucket->states[sender->way], letter->now, letter->claim_interval_ns,
                        letter->claim_tolerance_ns) ||
           letter->claim_is_dry;
}

/* The limits' word on a SYN that no list decides. */
static __always_inline void ask_limits(struct weighing *letter, const struct sender *sender,
                                       const struct tg_claims *bucket)
{
    const struct tg_source *source = letter->proven ? find_slot(sender->slot) : NULL;

    if (source)
        letter->live = source->tally.opened - source->tally.closed;
    if (bucket && sender->way < NO_WAY)
        letter->claim_due_ns = claim_due_ns(read_word(&bucket->states[sender->way]));
    weigh(letter);
}

/* Remembers a rejection that will hold for a while, so that the next of them costs little. */
static __always_inline void remember_rejection(struct tg_repeat *repeat,
                                               const struct tg_flow_key *ends,
                                               const struct sender *sender,
                                               const struct weighing *letter, __u32 generation)
{
    __u64 until_ns = letter->now + REJECTION_NS;

    if (repeat->generation == generation && repeat->until_ns > letter->now)
        return;
    move_rejected(repeat);
    repeat->client = ends->client;
    repeat->server = ends->server;
    repeat->server_port = ends->server_port;
    repeat->ipv6 = is_ipv6(&ends->client);
    repeat->service = sender->key.service;
    repeat->generation = generation;
    repeat->until_ns = letter->until_ns < until_ns ? letter->until_ns : until_ns;
    repeat->tick = now_tick() - 1; /* the next SYN asks the clock */
    repeat->network = sender->network;
    repeat->verdict = letter->verdict;
    repeat->limit = letter->limit;
    repeat->is_proven = sender->slot != NO_SLOT;
    if (repeat->is_proven)
        repeat->place = sender->slot;
    else
        repeat->place =
            sender->way < NO_WAY ? sender->bucket * TG_BUCKET_WAYS + sender->way : NO_PLACE;
}

/*
 * Lists first, then limits. What came of it is in the letter. A newcomer that is rejected gets no
 * claim: a flood above a budget pushes nobody out.
 */
static __always_inline void decide(struct weighing *letter, const struct tg_listed *listed,
                                   struct sender *sender, struct tg_claims *bucket)
{
    bool allowed = is_allowed(listed, letter->now);

    sender->way = bucket ? find_way(bucket, &sender->key) : NO_WAY;
    if (is_blocked(listed, letter->now)) {
        letter->verdict = TG_DROP_BLOCKED;
        letter->until_ns = listed->block_until_ns;
    } else if (!allowed) {
        ask_limits(letter, sender, bucket);
    }
    if (letter->verdict)
        return;
    if (!enter_claim(sender, bucket, letter)) {
        letter->verdict = TG_DROP_SOURCE_RATE;
        letter->limit = letter->claim_limit;
    } else if (!allowed) {
        letter->pass = WEIGH_CHARGE;
        weigh(letter);
    }
}

static __always_inline enum tg_verdict final_verdict(const struct weighing *letter, bool enforcing)
{
    if (letter->verdict)
        return enforcing ? letter->verdict : would(letter->verdict);
    return letter->dry_verdict ? would(letter->dry_verdict) : TG_PASS_SYN;
}

/*
 * Is this newcomer kept out whatever its claim says? Then the letter says so, and the claim hears
 * of it later. One whose prefix was here just now is judged by its claim: if that rejects it, it
 * is for a reason of its own, and its next SYNs cost little.
 */
static __always_inline bool is_kept_out(struct weighing *letter, const struct tg_listed *listed)
{
    if (letter->proven || listed->allow_until_ns || listed->block_until_ns)
        return false;
    letter->limit = find_used_up(letter);
    if (letter->limit)
        letter->verdict = TG_DROP_SERVICE_RATE;
    return letter->limit;
}

/* `waiting` is the SYN as it may have to wait for its claim. */
static __always_inline enum tg_verdict judge_new_syn(const struct tg_flow_key *ends,
                                                     const struct tg_settings *settings,
                                                     struct tg_repeat *repeat,
                                                     struct tg_waiting_syn *waiting, __u64 now)
{
    const struct tg_addr *client = &ends->client;
    const struct tg_source_key *key = &waiting->key;
    __u64 hash = hash_source(key);
    struct sender sender = {.key = *key, .bucket = hash >> 32 & claims_mask, .way = NO_WAY};
    struct tg_claims *bucket = find_bucket(sender.bucket);
    struct weighing letter = {.key = *key, .ipv6 = is_ipv6(client), .now = now};
    /* Before the lists are asked: what changes meanwhile must end what is remembered here. */
    __u32 generation = *(const volatile __u32 *)&settings->generation;
    bool enforcing = is_enforcing(settings, now);
    struct tg_listed listed = find_listed(settings, client);
    enum tg_verdict verdict;

    sender.slot = find_proven(key, hash);
    sender.network = find_network(client);
    letter.network = sender.network;
    letter.proven = sender.slot != NO_SLOT;
    if (enforcing && !is_gathering(repeat, prefix_of(client)) && is_kept_out(&letter, &listed))
        waiting->bucket = sender.bucket;
    else
        decide(&letter, &listed, &sender, bucket);
    verdict = final_verdict(&letter, enforcing);

    count_totals(key->service, letter.ipv6, sender.network, verdict);
    count_limit(letter.limit, verdict);
    count_source(&sender, bucket, verdict);
    if (repeat && tg_verdict_drops(verdict) && letter.until_ns)
        remember_rejection(repeat, ends, &sender, &letter, generation);
    return verdict;
}

/* Of its own, so that the verifier looks at it once. */
__noinline enum tg_verdict judge_syn(const struct packet *facts, __u32 service)
{
    const struct tg_settings *settings = find_settings();
    struct tg_waiting_syn waiting;
    struct tg_repeat *repeat;
    enum tg_verdict verdict;

    if (!facts || !settings)
        return TG_PASS_SYN;
    if (is_bogon(&facts->ends, facts->ipv6))
        return TG_PASS_BOGON;
    repeat = find_repeat(&facts->ends);
    waiting = (struct tg_waiting_syn){.key = source_key_of(&facts->ends.client, service),
                                      .bucket = NO_BUCKET};
    verdict = judge_new_syn(&facts->ends, settings, repeat, &waiting, now_ns());
    count_prefix(repeat, prefix_of(&facts->ends.client), &waiting);
    return verdict;
}
