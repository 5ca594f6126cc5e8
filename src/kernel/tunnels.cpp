// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/tunnels.hpp"

#include <tallygate/abi.h>

#include <algorithm>

#include "base/log.hpp"
#include "kernel/convert.hpp"
#include "kernel/map_view.hpp"

namespace tallygate::kernel {
namespace {

using Trie = MapView<tg_prefix, std::uint32_t>;

constexpr std::uint32_t trusted = 1;
// IPv4 lives in ::ffff:0:0/96, and a wide block of IPv6 does not speak for it.
constexpr std::uint32_t not_trusted = 0;

struct Entry {
    Block block;
    std::uint32_t value;
};

std::vector<Entry> entries_for(const std::vector<Block> &senders)
{
    const auto all_ipv4 = Block::all(Family::ipv4);
    std::vector<Entry> entries;

    for (const auto &block : senders)
        entries.push_back({block, trusted});
    if (!senders.empty() && std::find(senders.begin(), senders.end(), all_ipv4) == senders.end())
        entries.push_back({all_ipv4, not_trusted});
    return entries;
}

bool has_block(const std::vector<Entry> &entries, const Block &block)
{
    return std::any_of(entries.begin(), entries.end(),
                       [&](const Entry &entry) { return entry.block == block; });
}

Result<void> put_all(const Trie &trie, const std::vector<Entry> &entries)
{
    for (const auto &entry : entries)
        if (const auto put = trie.put(from_block(entry.block), entry.value); !put)
            return put;
    return {};
}

Result<void> remove_all_but(const Trie &trie, const std::vector<Entry> &present,
                            const std::vector<Entry> &kept)
{
    for (const auto &entry : present)
        if (!has_block(kept, entry.block))
            if (const auto removed = trie.remove(from_block(entry.block)); !removed)
                return removed;
    return {};
}

} // namespace

Result<void> TunnelTable::apply(const std::vector<Block> &senders) const
{
    const auto trie = Trie::open(program_->map_fd("tunnels"), "tunnels");
    if (!trie)
        return trie.error();

    const auto wanted = entries_for(senders);
    std::vector<Entry> before;
    const auto read = trie->for_each([&before](const tg_prefix &prefix, std::uint32_t value) {
        before.push_back({to_block(prefix), value});
    });
    if (!read)
        return read;

    auto done = put_all(*trie, wanted);
    if (done)
        done = remove_all_but(*trie, before, wanted);
    if (done)
        return done;
    auto restored = remove_all_but(*trie, wanted, before);
    if (restored)
        restored = put_all(*trie, before);
    if (!restored)
        spdlog::error("restore the senders of tunnels as they were: {}", restored.error().message);
    return done;
}

} // namespace tallygate::kernel
