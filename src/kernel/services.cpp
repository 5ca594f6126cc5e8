// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/services.hpp"

#include <arpa/inet.h>
#include <tallygate/abi.h>

#include <algorithm>
#include <cstring>

#include "base/log.hpp"
#include "kernel/convert.hpp"
#include "kernel/map_view.hpp"

namespace tallygate::kernel {
namespace {

struct ListenerOrder {
    bool operator()(const tg_listener &one, const tg_listener &other) const
    {
        return std::memcmp(&one, &other, sizeof(one)) < 0;
    }
};

using Listeners = std::map<tg_listener, std::uint32_t, ListenerOrder>;
using ListenerView = MapView<tg_listener, std::uint32_t>;

/// The two tables, as they are or as they should be.
struct Tables {
    std::map<std::uint32_t, tg_port> ports;
    Listeners listeners;
};

Tables make_wanted(const std::vector<ServiceOption> &services,
                   const std::map<std::string, core::ServiceId> &ids)
{
    Tables wanted;
    for (const auto &service : services) {
        const auto id = ids.at(service.name);
        for (const auto port : service.ports)
            wanted.ports[port].service = id;
        for (const auto &endpoint : service.listeners) {
            wanted.ports[endpoint.port].listed = 1;
            wanted.listeners[{.addr = from_address(endpoint.address),
                              .port = htons(endpoint.port),
                              .reserved = 0}] = id;
        }
    }
    return wanted;
}

/// What was guarded and is not wanted any more stays, as leaving: its flows are still open. A
/// listener on a port that is now guarded on any address can go: its flows are followed there.
void add_leaving(Tables &wanted, const Tables &before, std::size_t listeners_max)
{
    for (const auto &[port, entry] : before.ports) {
        if (entry.service == 0 || wanted.ports[port].service != 0)
            continue;
        wanted.ports[port].service = entry.service;
        wanted.ports[port].leaving = 1;
    }
    for (const auto &[listener, service] : before.listeners) {
        auto &port = wanted.ports[ntohs(listener.port)];
        const bool is_guarded = port.service != 0 && port.leaving == 0;
        if (is_guarded || wanted.listeners.contains(listener) ||
            wanted.listeners.size() >= listeners_max)
            continue;
        wanted.listeners[listener] = service | TG_LEAVING;
        port.listed = 1;
    }
}

/// Takes back what was written of `wanted` when the rest was refused.
void restore_listeners(const ListenerView &view, const Listeners &before, const Listeners &wanted)
{
    for (const auto &[listener, id] : wanted) {
        const auto old = before.find(listener);
        const auto restored =
            old == before.end() ? view.remove(listener) : view.put(listener, old->second);
        if (!restored)
            spdlog::error("restore the listeners as they were: {}", restored.error().message);
    }
}

/// Puts the wanted listeners beside those that stand. After an error the old ones stand alone.
Result<void> add_listeners(const ListenerView &view, const Listeners &before,
                           const Listeners &wanted)
{
    for (const auto &[listener, service] : wanted)
        if (const auto put = view.put(listener, service); !put) {
            restore_listeners(view, before, wanted);
            return put;
        }
    return {};
}

/// Listeners, ports, and then the listeners that nobody needs: whatever stays guarded is found at
/// every moment, also when it moves from one table to the other.
Result<void> write_tables(const Program &program, Tables wanted)
{
    const auto listeners = ListenerView::open(program.map_fd("listeners"), "listeners");
    if (!listeners)
        return listeners.error();
    const auto ports = MapView<std::uint32_t, tg_port>::open(program.map_fd("ports"), "ports");
    if (!ports)
        return ports.error();

    if (wanted.listeners.size() > listeners->entries_max())
        return Error{std::to_string(wanted.listeners.size()) +
                     " listeners are too many: there is room for " +
                     std::to_string(listeners->entries_max()) + " of all services together"};
    Tables before;
    const auto read_listeners = listeners->for_each(
        [&](const tg_listener &listener, std::uint32_t id) { before.listeners[listener] = id; });
    if (!read_listeners)
        return read_listeners;
    const auto read_ports = ports->for_each([&](std::uint32_t port, const tg_port &entry) {
        if (entry.service != 0 || entry.listed != 0)
            before.ports[port] = entry;
    });
    if (!read_ports)
        return read_ports;
    add_leaving(wanted, before, listeners->entries_max());

    if (const auto added = add_listeners(*listeners, before.listeners, wanted.listeners); !added)
        return added;
    for (const auto &[port, entry] : wanted.ports)
        if (const auto put = ports->put(port, entry); !put)
            return put;
    for (const auto &[listener, service] : before.listeners)
        if (!wanted.listeners.contains(listener))
            if (const auto removed = listeners->remove(listener); !removed)
                return removed;
    return {};
}

} // namespace

Result<ServiceTable> ServiceTable::open(const Program &program)
{
    const auto records = MapView<std::uint32_t, tg_service_record>::open(
        program.map_fd("service_records"), "service_records");
    if (!records)
        return records.error();

    ServiceTable table{program};
    const auto read = records->for_each([&](std::uint32_t id, const tg_service_record &record) {
        const std::string name{record.name, ::strnlen(record.name, sizeof(record.name))};
        if (id != 0 && !name.empty())
            table.known_[name] = static_cast<core::ServiceId>(id);
    });
    if (!read)
        return read.error();
    return table;
}

Result<core::ServiceId> ServiceTable::number_for(const std::string &name)
{
    if (const auto found = known_.find(name); found != known_.end())
        return found->second;

    core::ServiceId id = 1;
    const auto is_taken = [&] {
        return std::any_of(known_.begin(), known_.end(),
                           [&](const auto &entry) { return entry.second == id; });
    };
    while (id < TG_SERVICES_MAX && is_taken())
        id++;
    if (id == TG_SERVICES_MAX)
        return Error{"no number is left for service " + name +
                     ": names that were configured before keep theirs until `tallygated detach`"};

    const auto records = MapView<std::uint32_t, tg_service_record>::open(
        program_->map_fd("service_records"), "service_records");
    if (!records)
        return records.error();
    tg_service_record record{};
    name.copy(record.name, sizeof(record.name) - 1);
    if (const auto put = records->put(id, record); !put)
        return put.error();
    known_[name] = id;
    return id;
}

Result<void> ServiceTable::apply(const std::vector<ServiceOption> &services)
{
    std::map<std::string, core::ServiceId> ids;
    for (const auto &service : services) {
        const auto id = number_for(service.name);
        if (!id)
            return id.error();
        ids[service.name] = *id;
    }

    if (const auto written = write_tables(*program_, make_wanted(services, ids)); !written)
        return written;
    ids_ = std::move(ids);
    return {};
}

} // namespace tallygate::kernel
