// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/claims_walk.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <tuple>
#include <vector>

#include "kernel/convert.hpp"

namespace tallygate::kernel {
namespace {

constexpr std::uint64_t service_mask = (1U << TG_CLAIM_SERVICE_BITS) - 1;

/// What is no longer there counts as told, so that nothing is told twice.
std::uint64_t grown(std::uint32_t now, std::uint32_t told)
{
    return now > told ? now - told : 0;
}

} // namespace

Result<ClaimsWalk> ClaimsWalk::open(const Program &program)
{
    auto claims = MappedArray<tg_claims>::open(program.map_fd("claims"), "claims");
    if (!claims)
        return claims.error();
    auto dirty = DirtyBits::open(program.map_fd("dirty_claims"), "dirty_claims");
    if (!dirty)
        return dirty.error();
    dirty->mark_all(); // what another walk has looked at, it may not have told
    return ClaimsWalk{std::move(*claims), std::move(*dirty)};
}

bool ClaimsWalk::is_of(const Residual &residual, const Told &way)
{
    return residual.source.service == way.service && to_address(residual.source.addr) == way.source;
}

bool ClaimsWalk::is_same_source(const Told &one, const Told &other)
{
    return one.service == other.service && one.source == other.source;
}

/// A way that is in use. The program that gives one to another source takes its service away
/// first and sets it last, and moves its time on: if the word stood still while we read, it is
/// one source's.
std::optional<ClaimsWalk::Told> ClaimsWalk::read(std::uint32_t place) const
{
    constexpr int tries_max = 8;
    const volatile auto &bucket = claims_[place / TG_BUCKET_WAYS];
    const auto way = place % TG_BUCKET_WAYS;
    const volatile auto &state = bucket.states[way];

    for (int i = 0; i < tries_max; i++) {
        const auto word = __atomic_load_n(&state.word, __ATOMIC_ACQUIRE);
        if ((word & service_mask) == 0)
            return std::nullopt;
        Told now;
        tg_addr source;
        for (std::size_t j = 0; j < 4; j++)
            source.words[j] = bucket.sources[way].words[j];
        now.source = to_address(source);
        now.service = static_cast<core::ServiceId>(word & service_mask);
        now.syn = state.syn;
        now.dropped = state.dropped;
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (state.word == word)
            return now;
    }
    return std::nullopt; // the next look tells it
}

void ClaimsWalk::tell(std::uint32_t place, const Told &now, const ChangeSink &sink)
{
    const Told told = told_[place];
    const auto from = is_same_source(now, told) ? told : Told{};
    const auto syn = grown(now.syn, from.syn);
    const auto dropped = grown(now.dropped, from.dropped);

    if (syn == 0 && dropped == 0 && is_same_source(now, told))
        return;
    // A source that is new to a way may have come back with less than it had.
    told_.change(place) = {.source = now.source,
                           .service = now.service,
                           .dropped = std::max(now.dropped, from.dropped),
                           .syn = std::max(now.syn, from.syn)};
    if (syn == 0 && dropped == 0)
        return;
    sink({.source = now.source,
          .service = now.service,
          .syn = syn,
          .dropped = dropped,
          .claimed = true});
}

/// A way that did not stand still is looked at again.
void ClaimsWalk::look_at(std::uint32_t bucket, const ChangeSink &sink)
{
    const auto first = bucket * TG_BUCKET_WAYS;

    for (auto place = first; place < first + TG_BUCKET_WAYS; place++) {
        if (const auto way = read(place))
            tell(place, *way, sink);
        else if (claims_[bucket].states[place % TG_BUCKET_WAYS].word != 0)
            dirty_.mark(bucket);
    }
}

bool ClaimsWalk::walk_some(std::uint32_t entries, const ChangeSink &sink)
{
    std::uint32_t looked_at = 0;

    for (; next_word_ < dirty_.words() && looked_at < entries; next_word_++)
        dirty_.take(next_word_, [&](std::uint32_t bucket) {
            if (bucket < claims_.entries_max())
                look_at(bucket, sink);
            looked_at += TG_BUCKET_WAYS;
        });
    if (next_word_ < dirty_.words())
        return false;
    next_word_ = 0;
    return true;
}

/// Where a source that is not proven has its way, by what is held back of it.
std::optional<std::uint32_t> ClaimsWalk::place_of(const Residual &residual) const
{
    if (residual.rejected == 0 || residual.is_proven)
        return std::nullopt;
    if (residual.place < told_.size())
        return residual.place;
    if (residual.bucket >= claims_.entries_max())
        return std::nullopt;
    const auto first = residual.bucket * TG_BUCKET_WAYS;
    for (auto place = first; place < first + TG_BUCKET_WAYS; place++)
        if (const auto way = read(place); way && is_of(residual, *way))
            return place;
    return std::nullopt;
}

/// By place, what sources have of which the CPUs hold counts back, with those.
std::map<std::uint32_t, ClaimsWalk::Told> ClaimsWalk::sums_with(const RepeatsReader &repeats) const
{
    return sums_with_residuals(
        repeats, [this](const Residual &residual) { return place_of(residual); },
        [this](const Residual &residual) -> std::optional<Told> {
            const auto place = place_of(residual);
            const auto way = place ? read(*place) : std::nullopt;
            return way && is_of(residual, *way) ? way : std::nullopt;
        },
        [](Told &sum, const Residual &residual) {
            if (!is_of(residual, sum))
                return;
            sum.syn += residual.rejected;
            sum.dropped += residual.rejected;
        });
}

void ClaimsWalk::walk_repeats(const RepeatsReader &repeats, const ChangeSink &sink)
{
    for (const auto &[place, sum] : sums_with(repeats))
        tell(place, sum, sink);
}

void ClaimsWalk::resume(const core::SharedArray<core::Told::Claim> &told,
                        const RepeatsReader &repeats)
{
    const auto key = [](const Told &claim) {
        return std::tie(claim.source, claim.service, claim.syn);
    };
    std::vector<Told> sorted;
    for (std::size_t i = 0; i < told.size(); i++)
        if (told[i].syn != 0)
            sorted.push_back(told[i]);
    std::ranges::sort(sorted, {}, key);

    // Where a source has its way is the gate's secret: look for all that are there.
    const auto sums = sums_with(repeats);
    for (std::uint32_t place = 0; place < told_.size(); place++)
        if (const auto now = read(place)) {
            auto reached = *now;
            if (const auto sum = sums.find(place); sum != sums.end())
                reached.syn = std::max(reached.syn, sum->second.syn);
            // Counts only grow. One that was ahead was another claim's, of the same source perhaps.
            const auto behind = std::ranges::upper_bound(sorted, key(reached), {}, key);
            if (behind != sorted.begin() && is_same_source(*std::prev(behind), *now))
                told_.change(place) = *std::prev(behind);
        }
}

void ClaimsWalk::skip_to_present()
{
    for (std::uint32_t place = 0; place < told_.size(); place++)
        if (const auto now = read(place))
            told_.change(place) = *now;
}

} // namespace tallygate::kernel
