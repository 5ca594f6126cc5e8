// SPDX-License-Identifier: BSD-2-Clause
#include "core/series_counters.hpp"

#include <algorithm>
#include <utility>

namespace tallygate::core {
namespace {

// What the node of a std::map takes beside its value.
constexpr std::size_t node_bytes = 48;

/// Behind every text that a key can be.
const std::string &last_text()
{
    static const std::string last(512, '\xff');
    return last;
}

/// Calls `visit` with the windows of a span in a map by absolute index.
template <typename ByIndex, typename Visit>
void for_span(const ByIndex &by_index, const Monitor &monitor, const SeriesSpan &span,
              Visit &&visit)
{
    const auto index = window_index(monitor.window_seconds, span.now);
    const auto after = by_index.upper_bound(index - span.start);

    for (auto window = by_index.lower_bound(index - span.end); window != after; ++window)
        visit(window->second);
}

/// "192.0.2.1", and "192.0.2.0/24" where it is more than one address.
std::string key_text(const Block &block)
{
    return block.length_bits() == 128 ? block.first().text() : block.text();
}

} // namespace

Windows &BlockCounters::windows_of(unsigned length_bits)
{
    return by_length_.try_emplace(length_bits, monitor_).first->second;
}

void BlockCounters::add(const Block &key, std::int64_t amount, UnixTime now)
{
    windows_of(key.length_bits()).add(key.first(), amount, now);
}

std::int64_t BlockCounters::sum(const Block &key, const SeriesSpan &span) const
{
    std::int64_t sum = 0;

    for (auto windows = by_length_.lower_bound(key.length_bits()); windows != by_length_.end();
         ++windows)
        sum += windows->second.sum(key, span.start, span.end, span.now);
    return sum;
}

bool BlockCounters::has(const Block &key, const SeriesSpan &span) const
{
    const auto windows = by_length_.find(key.length_bits());
    bool is_there = false;

    if (windows == by_length_.end())
        return false;
    for_span(windows->second.by_index(), monitor_, span, [&](const BlockSums &sums) {
        is_there = is_there || sums.addresses(Block{key.first(), 128}) != 0;
    });
    return is_there;
}

void BlockCounters::remove(const Block &key)
{
    for (auto windows = by_length_.lower_bound(key.length_bits()); windows != by_length_.end();
         ++windows) {
        for (const auto &[index, sums] : windows->second.by_index()) {
            std::vector<BlockSums::Amount> removed;
            sums.for_each(key, [&](const Address &address, std::int64_t amount) {
                removed.push_back({address, -amount});
            });
            if (!removed.empty())
                windows->second.at_index(index).add_sorted(key.family(), removed);
        }
    }
}

SeriesItems BlockCounters::items(const std::optional<Block> &after, const SeriesSpan &span,
                                 Family family, std::size_t rows_max) const
{
    // By first address, and then by length, as blocks are ordered.
    std::vector<std::pair<Block, std::int64_t>> all;
    SeriesItems items;

    for (const auto &entry : by_length_) {
        const unsigned length_bits = entry.first;
        BlockSums sums;
        for_span(entry.second.by_index(), monitor_, span,
                 [&](const BlockSums &window) { sums.add_all(window, Block::all(family)); });
        sums.for_each(Block::all(family), [&](const Address &address, std::int64_t amount) {
            const Block key{address, length_bits};
            if (!after || *after < key)
                all.emplace_back(key, amount);
        });
    }
    items.total = all.size();
    const auto cut = all.begin() + static_cast<std::ptrdiff_t>(std::min(rows_max, all.size()));
    std::partial_sort(all.begin(), cut, all.end());
    std::for_each(all.begin(), cut, [&](const auto &entry) {
        items.items.push_back({key_text(entry.first), entry.second});
    });
    return items;
}

void BlockCounters::forget_old(UnixTime now, UnixTime before)
{
    for (auto &[length_bits, windows] : by_length_)
        windows.forget_old(now, before);
    std::erase_if(by_length_, [](const auto &entry) { return entry.second.by_index().empty(); });
}

std::size_t BlockCounters::bytes() const
{
    std::size_t bytes = 0;

    for (const auto &[length_bits, windows] : by_length_)
        bytes += sizeof(windows) + node_bytes + windows.bytes();
    return bytes;
}

void BlockCounters::restore(unsigned length_bits, std::int64_t index, BlockSums sums)
{
    windows_of(length_bits).restore(index, std::move(sums));
}

void TextCounters::add(const std::string &key, std::int64_t amount, UnixTime now)
{
    if (amount != 0)
        by_index_[window_index(monitor_.window_seconds, now)].add(key, amount);
}

std::int64_t TextCounters::sum(const std::string &key, const SeriesSpan &span) const
{
    std::int64_t sum = 0;

    for_span(by_index_, monitor_, span, [&](const Sums &sums) { sum += sums.sum(key, key); });
    return sum;
}

bool TextCounters::has(const std::string &key, const SeriesSpan &span) const
{
    bool is_there = false;

    for_span(by_index_, monitor_, span,
             [&](const Sums &sums) { is_there = is_there || sums.keys(key, key) != 0; });
    return is_there;
}

void TextCounters::remove(const std::string &key)
{
    for (auto &[index, sums] : by_index_)
        sums.add(key, -sums.sum(key, key));
}

SeriesItems TextCounters::items(const std::optional<std::string> &after, const SeriesSpan &span,
                                std::size_t rows_max) const
{
    const std::string first = after ? *after + '\0' : std::string();
    SeriesItems items;
    Sums all;

    for_span(by_index_, monitor_, span,
             [&](const Sums &sums) { all.add_all(sums, first, last_text()); });
    all.for_each(first, last_text(), [&](const std::string &key, std::int64_t value) {
        if (items.total++ < rows_max)
            items.items.push_back({key, value});
    });
    return items;
}

void TextCounters::forget_old(UnixTime now, UnixTime before)
{
    forget_far(by_index_, monitor_, now, before);
    for (auto window = by_index_.begin();
         window != by_index_.lower_bound(window_index(monitor_.window_seconds, now)); ++window)
        window->second.compact();
}

/// With the texts, which is why it is linear in their number.
std::size_t TextCounters::bytes() const
{
    std::size_t bytes = 0;

    for (const auto &[index, sums] : by_index_) {
        bytes += sizeof(sums) + node_bytes + sums.bytes();
        sums.for_each_entry([&](const std::string &key) {
            bytes += key.size() < sizeof(key) / 2 ? 0 : key.size() + 1;
        });
    }
    return bytes;
}

void TextCounters::restore(std::int64_t index, Sums sums)
{
    by_index_[index] = std::move(sums);
}

} // namespace tallygate::core
