// SPDX-License-Identifier: BSD-2-Clause
#include "core/ledger.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace tallygate::core {
namespace {

constexpr std::array<std::pair<Event, std::string_view>, event_count> event_names = {{
    {Event::connections, "connections"},
    {Event::syn, "syn"},
    {Event::dropped, "dropped"},
}};

/// Those that a claimed source causes, which may be forgotten before anybody looked at it.
constexpr std::array claimed_events = {Event::syn, Event::dropped};

template <typename Totals>
std::uint64_t total_of(const Totals &totals, Event event)
{
    switch (event) {
    case Event::connections:
        return totals.opened;
    case Event::syn:
        return totals.syn;
    case Event::dropped:
        return totals.dropped;
    }
    return 0;
}

std::int64_t amount_of(const SourceRow &row, TopBy by)
{
    switch (by) {
    case TopBy::live:
        return row.live;
    case TopBy::connections:
        return row.connections;
    case TopBy::syn:
        return row.syn;
    }
    return 0;
}

std::int64_t as_signed(std::uint64_t total)
{
    return static_cast<std::int64_t>(total);
}

std::size_t index_of(Family family)
{
    return static_cast<std::size_t>(family);
}

/// Where the windows of unattributed events keep a family's.
const Address &nobody_of(Family family)
{
    static const std::array nobody = {Block::all(Family::ipv4).first(),
                                      Block::all(Family::ipv6).first()};
    return nobody[index_of(family)];
}

} // namespace

std::string_view event_name(Event event)
{
    const auto *const found = std::ranges::find(event_names, event, [](auto e) { return e.first; });
    return found->second;
}

Result<Event> parse_event(std::string_view text)
{
    std::string known;

    for (const auto &[event, name] : event_names) {
        if (text == name)
            return event;
        known += (known.empty() ? "" : ", ") + std::string(name);
    }
    return Error{"there is no event '" + std::string(text) + "': expected one of " + known};
}

bool comes_before(const SourceRow &row, const SourceRow &other, TopBy by)
{
    const auto amount = amount_of(row, by);
    const auto other_amount = amount_of(other, by);

    return amount != other_amount ? amount > other_amount : row.source < other.source;
}

/// By how much `total` exceeds what was recorded and charged; negative if too much was charged.
std::int64_t EventBook::missing(Family family, std::uint64_t total) const
{
    const auto unrecorded = as_signed(total) - as_signed(attributed_total[index_of(family)]);
    return std::max<std::int64_t>(unrecorded, 0) - unattributed_total[index_of(family)];
}

void EventBook::forget_totals()
{
    attributed_total = {};
    unattributed_total = {};
}

Ledger::Ledger(std::vector<Monitor> monitors)
{
    take_monitors(std::move(monitors));
    kept_ = kept_from({}, windows_by_size_, {});
}

void Ledger::set_monitors(std::vector<Monitor> monitors, UnixTime now)
{
    take_monitors(std::move(monitors));
    kept_ = kept_from(kept_, windows_by_size_, now);
}

UnixTime Ledger::kept_since(const Monitor &monitor) const
{
    return kept_.at(monitor.window_seconds).since;
}

void Ledger::restore_kept(const KeptBySize &kept, UnixTime now)
{
    // The clock may have been ahead, and may be behind: what lies before us was kept.
    auto until_now = kept;
    for (auto &[size, windows] : until_now)
        windows.since = std::min(windows.since, now);
    kept_ = kept_from(until_now, windows_by_size_, now);
}

void Ledger::take_monitors(std::vector<Monitor> monitors)
{
    monitors_ = std::move(monitors);
    windows_by_size_.clear();
    for (const Monitor &monitor : monitors_) {
        auto &windows = windows_by_size_[monitor.window_seconds];
        windows = std::max(windows, monitor.windows);
    }
    for (auto &[service, book] : books_)
        fit_windows(book);
    prefixes_.set_windows(windows_by_size_);
    networks_.set_windows(windows_by_size_);
    reported_.set_windows(windows_by_size_);
}

void Ledger::fit_windows(ServiceBook &book) const
{
    std::erase_if(book.claimed,
                  [&](const auto &entry) { return !windows_by_size_.contains(entry.first); });
    for (EventBook &event : book.events)
        for (WindowsBySize *by_size : {&event.attributed, &event.unattributed})
            fit_sizes(*by_size, windows_by_size_);
}

Ledger::ServiceBook &Ledger::book_of(ServiceId service)
{
    const auto [entry, is_new] = books_.try_emplace(service);
    if (is_new)
        fit_windows(entry->second);
    return entry->second;
}

std::vector<const Ledger::ServiceBook *> Ledger::books_of(std::optional<ServiceId> service) const
{
    std::vector<const ServiceBook *> books;

    for (const auto &[id, book] : books_)
        if (!service || *service == id)
            books.push_back(&book);
    return books;
}

/// A service's windows of now, found once for all changes that come together.
class Ledger::Recording {
public:
    Recording(ServiceBook &book, const std::map<std::uint32_t, std::uint32_t> &windows_by_size,
              UnixTime now)
        : book_(book)
    {
        for (const auto &[size, windows] : windows_by_size)
            open_.push_back({.window_seconds = size, .index = window_index(size, now)});
    }

    void record(const SourceChange &change)
    {
        const auto family = index_of(change.source.family());

        if (change.opened != change.closed)
            book_.live.add(change.source, as_signed(change.opened) - as_signed(change.closed));
        for (const auto &[event, name] : event_names)
            book_.of(event).attributed_total[family] += total_of(change, event);
        for (Open &open : open_) {
            const bool taken_in = is_taken_in(open, change);
            for (const auto &[event, name] : event_names) {
                const auto amount = as_signed(total_of(change, event));
                if (amount != 0 && taken_in)
                    attributed(open, event).add(change.source, amount);
                else
                    open.unattributed[static_cast<std::size_t>(event)][family] += amount;
            }
        }
    }

    /// What is of nobody is added up until then.
    void finish()
    {
        for (const Open &open : open_)
            for (const auto &[event, name] : event_names)
                for (const Family family : {Family::ipv4, Family::ipv6})
                    if (const auto amount =
                            open.unattributed[static_cast<std::size_t>(event)][index_of(family)])
                        book_.of(event)
                            .unattributed.at(open.window_seconds)
                            .at_index(open.index)
                            .add(nobody_of(family), amount);
    }

private:
    struct Open {
        std::uint32_t window_seconds = 0;
        std::int64_t index = 0;
        SourceSet *claimed = nullptr;                      ///< these two when first needed
        std::array<BlockSums *, event_count> attributed{}; ///< by event
        std::array<std::array<std::int64_t, 2>, event_count> unattributed{};
    };

    BlockSums &attributed(Open &open, Event event)
    {
        BlockSums *&sums = open.attributed[static_cast<std::size_t>(event)];
        if (sums == nullptr)
            sums = &book_.of(event).attributed.at(open.window_seconds).at_index(open.index);
        return *sums;
    }

    bool is_taken_in(Open &open, const SourceChange &change)
    {
        // A connection is proof enough, whatever else the change says.
        if (!change.claimed || change.opened != 0)
            return true;
        if (open.claimed == nullptr) {
            auto &claimed = book_.claimed[open.window_seconds];
            if (claimed.index != open.index)
                claimed = {open.index, {}};
            open.claimed = &claimed.sources;
        }
        return open.claimed->admit(change.source);
    }

    ServiceBook &book_;
    std::vector<Open> open_;
};

void Ledger::record(std::span<const SourceChange> changes, UnixTime now)
{
    std::map<ServiceId, Recording> recordings;

    for (const SourceChange &change : changes) {
        auto recording = recordings.find(change.service);
        if (recording == recordings.end())
            recording = recordings
                            .emplace(change.service,
                                     Recording{book_of(change.service), windows_by_size_, now})
                            .first;
        recording->second.record(change);
    }
    for (auto &[service, recording] : recordings)
        recording.finish();
}

void Ledger::reconcile(ServiceId service, Family family, const Tally &total, UnixTime now)
{
    ServiceBook &book = book_of(service);

    for (const Event event : claimed_events) {
        EventBook &event_book = book.of(event);
        const auto missing = event_book.missing(family, total_of(total, event));
        event_book.unattributed_total[index_of(family)] += missing;
        for (auto &[size, windows] : event_book.unattributed)
            windows.add(nobody_of(family), missing, now);
    }
}

std::int64_t Ledger::owed(ServiceId service, Family family, Event event, const Tally &total) const
{
    const auto book = books_.find(service);
    if (book == books_.end())
        return as_signed(total_of(total, event));
    return book->second.of(event).missing(family, total_of(total, event));
}

bool Ledger::is_reconciled(ServiceId service, Family family, const Tally &total) const
{
    return std::ranges::all_of(
        claimed_events, [&](Event event) { return owed(service, family, event, total) <= 0; });
}

std::int64_t Ledger::live(const Block &block, std::optional<ServiceId> service) const
{
    std::int64_t live = 0;

    for (const ServiceBook *book : books_of(service))
        live += book->live.sum(block);
    // A walk may read a source between the two halves of a flow's end.
    return std::max<std::int64_t>(live, 0);
}

std::int64_t Ledger::count(const Block &block, std::optional<ServiceId> service, Event event,
                           const Monitor &monitor, std::uint32_t start, std::uint32_t end,
                           UnixTime now) const
{
    assert(windows_by_size_.contains(monitor.window_seconds));
    assert(start <= end && end < monitor.windows);
    std::int64_t count = 0;

    for (const ServiceBook *book : books_of(service))
        count += book->of(event).attributed.at(monitor.window_seconds).sum(block, start, end, now);
    return count;
}

std::int64_t Ledger::unattributed(Family family, std::optional<ServiceId> service, Event event,
                                  const Monitor &monitor, std::uint32_t start, std::uint32_t end,
                                  UnixTime now) const
{
    assert(windows_by_size_.contains(monitor.window_seconds));
    std::int64_t count = 0;

    for (const ServiceBook *book : books_of(service))
        count += book->of(event)
                     .unattributed.at(monitor.window_seconds)
                     .sum(Block::all(family), start, end, now);
    return count;
}

std::vector<SourceRow> Ledger::top(const Block &block, std::optional<ServiceId> service, TopBy by,
                                   const Monitor &monitor, std::size_t rows_max, UnixTime now) const
{
    const std::uint32_t oldest = monitor.windows - 1;
    const Event event = by == TopBy::syn ? Event::syn : Event::connections;
    BlockSums sums;

    for (const ServiceBook *book : books_of(service)) {
        if (by == TopBy::live)
            sums.add_all(book->live, block);
        else
            book->of(event)
                .attributed.at(monitor.window_seconds)
                .add_to(sums, block, 0, oldest, now);
    }

    std::vector<std::pair<Address, std::int64_t>> most;
    sums.for_each(block, [&](const Address &source, std::int64_t amount) {
        if (amount > 0)
            most.emplace_back(source, amount);
    });
    const auto cut = most.begin() + static_cast<std::ptrdiff_t>(std::min(rows_max, most.size()));
    std::partial_sort(most.begin(), cut, most.end(), [](const auto &one, const auto &other) {
        return one.second != other.second ? one.second > other.second : one.first < other.first;
    });

    std::vector<SourceRow> rows;
    for (auto entry = most.begin(); entry != cut; ++entry) {
        const Block source{entry->first, 128};
        rows.push_back({entry->first, live(source, service),
                        count(source, service, Event::connections, monitor, 0, oldest, now),
                        count(source, service, Event::syn, monitor, 0, oldest, now)});
    }
    return rows;
}

std::map<ServiceId, EventBooks> Ledger::books() const
{
    std::map<ServiceId, EventBooks> books;

    for (const auto &[service, book] : books_)
        books.emplace(service, book.events);
    return books;
}

void Ledger::restore(ServiceId service, EventBooks books)
{
    ServiceBook &book = book_of(service);

    book.events = std::move(books);
    fit_windows(book);
}

void Ledger::restore_live(const Address &source, ServiceId service, std::int64_t live)
{
    book_of(service).live.add(source, live);
}

void Ledger::take_for_recorded(ServiceId service, Family family, const Tally &total)
{
    for (const auto &[event, name] : event_names) {
        EventBook &event_book = book_of(service).of(event);
        event_book.attributed_total[index_of(family)] = total_of(total, event);
        event_book.unattributed_total[index_of(family)] = 0;
    }
}

void Ledger::forget_old(UnixTime now)
{
    const auto before = forgot_at_.value_or(now);

    forgot_at_ = now;
    for (auto &[service, book] : books_)
        for (EventBook &event : book.events)
            for (WindowsBySize *by_size : {&event.attributed, &event.unattributed})
                for (auto &[size, windows] : *by_size)
                    windows.forget_old(now, before);
    prefixes_.forget_old(now, before);
    networks_.forget_old(now, before);
    reported_.forget_old(now, before);
}

std::size_t Ledger::bytes() const
{
    std::size_t bytes = prefixes_.bytes() + networks_.bytes() + reported_.bytes();

    for (const auto &[service, book] : books_) {
        bytes += sizeof(book) + book.live.bytes();
        for (const auto &[size, claimed] : book.claimed)
            bytes += sizeof(claimed) + claimed.sources.bytes();
        for (const EventBook &event : book.events)
            for (const WindowsBySize *by_size : {&event.attributed, &event.unattributed})
                for (const auto &[size, windows] : *by_size)
                    bytes += sizeof(windows) + windows.bytes();
    }
    return bytes;
}

} // namespace tallygate::core
