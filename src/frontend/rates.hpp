// SPDX-License-Identifier: BSD-2-Clause
//
// How often something happened in the last so many seconds, by names that a mail server makes
// up. Pure: the time comes in.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.hpp"
#include "core/seams.hpp"

namespace tallygate::frontend {

/// Counters over sliding windows. One counter for each rate, key and span.
///
/// The first 128 times of a counter are kept to the millisecond. Where more come within a span
/// they are kept by 64ths of it, and each counts up to a 64th longer than it should, never
/// shorter. What is kept has a bound in bytes, because senders choose the keys: beyond it the
/// counter that was used longest ago is forgotten, which can only let something pass.
class Rates {
public:
    static constexpr std::size_t rate_bytes_max = 64;
    static constexpr std::size_t key_bytes_max = 512;
    static constexpr std::chrono::seconds span_max = std::chrono::hours{24} * 366;
    static constexpr std::uint64_t amount_max = 1'000'000;
    static constexpr std::uint64_t limit_max = 1'000'000'000;
    static constexpr std::size_t bytes_max_default = std::size_t{64} << 20;

    enum class Charge : std::uint8_t {
        always,     ///< what is over the limit counts as well
        conforming, ///< what would be over the limit does not count
    };

    struct Wanted {
        std::string rate;        ///< 1 to rate_bytes_max bytes: "rate_conn"
        std::string key;         ///< 1 to key_bytes_max bytes: "192.0.2"
        std::uint64_t limit = 1; ///< 1 to limit_max
        std::chrono::seconds span{60};
        std::uint64_t amount = 1; ///< 0 to look only
        Charge charge = Charge::always;
    };

    struct Taken {
        std::uint64_t count = 0; ///< in the span that ends now, with what was charged
        bool over = false;
        /// How long until `amount` (at least 1) more conform; 0: now. Never more than the span.
        std::chrono::milliseconds retry{0};
    };

    explicit Rates(std::size_t bytes_max = bytes_max_default) : bytes_max_(bytes_max) {}

    Taken take(const Wanted &wanted, core::UnixTime now);

    /// Drops counters whose span has passed, so that memory follows what is in use. Looks at no
    /// more than `counters_max`, and the next time goes on behind them: spans differ, and who was
    /// used longest ago may be needed longest.
    void forget_old(core::UnixTime now, std::size_t counters_max = 1'000);

    std::size_t counters() const { return by_name_.size(); }
    std::size_t bytes() const { return bytes_; }
    /// Times that take() has counted.
    std::uint64_t taken_total() const { return taken_total_; }
    /// Counters that were forgotten for want of room.
    std::uint64_t evicted_total() const { return evicted_total_; }

    /// All that is kept, for a file.
    std::string encode() const;
    /// Takes the place of all that is kept. What encode() has not made is an error, and changes
    /// nothing.
    Result<void> restore(std::string_view bytes);

private:
    struct Hit {
        std::int64_t at_ms = 0; ///< the last of those that are counted here
        std::uint64_t count = 0;
    };
    struct Counter {
        std::string name;
        std::int64_t span_ms = 0;
        std::vector<Hit> hits; ///< the oldest first
    };
    using Counters = std::list<Counter>; ///< the one that was used longest ago first

    Counter &find(const Wanted &wanted);
    void add(Counter &counter, std::int64_t now_ms, std::uint64_t amount);
    void charge_bytes(std::size_t before, const Counter &counter);
    void drop(Counters::iterator counter);
    void look_behind(Counters::iterator counter);
    static std::size_t bytes_of(const Counter &counter);
    static void expire(Counter &counter, std::int64_t now_ms);
    static void compact(Counter &counter);

    std::size_t bytes_max_;
    std::size_t bytes_ = 0;
    std::uint64_t evicted_total_ = 0;
    std::uint64_t taken_total_ = 0;
    Counters counters_;
    std::optional<Counters::iterator> next_; ///< for forget_old() to look at; nothing: the first
    std::unordered_map<std::string_view, Counters::iterator> by_name_; ///< names are counters_'
};

/// A body as encode() makes it, with the right header: for tests.
std::string seal_rates(std::string_view body);

} // namespace tallygate::frontend
