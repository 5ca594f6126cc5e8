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
#define CLAIM_BUCKETS_MAX (1 << 18)
#define RATE_BUCKETS_MAX (1 << 16)
#define IPV6_PREFIX_BUCKETS_MAX (1 << 16)
#define LISTED_MAX (1 << 20)
#define FILTER_WORDS_MAX (1 << 18)
#define PENDING_BUCKETS_MAX (1 << 21)
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

/* What allows and blocks. The daemon puts another trie in its place: nobody sees half of one. */
struct listed_trie {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, LISTED_MAX);
    __uint(key_size, sizeof(struct tg_prefix)); /* sizes: of an inner map clang drops the types */
    __uint(value_size, sizeof(struct tg_listed));
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
    __uint(max_entries, 1);
    __type(key, __u32);
    __array(values, struct listed_trie);
} lists SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, TG_HINT_COUNT *TG_HINT_WORDS);
    __type(key, __u32);
    __type(value, __u64);
} hints SEC(".maps");

/* What gathers on each CPU: TG_REPEATS slots for each. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, TG_REPEATS);
    __type(key, __u32);
    __type(value, struct tg_repeat);
} repeats SEC(".maps");

/* What waits on each CPU for the tables below. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct tg_batch);
} batches SEC(".maps");

/* Every SYN, forged or not: 67 MB that no flood makes larger. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, TG_PREFIX_PAIRS);
    __type(key, __u32);
    __type(value, struct tg_prefix_pair);
} prefixes SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, IPV6_PREFIX_BUCKETS_MAX);
    __type(key, __u32);
    __type(value, struct tg_ipv6_prefixes);
} ipv6_prefixes SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, CLAIM_BUCKETS_MAX);
    __type(key, __u32);
    __type(value, struct tg_claims);
} claims SEC(".maps");

/* Which of their buckets have changed since the daemon looked: a bit each. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, CLAIM_BUCKETS_MAX / 64);
    __type(key, __u32);
    __type(value, __u64);
} dirty_claims SEC(".maps");

/* Limits: which hold at a service, what they ask, and how much of them is used. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, TG_SERVICES_MAX *TG_FAMILY_COUNT);
    __type(key, __u32); /* service * TG_FAMILY_COUNT + family */
    __type(value, struct tg_rules);
} rules SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, TG_LIMITS_MAX);
    __type(key, __u32);
    __type(value, struct tg_limit);
} limits SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, TG_LIMITS_MAX);
    __type(key, __u32);
    __type(value, struct tg_limit_tally);
} limit_tallies SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, RATE_BUCKETS_MAX);
    __type(key, __u32);
    __type(value, struct tg_rates);
} rates SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, TG_BUDGETS_MAX);
    __type(key, __u32);
    __type(value, struct tg_budget);
} budgets SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, NETWORKS_MAX);
    __type(key, __u32);
    __type(value, struct tg_network_node);
} network_nodes SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, PENDING_BUCKETS_MAX);
    __type(key, __u32); /* a keyed hash of the connection's ends */
    __type(value, struct tg_pending);
} pending SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, FLOWS_MAX);
    __type(key, struct tg_flow_key);
    __type(value, struct tg_flow);
} flows SEC(".maps");

/*
 * Who may be proven, and the slot of who was met last. A source that nobody has seen must not
 * reach the index, which costs more than all the rest when it is cold.
 */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, FILTER_WORDS_MAX);
    __type(key, __u32);
    __type(value, struct tg_filter);
} proven_filter SEC(".maps");

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

/* Which of these have changed since the daemon looked: a bit each. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, SOURCES_MAX / 64);
    __type(key, __u32);
    __type(value, __u64);
} dirty_sources SEC(".maps");

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

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, TG_EVENT_COUNT);
    __type(key, __u32); /* enum tg_table_event */
    __type(value, __u64);
} table_events SEC(".maps");

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

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, TG_LIMITS_MAX);
    __type(key, __u32);
    __type(value, struct tg_limit_record);
} limit_records SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, TG_BUDGETS_MAX);
    __type(key, __u32);
    __type(value, struct tg_budget_record);
} budget_records SEC(".maps");

static __always_inline void count_event(enum tg_table_event event)
{
    __u32 index = event;
    __u64 *count = bpf_map_lookup_elem(&table_events, &index);

    if (count)
        (*count)++;
}
