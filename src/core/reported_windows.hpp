// SPDX-License-Identifier: BSD-2-Clause
//
// Windows of what front-ends report, by event, by the service's name, and by client.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.hpp"
#include "core/reports.hpp"
#include "core/seams.hpp"
#include "core/window.hpp"

namespace tallygate::core {

/// Clients cause reports, and there may be any number of them: when all windows together take
/// more than the memory set for them, the fullest one is told less finely, down to /24 (IPv6:
/// /48), then /16 (/32), then the family. Nothing is lost then: sums of shorter blocks stay exact,
/// and those of longer ones get bounds.
class ReportedWindows {
public:
    static constexpr std::size_t memory_default = std::size_t{256} << 20;
    static constexpr std::size_t services_max = 64;
    static constexpr std::size_t service_bytes_max = 64;
    static constexpr std::uint64_t amount_max = 1'000'000'000; ///< of one report: more is cut

    struct Counts {
        std::array<std::uint64_t, reported_count> amount_total{}; ///< by event
        std::uint64_t taken_total = 0;
        std::uint64_t refused_total = 0;   ///< a service's name too many, or none
        std::uint64_t coarsened_total = 0; ///< windows that lost detail
    };
    /// What is known of a block: `within` was reported of it or of parts of it, and
    /// `around` of blocks that it is a part of.
    struct Sum {
        std::int64_t within = 0;
        std::int64_t around = 0;
    };
    /// By the length of what was reported, in bits of the 16-byte form, under its first address.
    using ByLength = std::map<unsigned, WindowsBySize>;
    using Book = std::array<ByLength, reported_count>;
    using Books = std::map<std::string, Book>; ///< by service, in lower case

    /// Keeps so many windows of each size.
    void set_windows(const std::map<std::uint32_t, std::uint32_t> &windows_by_size);
    void set_memory(std::size_t bytes);

    /// Says from when on reports are recorded here.
    void set_since(UnixTime since) { since_ = since; }
    std::optional<UnixTime> since() const { return since_; }

    void record(const Report &report, UnixTime now);

    /// Whether a report of this service would be taken: the name is printable ASCII without
    /// blanks, not too long, and known or one of the first services_max. A name that has no window
    /// left makes room.
    bool takes_service(std::string_view service) const;
    /// The names that something was reported of, also long ago.
    std::vector<std::string> services() const;
    bool knows_service(const std::string &service) const { return books_.contains(service); }

    /// Windows start (newer) to end (older), as Windows::sum(). `service` is in lower case.
    Sum sum(const Block &block, const std::optional<std::string> &service, Reported event,
            const Monitor &monitor, std::uint32_t start, std::uint32_t end, UnixTime now) const;

    /// As Windows::forget_old().
    void forget_old(UnixTime now, UnixTime before);

    const Counts &counts() const { return counts_; }
    /// A copy costs little: see SortedRuns.
    const Books &books() const { return books_; }
    /// Takes such books, and of their windows those that a monitor keeps.
    void restore(Books books);

    std::size_t bytes() const;

private:
    /// The window that takes the most memory of those that can be told less finely.
    struct Place {
        Book *book;
        std::size_t event;
        unsigned length_bits;
        std::uint32_t window_seconds;
        std::int64_t index;
    };

    WindowsBySize &windows_of(Book &book, Reported event, unsigned length_bits) const;
    bool make_room();
    void fit_memory();
    std::optional<Place> fullest();
    void coarsen(const Place &place);

    std::map<std::uint32_t, std::uint32_t> windows_by_size_;
    Books books_;
    Counts counts_;
    std::optional<UnixTime> since_;
    std::size_t memory_ = memory_default;
    std::size_t reports_until_fit_ = 0;
};

} // namespace tallygate::core
