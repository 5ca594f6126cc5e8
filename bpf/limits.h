/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Limits: what holds a source, a prefix, a network or everybody together. All limits of a SYN are
 * looked at before any is charged, so a SYN that is rejected uses nothing up; the first that
 * rejects gives the reason: the source's, then prefixes, then networks from the inside out, then
 * those of all together.
 *
 * A dry run (TG_LIMIT_COUNT) is charged as if it were the only limit, counts what it would
 * drop, and stops nothing.
 */
#pragma once

#include "maps.h"
#include "rates.h"
#include "sources.h"
#include "tallies.h"

enum weighing_pass {
    WEIGH_CHECK,  /* who rejects? */
    WEIGH_CHARGE, /* nobody did */
};

/* A SYN before the limits. All of it is facts, but for what stands last. */
struct weighing {
    struct tg_source_key key;
    __u32 pass; /* enum weighing_pass */
    __u32 network;
    __u32 ipv6;
    __u64 now;
    __u64 claim_due_ns; /* of the source's claim; 0: it has none */
    __s64 live;         /* of a proven source; for a moment it may be below 0 */
    __u32 proven;
    __u32 enforcing;
    /* What came of it. */
    __u32 verdict;     /* TG_UNDECIDED: it conforms */
    __u32 dry_verdict; /* of the first dry run that would drop it */
    __u32 limit;       /* that rejects */
    __u32 reserved;
    __u64 until_ns; /* so long, at least, the limit rejects this source; 0: who knows */
    /* The limit whose state is in the source's claim, which is not at hand here: if it conforms,
     * what the claim is to be charged. */
    __u64 claim_interval_ns;
    __u64 claim_tolerance_ns;
    __u32 claim_limit;
    __u32 claim_is_dry;
};

static __always_inline bool holds(const struct tg_limit *limit, const struct weighing *syn)
{
    return limit->who == TG_WHO_ALL || limit->who == (syn->proven ? TG_WHO_PROVEN : TG_WHO_CLAIMED);
}

/* A limit has something against this SYN. True if that ends the matter. */
static __always_inline bool reject(struct weighing *syn, const struct tg_limit *limit, __u32 id,
                                   enum tg_verdict verdict)
{
    struct tg_limit_tally *tally;

    if (limit->action == TG_LIMIT_DROP) {
        syn->verdict = verdict;
        syn->limit = id;
        return true;
    }
    if (!syn->dry_verdict)
        syn->dry_verdict = verdict;
    tally = bpf_map_lookup_elem(&limit_tallies, &id);
    if (tally)
        tally->would_drop++;
    return false;
}

static __always_inline enum tg_verdict rate_verdict(const struct tg_rule *rule)
{
    if (rule->scope == TG_SCOPE_ALL)
        return TG_DROP_SERVICE_RATE;
    return rule->is_source ? TG_DROP_SOURCE_RATE : TG_DROP_PREFIX_RATE;
}

static __always_inline struct tg_budget *find_budget(__u32 budget)
{
    return bpf_map_lookup_elem(&budgets, &budget);
}

static __always_inline __u64 due_of(const struct tg_rule *rule, const struct weighing *syn)
{
    const struct tg_budget *budget;
    const struct tg_rates *bucket;
    __u64 tag;

    if (rule->scope == TG_SCOPE_SOURCE)
        return syn->claim_due_ns;
    if (rule->scope == TG_SCOPE_ALL) {
        budget = find_budget(rule->budget);
        return budget ? *(const volatile __u64 *)&budget->due_ns : 0;
    }
    tag = rate_tag(&syn->key.addr, rule->prefix_bits, rule->limit);
    bucket = find_rates(tag);
    return bucket ? rate_due_ns(bucket, tag) : 0;
}

static __always_inline bool charge_rule(const struct tg_rule *rule, const struct tg_limit *limit,
                                        const struct weighing *syn)
{
    struct tg_budget *budget;
    struct tg_rates *bucket;
    __u64 tag;

    if (rule->scope == TG_SCOPE_SOURCE)
        return true;
    if (rule->scope == TG_SCOPE_ALL) {
        budget = find_budget(rule->budget);
        return !budget || charge(&budget->due_ns, limit, syn->now);
    }
    tag = rate_tag(&syn->key.addr, rule->prefix_bits, rule->limit);
    bucket = find_rates(tag);
    return !bucket || charge_rate(bucket, tag, limit, syn->now);
}

static __always_inline void note_claim_limit(const struct tg_rule *rule,
                                             const struct tg_limit *limit, struct weighing *syn)
{
    if (rule->scope != TG_SCOPE_SOURCE)
        return;
    syn->claim_interval_ns = limit->interval_ns;
    syn->claim_tolerance_ns = limit->tolerance_ns;
    syn->claim_limit = rule->limit;
    syn->claim_is_dry = limit->action != TG_LIMIT_DROP;
}

/*
 * One limit of the service: 1 if it rejects the SYN. This and what follows are global functions,
 * so that the verifier looks at each once, and not once for each way that leads there. A rule
 * comes as the word that it is.
 */
__noinline int weigh_rule(struct weighing *syn, __u64 rule_word)
{
    struct tg_rule rule;
    const struct tg_limit *limit;
    __u64 due;
    __u32 id;

    _Static_assert(sizeof(rule) == sizeof(rule_word), "a rule is a word");
    __builtin_memcpy(&rule, &rule_word, sizeof(rule));
    id = rule.limit;
    limit = bpf_map_lookup_elem(&limits, &id);
    if (!syn || !limit || !holds(limit, syn))
        return 0;
    if (syn->pass == WEIGH_CHECK && rule.is_source && limit->has_live_max && syn->proven &&
        syn->live >= (__s64)limit->live_max && reject(syn, limit, id, TG_DROP_SOURCE_LIVE))
        return 1;
    if (!limit->interval_ns)
        return 0;

    due = due_of(&rule, syn);
    if (conforms(due, limit->tolerance_ns, syn->now)) {
        note_claim_limit(&rule, limit, syn);
        if (syn->pass == WEIGH_CHECK || charge_rule(&rule, limit, syn))
            return 0;
    } else if (syn->pass == WEIGH_CHARGE && limit->action != TG_LIMIT_DROP) {
        return 0; /* was told when it was checked */
    }
    if (!reject(syn, limit, id, rate_verdict(&rule)))
        return 0;
    syn->until_ns = rule.scope == TG_SCOPE_SOURCE ? due - limit->tolerance_ns : 0;
    return 1;
}

static __always_inline bool is_for_service(const struct tg_limit *limit, __u16 service)
{
    return limit->services[service / 64 & 3] >> service % 64 & 1;
}

/* One limit of one network that has `live` open. */
__noinline int weigh_network_rule(struct weighing *syn, __u32 rule_word, __s64 live)
{
    struct tg_network_rule rule;
    const struct tg_limit *limit;
    struct tg_budget *budget;
    __u32 id;

    _Static_assert(sizeof(rule) == sizeof(rule_word), "a network's rule is half a word");
    __builtin_memcpy(&rule, &rule_word, sizeof(rule));
    id = rule.limit;
    limit = id ? bpf_map_lookup_elem(&limits, &id) : NULL;
    if (!syn || !limit || !is_for_service(limit, syn->key.service) || !holds(limit, syn))
        return 0;
    if (syn->pass == WEIGH_CHECK && limit->has_live_max && live >= (__s64)limit->live_max &&
        reject(syn, limit, id, TG_DROP_NETWORK_LIVE))
        return 1;
    budget = limit->interval_ns ? find_budget(rule.budget) : NULL;
    if (!budget)
        return 0;
    if (conforms(*(volatile __u64 *)&budget->due_ns, limit->tolerance_ns, syn->now)) {
        if (syn->pass == WEIGH_CHECK || charge(&budget->due_ns, limit, syn->now))
            return 0;
    } else if (syn->pass == WEIGH_CHARGE && limit->action != TG_LIMIT_DROP) {
        return 0; /* was told when it was checked */
    }
    return reject(syn, limit, id, TG_DROP_NETWORK_RATE);
}

/* The limits of the network that holds the client, and of those around it. */
__noinline int weigh_networks(struct weighing *syn)
{
    __u32 network = syn ? syn->network : 0;

    for (int step = 0; step < TG_NETWORK_STEPS_MAX && network; step++) {
        const struct tg_network_node *node = bpf_map_lookup_elem(&network_nodes, &network);

        if (!node)
            return 0;
        for (__u32 i = 0; i < TG_NETWORK_RULES_MAX && i < node->rule_count; i++)
            if (weigh_network_rule(syn, *(const __u32 *)&node->rules[i], node->live))
                return 1;
        network = node->parent;
    }
    return 0;
}

static __always_inline const struct tg_rules *find_rules(const struct weighing *syn)
{
    __u32 index =
        syn->key.service * TG_FAMILY_COUNT + (syn->ipv6 ? TG_FAMILY_IPV6 : TG_FAMILY_IPV4);

    return bpf_map_lookup_elem(&rules, &index);
}

/*
 * The limit that keeps this newcomer out whatever else is known of it: its budget, one hot word, is
 * used up by all together, and nobody needs to look for a claim in cold memory. 0: there is none.
 */
static __always_inline __u32 find_used_up(const struct weighing *syn)
{
    const struct tg_rules *found = find_rules(syn);
    __u32 id = found && found->count ? found->together.limit : 0;
    const struct tg_limit *limit;
    const struct tg_budget *budget;

    if (!found || !id)
        return 0;
    budget = find_budget(found->together.budget);
    limit = bpf_map_lookup_elem(&limits, &id);
    if (!limit || !budget ||
        conforms(*(const volatile __u64 *)&budget->due_ns, limit->tolerance_ns, syn->now))
        return 0;
    return id;
}

/* All limits of a SYN, in one pass. Those of all together stand last, after the networks'. */
__noinline int weigh(struct weighing *syn)
{
    const struct tg_rules *found = syn ? find_rules(syn) : NULL;
    __u32 i = 0;

    if (!found)
        return 0;
    for (; i < TG_RULES_MAX && i < found->count && found->rules[i].scope != TG_SCOPE_ALL; i++)
        if (weigh_rule(syn, *(const __u64 *)&found->rules[i]))
            return 1;
    if (found->network_limits && weigh_networks(syn))
        return 1;
    for (; i < TG_RULES_MAX && i < found->count; i++)
        if (weigh_rule(syn, *(const __u64 *)&found->rules[i]))
            return 1;
    return 0;
}
