// SPDX-License-Identifier: BSD-2-Clause
#include "frontend/rates.hpp"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "core/byte_stream.hpp"
#include "core/sealed.hpp"

namespace tallygate::frontend {
namespace {

constexpr core::SealKind kind{"tgrates\n", "list of rates", 1, 1};

constexpr std::size_t hits_max = 128;
/// More than one: so what is past is found before as many new counters come as there are.
constexpr std::size_t looked_at_a_time = 2;
constexpr std::int64_t cells = 64; ///< of a span, when its times are put together
// A list's node, a map's node and its place in the table, as the standard library has them.
constexpr std::size_t overhead_bytes = 200;
constexpr std::size_t counter_bytes_min = 3;
constexpr std::size_t hit_bytes_min = 2;

std::int64_t milliseconds(core::UnixTime time)
{
    return std::chrono::floor<std::chrono::milliseconds>(time).time_since_epoch().count();
}

std::string name_of(const Rates::Wanted &wanted)
{
    std::string name;

    name.reserve(wanted.rate.size() + wanted.key.size() + 12);
    name += wanted.rate;
    name += '\0';
    name += std::to_string(wanted.span.count());
    name += '\0';
    name += wanted.key;
    return name;
}

} // namespace

std::size_t Rates::bytes_of(const Counter &counter)
{
    return sizeof(Counter) + overhead_bytes + counter.name.capacity() +
           counter.hits.capacity() * sizeof(Hit);
}

/// Leaves what happened in the span that ends now. A clock that was set back has left times of
/// the future: they count from now on.
void Rates::expire(Counter &counter, std::int64_t now_ms)
{
    auto &hits = counter.hits;

    for (auto hit = hits.rbegin(); hit != hits.rend() && hit->at_ms > now_ms; ++hit)
        hit->at_ms = now_ms;
    const auto first = std::find_if(hits.begin(), hits.end(), [&](const Hit &hit) {
        return hit.at_ms > now_ms - counter.span_ms;
    });
    hits.erase(hits.begin(), first);
}

/// Puts together what happened in the same 64th of the span.
void Rates::compact(Counter &counter)
{
    const std::int64_t cell_ms = std::max<std::int64_t>(counter.span_ms / cells, 1);
    std::vector<Hit> merged;

    for (const auto &hit : counter.hits) {
        if (!merged.empty() && merged.back().at_ms / cell_ms == hit.at_ms / cell_ms) {
            merged.back().at_ms = hit.at_ms;
            merged.back().count = std::min(merged.back().count + hit.count, Rates::limit_max);
        } else {
            merged.push_back(hit);
        }
    }
    counter.hits = std::move(merged);
}

Rates::Counter &Rates::find(const Wanted &wanted)
{
    const auto span = std::chrono::duration_cast<std::chrono::milliseconds>(wanted.span);
    auto name = name_of(wanted);

    if (const auto found = by_name_.find(name); found != by_name_.end()) {
        look_behind(found->second);
        counters_.splice(counters_.end(), counters_, found->second);
        found->second->span_ms = span.count(); // a file may have said something else
        return *found->second;
    }
    counters_.push_back({std::move(name), span.count(), {}});
    const auto made = std::prev(counters_.end());
    by_name_.emplace(made->name, made);
    bytes_ += bytes_of(*made);
    return *made;
}

void Rates::add(Counter &counter, std::int64_t now_ms, std::uint64_t amount)
{
    if (!counter.hits.empty() && counter.hits.back().at_ms == now_ms) {
        auto &count = counter.hits.back().count;
        count = std::min(count + amount, limit_max);
        return;
    }
    if (counter.hits.size() == hits_max)
        compact(counter);
    counter.hits.push_back({now_ms, amount});
}

void Rates::drop(Counters::iterator counter)
{
    look_behind(counter);
    bytes_ -= bytes_of(*counter);
    by_name_.erase(counter->name);
    counters_.erase(counter);
}

/// If this one was next to be looked at, it is the one behind it now.
void Rates::look_behind(Counters::iterator counter)
{
    if (next_ == counter)
        next_ = std::next(counter) == counters_.end() ? std::nullopt
                                                      : std::optional{std::next(counter)};
}

/// The newest stays, so that one that is being used is not forgotten for its own sake.
void Rates::charge_bytes(std::size_t before, const Counter &counter)
{
    bytes_ += bytes_of(counter) - before;
    while (bytes_ > bytes_max_ && counters_.size() > 1) {
        drop(counters_.begin());
        evicted_total_++;
    }
}

Rates::Taken Rates::take(const Wanted &wanted, core::UnixTime now)
{
    const auto now_ms = milliseconds(now);
    auto &counter = find(wanted);
    const auto before = bytes_of(counter);
    Taken taken;

    expire(counter, now_ms);
    for (const auto &hit : counter.hits)
        taken.count += hit.count;
    const bool fits = taken.count + wanted.amount <= wanted.limit;
    taken.over = !fits;
    if (wanted.amount > 0 && (fits || wanted.charge == Charge::always)) {
        add(counter, now_ms, wanted.amount);
        taken_total_++;
        taken.count += wanted.amount;
    }

    const auto next = std::max<std::uint64_t>(wanted.amount, 1);
    auto left = taken.count;
    for (const auto &hit : counter.hits) {
        if (left + next <= wanted.limit)
            break;
        left -= hit.count;
        taken.retry = std::chrono::milliseconds{hit.at_ms + counter.span_ms - now_ms};
    }
    if (next > wanted.limit)
        taken.retry = wanted.span;
    charge_bytes(before, counter);
    if (counter.hits.empty())
        drop(std::prev(counters_.end()));
    forget_old(now, looked_at_a_time);
    return taken;
}

void Rates::forget_old(core::UnixTime now, std::size_t counters_max)
{
    const auto now_ms = milliseconds(now);

    for (auto left = std::min(counters_max, counters_.size()); left > 0; left--) {
        const auto counter = next_.value_or(counters_.begin());
        next_ = counter;
        look_behind(counter);
        // From further than a span in the future it was left by a clock that was set back.
        if (counter->hits.empty() ||
            std::abs(counter->hits.back().at_ms - now_ms) >= counter->span_ms)
            drop(counter);
    }
}

std::string Rates::encode() const
{
    core::ByteWriter writer;

    writer.put(counters_.size());
    for (const auto &counter : counters_) {
        writer.put_text(counter.name);
        writer.put(static_cast<std::uint64_t>(counter.span_ms));
        writer.put(counter.hits.size());
        for (const auto &hit : counter.hits) {
            writer.put_signed(hit.at_ms);
            writer.put(hit.count);
        }
    }
    return seal_rates(writer.take());
}

std::string seal_rates(std::string_view body)
{
    return core::seal(kind, body);
}

Result<void> Rates::restore(std::string_view bytes)
{
    constexpr std::size_t name_bytes_max = rate_bytes_max + key_bytes_max + 12;
    constexpr auto span_ms_max =
        static_cast<std::uint64_t>(std::chrono::milliseconds{span_max}.count());
    const auto unsealed = core::unseal(kind, bytes);

    if (!unsealed)
        return unsealed.error();
    core::ByteReader reader{unsealed->body};
    Rates restored{bytes_max_};
    for (auto left = reader.take_count(counter_bytes_min, "a number of counters");
         left > 0 && !reader.failed(); left--) {
        Counter counter{reader.take_text(), 0, {}};
        counter.span_ms = static_cast<std::int64_t>(reader.take_at_most(span_ms_max, "a span"));
        const auto hits = reader.take_count(hit_bytes_min, "a number of times");
        if (hits > hits_max || counter.name.size() > name_bytes_max || counter.span_ms == 0)
            reader.fail("a counter in it is out of bounds");
        for (std::size_t i = 0; i < hits && !reader.failed(); i++) {
            const auto at_ms = reader.take_signed();
            if (at_ms < 0 || (!counter.hits.empty() && at_ms < counter.hits.back().at_ms))
                reader.fail("its times are not in order");
            counter.hits.push_back({at_ms, reader.take_at_most(limit_max, "a count")});
        }
        if (!reader.failed() && restored.by_name_.count(counter.name) != 0)
            reader.fail("a counter in it comes twice");
        if (reader.failed())
            break;
        restored.counters_.push_back(std::move(counter));
        const auto made = std::prev(restored.counters_.end());
        restored.by_name_.emplace(made->name, made);
        restored.bytes_ += bytes_of(*made);
    }
    if (reader.left() != 0)
        reader.fail("more follows its end");
    if (reader.failed())
        return Error{reader.failure()};
    while (restored.bytes_ > bytes_max_ && !restored.counters_.empty())
        restored.drop(restored.counters_.begin());
    restored.evicted_total_ = evicted_total_;
    restored.taken_total_ = taken_total_;
    std::swap(*this, restored);
    return {};
}

} // namespace tallygate::frontend
