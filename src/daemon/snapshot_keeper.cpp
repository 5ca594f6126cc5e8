// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/snapshot_keeper.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/log.hpp"
#include "daemon/rest.hpp"

namespace tallygate::daemon {
namespace {

using namespace std::chrono_literals;

// A clock that is set right after a boot may go back by this much. From further away in the
// future nothing can be told of what a snapshot holds.
constexpr auto clock_step_max = 60s;

// Of a million sources a snapshot costs some tenths of a second, nearly all of them the writing
// thread's: it may take a hundredth of the time.
// A minute of windows is the most that a crash may misplace.
constexpr Rest rest{.factor = 99, .max = 60s};

using Steady = std::chrono::steady_clock;

} // namespace

SnapshotKeeper::SnapshotKeeper(const std::string &dir, core::Ledger &ledger,
                               const core::Clock &clock)
    : file_(SnapshotFile{dir}, "windows are"), ledger_(ledger), clock_(clock),
      windows_since_(clock.now())
{
    ledger.reported().set_since(windows_since_);
}

void SnapshotKeeper::restore(kernel::KernelGate &gate, core::Questions &questions)
{
    const kernel::LiveSink sink = [this](const Address &source, core::ServiceId service,
                                         std::int64_t live) {
        ledger_.restore_live(source, service, live);
    };
    auto snapshot = load();
    const bool same_tables = snapshot && snapshot->counting_since == gate.counting_since();

    if (snapshot)
        restore_windows(*snapshot, gate, same_tables);
    begin_prefixes(gate);
    if (same_tables)
        gate.resume(snapshot->told, sink);
    else
        begin_at_present(gate, sink);
    questions.set_windows_since(windows_since_);
}

std::optional<core::Snapshot> SnapshotKeeper::load() const
{
    const auto bytes = file_.file().read();
    if (!bytes) {
        spdlog::warn("{}; windows begin anew", bytes.error().message);
        return std::nullopt;
    }
    if (!*bytes)
        return std::nullopt;

    auto snapshot = core::decode_snapshot(**bytes);
    if (snapshot && snapshot->written > clock_.now() + clock_step_max)
        snapshot = Error{"it was written in the future"};
    if (snapshot)
        return std::move(*snapshot);
    const auto moved = file_.file().set_aside();
    spdlog::warn("{} is of no use: {}; windows begin anew, and the file {}", file_.file().path(),
                 snapshot.error().message,
                 moved ? "is now " + file_.file().damaged_path()
                       : "stays: " + moved.error().message);
    return std::nullopt;
}

/// Windows belong to a service's name. One that these tables do not know has no number to keep
/// them under.
void SnapshotKeeper::restore_windows(core::Snapshot &snapshot, const kernel::KernelGate &gate,
                                     bool same_tables)
{
    for (const auto &[name, service] : gate.known_service_ids()) {
        const auto saved = snapshot.services.find(name);
        if (saved == snapshot.services.end())
            continue;
        if (!same_tables)
            for (core::EventBook &book : saved->second)
                book.forget_totals();
        ledger_.restore(service, std::move(saved->second));
    }
    ledger_.prefixes().restore(std::move(snapshot.prefixes));
    ledger_.networks().restore(std::move(snapshot.networks));
    ledger_.reported().restore(std::move(snapshot.reported));
    if (snapshot.reported_since)
        ledger_.reported().set_since(std::min(*snapshot.reported_since, clock_.now()));
    if (!same_tables)
        ledger_.networks().forget_totals();
    // Older formats do not tell, and stand for what is configured.
    if (!snapshot.kept.empty())
        ledger_.restore_kept(snapshot.kept, clock_.now());
    ledger_.forget_old(clock_.now());
    windows_since_ = std::min(snapshot.windows_since, clock_.now());
    spdlog::info("windows go on from {}", file_.file().path());
}

/// How far another daemon had read the prefixes is more than a snapshot holds, so of tables that
/// were there before us the windows of now are not whole.
void SnapshotKeeper::begin_prefixes(const kernel::KernelGate &gate)
{
    auto &prefixes = ledger_.prefixes();

    if (!prefixes.since())
        prefixes.set_since(gate.maps_adopted() ? clock_.now() : gate.counting_since());
    if (gate.maps_adopted())
        prefixes.lose(clock_.now());
}

/// Totals before sources: a SYN that comes in between is charged to its family, and not lost.
void SnapshotKeeper::begin_at_present(kernel::KernelGate &gate, const kernel::LiveSink &sink)
{
    for (const auto &[name, service] : gate.known_service_ids())
        for (const Family family : {Family::ipv4, Family::ipv6})
            ledger_.take_for_recorded(service, family, gate.service_tally(service, family));
    gate.skip_to_present(sink);
}

core::Snapshot SnapshotKeeper::take(const kernel::KernelGate &gate) const
{
    core::Snapshot snapshot;
    auto books = ledger_.books();

    snapshot.counting_since = gate.counting_since();
    snapshot.written = clock_.now();
    snapshot.windows_since = windows_since_;
    for (const auto &[name, service] : gate.known_service_ids())
        if (const auto found = books.find(service); found != books.end())
            snapshot.services.emplace(name, std::move(found->second));
    snapshot.told = gate.told();
    snapshot.prefixes = ledger_.prefixes().for_snapshot();
    snapshot.networks = ledger_.networks().books();
    snapshot.reported = ledger_.reported().books();
    snapshot.reported_since = ledger_.reported().since();
    snapshot.kept = ledger_.kept();
    return snapshot;
}

void SnapshotKeeper::save(kernel::KernelGate &gate)
{
    gate.told_is_being_saved();
    file_.write(core::encode_snapshot(take(gate)));
    if (!file_.warning())
        gate.told_is_saved();
}

void SnapshotKeeper::save_aside(kernel::KernelGate &gate)
{
    const auto begin = Steady::now();
    if (file_.is_busy() || begin < due_)
        return;
    file_.finish();
    if (!file_.warning())
        gate.told_is_saved();
    file_.write_aside([snapshot = take(gate)] { return core::encode_snapshot(snapshot); });
    gate.told_is_being_saved();
    due_ = begin + rest.after(Steady::now() - begin + file_.cost());
}

} // namespace tallygate::daemon
