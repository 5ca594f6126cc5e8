// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/machine.hpp"

#include <net/if.h>

#include <memory>

namespace tallygate::daemon {
namespace {

/// "lo, eth0", as far as this network namespace has them.
std::string known_interfaces()
{
    using Index = struct if_nameindex;
    const std::unique_ptr<Index, void (*)(Index *)> all{::if_nameindex(), ::if_freenameindex};
    std::string text;
    for (const Index *one = all.get(); one != nullptr && one->if_index != 0; one++)
        text += (text.empty() ? "" : ", ") + std::string(one->if_name);
    return text;
}

} // namespace

Result<void> check_machine(const config::Config &config)
{
    const auto &gate = config.gate;
    const auto check = [&config](const std::vector<std::string> &interfaces,
                                 const std::vector<config::SourcePosition> &positions) {
        for (std::size_t i = 0; i < interfaces.size(); i++)
            if (::if_nametoindex(interfaces[i].c_str()) == 0)
                return Result<void>{
                    Error{config.where(positions[i]) + "interface \"" + interfaces[i] +
                              "\" does not exist: expected one of " + known_interfaces(),
                          bad_configuration}};
        return Result<void>{};
    };

    const auto outside = check(gate.interfaces, gate.interface_positions);
    return outside ? check(gate.inside, gate.inside_positions) : outside;
}

std::vector<std::string> list_restart_only(const config::Config &running, const config::Config &now)
{
    std::vector<std::string> sentences;
    const auto compare = [&](const char *setting, bool same, const char *when) {
        if (!same)
            sentences.push_back(std::string(setting) + " has changed in " + now.file +
                                ": it takes effect after " + when);
    };
    const auto &was = running.gate;
    const auto &is = now.gate;
    const char *const restart = "a restart";
    const char *const detach = "`tallygated detach` and a restart";

    compare("gate.pin_dir", was.pin_dir == is.pin_dir, restart);
    compare("state.dir", running.state.dir == now.state.dir, restart);
    compare("control.socket", running.control.socket == now.control.socket, restart);
    compare("http.listen", running.http.listen == now.http.listen, restart);
    compare("anvil.socket", running.anvil.socket == now.anvil.socket, restart);
    compare("anvil.count_from", running.anvil.count_from == now.anvil.count_from, restart);
    compare("anvil.before_3_6", running.anvil.before_3_6 == now.anvil.before_3_6, restart);
    compare("anvil.streams_max", running.anvil.streams_max == now.anvil.streams_max, restart);
    compare("anvil.idents_max", running.anvil.idents_max == now.anvil.idents_max, restart);
    compare("ask.socket", running.ask.socket == now.ask.socket, restart);
    compare("line.socket", running.line.socket == now.line.socket, restart);
    compare("sessions.socket", running.sessions.socket == now.sessions.socket, restart);
    compare("sessions.count_from", running.sessions.count_from == now.sessions.count_from, restart);
    compare("sessions.services", running.sessions.services == now.sessions.services, restart);
    compare("policy.socket", running.policy.socket == now.policy.socket, restart);
    compare("gate.sources_max", was.sources_max == is.sources_max, detach);
    compare("gate.claims_max", was.claims_max == is.claims_max, detach);
    compare("gate.rates_max", was.rates_max == is.rates_max, detach);
    compare("gate.lists_max", was.lists_max == is.lists_max, detach);
    compare("gate.flows_max", was.flows_max == is.flows_max, detach);
    compare("gate.pending_max", was.pending_max == is.pending_max, detach);
    compare("gate.networks_max", was.networks_max == is.networks_max, detach);
    compare("gate.ipv6_source_bits", was.ipv6_source_bits == is.ipv6_source_bits, detach);
    return sentences;
}

} // namespace tallygate::daemon
