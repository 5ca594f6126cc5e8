// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/options.hpp"

#include <string>
#include <utility>

namespace tallygate::daemon {
namespace {

kernel::Attach to_attach(config::Attach attach)
{
    switch (attach) {
    case config::Attach::automatic:
        return kernel::Attach::automatic;
    case config::Attach::native:
        return kernel::Attach::native;
    case config::Attach::generic:
        return kernel::Attach::generic;
    case config::Attach::tc:
        return kernel::Attach::tc;
    }
    return kernel::Attach::automatic;
}

kernel::LimitOption to_limit(const config::Limit &limit)
{
    using Who = kernel::LimitOption::Who;
    kernel::LimitOption option{.name = limit.name,
                               .services = limit.services,
                               .per = limit.per,
                               .networks = limit.networks,
                               .who = Who::all,
                               .rate = {},
                               .live_max = limit.live_max,
                               .action = limit.action == config::Limit::Action::count
                                             ? kernel::LimitOption::Action::count
                                             : kernel::LimitOption::Action::drop};
    if (limit.who != config::Limit::Who::all)
        option.who = limit.who == config::Limit::Who::claimed ? Who::claimed : Who::proven;
    if (limit.syn_rate)
        option.rate = {.interval =
                           std::chrono::nanoseconds{limit.syn_rate->span} / limit.syn_rate->count,
                       .burst = limit.syn_burst};
    return option;
}

/// "10/s", as it is written.
std::string rate_text(const config::Limit::Rate &rate)
{
    const char *const unit = rate.span == std::chrono::hours{1}     ? "/h"
                             : rate.span == std::chrono::minutes{1} ? "/m"
                                                                    : "/s";
    return std::to_string(rate.count) + unit;
}

const char *who_text(config::Limit::Who who)
{
    switch (who) {
    case config::Limit::Who::all:
        return "all";
    case config::Limit::Who::claimed:
        return "claimed";
    case config::Limit::Who::proven:
        return "proven";
    }
    return "";
}

/// "0.0.0.0/32", "::/64"
std::vector<std::string> texts(const std::vector<Block> &blocks)
{
    std::vector<std::string> all;
    for (const auto &block : blocks)
        all.push_back(block.text());
    return all;
}

} // namespace

core::Mode configured_mode(const config::Config &config)
{
    return config.gate.mode == config::Mode::enforce ? core::Mode::enforce : core::Mode::observe;
}

std::vector<frontend::LimitFacts> limit_facts(const config::Config &config)
{
    std::vector<std::string> all_services;
    for (const auto &service : config.services)
        all_services.push_back(service.name);

    std::vector<frontend::LimitFacts> facts;
    for (const auto &limit : config.limits) {
        frontend::LimitFacts fact{
            .name = limit.name,
            .place = config.file + ":" + std::to_string(limit.position.line),
            .services = limit.services.empty() ? all_services : limit.services,
            .per = texts(limit.per),
            .networks = limit.networks,
            .who = who_text(limit.who),
            .live_max = limit.live_max,
            .action = limit.action == config::Limit::Action::count ? "count" : "drop"};
        if (limit.syn_rate) {
            fact.syn_rate = rate_text(*limit.syn_rate);
            fact.syn_burst = limit.syn_burst;
        }
        facts.push_back(std::move(fact));
    }
    return facts;
}

kernel::GateOptions make_gate_options(const config::Config &config)
{
    const auto &gate = config.gate;
    kernel::GateOptions options;

    options.pin_dir = gate.pin_dir;
    options.sizes = {.sources_max = gate.sources_max,
                     .claims_max = gate.claims_max,
                     .rates_max = gate.rates_max,
                     .lists_max = gate.lists_max,
                     .flows_max = gate.flows_max,
                     .pending_max = gate.pending_max,
                     .networks_max = gate.networks_max,
                     .ipv6_source_bits = gate.ipv6_source_bits};
    options.interfaces = gate.interfaces;
    options.inside = gate.inside;
    options.tunnels_from = gate.tunnels_from;
    options.attach = to_attach(gate.attach);
    options.mode = configured_mode(config);
    options.strict = gate.strict;
    options.lease = gate.lease;
    options.reconcile = {.interval = config.reconcile.interval,
                         .idle_open = config.reconcile.idle_open,
                         .idle_half_closed = config.reconcile.idle_half_closed,
                         .idle_closing = config.reconcile.idle_closing};
    for (const auto &service : config.services)
        options.services.push_back({service.name, service.ports, service.listeners});
    for (const auto &network : config.networks)
        for (const auto &block : network.cidrs)
            options.networks.push_back({network.name, block});
    for (const auto &limit : config.limits)
        options.limits.push_back(to_limit(limit));
    return options;
}

} // namespace tallygate::daemon
