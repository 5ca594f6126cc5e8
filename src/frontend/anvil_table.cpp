// SPDX-License-Identifier: BSD-2-Clause
#include "frontend/anvil_table.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>
#include <utility>

namespace tallygate::frontend {
namespace {

// What is due to be forgotten goes with whoever calls next. More than one a call, so that the
// number of those falls whatever comes.
constexpr std::size_t forgotten_a_call = 8;

constexpr std::size_t idents_limit = std::size_t{1} << 30;

/// Both halves of the product, folded: each bit of the result hangs on all of the factors'.
std::uint64_t mix(std::uint64_t left, std::uint64_t right)
{
    __extension__ using Wide = unsigned __int128;
    const Wide product = static_cast<Wide>(left) * right;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

std::optional<AnvilPeak> peak_of(AnvilRate which)
{
    switch (which) {
    case AnvilRate::connection:
        return AnvilPeak::connection_rate;
    case AnvilRate::message:
        return AnvilPeak::message_rate;
    case AnvilRate::recipient:
        return AnvilPeak::recipient_rate;
    case AnvilRate::newtls:
        return AnvilPeak::newtls_rate;
    case AnvilRate::auth:
        return AnvilPeak::auth_rate;
    case AnvilRate::tlstr:
        break;
    }
    return std::nullopt;
}

} // namespace

AnvilTable::AnvilTable(Options options) : options_(options)
{
    options_.idents_max = std::clamp<std::size_t>(options_.idents_max, 1, idents_limit);
    const std::size_t buckets = std::bit_ceil(options_.idents_max);
    buckets_.reset(static_cast<std::uint32_t *>(std::calloc(buckets, sizeof(std::uint32_t))));
    if (!buckets_)
        throw std::bad_alloc{};
    bucket_mask_ = static_cast<std::uint32_t>(buckets - 1);
}

void AnvilTable::advance(Time now)
{
    const std::int64_t seconds = now.time_since_epoch().count();

    wall_ = now;
    if (time_ != 0 && seconds + behind_by_ < time_)
        behind_by_ = time_ - seconds;
    time_ = seconds + behind_by_;
}

std::uint32_t AnvilTable::hash_of(std::string_view ident) const
{
    constexpr std::uint64_t odd = 0x9e3779b97f4a7c15ULL;
    std::uint64_t hash = mix(options_.hash_seed ^ odd, ident.size() + odd);

    while (!ident.empty()) {
        std::uint64_t word = 0;
        const auto taken = std::min(ident.size(), sizeof(word));
        std::memcpy(&word, ident.data(), taken);
        hash = mix(hash ^ word, options_.hash_seed | odd);
        ident.remove_prefix(taken);
    }
    return static_cast<std::uint32_t>(hash ^ hash >> 32);
}

/// One that is due is not there any more, whether or not somebody had the time to remove it.
std::uint32_t AnvilTable::find(std::string_view ident)
{
    const std::uint32_t hash = hash_of(ident);

    for (std::uint32_t at = bucket_of(hash); at != 0;) {
        const std::uint32_t slot = at - 1;
        const Entry &entry = entries_[slot];
        if (entry.hash == hash && entry.ident == ident) {
            if (!is_due(entry))
                return slot;
            remove(slot);
            return none;
        }
        at = entry.next;
    }
    return none;
}

std::uint32_t AnvilTable::make(std::string_view ident)
{
    make_room(ident.size());
    std::uint32_t slot = first_free_;
    if (slot != none) {
        first_free_ = entries_[slot].next;
    } else {
        slot = static_cast<std::uint32_t>(entries_.size());
        entries_.emplace_back();
    }
    Entry &entry = entries_[slot];
    entry = {};
    entry.ident = ident;
    entry.hash = hash_of(ident);
    entry.start = time_;
    entry.is_used = true;
    std::uint32_t &bucket = bucket_of(entry.hash);
    entry.next = bucket;
    bucket = slot + 1;
    size_++;
    ident_bytes_ += ident.size();
    peaks_.note_cache_size(size_, wall_);
    return slot;
}

void AnvilTable::make_room(std::size_t ident_bytes)
{
    while (oldest_idle_ != none && (size_ >= options_.idents_max ||
                                    ident_bytes_ + ident_bytes > options_.ident_bytes_max)) {
        if (!is_due(entries_[oldest_idle_]))
            evicted_total_++;
        remove(oldest_idle_);
    }
}

/// Of an idle one.
void AnvilTable::remove(std::uint32_t slot)
{
    Entry &entry = entries_[slot];

    take_from_idle(slot);
    std::uint32_t *at = &bucket_of(entry.hash);
    while (*at != slot + 1)
        at = &entries_[*at - 1].next;
    *at = entry.next;
    size_--;
    ident_bytes_ -= entry.ident.size();
    entry = {};
    entry.next = first_free_;
    first_free_ = slot;
}

bool AnvilTable::is_due(const Entry &entry) const
{
    return entry.count == 0 && entry.idle_since + options_.time_unit.count() <= time_;
}

bool AnvilTable::is_stale(const Entry &entry) const
{
    return entry.start + options_.time_unit.count() < time_;
}

std::uint32_t AnvilTable::count_one(Entry &entry, AnvilRate which)
{
    if (is_stale(entry)) {
        entry.rates = {};
        entry.start = time_;
    }
    std::uint32_t &rate = entry.rates[static_cast<std::size_t>(which)];
    if (rate < rate_max)
        rate++;
    return rate;
}

void AnvilTable::push_idle(std::uint32_t slot)
{
    Entry &entry = entries_[slot];

    entry.idle_since = time_;
    entry.older = newest_idle_;
    entry.newer = none;
    (newest_idle_ != none ? entries_[newest_idle_].newer : oldest_idle_) = slot;
    newest_idle_ = slot;
}

void AnvilTable::take_from_idle(std::uint32_t slot)
{
    const Entry &entry = entries_[slot];

    (entry.older != none ? entries_[entry.older].newer : oldest_idle_) = entry.newer;
    (entry.newer != none ? entries_[entry.newer].older : newest_idle_) = entry.older;
}

/// The new session is counted before the old one is dropped, so that an ident that is both does
/// not become idle in between.
void AnvilTable::link_to(AnvilLink &link, std::uint32_t slot)
{
    entries_[slot].count++;
    if (link.slot_ != none)
        drop(link.slot_);
    link.slot_ = slot;
}

void AnvilTable::drop(std::uint32_t slot)
{
    if (--entries_[slot].count == 0)
        push_idle(slot);
}

std::uint32_t AnvilTable::connect_entry(AnvilLink &link, std::string_view ident)
{
    std::uint32_t slot = find(ident);

    if (slot == none)
        slot = make(ident);
    else if (entries_[slot].count == 0)
        take_from_idle(slot);
    count_one(entries_[slot], AnvilRate::connection);
    link_to(link, slot);
    return slot;
}

AnvilCounts AnvilTable::connect(AnvilLink &link, std::string_view ident, Time now)
{
    forget(forgotten_a_call, now);
    const Entry &entry = entries_[connect_entry(link, ident)];
    const AnvilCounts counts{entry.count, entry.rates};

    peaks_.note(AnvilPeak::connection_rate, counts.rate(AnvilRate::connection), ident, wall_);
    peaks_.note(AnvilPeak::connection_count, counts.count, ident, wall_);
    return counts;
}

void AnvilTable::disconnect(AnvilLink &link, std::string_view ident, Time now)
{
    forget(forgotten_a_call, now);
    const std::uint32_t slot = find(ident);
    if (slot == none)
        return;
    if (link.slot_ == slot) {
        link.slot_ = none;
        drop(slot);
    } else if (Entry &entry = entries_[slot]; entry.lost > 0) {
        entry.lost--;
    }
}

std::uint32_t AnvilTable::add(AnvilLink &link, std::string_view ident, AnvilRate which, Time now)
{
    forget(forgotten_a_call, now);
    std::uint32_t slot = find(ident);
    if (slot == none) {
        slot = connect_entry(link, ident);
    } else if (Entry &entry = entries_[slot]; entry.lost > 0 && link.slot_ != slot) {
        entry.lost--;
        if (entry.count == 0)
            take_from_idle(slot);
        link_to(link, slot);
    }
    const std::uint32_t rate = count_one(entries_[slot], which);
    if (const auto peak = peak_of(which))
        peaks_.note(*peak, rate, ident, wall_);
    return rate;
}

AnvilCounts AnvilTable::lookup(std::string_view ident, Time now)
{
    forget(forgotten_a_call, now);
    const std::uint32_t slot = find(ident);
    if (slot == none)
        return {};
    const Entry &entry = entries_[slot];
    return {entry.count, is_stale(entry) ? AnvilRates{} : entry.rates};
}

void AnvilTable::end(AnvilLink &link, Time now)
{
    advance(now);
    if (link.slot_ != none)
        drop(link.slot_);
    link.slot_ = none;
}

void AnvilTable::forget(std::size_t idents, Time now)
{
    advance(now);
    for (; idents > 0 && oldest_idle_ != none && is_due(entries_[oldest_idle_]); idents--)
        remove(oldest_idle_);
}

AnvilPeaks AnvilTable::take_peaks()
{
    return std::exchange(peaks_, {});
}

std::optional<std::size_t> AnvilTable::save(std::size_t from, std::size_t slots, Time now,
                                            std::deque<AnvilSaved> &into)
{
    advance(now);
    const std::size_t end = std::min(entries_.size(), from + slots);
    for (std::size_t slot = from; slot < end; slot++) {
        const Entry &entry = entries_[slot];
        if (!entry.is_used || is_due(entry) ||
            (entry.count == 0 && entry.lost == 0 && is_stale(entry)))
            continue;
        into.push_back({entry.ident, Time{std::chrono::seconds{entry.start - behind_by_}},
                        is_stale(entry) ? AnvilRates{} : entry.rates, entry.count + entry.lost});
    }
    return end < entries_.size() ? std::optional(end) : std::nullopt;
}

void AnvilTable::restore(const AnvilSaved &saved, Time now)
{
    advance(now);
    if (find(saved.ident) != none)
        return;
    const std::uint32_t slot = make(saved.ident);
    Entry &entry = entries_[slot];
    entry.start = std::min(saved.start.time_since_epoch().count() + behind_by_, time_);
    entry.rates = saved.rates;
    for (std::uint32_t &rate : entry.rates)
        rate = std::min(rate, rate_max);
    entry.lost = saved.links;
    push_idle(slot);
}

} // namespace tallygate::frontend
