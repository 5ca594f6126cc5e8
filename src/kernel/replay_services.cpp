// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/replay_services.hpp"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <algorithm>

#include "kernel/convert.hpp"
#include "kernel/map_view.hpp"

namespace tallygate::kernel {
namespace {

constexpr std::uint32_t ports_max = 65536;

tg_listener to_listener(const Endpoint &endpoint)
{
    return {.addr = from_address(endpoint.address), .port = htons(endpoint.port), .reserved = 0};
}

} // namespace

ReplayServices::ReplayServices(const std::vector<ServiceOption> &services,
                               const std::string &any_port_service)
    : ports_(ports_max)
{
    names_.emplace_back();
    if (!any_port_service.empty()) {
        names_.push_back(any_port_service);
        std::ranges::fill(ports_, tg_port{.service = 1, .listed = 0, .leaving = 0});
    }
    for (const auto &service : services)
        add(service);
}

void ReplayServices::add(const ServiceOption &service)
{
    const auto id = static_cast<core::ServiceId>(names_.size());

    names_.push_back(service.name);
    for (const auto port : service.ports)
        ports_[port].service = id;
    for (const auto &endpoint : service.listeners) {
        ports_[endpoint.port].listed = 1;
        listeners_[endpoint] = id;
    }
}

Result<void> ReplayServices::write(const bpf_object *object) const
{
    std::vector<std::uint32_t> keys;
    std::vector<tg_port> values;
    for (std::uint32_t port = 0; port < ports_max; port++)
        if (ports_[port].service != 0 || ports_[port].listed != 0) {
            keys.push_back(port);
            values.push_back(ports_[port]);
        }
    auto count = static_cast<std::uint32_t>(keys.size());
    if (bpf_map_update_batch(bpf_object__find_map_fd_by_name(object, "ports"), keys.data(),
                             values.data(), &count, nullptr) != 0)
        return Error::system("write to ports");

    const auto view = MapView<tg_listener, std::uint32_t>::open(
        bpf_object__find_map_fd_by_name(object, "listeners"), "listeners");
    if (!view)
        return view.error();
    for (const auto &[endpoint, id] : listeners_)
        if (const auto put = view->put(to_listener(endpoint), id); !put)
            return put;
    return {};
}

core::ServiceId ReplayServices::find(const tg_addr &addr, __be16 port) const
{
    const auto &entry = ports_[ntohs(port)];
    if (entry.listed != 0)
        if (const auto found = listeners_.find({to_address(addr), ntohs(port)});
            found != listeners_.end())
            return found->second;
    return entry.service;
}

std::map<std::string, core::ServiceId> ReplayServices::ids() const
{
    std::map<std::string, core::ServiceId> ids;
    for (std::size_t id = 1; id < names_.size(); id++)
        ids[names_[id]] = static_cast<core::ServiceId>(id);
    return ids;
}

} // namespace tallygate::kernel
