// SPDX-License-Identifier: BSD-2-Clause
#include "core/reported_windows.hpp"

#include <algorithm>
#include <utility>

#include "core/text.hpp"

namespace tallygate::core {
namespace {

constexpr std::array both_families = {Family::ipv4, Family::ipv6};

// What less fine prefixes a window goes down to, in bits of the 16-byte form.
constexpr std::array<unsigned, 3> ipv4_steps = {120, 112, 96};
constexpr std::array<unsigned, 3> ipv6_steps = {48, 32, 0};

// A window that takes no more is left as it is: there is nothing to be had.
constexpr std::size_t full_bytes_min = 16 * 1024;

// What a report may add to one window before its entries are merged: a key, a sum, and a place
// in a tail that has just grown.
constexpr std::size_t report_bytes_max = 64;

/// The next shorter length; its own if there is none.
unsigned coarser(Family family, unsigned length_bits)
{
    for (const unsigned step : family == Family::ipv4 ? ipv4_steps : ipv6_steps)
        if (step < length_bits)
            return step;
    return length_bits;
}

bool is_empty(const ReportedWindows::Book &book)
{
    return std::ranges::all_of(book, [](const auto &by_length) { return by_length.empty(); });
}

/// The amounts under addresses cut to `length_bits`, which stay in order.
std::vector<BlockSums::Amount> cut(const BlockSums &sums, Family family, unsigned length_bits)
{
    std::vector<BlockSums::Amount> amounts;

    sums.for_each(Block::all(family), [&](const Address &address, std::int64_t amount) {
        const Address first = address.masked(length_bits);
        if (amounts.empty() || amounts.back().address != first)
            amounts.push_back({first, 0});
        amounts.back().amount += amount;
    });
    return amounts;
}

} // namespace

void ReportedWindows::set_windows(const std::map<std::uint32_t, std::uint32_t> &windows_by_size)
{
    windows_by_size_ = windows_by_size;
    for (auto &[service, book] : books_)
        for (ByLength &by_length : book)
            for (auto &[length, by_size] : by_length)
                fit_sizes(by_size, windows_by_size_);
    reports_until_fit_ = 0;
}

void ReportedWindows::set_memory(std::size_t bytes)
{
    memory_ = bytes;
    reports_until_fit_ = 0;
}

void ReportedWindows::record(const Report &report, UnixTime now)
{
    const auto service = lower_case(report.service);
    if (!takes_service(service) || (!books_.contains(service) && !make_room())) {
        counts_.refused_total++;
        return;
    }
    const auto amount = static_cast<std::int64_t>(std::min(report.amount, amount_max));
    auto &by_size = windows_of(books_[service], report.event, report.client.length_bits());

    counts_.taken_total++;
    counts_.amount_total[static_cast<std::size_t>(report.event)] +=
        static_cast<std::uint64_t>(amount);
    for (auto &[size, windows] : by_size)
        windows.add(report.client.first(), amount, now);
    if (reports_until_fit_ == 0)
        fit_memory();
    else
        reports_until_fit_--;
}

WindowsBySize &ReportedWindows::windows_of(Book &book, Reported event, unsigned length_bits) const
{
    const auto [entry, is_new] = book[static_cast<std::size_t>(event)].try_emplace(length_bits);
    if (is_new)
        fit_sizes(entry->second, windows_by_size_);
    return entry->second;
}

bool ReportedWindows::takes_service(std::string_view service) const
{
    const bool is_name =
        !service.empty() && service.size() <= service_bytes_max &&
        std::ranges::all_of(service, [](char each) { return each > 0x20 && each < 0x7f; });
    if (!is_name)
        return false;
    return books_.size() < services_max || books_.contains(lower_case(service)) ||
           std::ranges::any_of(books_, [](const auto &entry) { return is_empty(entry.second); });
}

/// For one more service, in place of one that nothing is known of any more.
bool ReportedWindows::make_room()
{
    if (books_.size() < services_max)
        return true;
    const auto idle =
        std::ranges::find_if(books_, [](const auto &entry) { return is_empty(entry.second); });
    if (idle == books_.end())
        return false;
    books_.erase(idle);
    return true;
}

std::vector<std::string> ReportedWindows::services() const
{
    std::vector<std::string> names;

    for (const auto &[service, book] : books_)
        names.push_back(service);
    return names;
}

ReportedWindows::Sum ReportedWindows::sum(const Block &block,
                                          const std::optional<std::string> &service, Reported event,
                                          const Monitor &monitor, std::uint32_t start,
                                          std::uint32_t end, UnixTime now) const
{
    Sum sum;

    for (const auto &[name, book] : books_) {
        if (service && *service != name)
            continue;
        for (const auto &[length_bits, by_size] : book[static_cast<std::size_t>(event)]) {
            const Windows &windows = by_size.at(monitor.window_seconds);
            if (length_bits >= block.length_bits())
                sum.within += windows.sum(block, start, end, now);
            else
                sum.around +=
                    windows.sum(Block{block.first().masked(length_bits), 128}, start, end, now);
        }
    }
    return sum;
}

void ReportedWindows::forget_old(UnixTime now, UnixTime before)
{
    for (auto &[service, book] : books_) {
        for (ByLength &by_length : book) {
            for (auto &[length_bits, by_size] : by_length)
                for (auto &[size, windows] : by_size)
                    windows.forget_old(now, before);
            std::erase_if(by_length, [](const auto &entry) {
                return std::ranges::all_of(entry.second, [](const auto &windows) {
                    return windows.second.by_index().empty();
                });
            });
        }
    }
}

void ReportedWindows::restore(Books books)
{
    books_ = std::move(books);
    set_windows(std::exchange(windows_by_size_, {}));
}

std::size_t ReportedWindows::bytes() const
{
    std::size_t bytes = 0;

    for (const auto &[service, book] : books_)
        for (const ByLength &by_length : book)
            for (const auto &[length_bits, by_size] : by_length)
                for (const auto &[size, windows] : by_size)
                    bytes += sizeof(windows) + windows.bytes();
    return bytes;
}

/// Adding up what everything takes is slow, so it is done again when reports could have filled
/// what was left.
void ReportedWindows::fit_memory()
{
    std::size_t used = bytes();

    if (used > memory_) {
        const std::size_t enough = memory_ - memory_ / 4;
        for (auto place = fullest(); place && used > enough; place = fullest()) {
            coarsen(*place);
            used = bytes();
        }
    }
    const std::size_t left = memory_ > used ? memory_ - used : 0;
    const auto sizes = std::max<std::size_t>(windows_by_size_.size(), 1);
    reports_until_fit_ = std::max<std::size_t>(left / (report_bytes_max * sizes), 1'024);
}

std::optional<ReportedWindows::Place> ReportedWindows::fullest()
{
    std::optional<Place> fullest;
    std::size_t most = full_bytes_min;

    for (auto &[service, book] : books_)
        for (std::size_t event = 0; event < book.size(); event++)
            for (const auto &[length_bits, by_size] : book[event])
                for (const auto &[size, windows] : by_size)
                    for (const auto &[index, sums] : windows.by_index())
                        if (length_bits != 0 && sums.bytes() > most) {
                            most = sums.bytes();
                            fullest = Place{&book, event, length_bits, size, index};
                        }
    return fullest;
}

void ReportedWindows::coarsen(const Place &place)
{
    auto &by_length = (*place.book)[place.event];
    const BlockSums taken =
        by_length.at(place.length_bits).at(place.window_seconds).take(place.index);

    counts_.coarsened_total++;
    for (const Family family : both_families) {
        const unsigned length_bits = coarser(family, place.length_bits);
        const auto amounts = cut(taken, family, length_bits);
        if (!amounts.empty())
            windows_of(*place.book, static_cast<Reported>(place.event), length_bits)
                .at(place.window_seconds)
                .at_index(place.index)
                .add_sorted(family, amounts);
    }
}

} // namespace tallygate::core
