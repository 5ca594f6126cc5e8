// SPDX-License-Identifier: BSD-2-Clause
//
// Any bytes as a snapshot, and as the body of one of each format whose header is right: refused in
// a sentence, or taken by a ledger, which then answers, and makes a snapshot that says the same.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "core/count_bounds.hpp"
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
    ledger.prefixes().restore(std::move(snapshot.prefixes));
    ledger.networks().restore(std::move(snapshot.networks));
    ledger.reported().restore(std::move(snapshot.reported));
    ledger.restore_kept(snapshot.kept, now);
    for (const char *text : {"192.0.2.0/25", "0.0.0.0/0", "::/0"})
        for (std::size_t i = 0; i < core::reported_count; i++)
            ledger.reported().sum(*Block::parse(text), {}, static_cast<core::Reported>(i), minutes,
                                  0, 9, now);
    ledger.reported().record({.service = "smtp"}, now);
    for (const Family family : {Family::ipv4, Family::ipv6}) {
        const Block all = Block::all(family);
        for (const auto event : {core::Event::connections, core::Event::syn})
            ledger.count(all, std::nullopt, event, minutes, 0, 9, now);
        ledger.unattributed(family, std::nullopt, core::Event::syn, minutes, 0, 9, now);
        ledger.reconcile(1, family, {.syn = 1, .dropped = 1}, now);
    }
    for (const char *text :
         {"192.0.2.0/24", "192.0.2.1", "192.0.0.0/15", "2001:db8::/40", "::/0"}) {
        core::Asked asked{.block = *Block::parse(text),
                          .event = core::Event::syn,
                          .monitor = minutes,
                          .end = 9,
                          .now = now,
                          .since = snapshot.windows_since};
        for (const std::optional<core::ServiceId> one : {std::optional<core::ServiceId>{}, {1}}) {
            asked.service = one;
            const auto bounds = core::bound_count(ledger, asked);
            require(bounds.lower <= bounds.upper);
        }
    }
    ledger.record_prefix(*Block::parse("192.0.2.0/24"), 1, now);
    ledger.record_network(*Block::parse("192.0.2.0/24"), {.syn = 1}, now);
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
    auto sealed = core::seal_snapshot(bytes);
    const char newest = sealed[8];
    for (sealed[8] = 1; sealed[8] <= newest; sealed[8]++)
        check(sealed);
    return 0;
}
