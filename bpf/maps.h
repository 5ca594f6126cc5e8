/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every map of the gate, in the order a packet meets them. The sizes here are the defaults;
 * the daemon sets them from its configuration before loading. All are pinned by their name.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include <tallygate/abi.h>

#define PORTS_MAX 65536
#define LISTENERS_MAX 4096
#define NETWORKS_MAX 65536
#define TUNNELS_MAX 1024
#define SOURCES_MAX (1 << 20)
#define CLAIMS_MAX (1 << 18)
#define PENDING_MAX (1 << 22)
#define FLOWS_MAX (1 << 20)

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct tg_settings);
} settings SEC(".maps");

/* Is it ours? By port first: a hash alone costs a data segment twice its parse. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, PORTS_MAX);
    __type(key, __u32); /* host order */
    __type(value, struct tg_port);
} ports SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, LISTENERS_MAX);
    __type(key, struct tg_listener);
    __type(value, __u32); /* the service's id, perhaps with TG_LEAVING */
} listeners SEC(".maps");

/* Who may send us other people's packets in a tunnel. */
struct {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, TUNNELS_MAX);
    __type(key, struct tg_prefix);
    __type(value, __u32); /* 1: trusted; 0: not, although a wider block is */
} tunnels SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, NETWORKS_MAX);
    __type(key, struct tg_prefix);
    __type(value, struct tg_network);
} networks SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, NETWORKS_MAX);
    __type(key, __u32);
    __type(value, struct tg_tally);
} network_tallies SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, TG_SERVICES_MAX *TG_FAMILY_COUNT);
    __type(key, __u32); /* service * TG_FAMILY_COUNT + family */
    __type(value, struct tg_tally);
} service_tallies SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, CLAIMS_MAX);
    __type(key, struct tg_source_key);
    __type(value, struct tg_claim);
} claims SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, PENDING_MAX);
    __type(key, __u32); /* a keyed hash of the connection's ends; collisions overwrite */
    __type(value, struct tg_pending);
} pending SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, FLOWS_MAX);
    __type(key, struct tg_flow_key);
    __type(value, struct tg_flow);
} flows SEC(".maps");

/* Where a proven source's slot is. Never an LRU: a live count must not be evicted. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, SOURCES_MAX);
    __type(key, struct tg_source_key);
    __type(value, __u32);
} source_index SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, SOURCES_MAX);
    __type(key, __u32);
    __type(value, struct tg_source);
} sources SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct tg_progress);
} progress SEC(".maps");

/* Slots that the daemon gave back, empty, after every program that might know them has ended. */
struct {
    __uint(type, BPF_MAP_TYPE_STACK);
    __uint(max_entries, SOURCES_MAX);
    __type(value, __u32);
} freed_slots SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, TG_HOOK_COUNT *TG_VERDICT_COUNT);
    __type(key, __u32); /* hook * TG_VERDICT_COUNT + verdict */
    __type(value, __u64);
} verdict_counts SEC(".maps");

/* Names for the daemon that adopts these maps. The programs never look here. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, TG_SERVICES_MAX);
    __type(key, __u32);
    __type(value, struct tg_service_record);
} service_records SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, NETWORKS_MAX);
    __type(key, __u32);
    __type(value, struct tg_network_record);
} network_records SEC(".maps");

static __always_inline const struct tg_settings *find_settings(void)
{
    __u32 only = 0;

    return bpf_map_lookup_elem(&settings, &only);
}
