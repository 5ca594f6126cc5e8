/* SPDX-License-Identifier: BSD-2-Clause */
/* Whose tunnels count. Apart from tunnels.h, which looks at no table and serves replay as well. */
#pragma once

#include "maps.h"
#include "settings.h"
#include "tunnels.h"

static __always_inline bool is_trusted_sender(const struct tg_prefix *sender)
{
    const struct tg_settings *settings = find_settings();
    const __u32 *trusted;

    if (!settings || !settings->tunnels_configured)
        return false;
    trusted = bpf_map_lookup_elem(&tunnels, sender);
    return trusted && *trusted;
}
