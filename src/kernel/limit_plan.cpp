// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/limit_plan.hpp"

#include <algorithm>
#include <optional>
#include <tuple>

#include "kernel/convert.hpp"

namespace tallygate::kernel {
namespace {

constexpr std::uint32_t ipv4_all_bits = 96;

tg_family to_family(Family family)
{
    return family == Family::ipv4 ? TG_FAMILY_IPV4 : TG_FAMILY_IPV6;
}

const char *family_text(tg_family family)
{
    return family == TG_FAMILY_IPV4 ? "IPv4" : "IPv6";
}

/// Numbers for holders: the one that a holder has, else one that nobody has or had.
class Budgets {
public:
    Budgets(const LimitPlan &before, LimitPlan &plan) : before_(before), plan_(plan)
    {
        for (std::uint16_t i = 1; i < TG_BUDGETS_MAX; i++) {
            const auto &record = before.budgets[i];
            if (record.limit != 0 && before.names[record.limit] == plan.names[record.limit])
                kept_[key_of(record)] = i;
        }
    }

    Result<std::uint16_t> number_for(const tg_budget_record &record)
    {
        const auto kept = kept_.find(key_of(record));
        const auto number = kept != kept_.end() ? std::optional{kept->second} : find_free();
        if (!number)
            return Error{"the limits of networks, and of all together, need more than " +
                         std::to_string(TG_BUDGETS_MAX - 1) +
                         " budgets, one for each limit and block: that is all there are"};
        plan_.budgets[*number] = record;
        return *number;
    }

private:
    using Key = std::tuple<std::uint16_t, std::uint32_t, std::uint16_t>;

    static Key key_of(const tg_budget_record &record)
    {
        return {record.limit, record.network, record.family};
    }

    std::optional<std::uint16_t> find_free()
    {
        for (; next_ < TG_BUDGETS_MAX; next_++)
            if (plan_.budgets[next_].limit == 0 && !is_kept(next_))
                return next_;
        return std::nullopt;
    }

    bool is_kept(std::uint16_t number) const
    {
        const auto &record = before_.budgets[number];
        return record.limit != 0 && kept_.contains(key_of(record));
    }

    const LimitPlan &before_;
    LimitPlan &plan_;
    std::map<Key, std::uint16_t> kept_;
    std::uint16_t next_ = 1;
};

class Planner {
public:
    Planner(const std::vector<LimitOption> &options, const LimitedThings &things,
            const LimitPlan &before)
        : options_(options), things_(things), before_(before)
    {
    }

    Result<LimitPlan> make()
    {
        if (const auto named = give_numbers(); !named)
            return named.error();
        budgets_.emplace(before_, plan_);
        for (std::size_t i = 0; i < options_.size(); i++)
            if (const auto added = add(options_[i], plan_.order[i]); !added)
                return added.error();
        if (const auto fits = order_rules(); !fits)
            return fits.error();
        if (const auto reached = check_depth(); !reached)
            return reached.error();
        return std::move(plan_);
    }

private:
    Result<void> give_numbers()
    {
        if (options_.size() >= TG_LIMITS_MAX)
            return Error{std::to_string(options_.size()) + " limits are too many: there is room " +
                         "for " + std::to_string(TG_LIMITS_MAX - 1)};
        for (const auto &option : options_)
            if (const auto id = number_before(option.name))
                plan_.names[*id] = option.name;
        for (const auto &option : options_) {
            const auto known = number_before(option.name);
            const auto id = known ? *known : free_number();
            plan_.names[id] = option.name;
            plan_.order.push_back(id);
        }
        return {};
    }

    std::optional<std::uint8_t> number_before(const std::string &name) const
    {
        const auto found = std::find(before_.names.begin() + 1, before_.names.end(), name);
        if (found == before_.names.end())
            return std::nullopt;
        return static_cast<std::uint8_t>(found - before_.names.begin());
    }

    /// One that nobody had, if there is one. There always is one that nobody has.
    std::uint8_t free_number() const
    {
        std::uint8_t vacated = 0;
        for (std::uint8_t id = 1; id < TG_LIMITS_MAX; id++) {
            if (!plan_.names[id].empty())
                continue;
            if (before_.names[id].empty())
                return id;
            vacated = vacated == 0 ? id : vacated;
        }
        return vacated;
    }

    Result<void> add(const LimitOption &option, std::uint8_t id)
    {
        auto services = services_of(option);
        if (!services)
            return services.error();
        plan_.limits[id] = value_of(option, *services);
        for (const auto &block : option.per)
            for (const auto service : *services)
                if (const auto added = add_rule(option, id, service, block); !added)
                    return added;
        for (const auto &name : option.networks)
            if (const auto added = add_to_network(option, id, name, *services); !added)
                return added;
        return {};
    }

    Result<std::vector<core::ServiceId>> services_of(const LimitOption &option) const
    {
        std::vector<core::ServiceId> ids;
        if (option.services.empty())
            for (const auto &[name, id] : things_.services)
                ids.push_back(id);
        for (const auto &name : option.services) {
            const auto found = things_.services.find(name);
            if (found == things_.services.end())
                return Error{"limit " + option.name + " is for service " + name +
                             ", which is not configured"};
            ids.push_back(found->second);
        }
        return ids;
    }

    static tg_limit value_of(const LimitOption &option,
                             const std::vector<core::ServiceId> &services)
    {
        tg_limit value{};
        if (option.rate) {
            value.interval_ns = static_cast<std::uint64_t>(option.rate->interval.count());
            value.tolerance_ns = (option.rate->burst - 1) * value.interval_ns;
        }
        for (const auto service : services)
            value.services[service / 64] |= std::uint64_t{1} << service % 64;
        value.live_max = option.live_max.value_or(0);
        value.has_live_max = option.live_max ? 1 : 0;
        value.who = option.who == LimitOption::Who::all       ? TG_WHO_ALL
                    : option.who == LimitOption::Who::claimed ? TG_WHO_CLAIMED
                                                              : TG_WHO_PROVEN;
        value.action = option.action == LimitOption::Action::drop ? TG_LIMIT_DROP : TG_LIMIT_COUNT;
        return value;
    }

    Result<void> add_rule(const LimitOption &option, std::uint8_t id, core::ServiceId service,
                          const Block &per)
    {
        const auto family = to_family(per.family());
        const bool is_ipv4 = family == TG_FAMILY_IPV4;
        const auto length = per.length_bits();
        const bool is_all = length == (is_ipv4 ? ipv4_all_bits : 0);
        tg_rule rule{};

        rule.limit = id;
        rule.scope = is_all ? TG_SCOPE_ALL : TG_SCOPE_PREFIX;
        rule.prefix_bits = static_cast<std::uint8_t>(length);
        rule.is_source = !is_all && length >= (is_ipv4 ? 128 : things_.ipv6_source_bits) ? 1 : 0;
        if (is_all && option.rate) {
            const auto budget = budgets_->number_for(
                {.network = 0, .limit = id, .family = static_cast<std::uint16_t>(family)});
            if (!budget)
                return budget.error();
            rule.budget = *budget;
        }
        found_[LimitPlan::rules_index(service, family)].push_back(rule);
        return {};
    }

    Result<void> add_to_network(const LimitOption &option, std::uint8_t id, const std::string &name,
                                const std::vector<core::ServiceId> &services)
    {
        bool is_known = false;
        for (const auto &network : things_.networks) {
            if (network.name != name)
                continue;
            is_known = true;
            tg_network_rule rule{.budget = 0, .limit = id, .reserved = 0};
            if (option.rate) {
                const auto budget =
                    budgets_->number_for({.network = network.id, .limit = id, .family = 0});
                if (!budget)
                    return budget.error();
                rule.budget = *budget;
            }
            auto &rules = plan_.networks[network.id];
            rules.push_back(rule);
            if (rules.size() > TG_NETWORK_RULES_MAX)
                return Error{"network " + name + " has " + std::to_string(rules.size()) +
                             " limits or more: at most " + std::to_string(TG_NETWORK_RULES_MAX)};
            for (const auto service : services)
                plan_.rules[LimitPlan::rules_index(service, to_family(network.block.family()))]
                    .network_limits = 1;
        }
        if (!is_known)
            return Error{"limit " + option.name + " is for network " + name +
                         ", which is not configured"};
        return {};
    }

    /// The source's own limit first, then prefixes from the longest on, then all together: the
    /// order in which they are asked. State in the claim is free to reach: it is for the first
    /// limit of whole sources that has any.
    Result<void> order_rules()
    {
        for (auto &[index, rules] : found_) {
            if (rules.size() > TG_RULES_MAX)
                return Error{"service " + service_name(index) + " has " +
                             std::to_string(rules.size()) + " limits for " +
                             family_text(static_cast<tg_family>(index % TG_FAMILY_COUNT)) +
                             ", beside those of networks: at most " + std::to_string(TG_RULES_MAX)};
            std::ranges::stable_sort(rules, std::ranges::greater{}, [](const tg_rule &rule) {
                return std::pair{rule.is_source, rule.prefix_bits};
            });
            const auto sources_end = std::ranges::find(rules, 0, &tg_rule::is_source);
            auto first = std::find_if(rules.begin(), sources_end, [this](const tg_rule &rule) {
                return plan_.limits[rule.limit].interval_ns != 0;
            });
            if (first == sources_end)
                first = rules.begin();
            if (first != sources_end) {
                first->scope = TG_SCOPE_SOURCE;
                std::rotate(rules.begin(), first, first + 1);
            }
            plan_.rules[index].count = static_cast<std::uint32_t>(rules.size());
            std::ranges::copy(rules, plan_.rules[index].rules);
            plan_.rules[index].together = find_together(index, rules);
        }
        return {};
    }

    /// The tightest limit of all together that may keep a newcomer out before anything else is
    /// asked. None beside a dry run, which tells of newcomers that others reject, too.
    tg_rule find_together(std::size_t index, const std::vector<tg_rule> &rules) const
    {
        tg_rule found{};

        if (has_dry_run(index / TG_FAMILY_COUNT))
            return found;
        for (const auto &rule : rules) {
            const auto &limit = plan_.limits[rule.limit];
            if (rule.scope == TG_SCOPE_ALL && limit.who != TG_WHO_PROVEN &&
                limit.interval_ns > plan_.limits[found.limit].interval_ns)
                found = rule;
        }
        return found;
    }

    bool has_dry_run(std::size_t service) const
    {
        return std::ranges::any_of(plan_.limits, [service](const tg_limit &limit) {
            return limit.action == TG_LIMIT_COUNT &&
                   (limit.services[service / 64] >> service % 64 & 1) != 0;
        });
    }

    std::string service_name(std::size_t index) const
    {
        for (const auto &[name, id] : things_.services)
            if (id == index / TG_FAMILY_COUNT)
                return name;
        return std::to_string(index / TG_FAMILY_COUNT);
    }

    /// The programs go so many steps up, and no further.
    Result<void> check_depth() const
    {
        std::map<NetworkTable::Id, const NetworkTable::Node *> by_id;
        for (const auto &network : things_.networks)
            by_id[network.id] = &network;

        for (const auto &network : things_.networks) {
            unsigned steps = 0;
            for (auto around = by_id.find(network.parent); around != by_id.end();
                 around = by_id.find(around->second->parent))
                if (++steps >= TG_NETWORK_STEPS_MAX && plan_.networks.contains(around->first))
                    return Error{"network " + network.block.text() + " is nested " +
                                 std::to_string(steps) + " deep in " +
                                 around->second->block.text() + " (" + around->second->name +
                                 "), which has a limit: limits reach over " +
                                 std::to_string(TG_NETWORK_STEPS_MAX) + " nested networks"};
        }
        return {};
    }

    const std::vector<LimitOption> &options_;
    const LimitedThings &things_;
    const LimitPlan &before_;
    LimitPlan plan_;
    std::optional<Budgets> budgets_;
    std::map<std::size_t, std::vector<tg_rule>> found_; ///< by service and family
};

} // namespace

Result<LimitPlan> plan_limits(const std::vector<LimitOption> &options, const LimitedThings &things,
                              const LimitPlan &before)
{
    return Planner{options, things, before}.make();
}

std::uint64_t horizon_ns(const tg_limit &limit)
{
    return limit.interval_ns == 0 ? 0 : limit.interval_ns + limit.tolerance_ns;
}

} // namespace tallygate::kernel
