// SPDX-License-Identifier: BSD-2-Clause
#include "frontend/anvil_saved.hpp"

#include "core/byte_stream.hpp"
#include "core/sealed.hpp"

namespace tallygate::frontend {
namespace {

constexpr core::SealKind kind{"tganvil\n", "list of anvil's idents", 1, 1};

// A length, a time, the rates and the links.
constexpr std::size_t ident_bytes_min = 3 + anvil_rate_count;

// In seconds since 1970, some 30,000 years.
constexpr std::uint64_t start_max = std::uint64_t{1} << 40;

} // namespace

std::string encode_anvil_saved(const std::deque<AnvilSaved> &idents)
{
    core::ByteWriter writer;

    writer.put(idents.size());
    for (const auto &each : idents) {
        const auto seconds = each.start.time_since_epoch().count();
        writer.put_text(each.ident);
        writer.put(seconds > 0 ? static_cast<std::uint64_t>(seconds) : 0);
        for (const std::uint32_t rate : each.rates)
            writer.put(rate);
        writer.put(each.links);
    }
    return core::seal(kind, writer.take());
}

Result<std::deque<AnvilSaved>> decode_anvil_saved(std::string_view bytes)
{
    const auto unsealed = core::unseal(kind, bytes);
    if (!unsealed)
        return unsealed.error();

    core::ByteReader reader{unsealed->body};
    std::deque<AnvilSaved> idents;
    const auto count = reader.take_count(ident_bytes_min, "a number of idents");
    for (std::size_t i = 0; i < count && !reader.failed(); i++) {
        AnvilSaved saved;
        saved.ident = reader.take_text();
        saved.start = std::chrono::sys_seconds{std::chrono::seconds{
            static_cast<std::int64_t>(reader.take_at_most(start_max, "a time"))}};
        for (std::uint32_t &rate : saved.rates)
            rate = static_cast<std::uint32_t>(reader.take_at_most(AnvilTable::rate_max, "a rate"));
        saved.links = static_cast<std::uint32_t>(
            reader.take_at_most(AnvilTable::rate_max, "a number of links"));
        idents.push_back(std::move(saved));
    }
    if (reader.left() != 0)
        reader.fail("more follows its end");
    if (reader.failed())
        return Error{reader.failure()};
    return idents;
}

} // namespace tallygate::frontend
