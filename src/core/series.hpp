// SPDX-License-Identifier: BSD-2-Clause
//
// Named series: counters that policies define, add to and ask for, under addresses or texts.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <variant>
#include <vector>

#include "base/address.hpp"
#include "base/result.hpp"
#include "core/monitor.hpp"
#include "core/seams.hpp"
#include "core/series_counters.hpp"
#include "core/wrong.hpp"

namespace tallygate::core {

enum class SeriesType : std::uint8_t { cidr, cidr_ipv6, string };
inline constexpr std::size_t series_type_count = 3;

/// "cidr", "cidr_ipv6" or "string".
std::string_view series_type_name(SeriesType type);
std::optional<SeriesType> parse_series_type(std::string_view text);

/// Whether a series may be called so: printable, no blank at an end, not too long.
bool is_series_name(std::string_view text);

struct SeriesDefinition {
    std::string name;
    Monitor monitor;
    SeriesType type = SeriesType::cidr;
    bool persist = false; ///< its counts outlive the daemon; a definition always does

    auto operator<=>(const SeriesDefinition &) const = default;
};

/// Which series somebody means. Without a monitor it is the one of that name.
struct SeriesName {
    std::string name;
    std::optional<std::string> monitor = {};
    std::optional<SeriesType> type = {}; ///< of two families under one name
};

/// Which keys a series takes into the window of now.
enum class SeriesRoom : std::uint8_t {
    any,   ///< all
    known, ///< those that this window has, or the one before
    none,  ///< those that this window has
};

/// One series with its windows.
struct Series {
    SeriesDefinition definition;
    UnixTime since; ///< when its windows began
    std::variant<BlockCounters, TextCounters> counters;
    SeriesRoom room = SeriesRoom::any;
};

/// With no counts.
Series make_series(const SeriesDefinition &definition, UnixTime now);

/// What a question about one was answered from.
struct SeriesAnswer {
    SeriesDefinition definition;
    std::string key; ///< as it was counted: "192.0.2.0/24"
    std::uint32_t start = 0;
    std::uint32_t end = 0;
    std::int64_t value = 0;
    UnixTime since;
};

/// All named series. The same name with another monitor is another series; so is, for addresses,
/// the other family, which a series never holds. Errors carry a Wrong; code 0 is a lack of room.
///
/// A key is an address or a block ("192.0.2.7", "192.0.2.0/24") of the series' family, or a text
/// in UTF-8 without control characters. What was added to a block counts in it and in blocks
/// around it, and in no part of it. Amounts may be negative, and so may sums.
///
/// Keys come from outsiders: where the windows take three quarters of the memory that is set, for
/// all series or for one, no new key is taken into the window of now until older ones have left.
/// The last quarter is for keys that the window before has as well, so that those who come all the
/// time are still counted when a window ends while strangers fill the series. What the window of
/// now has goes on counting.
class AuditSeries {
public:
    static constexpr std::size_t series_max = 256;
    static constexpr std::size_t name_bytes_max = 64;
    static constexpr std::size_t key_bytes_max = 256;
    static constexpr std::int64_t amount_max = 1'000'000'000; ///< of one add, to both sides of 0
    static constexpr std::size_t memory_default = std::size_t{256} << 20;
    static constexpr std::size_t items_max = 10'000; ///< of one list

    using Id = std::tuple<std::string, Monitor, SeriesType>;
    using All = std::map<Id, Series>;

    /// For all series; one takes at most a quarter of it.
    void set_memory(std::size_t bytes);

    /// Defining it again, in the same words, changes nothing, but persist is what was said last.
    /// Another type is a conflict.
    Result<void> define(const SeriesDefinition &definition, UnixTime now);
    /// Takes it away, with its counts.
    Result<SeriesDefinition> undefine(const SeriesName &which);

    /// Adds to the window of now. With a monitor, a series that is not there is defined: by the
    /// key's family if it is an address, and as text if not.
    Result<SeriesAnswer> add(const SeriesName &which, const std::string &key, std::int64_t amount,
                             UnixTime now);
    /// `end` is `start` if it is not given.
    Result<SeriesAnswer> count(const SeriesName &which, const std::string &key, std::uint32_t start,
                               std::optional<std::uint32_t> end, UnixTime now) const;
    /// Forgets what was counted under a key, and under parts of it, in all windows.
    Result<SeriesAnswer> remove_item(const SeriesName &which, const std::string &key);

    struct Page {
        SeriesAnswer of;
        SeriesItems items;
    };
    /// The keys behind `after`, in order, with what they had in those windows.
    Result<Page> items(const SeriesName &which, std::uint32_t start,
                       std::optional<std::uint32_t> end, const std::optional<std::string> &after,
                       std::size_t rows_max, UnixTime now) const;

    std::vector<SeriesDefinition> definitions() const;
    /// What would have been right: the names, or the monitors of a name that is there.
    std::vector<std::string> known(const SeriesName &which) const;
    /// Grows with each change of definitions().
    std::uint64_t generation() const { return generation_; }

    /// As Ledger::forget_old().
    void forget_old(UnixTime now);

    /// A copy costs little: see SortedRuns.
    const All &all() const { return all_; }
    /// Takes series in, as far as there is room.
    void restore(std::vector<Series> series);

    std::size_t bytes() const;
    /// Keys that were not taken for lack of room.
    std::uint64_t refused_total() const { return refused_total_; }

private:
    using Found = std::vector<const Series *>;

    Found named(const std::string &name, const std::optional<Monitor> &monitor) const;
    Result<Found> meant(const SeriesName &which) const;
    Result<const Series *> find(const SeriesName &which, const std::string &key) const;
    Result<Series *> make(const SeriesDefinition &definition, UnixTime now);
    Result<Series *> find_or_define(const SeriesName &which, const std::string &key, UnixTime now);
    Error not_there(const SeriesName &which) const;
    void measure();

    All all_;
    std::size_t memory_ = memory_default;
    std::size_t adds_until_measure_ = 0;
    std::uint64_t generation_ = 0;
    std::uint64_t refused_total_ = 0;
    std::optional<UnixTime> forgot_at_;
};

} // namespace tallygate::core
