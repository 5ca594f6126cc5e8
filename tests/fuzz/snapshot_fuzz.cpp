// SPDX-License-Identifier: BSD-2-Clause
//
// Any bytes as a snapshot, and as the body of one whose header is right: refused in a sentence,
// or taken by a ledger, which then answers, and makes a snapshot that says the same.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "core/snapshot.hpp"

namespace {

using namespace tallygate;
using core::Monitor;

void require(bool holds)
{
    if (!holds)
        std::abort();
}

void ask(core::Snapshot snapshot)
{
    const Monitor minutes{60, 10};
    const core::UnixTime now = snapshot.written;
    core::Ledger ledger{{minutes, Monitor{3600, 24}}};
    core::ServiceId service = 0;

    for (auto &[name, books] : snapshot.services)
        ledger.restore(++service, std::move(books));
    for (const Family family : {Family::ipv4, Family::ipv6}) {
        const Block all = Block::all(family);
        for (const auto event : {core::Event::connections, core::Event::syn})
            ledger.count(all, std::nullopt, event, minutes, 0, 9, now);
        ledger.unattributed(family, std::nullopt, core::Event::syn, minutes, 0, 9, now);
        ledger.reconcile(1, family, {.syn = 1, .dropped = 1}, now);
    }
    ledger.forget_old(now);
}

void check(std::string_view bytes)
{
    auto snapshot = core::decode_snapshot(bytes);
    if (!snapshot) {
        require(!snapshot.error().message.empty());
        return;
    }
    const auto again = core::encode_snapshot(*snapshot);
    const auto decoded = core::decode_snapshot(again);
    require(decoded && core::encode_snapshot(*decoded) == again);
    ask(std::move(*snapshot));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size)
{
    const std::string_view bytes{reinterpret_cast<const char *>(data), size};
    check(bytes);
    check(core::seal_snapshot(bytes));
    return 0;
}
