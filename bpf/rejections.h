/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rejections: one that is still valid is not worked out again, nor counted in six tables: the
 * next SYN of the same client is one more of those that gather (repeats.h). Under a flood from a
 * few sources this is all that the gate does.
 */
#pragma once

#include <stdbool.h>

#include "addresses.h"
#include "injected.h"
#include "repeats.h"
#include "settings.h"

/*
 * So long a rejection is not worked out again, however long it will hold: who proves himself
 * meanwhile is told from who did not, and whatever else is overlooked here is soon over.
 */
#define REJECTION_NS (100 * 1000 * 1000ULL)

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

/* Of IPv4 the last word is all there is to an address. */
static __always_inline bool is_same_way(const struct tg_repeat *repeat,
                                        const struct tg_flow_key *ends, bool ipv6)
{
    if (repeat->client.words[3] != ends->client.words[3] ||
        repeat->server.words[3] != ends->server.words[3] ||
        repeat->server_port != ends->server_port || repeat->ipv6 != ipv6)
        return false;
    return !ipv6 || (is_same_addr(&repeat->client, &ends->client) &&
                     is_same_addr(&repeat->server, &ends->server));
}

/* A service that comes or goes, and a mode that changes, bring another generation. */
static __always_inline bool is_still_rejected(struct tg_repeat *repeat,
                                              const struct tg_settings *settings,
                                              const struct tg_flow_key *ends, bool ipv6)
{
    return is_same_way(repeat, ends, ipv6) && repeat->generation == settings->generation &&
           is_still_valid(repeat, settings);
}

/*
 * The verdict on a SYN of a client that was rejected just now and still would be; else
 * TG_UNDECIDED. That one SYN more is all there is to count: what the others of them are
 * counted in, it will be.
 */
static __always_inline enum tg_verdict reject_again(const struct tg_flow_key *ends, bool ipv6)
{
    const struct tg_settings *settings = find_settings();
    struct tg_repeat *repeat = find_repeat(ends);

    if (!settings || !repeat || !is_still_rejected(repeat, settings, ends, ipv6))
        return TG_UNDECIDED;
    if (++repeat->rejected >= REPEATS_GATHERED_MAX)
        move_rejected(repeat);
    return repeat->verdict;
}
