// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/limits.hpp"

#include <bpf/libbpf.h>

#include <algorithm>
#include <cstring>
#include <ctime>
#include <set>

#include "kernel/convert.hpp"
#include "kernel/totals.hpp"

namespace tallygate::kernel {
namespace {

template <typename T>
bool is_same(const T &one, const T &other)
{
    return std::memcmp(&one, &other, sizeof(T)) == 0;
}

/// As the programs see it: to the kernel's tick, and not later than they do.
std::uint64_t gate_now_ns()
{
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U +
           static_cast<std::uint64_t>(now.tv_nsec);
}

/// Pulls a time back to `latest`, if it is later, against programs that move it on.
void pull_back(volatile __u64 &due_ns, __u64 latest)
{
    __u64 due = due_ns;
    while (due > latest && !__atomic_compare_exchange_n(&due_ns, &due, latest, false,
                                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
}

std::vector<tg_network_rule> rules_of(const volatile tg_network_node &node)
{
    std::vector<tg_network_rule> rules;
    const std::uint32_t told = node.rule_count;
    const auto count = std::min<std::uint32_t>(told, TG_NETWORK_RULES_MAX);
    for (std::uint32_t i = 0; i < count; i++)
        rules.push_back(
            {.budget = node.rules[i].budget, .limit = node.rules[i].limit, .reserved = 0});
    return rules;
}

bool is_same_rules(const std::vector<tg_network_rule> &one,
                   const std::vector<tg_network_rule> &other)
{
    return std::ranges::equal(one, other, is_same<tg_network_rule>);
}

/// What differs between two plans.
class Difference {
public:
    Difference(const LimitPlan &before, const LimitPlan &after) : before_(before), after_(after)
    {
        for (std::size_t i = 0; i < after.rules.size(); i++)
            if (!is_same(before.rules[i], after.rules[i]) || asks_changed(after.rules[i]))
                rules_.push_back(i);
        for (const auto *plan : {&before, &after})
            for (const auto &[network, rules] : plan->networks)
                if (is_changed_network(network))
                    networks_.insert(network);
    }

    const std::vector<std::size_t> &rules() const { return rules_; }
    const std::set<NetworkTable::Id> &networks() const { return networks_; }

    bool is_kept(std::size_t limit) const { return before_.names[limit] == after_.names[limit]; }

    bool is_changed(std::size_t limit) const
    {
        return !is_kept(limit) || !is_same(before_.limits[limit], after_.limits[limit]);
    }

    /// Does its old state say more than the new limit would have let it come to?
    bool is_shrunk(std::size_t limit) const
    {
        const auto after = is_kept(limit) ? horizon_ns(after_.limits[limit]) : 0;
        return after < horizon_ns(before_.limits[limit]);
    }

private:
    bool asks_changed(const tg_rules &rules) const
    {
        return std::any_of(rules.rules, rules.rules + TG_RULES_MAX,
                           [this](const tg_rule &rule) { return is_changed(rule.limit); });
    }

    bool is_changed_network(NetworkTable::Id network) const
    {
        const auto before = before_.networks.find(network);
        const auto after = after_.networks.find(network);
        if (before == before_.networks.end() || after == after_.networks.end())
            return true;
        return !is_same_rules(before->second, after->second) ||
               std::ranges::any_of(after->second, [this](const tg_network_rule &rule) {
                   return is_changed(rule.limit);
               });
    }

    const LimitPlan &before_;
    const LimitPlan &after_;
    std::vector<std::size_t> rules_;
    std::set<NetworkTable::Id> networks_;
};

/// The limit whose state is in the claims of a service and family; none: 0.
std::uint8_t source_limit(const tg_rules &rules)
{
    const auto *const end = rules.rules + TG_RULES_MAX;
    const auto *const found = std::find_if(rules.rules, end, [](const tg_rule &rule) {
        return rule.limit != 0 && rule.scope == TG_SCOPE_SOURCE;
    });
    return found == end ? 0 : found->limit;
}

bool is_prefix_limit(const LimitPlan &plan, std::size_t limit)
{
    return std::ranges::any_of(plan.rules, [limit](const tg_rules &rules) {
        return std::any_of(rules.rules, rules.rules + TG_RULES_MAX, [limit](const tg_rule &rule) {
            return rule.limit == limit && rule.scope == TG_SCOPE_PREFIX;
        });
    });
}

} // namespace

/// The order of writing is what keeps a reload from rejecting too much: rules that change are
/// switched off, then the states that they leave are forgiven if the new limits would not have
/// made them, then limits are written, and then rules are switched on. Programs look at the
/// count of rules first, so a rule that is half written is asked by nobody but a packet that is
/// on its way at that moment. A daemon that dies in between leaves rules switched off; the next
/// one finds them, and the limits that they had, and goes on.
struct LimitTable::Tables {
    using Limits = MapView<std::uint32_t, tg_limit>;
    using Records = MapView<std::uint32_t, tg_limit_record>;
    using Rules = MapView<std::uint32_t, tg_rules>;
    using BudgetRecords = MapView<std::uint32_t, tg_budget_record>;

    Limits limits;
    Records records;
    Rules rules;
    BudgetRecords budget_records;
    Totals totals;
    MappedArray<tg_network_node> nodes;
    MappedArray<tg_budget> budgets;
    MappedArray<tg_rates> rates;
    MappedArray<tg_claims> claims;

    Result<LimitPlan> read() const
    {
        LimitPlan plan;
        const auto read_all = [&]() -> Result<void> {
            if (auto done = records.for_each([&](std::uint32_t id, const tg_limit_record &record) {
                    plan.names[id] = {record.name, ::strnlen(record.name, sizeof(record.name))};
                });
                !done)
                return done;
            if (auto done = limits.for_each(
                    [&](std::uint32_t id, const tg_limit &limit) { plan.limits[id] = limit; });
                !done)
                return done;
            if (auto done = rules.for_each(
                    [&](std::uint32_t index, const tg_rules &value) { plan.rules[index] = value; });
                !done)
                return done;
            return budget_records.for_each([&](std::uint32_t index, const tg_budget_record &value) {
                plan.budgets[index] = value;
            });
        };
        if (const auto done = read_all(); !done)
            return done.error();
        for (NetworkTable::Id id = 0; id < nodes.entries_max(); id++)
            if (nodes[id].rule_count != 0)
                plan.networks[id] = rules_of(nodes[id]);
        return plan;
    }

    Result<void> switch_off(const Difference &difference, const LimitPlan &before) const
    {
        for (const auto network : difference.networks())
            __atomic_store_n(&nodes[network].rule_count, 0U, __ATOMIC_SEQ_CST);
        for (const auto index : difference.rules()) {
            auto off = before.rules[index];
            off.count = 0;
            off.network_limits = 0;
            if (const auto put = rules.put(static_cast<std::uint32_t>(index), off); !put)
                return put;
        }
        return {};
    }

    void forgive(const Difference &difference, const LimitPlan &before,
                 const LimitPlan &after) const
    {
        forgive_budgets(difference, before, after);
        for (std::size_t limit = 1; limit < TG_LIMITS_MAX; limit++)
            if (difference.is_shrunk(limit) && is_prefix_limit(before, limit)) {
                forgive_rates();
                break;
            }
        for (std::size_t index = 0; index < before.rules.size(); index++) {
            const auto was = source_limit(before.rules[index]);
            const bool goes_on = was == source_limit(after.rules[index]) && difference.is_kept(was);
            if (was != 0 && (!goes_on || difference.is_shrunk(was)))
                forgive_claims(index);
        }
    }

    void forgive_budgets(const Difference &difference, const LimitPlan &before,
                         const LimitPlan &after) const
    {
        for (std::uint32_t i = 1; i < TG_BUDGETS_MAX; i++) {
            const auto &record = after.budgets[i];
            const bool goes_on = record.limit != 0 && is_same(before.budgets[i], record) &&
                                 difference.is_kept(record.limit) &&
                                 !difference.is_shrunk(record.limit);
            if (!goes_on)
                pull_back(budgets[i].due_ns, 0);
        }
    }

    /// All of them: a state does not tell whose it is. The others' holders have their burst again.
    void forgive_rates() const
    {
        for (std::uint32_t i = 0; i < rates.entries_max(); i++)
            for (auto &due_ns : rates[i].due_ns)
                pull_back(due_ns, 0);
    }

    void forgive_claims(std::size_t rules_index) const
    {
        const auto service = rules_index / TG_FAMILY_COUNT;
        const bool is_ipv4 = rules_index % TG_FAMILY_COUNT == TG_FAMILY_IPV4;
        const auto latest = gate_now_ns() / TG_CLAIM_UNIT_NS << TG_CLAIM_SERVICE_BITS | service;

        for (std::uint32_t i = 0; i < claims.entries_max(); i++)
            for (std::size_t way = 0; way < TG_BUCKET_WAYS; way++) {
                volatile auto &word = claims[i].states[way].word;
                const std::uint64_t seen = word;
                if (seen <= latest || (seen & ((1U << TG_CLAIM_SERVICE_BITS) - 1)) != service)
                    continue;
                tg_addr addr{};
                for (std::size_t j = 0; j < 4; j++)
                    addr.words[j] = claims[i].sources[way].words[j];
                if (to_address(addr).is_ipv4() == is_ipv4)
                    pull_back(word, latest);
            }
    }

    Result<void> write_limits(const Difference &difference, const LimitPlan &before,
                              const LimitPlan &after) const
    {
        for (std::uint32_t id = 1; id < TG_LIMITS_MAX; id++) {
            if (!difference.is_changed(id))
                continue;
            tg_limit_record record{};
            after.names[id].copy(record.name, sizeof(record.name) - 1);
            if (!difference.is_kept(id))
                if (const auto zeroed = totals.begin_limit(static_cast<std::uint8_t>(id)); !zeroed)
                    return zeroed;
            if (const auto put = limits.put(id, after.limits[id]); !put)
                return put;
            if (const auto put = records.put(id, record); !put)
                return put;
        }
        for (std::uint32_t i = 1; i < TG_BUDGETS_MAX; i++)
            if (!is_same(before.budgets[i], after.budgets[i]))
                if (const auto put = budget_records.put(i, after.budgets[i]); !put)
                    return put;
        return {};
    }

    Result<void> switch_on(const Difference &difference, const LimitPlan &after) const
    {
        for (const auto network : difference.networks())
            if (const auto found = after.networks.find(network); found != after.networks.end())
                write_node(network, found->second);
        for (const auto index : difference.rules()) {
            auto off = after.rules[index];
            off.count = 0;
            off.network_limits = 0;
            for (const auto &value : {off, after.rules[index]})
                if (const auto put = rules.put(static_cast<std::uint32_t>(index), value); !put)
                    return put;
        }
        return {};
    }

    void write_node(NetworkTable::Id network, const std::vector<tg_network_rule> &wanted) const
    {
        volatile auto &node = nodes[network];
        for (std::size_t i = 0; i < TG_NETWORK_RULES_MAX; i++) {
            node.rules[i].budget = i < wanted.size() ? wanted[i].budget : 0;
            node.rules[i].limit = i < wanted.size() ? wanted[i].limit : 0;
        }
        __atomic_store_n(&node.rule_count, static_cast<std::uint32_t>(wanted.size()),
                         __ATOMIC_SEQ_CST);
    }
};

namespace {

/// The map of a name, as `View`, or the reason why not.
template <typename View>
Result<View> open_map(const bpf_object *object, const char *name)
{
    return View::open(bpf_object__find_map_fd_by_name(object, name), name);
}

} // namespace

Result<LimitTable> LimitTable::open(const bpf_object *object)
{
    auto limits = open_map<Tables::Limits>(object, "limits");
    if (!limits)
        return limits.error();
    auto records = open_map<Tables::Records>(object, "limit_records");
    if (!records)
        return records.error();
    auto rules = open_map<Tables::Rules>(object, "rules");
    if (!rules)
        return rules.error();
    auto budget_records = open_map<Tables::BudgetRecords>(object, "budget_records");
    if (!budget_records)
        return budget_records.error();
    auto totals = Totals::open(object);
    if (!totals)
        return totals.error();
    auto nodes = open_map<MappedArray<tg_network_node>>(object, "network_nodes");
    if (!nodes)
        return nodes.error();
    auto budgets = open_map<MappedArray<tg_budget>>(object, "budgets");
    if (!budgets)
        return budgets.error();
    auto rates = open_map<MappedArray<tg_rates>>(object, "rates");
    if (!rates)
        return rates.error();
    auto claims = open_map<MappedArray<tg_claims>>(object, "claims");
    if (!claims)
        return claims.error();
    return LimitTable{std::make_shared<const Tables>(
        Tables{std::move(*limits), std::move(*records), std::move(*rules),
               std::move(*budget_records), std::move(*totals), std::move(*nodes),
               std::move(*budgets), std::move(*rates), std::move(*claims)})};
}

Result<void> LimitTable::apply(const std::vector<LimitOption> &limits, const LimitedThings &things)
{
    const auto before = tables_->read();
    if (!before)
        return before.error();
    auto after = plan_limits(limits, things, *before);
    if (!after)
        return after.error();

    const Difference difference{*before, *after};
    if (const auto done = tables_->switch_off(difference, *before); !done)
        return done;
    tables_->forgive(difference, *before, *after);
    if (const auto done = tables_->write_limits(difference, *before, *after); !done)
        return done;
    if (const auto done = tables_->switch_on(difference, *after); !done)
        return done;
    plan_ = std::move(*after);
    return {};
}

std::vector<core::LimitCounts> LimitTable::counts() const
{
    std::vector<core::LimitCounts> rows;
    for (const auto id : plan_.order) {
        const auto tally = tables_->totals.limit(id);
        rows.push_back(
            {.name = plan_.names[id], .dropped = tally.dropped, .would_drop = tally.would_drop});
    }
    return rows;
}

const std::string &LimitTable::name_of(std::uint8_t id) const
{
    return plan_.names[id % TG_LIMITS_MAX];
}

} // namespace tallygate::kernel
