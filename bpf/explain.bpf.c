// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the daemon asks of the gate, beside the packets: its programs are run through test-run.
 * They decide by the functions that packets meet, so what they say is what will happen.
 */
#include <linux/bpf.h>

#include "limits.h"
#include "lists.h"
#include "sources.h"
#include "tallies.h"

/* The daemon writes the client and the service, and reads the rest: one question at a time. */
struct tg_explained explained = {};

static __always_inline struct tg_explained_rule *next_rule(void)
{
    __u32 index = explained.rule_count;

    if (index >= TG_EXPLAINED_MAX)
        return NULL;
    explained.rule_count = index + 1;
    return &explained.rules[index];
}

/* The live count that the rule of a source looks at. */
static __always_inline __u64 live_of(__u32 slot)
{
    const struct tg_source *source = slot == NO_SLOT ? NULL : find_slot(slot);

    return source ? source->tally.opened - source->tally.closed : 0;
}

static __always_inline void explain_rule(struct weighing *syn, const struct tg_rule *rule)
{
    struct tg_explained_rule *told = next_rule();
    __u32 id = rule->limit;
    const struct tg_limit *limit = bpf_map_lookup_elem(&limits, &id);

    if (!told || !limit)
        return;
    told->limit = rule->limit;
    told->scope = rule->scope;
    told->prefix_bits = rule->prefix_bits;
    told->is_source = rule->is_source;
    told->live = rule->is_source ? syn->live : 0;
    told->due_ns = due_of(rule, syn);
    told->applies = holds(limit, syn);
}

static __always_inline void explain_network(const struct weighing *syn, __u32 network,
                                            const struct tg_network_node *node, __u32 i)
{
    struct tg_explained_rule *told;
    const struct tg_limit *limit;
    const struct tg_budget *budget;
    __u32 id = node->rules[i].limit;

    limit = id ? bpf_map_lookup_elem(&limits, &id) : NULL;
    if (!limit || !is_for_service(limit, syn->key.service))
        return;
    told = next_rule();
    budget = find_budget(node->rules[i].budget);
    if (!told)
        return;
    told->limit = id;
    told->scope = TG_SCOPE_COUNT;
    told->network = network;
    told->live = node->live;
    told->due_ns = budget && limit->interval_ns ? budget->due_ns : 0;
    told->applies = holds(limit, syn);
}

static __always_inline void explain_networks(const struct weighing *syn)
{
    __u32 network = syn->network;

    for (int step = 0; step < TG_NETWORK_STEPS_MAX && network; step++) {
        const struct tg_network_node *node = bpf_map_lookup_elem(&network_nodes, &network);

        if (!node)
            return;
        for (__u32 i = 0; i < TG_NETWORK_RULES_MAX && i < node->rule_count; i++)
            explain_network(syn, network, node, i);
        network = node->parent;
    }
}

/* Fills in `explained`. */
SEC("xdp")
int explain_syn(struct xdp_md *ctx)
{
    const struct tg_settings *settings = find_settings();
    const struct tg_claims *bucket;
    const struct tg_rules *found;
    struct weighing syn = {};
    struct tg_addr client;
    __u64 hash;
    __u32 way;

    (void)ctx;
    if (!settings)
        return TG_EXPLAINED_NOT;
    client = explained.client;
    syn.key = source_key_of(&client, explained.service);
    syn.ipv6 = is_ipv6(&client);
    syn.now = now_ns();
    syn.network = find_network(&client);
    hash = hash_source(&syn.key);
    explained.slot = find_proven(&syn.key, hash);
    syn.proven = explained.slot != NO_SLOT;
    syn.live = live_of(explained.slot);
    explained.listed = find_listed(settings, &client);
    explained.network = syn.network;
    explained.now_ns = syn.now;
    explained.rule_count = 0;

    bucket = find_bucket(hash >> 32 & claims_mask);
    way = bucket ? find_way(bucket, &syn.key) : NO_WAY;
    if (bucket && way < NO_WAY) {
        syn.claim_due_ns = claim_due_ns(read_word(&bucket->states[way]));
        explained.claimed_syn = bucket->states[way].syn;
        explained.claimed_dropped = bucket->states[way].dropped;
    }
    found = find_rules(&syn);
    for (__u32 i = 0; found && i < TG_RULES_MAX && i < found->count; i++)
        explain_rule(&syn, &found->rules[i]);
    if (found && found->network_limits)
        explain_networks(&syn);
    return TG_EXPLAINED;
}

/* Run with a struct tg_source_key: a slot for a source that was proven before these tables. */
SEC("xdp")
int remember_source(struct xdp_md *ctx)
{
    const struct tg_source_key *letter = (void *)(long)ctx->data;
    struct tg_source_key key;

    if ((void *)(letter + 1) > (void *)(long)ctx->data_end)
        return TG_EXPLAINED_NOT;
    key = *letter;
    return prove_source(&key) == NO_SLOT ? TG_EXPLAINED_NOT : TG_EXPLAINED;
}

char _license[] SEC("license") = "Dual BSD/GPL";
