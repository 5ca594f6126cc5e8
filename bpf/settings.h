/* SPDX-License-Identifier: BSD-2-Clause */
/* What the daemon has set, and whether it still stands behind it. */
#pragma once

#include <stdbool.h>

#include "injected.h"
#include "maps.h"

static __always_inline const struct tg_settings *find_settings(void)
{
    __u32 only = 0;

    return bpf_map_lookup_elem(&settings, &only);
}

/* May anything be dropped now? Not unless someone said so, and the daemon is alive. */
static __always_inline bool is_enforcing(const struct tg_settings *settings, __u64 now)
{
    return settings->mode == TG_MODE_ENFORCE && now < settings->lease_until_ns;
}
