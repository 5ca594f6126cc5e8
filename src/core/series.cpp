// SPDX-License-Identifier: BSD-2-Clause
#include "core/series.hpp"

#include <algorithm>
#include <array>

#include "base/utf8.hpp"
#include "core/text.hpp"

namespace tallygate::core {
namespace {

constexpr std::array<std::string_view, series_type_count> type_names = {"cidr", "cidr_ipv6",
                                                                        "string"};

// What an add may take before it is measured again: a key, its text, a place in a tail.
constexpr std::size_t add_bytes_max = 64 + AuditSeries::key_bytes_max;

SeriesType type_of(Family family)
{
    return family == Family::ipv4 ? SeriesType::cidr : SeriesType::cidr_ipv6;
}

Family family_of(SeriesType type)
{
    return type == SeriesType::cidr ? Family::ipv4 : Family::ipv6;
}

Result<void> check_name(const std::string &name)
{
    if (is_series_name(name))
        return {};
    return malformed("'" + name + "' is no name for a series: expected 1 to " +
                     std::to_string(AuditSeries::name_bytes_max) +
                     " printable characters, and no blank at an end");
}

Result<void> check_text(const std::string &key)
{
    if (key.empty())
        return malformed("the key is empty");
    if (key.size() > AuditSeries::key_bytes_max)
        return malformed("the key has " + std::to_string(key.size()) + " bytes: expected at most " +
                         std::to_string(AuditSeries::key_bytes_max));
    if (!is_plain_text(key))
        return malformed("the key is not text in UTF-8, or has control characters");
    return {};
}

AuditSeries::Id id_of(const SeriesDefinition &definition)
{
    return {definition.name, definition.monitor, definition.type};
}

std::string text_of(const Block &key)
{
    return key.length_bits() == 128 ? key.first().text() : key.text();
}

SeriesAnswer answer_of(const Series &series, std::string key = {})
{
    SeriesAnswer answer;

    answer.definition = series.definition;
    answer.key = std::move(key);
    answer.since = series.since;
    return answer;
}

/// Whether the window of now takes the key.
template <typename Counters, typename Key>
bool has_room(SeriesRoom room, const Counters &counters, const Key &key, UnixTime now)
{
    return room == SeriesRoom::any ||
           counters.has(key, {0, room == SeriesRoom::known ? 1U : 0U, now});
}

/// Of the memory that there is at most.
SeriesRoom room_of(std::size_t used, std::size_t most)
{
    if (used >= most)
        return SeriesRoom::none;
    return used >= most - most / 4 ? SeriesRoom::known : SeriesRoom::any;
}

/// Until the next kind of room.
std::size_t left_of(std::size_t used, std::size_t most)
{
    const std::size_t next = used < most - most / 4 ? most - most / 4 : most;
    return next > used ? next - used : 0;
}

/// Calls `use(counters, key)` with the counters and the key in their own form. The key is right:
/// find() has seen to it.
template <typename OneSeries, typename Use>
auto with_key(OneSeries &series, const std::string &key, Use &&use)
{
    if (auto *const blocks = std::get_if<BlockCounters>(&series.counters))
        return use(*blocks, *Block::parse(key), text_of(*Block::parse(key)));
    return use(std::get<TextCounters>(series.counters), key, key);
}

} // namespace

std::string_view series_type_name(SeriesType type)
{
    return type_names[static_cast<std::size_t>(type)];
}

std::optional<SeriesType> parse_series_type(std::string_view text)
{
    const auto *const found = std::ranges::find(type_names, text);
    if (found == type_names.end())
        return std::nullopt;
    return static_cast<SeriesType>(found - type_names.begin());
}

bool is_series_name(std::string_view text)
{
    return !text.empty() && text.size() <= AuditSeries::name_bytes_max && is_printable(text) &&
           text.front() != ' ' && text.back() != ' ';
}

Series make_series(const SeriesDefinition &definition, UnixTime now)
{
    if (definition.type == SeriesType::string)
        return {definition, now, TextCounters{definition.monitor}};
    return {definition, now, BlockCounters{definition.monitor}};
}

void AuditSeries::set_memory(std::size_t bytes)
{
    memory_ = bytes;
    measure();
}

Result<void> AuditSeries::define(const SeriesDefinition &definition, UnixTime now)
{
    for (const Series *const other : named(definition.name, definition.monitor))
        if (other->definition.type != definition.type)
            return conflict("series '" + definition.name + "' with monitor '" +
                            definition.monitor.text() + "' is of type " +
                            std::string(series_type_name(other->definition.type)) + " already");
    const auto made = make(definition, now);
    if (!made)
        return made.error();
    if ((*made)->definition.persist != definition.persist)
        generation_++;
    (*made)->definition.persist = definition.persist;
    return {};
}

/// The series, which is made if it is not there.
Result<Series *> AuditSeries::make(const SeriesDefinition &definition, UnixTime now)
{
    const auto id = id_of(definition);
    if (const auto there = all_.find(id); there != all_.end())
        return &there->second;
    if (const auto good = check_name(definition.name); !good)
        return good.error();
    if (all_.size() >= series_max)
        return Error{"there are " + std::to_string(series_max) +
                     " series: one must be taken away before another is defined"};
    generation_++;
    return &all_.emplace(id, make_series(definition, now)).first->second;
}

Result<SeriesDefinition> AuditSeries::undefine(const SeriesName &which)
{
    const auto found = meant(which);
    if (!found)
        return found.error();
    const SeriesDefinition definition = found->front()->definition;

    all_.erase(id_of(definition));
    generation_++;
    return definition;
}

Result<SeriesAnswer> AuditSeries::add(const SeriesName &which, const std::string &key,
                                      std::int64_t amount, UnixTime now)
{
    if (amount < -amount_max || amount > amount_max)
        return malformed("an amount of " + std::to_string(amount) + ": expected " +
                         std::to_string(-amount_max) + " to " + std::to_string(amount_max));
    const auto found = find_or_define(which, key, now);
    if (!found)
        return found.error();
    Series &series = **found;

    if (adds_until_measure_ == 0)
        measure();
    else
        adds_until_measure_--;
    return with_key(series, key,
                    [&](auto &counters, const auto &own, std::string text) -> Result<SeriesAnswer> {
                        if (!has_room(series.room, counters, own, now)) {
                            refused_total_++;
                            return Error{"series '" + series.definition.name +
                                         "' takes no new key until some have left: the memory for "
                                         "series is used up"};
                        }
                        counters.add(own, amount, now);
                        auto answer = answer_of(series, std::move(text));
                        answer.value = counters.sum(own, {0, 0, now});
                        return answer;
                    });
}

Result<SeriesAnswer> AuditSeries::count(const SeriesName &which, const std::string &key,
                                        std::uint32_t start, std::optional<std::uint32_t> end,
                                        UnixTime now) const
{
    const auto found = find(which, key);
    if (!found)
        return found.error();
    const Series &series = **found;
    const auto range = find_windows(series.definition.monitor, start, end);
    if (!range)
        return range.error();

    return with_key(series, key, [&](const auto &counters, const auto &own, std::string text) {
        auto answer = answer_of(series, std::move(text));
        answer.start = range->start;
        answer.end = range->end;
        answer.value = counters.sum(own, {range->start, range->end, now});
        return Result<SeriesAnswer>{answer};
    });
}

Result<SeriesAnswer> AuditSeries::remove_item(const SeriesName &which, const std::string &key)
{
    const auto found = find(which, key);
    if (!found)
        return found.error();
    Series &series = all_.at(id_of((*found)->definition));

    return with_key(series, key, [&](auto &counters, const auto &own, std::string text) {
        counters.remove(own);
        return Result<SeriesAnswer>{answer_of(series, std::move(text))};
    });
}

Result<AuditSeries::Page> AuditSeries::items(const SeriesName &which, std::uint32_t start,
                                             std::optional<std::uint32_t> end,
                                             const std::optional<std::string> &after,
                                             std::size_t rows_max, UnixTime now) const
{
    const auto meant_ones = meant(which);
    if (!meant_ones)
        return meant_ones.error();
    const auto found = after ? find(which, *after) : Result{meant_ones->front()};
    if (!found)
        return found.error();
    const Series &series = **found;
    const auto range = find_windows(series.definition.monitor, start, end);
    if (!range)
        return range.error();
    if (rows_max == 0 || rows_max > items_max)
        return malformed("a list of " + std::to_string(rows_max) + " rows: expected 1 to " +
                         std::to_string(items_max));

    Page page{answer_of(series), {}};
    const SeriesSpan span{range->start, range->end, now};
    page.of.start = range->start;
    page.of.end = range->end;
    if (const auto *const blocks = std::get_if<BlockCounters>(&series.counters)) {
        const auto block = after ? std::optional{*Block::parse(*after)} : std::nullopt;
        page.items = blocks->items(block, span, family_of(series.definition.type), rows_max);
    } else {
        page.items = std::get<TextCounters>(series.counters).items(after, span, rows_max);
    }
    return page;
}

std::vector<SeriesDefinition> AuditSeries::definitions() const
{
    std::vector<SeriesDefinition> definitions;

    for (const auto &[id, series] : all_)
        definitions.push_back(series.definition);
    return definitions;
}

std::vector<std::string> AuditSeries::known(const SeriesName &which) const
{
    std::vector<std::string> known;
    const bool is_name_known = !named(which.name, std::nullopt).empty();

    for (const auto &[id, series] : all_) {
        const auto &definition = series.definition;
        auto text = is_name_known ? definition.monitor.text() : definition.name;
        if ((!is_name_known || definition.name == which.name) &&
            std::ranges::find(known, text) == known.end())
            known.push_back(std::move(text));
    }
    return known;
}

AuditSeries::Found AuditSeries::named(const std::string &name,
                                      const std::optional<Monitor> &monitor) const
{
    Found found;

    for (auto entry = all_.lower_bound({name, Monitor{}, SeriesType::cidr});
         entry != all_.end() && entry->second.definition.name == name; ++entry)
        if (!monitor || entry->second.definition.monitor == *monitor)
            found.push_back(&entry->second);
    return found;
}

/// At least one; several only for the two families.
Result<AuditSeries::Found> AuditSeries::meant(const SeriesName &which) const
{
    std::optional<Monitor> monitor;
    if (which.monitor) {
        const auto parsed = Monitor::parse(*which.monitor);
        if (!parsed)
            return malformed(parsed.error().message);
        monitor = *parsed;
    }
    auto found = named(which.name, monitor);
    if (found.empty())
        return not_there(which);
    if (which.type) {
        const auto other = found.front()->definition.type;
        std::erase_if(found,
                      [&](const Series *one) { return one->definition.type != *which.type; });
        if (found.empty())
            return unknown("series '" + which.name + "' is not of type " +
                           std::string(series_type_name(*which.type)) + " but " +
                           std::string(series_type_name(other)));
    }
    if (found.front()->definition.monitor != found.back()->definition.monitor)
        return malformed("series '" + which.name + "' has several monitors: expected one of " +
                         listed_in_quotes(known(which)) + " with it");
    return found;
}

Error AuditSeries::not_there(const SeriesName &which) const
{
    const bool is_name_known = !named(which.name, std::nullopt).empty();
    const auto names = known(which);

    if (is_name_known)
        return unknown("series '" + which.name + "' has no monitor '" + which.monitor.value_or("") +
                       "': expected one of " + listed_in_quotes(names));
    return unknown("there is no series '" + which.name + "': " +
                   (names.empty() ? "none is defined" : "expected one of " + listed(names)));
}

/// The series that takes this key, of those that were meant.
Result<const Series *> AuditSeries::find(const SeriesName &which, const std::string &key) const
{
    const auto found = meant(which);
    if (!found)
        return found.error();
    const Series *const first = found->front();
    if (first->definition.type == SeriesType::string) {
        if (const auto good = check_text(key); !good)
            return good.error();
        return first;
    }
    const auto block = Block::parse(key);
    if (!block)
        return malformed("series '" + which.name + "' counts by address: " + block.error().message);
    for (const Series *const series : *found)
        if (series->definition.type == type_of(block->family()))
            return series;
    return malformed("series '" + which.name + "' is of type " +
                     std::string(series_type_name(first->definition.type)) +
                     ", which does not hold '" + key + "': a series of type " +
                     std::string(series_type_name(type_of(block->family()))) + " does");
}

Result<Series *> AuditSeries::find_or_define(const SeriesName &which, const std::string &key,
                                             UnixTime now)
{
    const auto found = find(which, key);
    if (found)
        return &all_.at(id_of((*found)->definition));

    // Not of a name alone, which says no monitor, and not of a text, which may be a typing error.
    const auto monitor = which.monitor ? Monitor::parse(*which.monitor) : Result<Monitor>{Error{}};
    const auto block = Block::parse(key);
    if (!monitor || !block)
        return found.error();
    for (const Series *const other : named(which.name, *monitor))
        if (other->definition.type == SeriesType::string)
            return found.error();
    return make({which.name, *monitor, type_of(block->family()), false}, now);
}

void AuditSeries::forget_old(UnixTime now)
{
    const auto before = forgot_at_.value_or(now);

    forgot_at_ = now;
    for (auto &[id, series] : all_)
        std::visit([&](auto &counters) { counters.forget_old(now, before); }, series.counters);
    measure();
}

/// Says which keys each series takes. Slow, so it is done again when adds could have filled what
/// was left.
void AuditSeries::measure()
{
    const auto bytes_of = [](const Series &series) {
        return std::visit([](const auto &counters) { return counters.bytes(); }, series.counters);
    };
    const std::size_t used = bytes();
    std::size_t least_left = left_of(used, memory_);

    for (auto &[id, series] : all_) {
        const auto own = bytes_of(series);
        series.room = std::max(room_of(used, memory_), room_of(own, memory_ / 4));
        if (const auto own_left = left_of(own, memory_ / 4); own_left != 0)
            least_left = std::min(least_left, own_left);
    }
    adds_until_measure_ = std::max<std::size_t>(least_left / add_bytes_max, 1'024);
}

void AuditSeries::restore(std::vector<Series> series)
{
    for (Series &one : series) {
        const auto id = id_of(one.definition);
        if (all_.size() < series_max)
            all_.insert_or_assign(id, std::move(one));
    }
    measure();
}

std::size_t AuditSeries::bytes() const
{
    std::size_t bytes = 0;

    for (const auto &[id, series] : all_)
        bytes += sizeof(id) + sizeof(series) +
                 std::visit([](const auto &counters) { return counters.bytes(); }, series.counters);
    return bytes;
}

} // namespace tallygate::core
