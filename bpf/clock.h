/* SPDX-License-Identifier: BSD-2-Clause */
/* A clock that tests can hold still. In production the verifier deletes that branch. */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include <linux/types.h>
#include <stdbool.h>

const volatile bool test_clock = false;
__u64 test_clock_ns = 0;

/*
 * CLOCK_MONOTONIC, to the kernel's tick: a millisecond or four of error cost nothing here,
 * and the exact clock costs twice as much in a virtual machine.
 */
static __always_inline __u64 now_ns(void)
{
    return test_clock ? test_clock_ns : bpf_ktime_get_coarse_ns();
}
