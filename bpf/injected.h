/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What replay and the tests put in the place of the machine: the time, and how long a frame
 * was on the wire. In production `injected` is a constant, and the verifier deletes every
 * branch of it; the instructions, and with them the program's tag, are the same.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include <linux/types.h>
#include <stdbool.h>
#include <tallygate/verdicts.h>

const volatile bool injected = false;
__u64 injected_now_ns = 0;
__u32 injected_frame_bytes = 0; /* 0: as long as it is */
__u32 last_verdict = 0;         /* enum tg_verdict of the last packet, to be read back */

/*
 * CLOCK_MONOTONIC, to the kernel's tick: a millisecond or four of error cost nothing here,
 * and the exact clock costs twice as much in a virtual machine.
 */
static __always_inline __u64 now_ns(void)
{
    return injected ? injected_now_ns : bpf_ktime_get_coarse_ns();
}

/* Changes whenever now_ns() does, and is read for less: nothing that was not over a moment ago is
 * over while this is the same. */
static __always_inline __u32 now_tick(void)
{
    return injected ? injected_now_ns : bpf_jiffies64();
}

static __always_inline __u32 frame_bytes(__u32 bytes)
{
    return injected && injected_frame_bytes ? injected_frame_bytes : bytes;
}

static __always_inline void show_verdict(enum tg_verdict verdict)
{
    if (injected)
        last_verdict = verdict;
}
