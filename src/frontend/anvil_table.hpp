// SPDX-License-Identifier: BSD-2-Clause
//
// What anvil(8) of Postfix keeps, by ident: sessions open now, and events in a window of its own.
// Pure. How requests look is the codec's business.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "frontend/anvil_peaks.hpp"

namespace tallygate::frontend {

/// What is counted in the window of an ident.
enum class AnvilRate : std::uint8_t { connection, message, recipient, newtls, auth, tlstr };
inline constexpr std::size_t anvil_rate_count = 6;

using AnvilRates = std::array<std::uint32_t, anvil_rate_count>;

struct AnvilCounts {
    std::uint32_t count = 0; ///< sessions open now
    AnvilRates rates{};

    std::uint32_t rate(AnvilRate which) const { return rates[static_cast<std::size_t>(which)]; }
    bool operator==(const AnvilCounts &) const = default;
};

/// An ident as it is kept over a restart.
struct AnvilSaved {
    std::string ident;
    std::chrono::sys_seconds start{}; ///< of its window
    AnvilRates rates{};
    std::uint32_t links = 0; ///< that will end with the daemon

    bool operator==(const AnvilSaved &) const = default;
};

/// The session that a stream has told of: at most one at a time. Belongs to one table.
class AnvilLink {
public:
    bool is_linked() const { return slot_ != none; }

private:
    friend class AnvilTable;
    static constexpr std::uint32_t none = UINT32_MAX;
    std::uint32_t slot_ = none;
};

/// Windows are fixed, begin with an ident's first event and have whole seconds: an event later than
/// start + time unit begins a new one, in which all counts are 0. An ident without sessions is
/// forgotten a time unit after the last one ended.
///
/// Each call costs the same, however many idents there are: what is due to be forgotten goes a few
/// at a time, and is not seen any more in any case. Memory is bounded: for a new ident that has no
/// room, the one that has been idle longest goes.
///
/// A clock that is set back makes windows longer by nothing: time then stands still here.
class AnvilTable {
public:
    using Time = std::chrono::sys_seconds;

    static constexpr std::uint32_t rate_max = INT32_MAX; ///< rates stay there

    struct Options {
        std::chrono::seconds time_unit{60};
        std::size_t idents_max = std::size_t{1} << 21;      ///< idle ones; linked ones always fit
        std::size_t ident_bytes_max = std::size_t{1} << 28; ///< of their texts
        std::uint64_t hash_seed = 0; ///< a secret, so that nobody chooses idents that collide
    };

    explicit AnvilTable(Options options);

    /// A session begins. The one that the link stood for before has ended.
    AnvilCounts connect(AnvilLink &link, std::string_view ident, Time now);
    /// The session ends, if it is this link's; else nothing happens.
    void disconnect(AnvilLink &link, std::string_view ident, Time now);
    /// An event of a session, and the rate with it. An ident that is not known is connected
    /// first; so is, without counting a connection again, one whose sessions an earlier daemon
    /// knew and that has not been heard of since.
    std::uint32_t add(AnvilLink &link, std::string_view ident, AnvilRate which, Time now);
    /// All 0 if the ident is not known.
    AnvilCounts lookup(std::string_view ident, Time now);
    /// The stream is gone, and its session with it.
    void end(AnvilLink &link, Time now);

    /// Forgets up to `idents` that are due. For when nobody calls.
    void forget(std::size_t idents, Time now);

    /// Since they were last taken.
    AnvilPeaks take_peaks();

    std::size_t size() const { return size_; }
    std::uint64_t evicted_total() const { return evicted_total_; }
    std::chrono::seconds time_unit() const { return options_.time_unit; }
    /// From now on, also for windows that are open.
    void set_time_unit(std::chrono::seconds time_unit) { options_.time_unit = time_unit; }

    /// Appends those of the next `slots` that are worth keeping. Answers where to go on, or nothing
    /// at the end: so that a million of them keep nobody waiting.
    std::optional<std::size_t> save(std::size_t from, std::size_t slots, Time now,
                                    std::deque<AnvilSaved> &into);
    /// Takes in what was saved. Its links have ended, but each of the sessions may be heard of
    /// again.
    void restore(const AnvilSaved &saved, Time now);

private:
    static constexpr std::uint32_t none = AnvilLink::none;

    struct Entry {
        std::string ident;
        std::int64_t start = 0;
        std::int64_t idle_since = 0; ///< means nothing while count > 0
        std::uint32_t hash = 0;
        std::uint32_t next = none;  ///< in its bucket, or of the free ones
        std::uint32_t older = none; ///< of the idle ones
        std::uint32_t newer = none;
        std::uint32_t count = 0;
        std::uint32_t lost = 0; ///< sessions known to an earlier daemon, and not heard of since
        AnvilRates rates{};
        bool is_used = false;
    };
    struct Free {
        void operator()(std::uint32_t *buckets) const { std::free(buckets); }
    };

    void advance(Time now);
    std::uint32_t hash_of(std::string_view ident) const;
    std::uint32_t &bucket_of(std::uint32_t hash) { return buckets_[hash & bucket_mask_]; }
    std::uint32_t find(std::string_view ident);
    std::uint32_t make(std::string_view ident);
    void make_room(std::size_t ident_bytes);
    void remove(std::uint32_t slot);
    bool is_due(const Entry &entry) const;
    bool is_stale(const Entry &entry) const;
    std::uint32_t count_one(Entry &entry, AnvilRate which);
    void link_to(AnvilLink &link, std::uint32_t slot);
    void drop(std::uint32_t slot);
    void push_idle(std::uint32_t slot);
    void take_from_idle(std::uint32_t slot);
    std::uint32_t connect_entry(AnvilLink &link, std::string_view ident);

    Options options_;
    std::deque<Entry> entries_; ///< by slot; a deque never moves what it holds
    /// As many as there will ever be: a table that grows would have to move a million idents
    /// while somebody waits. Untouched pages cost nothing. Slots plus one; 0: empty.
    std::unique_ptr<std::uint32_t[], Free> buckets_;
    std::uint32_t bucket_mask_ = 0;
    std::uint32_t first_free_ = none;
    std::uint32_t oldest_idle_ = none;
    std::uint32_t newest_idle_ = none;
    std::size_t size_ = 0;
    std::size_t ident_bytes_ = 0;
    std::uint64_t evicted_total_ = 0;
    std::int64_t time_ = 0;      ///< seconds that never go back
    std::int64_t behind_by_ = 0; ///< how far the clock was set back since the start
    Time wall_{};                ///< what the caller said, for peaks
    AnvilPeaks peaks_;
};

} // namespace tallygate::frontend
