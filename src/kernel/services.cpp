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

constexpr std::uint32_t ports_max = 65536;

struct ListenerOrder {
    bool operator()(const tg_listener &one, const tg_listener &other) const
    {
        return std::memcmp(&one, &other, sizeof(one)) < 0;
    }
};

using Listeners = std::map<tg_listener, std::uint32_t, ListenerOrder>;
using ListenerView = MapView<tg_listener, std::uint32_t>;

/// The two tables as they should be.
struct Wanted {
    std::map<std::uint32_t, tg_port> ports;
    Listeners listeners;
};

Wanted make_wanted(const std::vector<ServiceOption> &services,
                   const std::map<std::string, core::ServiceId> &ids)
{
    Wanted wanted;
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

/// Additions before removals: a listener that stays is always found. After an error the old
/// ones stand.
Result<void> write_listeners(const Program &program, const Listeners &wanted)
{
    const auto view = ListenerView::open(program.map_fd("listeners"), "listeners");
    if (!view)
        return view.error();
    if (wanted.size() > view->entries_max())
        return Error{std::to_string(wanted.size()) + " listeners are too many: there is room for " +
                     std::to_string(view->entries_max()) + " of all services together"};

    Listeners before;
    const auto read = view->for_each(
        [&](const tg_listener &listener, std::uint32_t id) { before[listener] = id; });
    if (!read)
        return read;
    for (const auto &[listener, id] : wanted)
        if (const auto put = view->put(listener, id); !put) {
            restore_listeners(*view, before, wanted);
            return put;
        }
    for (const auto &[listener, id] : before)
        if (!wanted.contains(listener))
            if (const auto removed = view->remove(listener); !removed)
                return removed;
    return {};
}

Result<void> write_ports(const Program &program, const Wanted &wanted)
{
    const auto view = MapView<std::uint32_t, tg_port>::open(program.map_fd("ports"), "ports");
    if (!view)
        return view.error();

    std::vector<std::uint32_t> stale;
    const auto read = view->for_each([&](std::uint32_t port, const tg_port &entry) {
        if ((entry.service != 0 || entry.listed != 0) && !wanted.ports.contains(port))
            stale.push_back(port);
    });
    if (!read)
        return read;
    for (const auto &[port, entry] : wanted.ports)
        if (const auto put = view->put(port, entry); !put)
            return put;
    for (const auto port : stale)
        if (const auto put = view->put(port, tg_port{}); !put)
            return put;
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

    const auto wanted = make_wanted(services, ids);
    if (const auto written = write_listeners(*program_, wanted.listeners); !written)
        return written;
    if (const auto written = write_ports(*program_, wanted); !written)
        return written;
    ids_ = std::move(ids);
    return {};
}

} // namespace tallygate::kernel
