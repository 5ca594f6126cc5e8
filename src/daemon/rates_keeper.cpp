// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/rates_keeper.hpp"

#include <utility>

#include "base/log.hpp"

namespace tallygate::daemon {

RatesKeeper::RatesKeeper(const std::string &dir, frontend::SessionsService &sessions)
    : file_(SnapshotFile{dir, "rates"}, "rates of the sessions socket are"), sessions_(sessions)
{
}

void RatesKeeper::restore()
{
    const auto &file = file_.file();
    const auto bytes = file.read();

    if (!bytes)
        spdlog::warn("{}; rates begin anew", bytes.error().message);
    if (!bytes || !*bytes)
        return;
    if (const auto restored = sessions_.restore_rates(**bytes); !restored) {
        const auto moved = file.set_aside();
        spdlog::warn("{} is of no use: {}; rates begin anew, and the file {}", file.path(),
                     restored.error().message,
                     moved ? "is now " + file.damaged_path() : "stays: " + moved.error().message);
    }
}

void RatesKeeper::save_aside()
{
    const auto total = sessions_.rates().taken_total();

    if (total == saved_total_ || file_.is_busy())
        return;
    saved_total_ = total;
    file_.write_aside([bytes = sessions_.rates().encode()] { return bytes; });
}

void RatesKeeper::save()
{
    file_.write(sessions_.rates().encode());
}

} // namespace tallygate::daemon
