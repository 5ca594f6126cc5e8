// SPDX-License-Identifier: BSD-2-Clause
#include "core/network_windows.hpp"

#include <utility>

#include "core/window.hpp"

namespace tallygate::core {
namespace {

// What the node of a std::map takes beside its value.
constexpr std::size_t node_bytes = 48;

} // namespace

void NetworkWindows::set_windows(const std::map<std::uint32_t, std::uint32_t> &windows_by_size)
{
    windows_by_size_ = windows_by_size;
    for (auto &[network, book] : books_)
        std::erase_if(book.by_size,
                      [&](const auto &entry) { return !windows_by_size_.contains(entry.first); });
}

void NetworkWindows::begin(const Block &network, const Tally &told, UnixTime since)
{
    books_.try_emplace(network, NetworkBook{since, told, {}});
}

void NetworkWindows::keep_only(const std::set<Block> &networks)
{
    std::erase_if(books_, [&](const auto &entry) { return !networks.contains(entry.first); });
}

void NetworkWindows::record(const Block &network, const Tally &difference, UnixTime now)
{
    begin(network, {}, now);
    NetworkBook &book = books_.at(network);

    book.told += difference;
    if (difference.syn == 0 && difference.dropped == 0)
        return;
    for (const auto &[size, windows] : windows_by_size_) {
        auto &counts = book.by_size[size][window_index(size, now)];
        counts.syn += difference.syn;
        counts.dropped += difference.dropped;
    }
}

void NetworkWindows::forget_totals()
{
    for (auto &[network, book] : books_)
        book.told = {};
}

const NetworkBook *NetworkWindows::find(const Block &network) const
{
    const auto found = books_.find(network);
    return found == books_.end() ? nullptr : &found->second;
}

NetworkBook::Counts NetworkWindows::count(const Block &network, std::uint32_t window_seconds,
                                          std::int64_t oldest, std::int64_t newest) const
{
    const auto &by_size = books_.at(network).by_size;
    const auto windows = by_size.find(window_seconds);
    NetworkBook::Counts sum;

    if (windows == by_size.end())
        return sum;
    const auto after = windows->second.upper_bound(newest);
    for (auto window = windows->second.lower_bound(oldest); window != after; ++window) {
        sum.syn += window->second.syn;
        sum.dropped += window->second.dropped;
    }
    return sum;
}

void NetworkWindows::forget_old(UnixTime now, UnixTime before)
{
    for (auto &[network, book] : books_)
        for (auto &[size, windows] : book.by_size)
            forget_far(windows, Monitor{size, windows_by_size_.at(size)}, now, before);
}

void NetworkWindows::restore(NetworkBooks books)
{
    books_ = std::move(books);
    set_windows(std::exchange(windows_by_size_, {}));
}

std::size_t NetworkWindows::bytes() const
{
    std::size_t bytes = 0;

    for (const auto &[network, book] : books_) {
        bytes += sizeof(network) + sizeof(book) + node_bytes;
        for (const auto &[size, windows] : book.by_size)
            bytes += node_bytes + windows.size() * (sizeof(*windows.begin()) + node_bytes);
    }
    return bytes;
}

} // namespace tallygate::core
