// SPDX-License-Identifier: BSD-2-Clause
//
// The windows of one named series: under addresses and blocks, or under texts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/address.hpp"
#include "core/monitor.hpp"
#include "core/seams.hpp"
#include "core/sorted_runs.hpp"
#include "core/window.hpp"

namespace tallygate::core {

/// What a series has under one key: "192.0.2.1", "192.0.2.0/24", "ann@example.com".
struct SeriesItem {
    std::string key;
    std::int64_t value = 0;

    auto operator<=>(const SeriesItem &) const = default;
};

/// A part of a list of items, in the order of their keys.
struct SeriesItems {
    std::vector<SeriesItem> items;
    std::size_t total = 0; ///< how many there are behind `after`, these included
};

/// Windows of a series, `start` (newer) to `end` (older).
struct SeriesSpan {
    std::uint32_t start = 0;
    std::uint32_t end = 0;
    UnixTime now;
};

/// Amounts of one family, under blocks. A block's sum is what was added to it and to parts of it.
class BlockCounters {
public:
    /// By the length of what was added, in bits of the 16-byte form.
    using ByLength = std::map<unsigned, Windows>;

    explicit BlockCounters(Monitor monitor) : monitor_(monitor) {}

    void add(const Block &key, std::int64_t amount, UnixTime now);
    std::int64_t sum(const Block &key, const SeriesSpan &span) const;
    /// Whether one of these windows has something under exactly this key.
    bool has(const Block &key, const SeriesSpan &span) const;
    /// Forgets what was added to a block and to parts of it, in all windows.
    void remove(const Block &key);
    /// Those behind `after`, at most `rows_max`. Linear in what the windows hold.
    SeriesItems items(const std::optional<Block> &after, const SeriesSpan &span, Family family,
                      std::size_t rows_max) const;

    /// As Windows::forget_old().
    void forget_old(UnixTime now, UnixTime before);
    std::size_t bytes() const;

    const ByLength &by_length() const { return by_length_; }
    /// Puts back a window that by_length() showed.
    void restore(unsigned length_bits, std::int64_t index, BlockSums sums);

private:
    Windows &windows_of(unsigned length_bits);

    Monitor monitor_;
    ByLength by_length_;
};

/// Amounts under texts.
class TextCounters {
public:
    using Sums = SortedRuns<std::string>;
    using ByIndex = std::map<std::int64_t, Sums>;

    explicit TextCounters(Monitor monitor) : monitor_(monitor) {}

    void add(const std::string &key, std::int64_t amount, UnixTime now);
    std::int64_t sum(const std::string &key, const SeriesSpan &span) const;
    bool has(const std::string &key, const SeriesSpan &span) const;
    void remove(const std::string &key);
    SeriesItems items(const std::optional<std::string> &after, const SeriesSpan &span,
                      std::size_t rows_max) const;

    void forget_old(UnixTime now, UnixTime before);
    std::size_t bytes() const;

    const ByIndex &by_index() const { return by_index_; }
    void restore(std::int64_t index, Sums sums);

private:
    Monitor monitor_;
    ByIndex by_index_;
};

} // namespace tallygate::core
