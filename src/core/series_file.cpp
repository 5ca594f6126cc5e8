// SPDX-License-Identifier: BSD-2-Clause
#include "core/series_file.hpp"

#include <array>
#include <set>
#include <utility>

#include "base/utf8.hpp"
#include "core/byte_stream.hpp"
#include "core/sealed.hpp"
#include "core/sums_bytes.hpp"
#include "core/text.hpp"

namespace tallygate::core {
namespace {

constexpr SealKind kind{"tgseries", "file of tallygate's series", 1, 1};

Family family_of(SeriesType type)
{
    return type == SeriesType::cidr ? Family::ipv4 : Family::ipv6;
}

class Encoder {
public:
    std::string encode(const AuditSeries::All &all, UnixTime now)
    {
        writer_.put_time(now);
        writer_.put(all.size());
        for (const auto &[id, series] : all)
            put(series);
        return seal_series(writer_.take());
    }

private:
    void put(const Series &series)
    {
        const auto &definition = series.definition;
        writer_.put_text(definition.name);
        writer_.put(definition.monitor.window_seconds);
        writer_.put(definition.monitor.windows);
        writer_.put(static_cast<std::uint64_t>(definition.type));
        writer_.put(definition.persist ? 1 : 0);
        if (!definition.persist)
            return;
        writer_.put_time(series.since);
        if (const auto *const blocks = std::get_if<BlockCounters>(&series.counters))
            put(*blocks, family_of(definition.type));
        else
            put(std::get<TextCounters>(series.counters));
    }

    void put(const BlockCounters &counters, Family family)
    {
        writer_.put(counters.by_length().size());
        for (const auto &[length_bits, windows] : counters.by_length()) {
            writer_.put(length_bits);
            writer_.put(windows.by_index().size());
            for (const auto &[index, sums] : windows.by_index()) {
                writer_.put_signed(index);
                put_sums(writer_, sums, family);
            }
        }
    }

    void put(const TextCounters &counters)
    {
        writer_.put(counters.by_index().size());
        for (const auto &[index, sums] : counters.by_index()) {
            std::uint64_t keys = 0;
            sums.for_each_key([&](const std::string &, std::int64_t) { keys++; });
            writer_.put_signed(index);
            writer_.put(keys);
            sums.for_each_key([&](const std::string &key, std::int64_t amount) {
                writer_.put_text(key);
                writer_.put_signed(amount);
            });
        }
    }

    ByteWriter writer_;
};

class Decoder {
public:
    Decoder(std::string_view body, UnixTime now) : reader_(body), now_(now) {}

    Result<std::vector<Series>> decode()
    {
        std::vector<Series> all;
        std::set<AuditSeries::Id> ids;

        if (reader_.take_time() > now_ + std::chrono::minutes{1})
            reader_.fail("it was written in the future");
        for (auto count = reader_.take_count(5, "a number of series"); count > 0; count--) {
            all.push_back(take_series());
            const auto &definition = all.back().definition;
            if (!ids.emplace(definition.name, definition.monitor, definition.type).second)
                reader_.fail("a series stands in it twice");
            if (reader_.failed())
                break;
        }
        if (reader_.left() != 0)
            reader_.fail("it goes on after its end");
        if (reader_.failed())
            return Error{reader_.failure()};
        return all;
    }

private:
    std::uint32_t take_from_1(std::uint32_t max, const char *what)
    {
        const auto number = static_cast<std::uint32_t>(reader_.take_at_most(max, what));
        if (number == 0)
            reader_.fail(std::string(what) + " in it is 0");
        return number;
    }

    Series take_series()
    {
        SeriesDefinition definition;
        definition.name = reader_.take_text();
        if (!is_series_name(definition.name))
            reader_.fail("a series in it has no name");
        definition.monitor.window_seconds =
            take_from_1(Monitor::window_seconds_max, "a window's size");
        definition.monitor.windows = take_from_1(Monitor::windows_max, "a number of windows");
        definition.type =
            static_cast<SeriesType>(reader_.take_at_most(series_type_count - 1, "a type"));
        definition.persist = reader_.take_at_most(1, "a yes or no") != 0;

        Series series = make_series(definition, now_);
        if (!definition.persist || reader_.failed())
            return series;
        series.since = std::min(reader_.take_time(), now_);
        if (auto *const blocks = std::get_if<BlockCounters>(&series.counters))
            take(*blocks, family_of(definition.type));
        else
            take(std::get<TextCounters>(series.counters));
        return series;
    }

    void take(BlockCounters &counters, Family family)
    {
        for (auto lengths = reader_.take_count(2, "a number of lengths"); lengths > 0; lengths--) {
            const auto length_bits =
                static_cast<unsigned>(reader_.take_at_most(128, "a block's length"));
            for (auto count = reader_.take_count(2, "a number of windows"); count > 0; count--) {
                const auto index = reader_.take_window_index();
                BlockSums sums;
                sums.add_sorted(family, take_sums(reader_, family, length_bits, amounts_left_));
                counters.restore(length_bits, index, std::move(sums));
            }
        }
    }

    void take(TextCounters &counters)
    {
        for (auto count = reader_.take_count(2, "a number of windows"); count > 0; count--) {
            const auto index = reader_.take_window_index();
            counters.restore(index, take_texts());
        }
    }

    TextCounters::Sums take_texts()
    {
        std::vector<TextCounters::Sums::Entry> entries;
        TextCounters::Sums sums;

        for (auto count = reader_.take_count(2, "a number of keys"); count > 0; count--) {
            auto key = reader_.take_text();
            const auto amount = take_amount(reader_, amounts_left_);
            if (key.empty() || key.size() > AuditSeries::key_bytes_max || !is_plain_text(key))
                reader_.fail("a key in it is no text");
            if (!entries.empty() && key <= entries.back().key)
                reader_.fail("a key in it stands in the wrong place");
            if (reader_.failed())
                return {};
            entries.push_back({std::move(key), amount});
        }
        sums.add_sorted(entries);
        return sums;
    }

    ByteReader reader_;
    UnixTime now_;
    std::uint64_t amounts_left_ = amounts_max;
};

} // namespace

std::string encode_series(const AuditSeries::All &series, UnixTime now)
{
    return Encoder{}.encode(series, now);
}

std::string seal_series(std::string_view body)
{
    return seal(kind, body);
}

Result<std::vector<Series>> decode_series(std::string_view bytes, UnixTime now)
{
    const auto unsealed = unseal(kind, bytes);
    if (!unsealed)
        return unsealed.error();
    return Decoder{unsealed->body, now}.decode();
}

} // namespace tallygate::core
