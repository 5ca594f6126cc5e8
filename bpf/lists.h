/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who is allowed, and who is blocked, until when. The end is checked here, for each packet: a
 * block ends although the daemon may be gone.
 */
#pragma once

#include "hints.h"
#include "injected.h"
#include "maps.h"
#include "settings.h"

/* What the lists say of a client; zeros if they say nothing. */
static __always_inline struct tg_listed find_listed(const struct tg_settings *settings,
                                                    const struct tg_addr *client)
{
    struct tg_prefix key = {.length_bits = 128, .addr = *client};
    const struct tg_listed *listed = NULL;
    __u32 only = 0;
    void *trie;

    if (!settings->lists_configured || !is_hinted(TG_HINT_LISTS, client))
        return (struct tg_listed){};
    trie = bpf_map_lookup_elem(&lists, &only);
    if (trie)
        listed = bpf_map_lookup_elem(trie, &key);
    return listed ? *listed : (struct tg_listed){};
}

/* Allow beats block. */
static __always_inline bool is_blocked(const struct tg_listed *listed, __u64 now)
{
    return now < listed->block_until_ns && now >= listed->allow_until_ns;
}

static __always_inline bool is_allowed(const struct tg_listed *listed, __u64 now)
{
    return now < listed->allow_until_ns;
}
