// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/series_keeper.hpp"

#include <utility>

#include "base/log.hpp"
#include "core/series_file.hpp"

namespace tallygate::daemon {

SeriesKeeper::SeriesKeeper(const std::string &dir, core::AuditSeries &series,
                           const core::Clock &clock)
    : file_(SnapshotFile{dir, "series"}, "named series are"), series_(series), clock_(clock)
{
}

void SeriesKeeper::restore()
{
    const auto bytes = file_.file().read();
    if (!bytes) {
        spdlog::warn("{}; no series is defined", bytes.error().message);
        return;
    }
    if (!*bytes)
        return;
    is_there_ = true;
    auto series = core::decode_series(**bytes, clock_.now());
    if (series) {
        series_.restore(std::move(*series));
        series_.forget_old(clock_.now());
        generation_ = series_.generation();
        return;
    }
    const auto moved = file_.file().set_aside();
    spdlog::warn("{} is of no use: {}; no series is defined, and the file {}", file_.file().path(),
                 series.error().message,
                 moved ? "is now " + file_.file().damaged_path()
                       : "stays: " + moved.error().message);
}

void SeriesKeeper::save()
{
    is_there_ = is_there_ || !series_.all().empty();
    if (!is_there_)
        return;
    generation_ = series_.generation();
    file_.write(core::encode_series(series_.all(), clock_.now()));
}

void SeriesKeeper::save_aside()
{
    is_there_ = is_there_ || !series_.all().empty();
    if (!is_there_ || file_.is_busy())
        return;
    generation_ = series_.generation();
    file_.write_aside(
        [all = series_.all(), now = clock_.now()] { return core::encode_series(all, now); });
}

void SeriesKeeper::save_definitions()
{
    if (series_.generation() != generation_)
        save_aside();
}

} // namespace tallygate::daemon
