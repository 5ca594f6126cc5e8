// SPDX-License-Identifier: BSD-2-Clause
#include "core/proven.hpp"

#include <algorithm>

#include "core/byte_stream.hpp"
#include "core/sealed.hpp"

namespace tallygate::core {
namespace {

constexpr SealKind kind{"tgproven", "list of proven sources", 1, 1};

// In seconds since 1970: to the year 2106.
constexpr std::uint64_t seen_max = 0xffffffff;

// An address, and a number of at least one byte.
constexpr std::size_t source_bytes_min = 17;

} // namespace

ProvenSources latest(ProvenSources sources, std::chrono::sys_seconds oldest,
                     std::size_t sources_max)
{
    std::vector<std::chrono::sys_seconds> times;

    for (auto &[service, those] : sources) {
        std::erase_if(those, [&](const auto &one) { return one.seen < oldest; });
        std::ranges::transform(those, std::back_inserter(times), &ProvenSource::seen);
    }
    if (times.size() <= sources_max)
        return sources;

    // As many of the very last second as there is room for.
    const auto last = times.begin() + static_cast<std::ptrdiff_t>(sources_max);
    std::ranges::nth_element(times, last, std::greater{});
    const auto after = *last;
    auto room = sources_max - static_cast<std::size_t>(std::count_if(
                                  times.begin(), last, [&](auto time) { return time > after; }));
    for (auto &[service, those] : sources)
        std::erase_if(those, [&](const auto &one) {
            if (one.seen == after && room > 0) {
                room--;
                return false;
            }
            return one.seen <= after;
        });
    return sources;
}

std::string encode_proven(ProvenSources sources)
{
    ByteWriter writer;

    writer.put(sources.size());
    for (auto &[service, those] : sources) {
        std::ranges::sort(those);
        writer.put_text(service);
        writer.put(those.size());
        for (const auto &one : those) {
            writer.put_address(one.source);
            writer.put(static_cast<std::uint64_t>(one.seen.time_since_epoch().count()));
        }
    }
    return seal_proven(writer.take());
}

std::string seal_proven(std::string_view body)
{
    return seal(kind, body);
}

Result<ProvenSources> decode_proven(std::string_view bytes)
{
    const auto unsealed = unseal(kind, bytes);
    if (!unsealed)
        return unsealed.error();

    ByteReader reader{unsealed->body};
    ProvenSources sources;
    for (auto left = reader.take_count(2, "a number of services"); left > 0; left--) {
        auto name = reader.take_text();
        auto &those = sources[std::move(name)];
        if (!those.empty())
            reader.fail("a service in it comes twice");
        const auto count = reader.take_count(source_bytes_min, "a number of sources");
        those.reserve(count);
        for (std::size_t i = 0; i < count && !reader.failed(); i++) {
            const auto address = reader.take_address();
            const auto seconds = reader.take_at_most(seen_max, "a time");
            those.push_back({address, std::chrono::sys_seconds{std::chrono::seconds{
                                          static_cast<std::int64_t>(seconds)}}});
        }
    }
    if (reader.left() != 0)
        reader.fail("more follows its end");
    if (reader.failed())
        return Error{reader.failure()};
    return sources;
}

} // namespace tallygate::core
