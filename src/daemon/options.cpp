// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/options.hpp"

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

} // namespace

kernel::GateOptions make_gate_options(const config::Config &config)
{
    const auto &gate = config.gate;
    kernel::GateOptions options;

    options.pin_dir = gate.pin_dir;
    options.sizes = {.sources_max = gate.sources_max,
                     .claims_max = gate.claims_max,
                     .flows_max = gate.flows_max,
                     .pending_max = gate.pending_max,
                     .networks_max = gate.networks_max,
                     .ipv6_source_bits = gate.ipv6_source_bits};
    options.interfaces = gate.interfaces;
    options.inside = gate.inside;
    options.tunnels_from = gate.tunnels_from;
    options.attach = to_attach(gate.attach);
    options.mode =
        gate.mode == config::Mode::enforce ? kernel::Mode::enforce : kernel::Mode::observe;
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
    return options;
}

} // namespace tallygate::daemon
