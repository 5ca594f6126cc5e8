// SPDX-License-Identifier: BSD-2-Clause
#include "core/prefix_windows.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

#include "core/window.hpp"

namespace tallygate::core {
namespace {

// Between two looks at the memory. What they can add is at most a few megabytes; what adds more
// at once, a table that becomes dense, is looked at then.
constexpr std::size_t adds_between_fits = 4096;

std::uint64_t high_half(const Address &address)
{
    std::uint64_t half = 0;

    for (std::size_t i = 0; i < 8; i++)
        half = half << 8 | address.bytes[i];
    return half;
}

std::uint32_t ipv4_number(const Address &address)
{
    std::uint32_t number = 0;

    for (std::size_t i = 12; i < 16; i++)
        number = number << 8 | address.bytes[i];
    return number;
}

std::int64_t end_seconds(std::uint32_t window_seconds, std::int64_t index)
{
    return (index + 1) * std::int64_t{window_seconds};
}

std::int64_t sum_of(const PrefixWindows::Window &window, const Block &block, Detail detail)
{
    const bool fine = detail == Detail::fine;

    if (block.family() == Family::ipv6) {
        const unsigned shift = fine ? 16 : 32;
        return (fine ? window.fine_ipv6 : window.coarse_ipv6)
            .sum(high_half(block.first()) >> shift, high_half(block.last()) >> shift);
    }
    const unsigned shift = fine ? 8 : 16;
    return static_cast<std::int64_t>(
        (fine ? window.fine_ipv4 : window.coarse_ipv4)
            .sum(ipv4_number(block.first()) >> shift, ipv4_number(block.last()) >> shift));
}

void add_24(PrefixWindows::Window &window, std::uint32_t number, std::uint64_t syn)
{
    window.coarse_ipv4.add(number >> 8, syn);
    if (window.has_fine[static_cast<std::size_t>(Family::ipv4)])
        window.fine_ipv4.add(number, syn);
}

void add_16(PrefixWindows::Window &window, const PrefixPage &page)
{
    window.coarse_ipv4.add(page.number, page.sum);
    if (window.has_fine[static_cast<std::size_t>(Family::ipv4)])
        window.fine_ipv4.add(page);
}

void add_48(PrefixWindows::Window &window, std::uint64_t half, std::uint64_t syn)
{
    auto &coarse = window.coarse_ipv6;
    const std::uint64_t number = half >> 32;

    if (coarse.entries() >= PrefixWindows::ipv6_coarse_max && coarse.sum(number, number) == 0)
        return;
    coarse.add(number, static_cast<std::int64_t>(syn));
    if (window.has_fine[static_cast<std::size_t>(Family::ipv6)])
        window.fine_ipv6.add(half >> 16, static_cast<std::int64_t>(syn));
}

auto dense_count(const std::vector<PrefixWindows::Window *> &windows)
{
    return std::ranges::count_if(windows,
                                 [](const auto *window) { return window->fine_ipv4.is_dense(); });
}

} // namespace

unsigned prefix_bits(Family family, Detail detail)
{
    const bool fine = detail == Detail::fine;

    return family == Family::ipv4 ? (fine ? 120 : 112) : (fine ? 48 : 32);
}

Block widened(const Block &block, Detail detail)
{
    const unsigned bits = prefix_bits(block.family(), detail);

    return block.length_bits() <= bits ? block : Block{block.first(), bits};
}

std::size_t PrefixWindows::Window::fine_bytes(Family family) const
{
    return family == Family::ipv4 ? fine_ipv4.bytes() : fine_ipv6.bytes();
}

std::size_t PrefixWindows::Window::bytes() const
{
    return sizeof(*this) + coarse_ipv4.bytes() + fine_ipv4.bytes() + coarse_ipv6.bytes() +
           fine_ipv6.bytes();
}

void PrefixWindows::Window::drop_fine(Family family)
{
    has_fine[static_cast<std::size_t>(family)] = false;
    if (family == Family::ipv4)
        fine_ipv4 = PrefixCounts{24};
    else
        fine_ipv6 = {};
}

void PrefixWindows::Window::compact()
{
    coarse_ipv4.compact();
    fine_ipv4.compact();
    coarse_ipv6.compact();
    fine_ipv6.compact();
}

void PrefixWindows::set_windows(const std::map<std::uint32_t, std::uint32_t> &windows_by_size)
{
    windows_by_size_ = windows_by_size;
    std::erase_if(by_size_,
                  [&](const auto &entry) { return !windows_by_size_.contains(entry.first); });
    for (const auto &[size, windows] : windows_by_size_)
        by_size_.try_emplace(size);
}

void PrefixWindows::lose(UnixTime now)
{
    for (auto &[size, windows] : by_size_)
        windows[window_index(size, now)].is_whole = false;
}

void PrefixWindows::add(const Block &prefix, std::uint64_t syn, UnixTime now)
{
    if (syn == 0)
        return;
    const auto open = open_windows(now);
    const auto dense_before = dense_count(open);
    for (Window *window : open) {
        if (prefix.family() == Family::ipv4)
            add_24(*window, ipv4_number(prefix.first()) >> 8, syn);
        else
            add_48(*window, high_half(prefix.first()), syn);
    }
    note_added(1, dense_count(open) != dense_before, now);
}

void PrefixWindows::add_ipv4(std::uint32_t first, std::span<const std::uint32_t> syn, UnixTime now)
{
    const auto open = open_windows(now);
    const auto dense_before = dense_count(open);
    std::size_t changes = 0;

    for (std::size_t at = 0; at < syn.size();) {
        const auto number = static_cast<std::uint32_t>(first + at);
        if (number % PrefixPage::numbers == 0 && syn.size() - at >= PrefixPage::numbers) {
            const PrefixPage page{number / PrefixPage::numbers,
                                  syn.subspan(at).first<PrefixPage::numbers>()};
            if (page.changes != 0)
                for (Window *window : open)
                    add_16(*window, page);
            changes += page.changes;
            at += PrefixPage::numbers;
            continue;
        }
        if (syn[at] != 0)
            for (Window *window : open)
                add_24(*window, number, syn[at]);
        changes += syn[at] != 0 ? 1 : 0;
        at++;
    }
    note_added(changes, dense_count(open) != dense_before, now);
}

/// Made if they are not there.
std::vector<PrefixWindows::Window *> PrefixWindows::open_windows(UnixTime now)
{
    std::vector<Window *> open;

    open.reserve(by_size_.size());
    for (auto &[size, windows] : by_size_)
        open.push_back(&windows[window_index(size, now)]);
    return open;
}

void PrefixWindows::note_added(std::size_t adds, bool became_dense, UnixTime now)
{
    added_since_fit_ += adds;
    if (added_since_fit_ >= adds_between_fits || became_dense)
        fit_memory(now);
}

void PrefixWindows::fit_memory(UnixTime now)
{
    added_since_fit_ = 0;
    while (bytes() > memory_) {
        const auto place = next_to_coarsen(now);
        if (!place)
            return;
        Window &window = by_size_.at(place->window_seconds).at(place->index);
        const bool ipv4_is_larger =
            window.fine_bytes(Family::ipv4) >= window.fine_bytes(Family::ipv6);
        window.drop_fine(ipv4_is_larger ? Family::ipv4 : Family::ipv6);
    }
}

/// The closed window that ended first; else, because shorter windows have the newest part of a
/// longer one as well, the longest of the open ones.
std::optional<PrefixWindows::Place> PrefixWindows::next_to_coarsen(UnixTime now) const
{
    const auto seconds = std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count();
    std::optional<Place> first;
    std::tuple<bool, std::int64_t> first_order;

    for (const auto &[size, windows] : by_size_) {
        for (const auto &[index, window] : windows) {
            if (window.fine_bytes(Family::ipv4) + window.fine_bytes(Family::ipv6) == 0)
                continue;
            const auto end = end_seconds(size, index);
            const bool open = end > seconds;
            const std::tuple order{open, open ? -std::int64_t{size} : end};
            if (first && first_order <= order)
                continue;
            first = Place{size, index};
            first_order = order;
        }
    }
    return first;
}

std::vector<PrefixWindows::Span> PrefixWindows::spans(Family family, std::uint32_t window_seconds,
                                                      std::int64_t oldest, std::int64_t newest,
                                                      UnixTime counting_since) const
{
    std::vector<Span> spans;
    const auto go_on = [&](Detail detail, std::int64_t to) {
        const auto from = spans.empty() ? oldest : spans.back().newest + 1;
        if (from > to)
            return;
        if (!spans.empty() && spans.back().detail == detail)
            spans.back().newest = to;
        else
            spans.push_back({detail, from, to});
    };
    const auto known = by_size_.find(window_seconds);
    if (!since_ || known == by_size_.end())
        return {{Detail::none, oldest, newest}};

    if (*since_ > counting_since) {
        // The window in which it began is not whole, unless it began with that.
        const auto before = window_index(window_seconds, *since_ - std::chrono::nanoseconds{1});
        go_on(Detail::none, std::min(before, newest));
    }
    const auto first = known->second.lower_bound(spans.empty() ? oldest : spans.back().newest + 1);
    for (auto window = first; window != known->second.upper_bound(newest); ++window) {
        const bool fine = window->second.has_fine[static_cast<std::size_t>(family)];
        const Detail detail = fine ? Detail::fine : Detail::coarse;
        go_on(Detail::fine, window->first - 1);
        go_on(window->second.is_whole ? detail : Detail::none, window->first);
    }
    go_on(Detail::fine, newest);
    return spans;
}

std::int64_t PrefixWindows::sum(const Block &block, std::uint32_t window_seconds,
                                const Span &span) const
{
    const auto &windows = by_size_.at(window_seconds);
    const auto after = windows.upper_bound(span.newest);
    const bool is_short = block.length_bits() <= prefix_bits(block.family(), Detail::coarse);
    std::int64_t sum = 0;

    for (auto window = windows.lower_bound(span.oldest); window != after; ++window)
        sum += sum_of(window->second, block, is_short ? Detail::coarse : Detail::fine);
    return sum;
}

void PrefixWindows::forget_old(UnixTime now, UnixTime before)
{
    for (auto &[size, windows] : by_size_) {
        forget_far(windows, Monitor{size, windows_by_size_.at(size)}, now, before);
        const auto open = windows.lower_bound(window_index(size, now));
        for (auto window = windows.begin(); window != open; ++window)
            window->second.compact();
    }
    fit_memory(now);
}

void PrefixWindows::restore(std::uint32_t window_seconds, std::int64_t index, Window window)
{
    by_size_[window_seconds].insert_or_assign(index, std::move(window));
}

void PrefixWindows::restore(PrefixWindows saved)
{
    by_size_ = std::move(saved.by_size_);
    since_ = saved.since_;
    set_windows(std::exchange(windows_by_size_, {}));
}

PrefixWindows PrefixWindows::for_snapshot() const
{
    std::vector<std::tuple<std::int64_t, std::uint32_t, std::int64_t>> newest_first;
    for (const auto &[size, windows] : by_size_)
        for (const auto &[index, window] : windows)
            newest_first.emplace_back(end_seconds(size, index), size, index);
    std::ranges::sort(newest_first, std::greater{});

    PrefixWindows copy;
    std::size_t left = snapshot_fine_max;
    copy.since_ = since_;
    copy.set_windows(windows_by_size_);
    for (const auto &[end, size, index] : newest_first) {
        const Window &window = by_size_.at(size).at(index);
        Window &saved = copy.by_size_.at(size)[index];
        saved.is_whole = window.is_whole;
        saved.has_fine = window.has_fine;
        saved.coarse_ipv4 = window.coarse_ipv4;
        saved.coarse_ipv6 = window.coarse_ipv6;
        const auto entries = window.fine_ipv4.entries() + window.fine_ipv6.entries();
        if (entries > left) {
            saved.has_fine = {};
            continue;
        }
        left -= entries;
        saved.fine_ipv4 = window.fine_ipv4;
        saved.fine_ipv6 = window.fine_ipv6;
    }
    return copy;
}

std::size_t PrefixWindows::bytes() const
{
    std::size_t bytes = 0;

    for (const auto &[size, windows] : by_size_)
        for (const auto &[index, window] : windows)
            bytes += sizeof(index) + window.bytes();
    return bytes;
}

} // namespace tallygate::core
