/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The only pointer arithmetic on packets. A cursor knows where we are, where the readable
 * bytes end, and how many bytes the layer we are in still has. Taking a header either moves
 * the cursor past it or answers NULL and stays put.
 *
 * The two ends differ: Ethernet pads short packets (bytes that no layer owns), and a large
 * packet continues beyond what is readable here (bytes that we cannot see).
 */
#pragma once

#include <linux/types.h>
#include <stddef.h>

struct cursor {
    void *pos;
    void *end;
    __u32 left; /* bytes of the current layer from pos on */
};

static __always_inline void *cursor_take(struct cursor *cursor, __u32 size)
{
    void *header = cursor->pos;

    if (size > cursor->left || header + size > cursor->end)
        return NULL;

    cursor->pos = header + size;
    cursor->left -= size;
    return header;
}

#define TAKE(cursor, type) ((type *)cursor_take((cursor), sizeof(type)))
