// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/proven_keeper.hpp"

#include <algorithm>
#include <utility>

#include "base/log.hpp"

namespace tallygate::daemon {
namespace {

std::uint32_t seconds_of(core::UnixTime time)
{
    return static_cast<std::uint32_t>(
        std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count());
}

std::uint32_t last_seen(const std::vector<core::ProvenSource> &sources, const Address &address,
                        std::uint32_t otherwise)
{
    const auto found = std::ranges::lower_bound(sources, address, {}, &core::ProvenSource::source);
    return found != sources.end() && found->source == address ? seconds_of(found->seen) : otherwise;
}

} // namespace

ProvenKeeper::ProvenKeeper(const std::string &dir, const core::Clock &clock)
    : file_(SnapshotFile{dir, "proven"}, "who has proven himself is"), clock_(clock)
{
}

std::chrono::sys_seconds ProvenKeeper::oldest() const
{
    return std::chrono::floor<std::chrono::seconds>(clock_.now()) -
           remember_.value_or(std::chrono::seconds{0});
}

core::ProvenSources ProvenKeeper::load(std::uint32_t sources_max)
{
    const auto &file = file_.file();
    if (!remember_)
        return {};
    const auto bytes = file.read();
    if (!bytes)
        spdlog::warn("{}; everybody proves himself anew", bytes.error().message);
    if (!bytes || !*bytes)
        return {};

    auto sources = core::decode_proven(**bytes);
    if (!sources) {
        const auto moved = file.set_aside();
        spdlog::warn("{} is of no use: {}; everybody proves himself anew, and the file {}",
                     file.path(), sources.error().message,
                     moved ? "is now " + file.damaged_path() : "stays: " + moved.error().message);
        return {};
    }
    loaded_ =
        core::latest(std::move(*sources), oldest(), sources_max - sources_max / newcomers_divisor);
    return loaded_;
}

void ProvenKeeper::begin(const kernel::KernelGate &gate)
{
    const auto now = seconds_of(clock_.now());
    std::map<core::ServiceId, std::vector<core::ProvenSource>> loaded;

    for (const auto &[name, service] : gate.known_service_ids())
        if (const auto found = loaded_.find(name); found != loaded_.end())
            loaded[service] = std::move(found->second);
    loaded_.clear();
    gate.visit_proven([&](std::uint32_t slot, const kernel::ProvenSlot &proven) {
        seen_.resize(std::max<std::size_t>(seen_.size(), slot + 1));
        seen_[slot] = {static_cast<std::uint32_t>(proven.tally.opened),
                       last_seen(loaded[proven.service], proven.source, now)};
    });
}

void ProvenKeeper::look(const kernel::KernelGate &gate)
{
    const auto now = seconds_of(clock_.now());

    gate.visit_proven([&](std::uint32_t slot, const kernel::ProvenSlot &proven) {
        const auto opened = static_cast<std::uint32_t>(proven.tally.opened);
        const bool is_new = slot >= seen_.size();
        if (is_new)
            seen_.resize(slot + 1);
        if (is_new || seen_[slot].at == 0 || seen_[slot].opened != opened ||
            proven.tally.opened > proven.tally.closed)
            seen_[slot] = {opened, now};
    });
}

core::ProvenSources ProvenKeeper::take(const kernel::KernelGate &gate) const
{
    std::map<core::ServiceId, std::vector<core::ProvenSource>> sources;
    core::ProvenSources named;

    gate.visit_proven([&](std::uint32_t slot, const kernel::ProvenSlot &proven) {
        if (slot < seen_.size() && seen_[slot].at != 0)
            sources[proven.service].push_back(
                {proven.source, std::chrono::sys_seconds{std::chrono::seconds{seen_[slot].at}}});
    });
    for (const auto &[name, service] : gate.known_service_ids())
        if (const auto found = sources.find(service); found != sources.end())
            named.emplace(name, std::move(found->second));
    return named;
}

void ProvenKeeper::save(const kernel::KernelGate &gate)
{
    if (!remember_)
        return;
    look(gate);
    file_.write(core::encode_proven(core::latest(take(gate), oldest(), SIZE_MAX)));
}

void ProvenKeeper::save_aside(const kernel::KernelGate &gate)
{
    if (remember_ && !file_.is_busy())
        file_.write_aside([sources = take(gate), oldest = oldest()] {
            return core::encode_proven(core::latest(sources, oldest, SIZE_MAX));
        });
}

} // namespace tallygate::daemon
