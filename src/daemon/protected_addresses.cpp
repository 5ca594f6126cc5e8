// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/protected_addresses.hpp"

#include "base/log.hpp"
#include "kernel/links.hpp"

namespace tallygate::daemon {

std::vector<ListsKeeper::Protected> protected_addresses()
{
    std::vector<ListsKeeper::Protected> all;
    for (const auto *loopback : {"127.0.0.0/8", "::1/128"})
        all.push_back({*Block::parse(loopback), "loopback"});
    const auto add = [&](const auto &told, const char *what) {
        if (!told) {
            spdlog::warn("{}: {} are not protected", told.error().message, what);
            return;
        }
        for (const auto &each : *told) {
            const Block block{each.address, 128};
            if (all[0].block.contains(block) || all[1].block.contains(block))
                continue;
            all.push_back({block, what + (each.interface.empty() ? "" : " of " + each.interface)});
        }
    };
    add(kernel::own_addresses(), "address");
    add(kernel::gateways(), "gateway");
    return all;
}

} // namespace tallygate::daemon
