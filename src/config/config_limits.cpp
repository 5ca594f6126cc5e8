// SPDX-License-Identifier: BSD-2-Clause
//
// [[limit]]: whom it holds, to what, and that the kernel's tables have room for it.
#include <algorithm>
#include <set>
#include <utility>

#include "config/draft.hpp"
#include "config/rules.hpp"

namespace tallygate::config {
namespace {

using namespace std::chrono_literals;

// What include/tallygate/abi.h has room for.
constexpr std::size_t limits_max = 63; ///< ids 1 to 63
constexpr std::size_t service_rules_max = 8;
constexpr std::size_t network_limits_max = 4;
constexpr std::size_t budgets_max = 4095;
constexpr std::size_t nested_networks_max = 8; ///< from the longest up to the one with the limit

constexpr std::uint32_t burst_max = 1'000'000;
constexpr std::uint32_t live_limit_max = 1U << 26; ///< as many as flows_max may be
/// The gate's clock steps by up to 10 ms (CONFIG_HZ=100): what comes within a step comes at once.
constexpr std::uint64_t clock_steps_per_second = 100;
/// Far below what the gate's words for times can hold.
constexpr std::chrono::seconds refill_max = 30 * 24h;

std::uint64_t seconds(const Limit::Rate &rate)
{
    return static_cast<std::uint64_t>(rate.span.count());
}

void note_unknown_names(TableReader &table, std::string_view key, const Seen<std::string> &known,
                        const std::string &section, const std::vector<Placed<std::string>> &names)
{
    std::vector<std::string> words;

    for (const auto &[name, position] : known)
        words.push_back(name);
    for (const auto &[name, position] : names) {
        if (known.count(name) != 0)
            continue;
        const auto meant = nearest(name, words);
        std::string what = "has \"" + name + "\", which no ";
        what += section + " is called: ";
        what += meant ? "did you mean " + *meant + "?" : "expected the name of one";
        table.note(key, position, what);
    }
}

void read_per(TableReader &table, const Gate &gate, Limit &limit)
{
    std::map<Family, SourcePosition> families;
    Seen<Block> seen;

    for (const auto &[block, position] : table.list("per", holder(), seen)) {
        const auto [first, added] = families.emplace(block.family(), position);
        if (!added)
            table.note("per", position,
                       "has " + block.text() + " beside another of its family on line " +
                           std::to_string(first->second.line) +
                           ": expected at most one of IPv4 and one of IPv6");
        if (block.family() == Family::ipv6 && block.text_length_bits() > gate.ipv6_source_bits)
            table.note(
                "per", position,
                "has " + block.text() + ", which is a part of a source: expected at most ::/" +
                    std::to_string(gate.ipv6_source_bits) + ", as gate.ipv6_source_bits has it");
        limit.per.push_back(block);
    }
}

void read_holders(TableReader &table, Draft &draft, Limit &limit)
{
    Seen<std::string> services;
    Seen<std::string> networks;

    limit.services = read_names(table, "services", draft.service_names, "[[service]]", services);
    read_per(table, draft.config.gate, limit);
    limit.networks = read_names(table, "networks", draft.network_names, "[[network]]", networks);
    if (!table.has("per") && !table.has("networks"))
        table.note("limit has neither per nor networks: expected one of them");
    if (table.has("per") && table.has("networks"))
        table.note("limit has both per and networks: expected one of them");
    for (const auto &[name, position] : networks) {
        auto &limited =
            draft.limited_networks.emplace(name, LimitedNetwork{position}).first->second;
        if (++limited.limits == network_limits_max + 1)
            table.note("networks", position,
                       "has \"" + name + "\", which has limits enough: expected at most " +
                           std::to_string(network_limits_max) + " of one network");
    }
}

/// Below `least`, SYNs at exactly the rate would be rejected whenever the clock steps.
void check_burst(TableReader &table, const Limit::Rate &rate, std::uint32_t burst)
{
    const auto steps = seconds(rate) * clock_steps_per_second;
    const auto least = (rate.count + steps - 1) / steps;
    const auto most = static_cast<std::uint64_t>(refill_max.count()) * rate.count / seconds(rate);

    if (burst < least)
        table.note("syn_burst", "is " + std::to_string(burst) +
                                    ", less than syn_rate brings while the gate's clock makes "
                                    "one step of 10 ms: expected at least " +
                                    std::to_string(least));
    if (burst > most)
        table.note("syn_burst", "is " + std::to_string(burst) +
                                    ", which takes more than 30 days to come back at syn_rate: "
                                    "expected at most " +
                                    std::to_string(most));
}

void read_rate(TableReader &table, Limit &limit)
{
    if (const auto found = table.find("syn_rate", rate()))
        limit.syn_rate = found->value;
    const auto burst = table.find("syn_burst", number("a number", 1U, burst_max));
    if (limit.syn_rate)
        limit.syn_burst = static_cast<std::uint32_t>(
            std::max<std::uint64_t>(limit.syn_rate->count / seconds(*limit.syn_rate), 1));
    if (burst)
        limit.syn_burst = burst->value;
    if (burst && limit.syn_rate)
        check_burst(table, *limit.syn_rate, burst->value);
    if (table.has("syn_burst") && !table.has("syn_rate"))
        table.note("syn_burst", "stands without syn_rate: expected both or neither");
}

void read_live(TableReader &table, const Gate &gate, Limit &limit)
{
    if (const auto found = table.find("live_max", number("a number", 1U, live_limit_max)))
        limit.live_max = found->value;
    if (!table.has("syn_rate") && !table.has("live_max"))
        table.note("limit has neither syn_rate nor live_max: expected at least one of them");
    if (!limit.live_max)
        return;
    const bool is_of_sources =
        std::all_of(limit.per.begin(), limit.per.end(), [&gate](const Block &block) {
            return block.text_length_bits() ==
                   (block.family() == Family::ipv4 ? 32U : gate.ipv6_source_bits);
        });
    if (!is_of_sources)
        table.note("live_max", "holds sources and networks alone: expected per of 0.0.0.0/32 and "
                               "::/" +
                                   std::to_string(gate.ipv6_source_bits) + ", or networks");
    if (limit.who == Limit::Who::claimed)
        table.note("live_max", "is for sources that hold connections, and a claimed one has none "
                               "yet: expected who = \"all\" or \"proven\"");
}

void count_rules(TableReader &table, Draft &draft, const Limit &limit)
{
    std::vector<std::string> services = limit.services;

    if (services.empty())
        for (const auto &service : draft.config.services)
            services.push_back(service.name);
    for (const auto &service : services) {
        for (const auto &block : limit.per) {
            if (++draft.rules[{service, block.family()}] != service_rules_max + 1)
                continue;
            table.note("per", std::string("is one too many for ") +
                                  (block.family() == Family::ipv4 ? "IPv4" : "IPv6") +
                                  " at service " + service + ": expected at most " +
                                  std::to_string(service_rules_max) + " limits with per");
            return;
        }
    }
}

/// A budget for each CIDR block of a limited network, and for each family all together.
void count_budgets(TableReader &table, Draft &draft, const Limit &limit)
{
    const std::size_t before = draft.budgets;

    for (const auto &block : limit.per)
        draft.budgets += block.text_length_bits() == 0 ? 1 : 0;
    for (const auto &network : draft.config.networks)
        if (std::find(limit.networks.begin(), limit.networks.end(), network.name) !=
            limit.networks.end())
            draft.budgets += network.cidrs.size();
    if (before <= budgets_max && draft.budgets > budgets_max)
        table.note("limit makes more than " + std::to_string(budgets_max) +
                   " budgets, one for each CIDR block of its networks: expected fewer");
}

struct NamedBlock {
    Block block;
    std::string_view network;
};

/// Each block behind all that hold it, the widest first.
std::vector<NamedBlock> nested_blocks(const Config &config)
{
    std::vector<NamedBlock> blocks;

    for (const auto &network : config.networks)
        for (const auto &block : network.cidrs)
            blocks.push_back({block, network.name});
    // By family first: ::/0 holds no IPv4, though its numbers stand on both sides of it.
    std::sort(blocks.begin(), blocks.end(), [](const auto &left, const auto &right) {
        return std::pair{left.block.family(), left.block} <
               std::pair{right.block.family(), right.block};
    });
    return blocks;
}

} // namespace

std::vector<std::string> read_names(TableReader &table, std::string_view key,
                                    const Seen<std::string> &known, const std::string &section,
                                    Seen<std::string> &seen)
{
    const auto names = table.list(key, name(), seen);

    note_unknown_names(table, key, known, section, names);
    return values(names);
}

void read_limit(TableReader &table, Draft &draft)
{
    Limit limit;

    limit.position = table.position();
    if (const auto found = table.require_unique("name", name(), draft.limit_names))
        limit.name = found->value;
    read_holders(table, draft, limit);
    limit.who = table.value("who",
                            choice<Limit::Who>({{"all", Limit::Who::all},
                                                {"claimed", Limit::Who::claimed},
                                                {"proven", Limit::Who::proven}}),
                            limit.who);
    read_rate(table, limit);
    read_live(table, draft.config.gate, limit);
    limit.action = table.value(
        "action",
        choice<Limit::Action>({{"drop", Limit::Action::drop}, {"count", Limit::Action::count}}),
        limit.action);
    count_rules(table, draft, limit);
    count_budgets(table, draft, limit);
    draft.config.limits.push_back(std::move(limit));
    if (draft.config.limits.size() == limits_max + 1)
        table.note("limit is one too many: expected at most " + std::to_string(limits_max));
}

void check_limited_networks(const Draft &draft, Mistakes &mistakes)
{
    std::vector<const NamedBlock *> around;
    std::set<std::string_view> noted;

    if (draft.limited_networks.empty())
        return;
    const auto blocks = nested_blocks(draft.config);
    for (const auto &inner : blocks) {
        while (!around.empty() && !around.back()->block.contains(inner.block))
            around.pop_back();
        around.push_back(&inner);
        if (around.size() <= nested_networks_max)
            continue;
        const auto &outer = *around[around.size() - 1 - nested_networks_max];
        const auto limited = draft.limited_networks.find(std::string(outer.network));
        if (limited == draft.limited_networks.end() || !noted.insert(outer.network).second)
            continue;
        mistakes.add(limited->second.position,
                     "limit.networks has \"" + std::string(outer.network) + "\", and " +
                         inner.block.text() + " of network " + std::string(inner.network) + " is " +
                         std::to_string(nested_networks_max) +
                         " networks further in: expected at most " +
                         std::to_string(nested_networks_max - 1));
    }
}

} // namespace tallygate::config
