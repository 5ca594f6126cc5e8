// SPDX-License-Identifier: BSD-2-Clause
//
// What may be put on the lists by hand, and for how long. Decisions alone: each is a sentence.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/address.hpp"
#include "base/result.hpp"
#include "core/lists.hpp"
#include "core/seams.hpp"

namespace tallygate::core {

/// Why something is refused: the code of every Error from here. Front-ends map it to their own.
enum class Refused : int {
    malformed = 1, ///< it makes no sense
    by_protection, ///< it would lock somebody out who must not be
    unknown,       ///< it is not there
    no_room,       ///< the tables are full
};

struct ListPolicy {
    unsigned widest_ipv4 = 8; ///< no block may be wider
    unsigned widest_ipv6 = 16;
    std::size_t blocks_max = 1'000;     ///< of control, in force at once: the circuit breaker
    std::size_t entries_max = 1U << 20; ///< of all lists together
    std::size_t set_by_control = 0;     ///< of them, which the configuration must leave room for
};

/// The second half of the circuit breaker: all blocks of control together hold no more addresses
/// than one block of this length, a sixteenth of IPv4, and of the part of IPv6 that is given out
/// (2000::/3). Counting entries alone, a few hundred wide ones would shut nearly everybody out.
inline constexpr unsigned blocked_bits_ipv4 = 4;
inline constexpr unsigned blocked_bits_ipv6 = 7;

/// Of the entries that there is room for, those that control leaves to protection: operators
/// that log in later, and addresses that the machine gets later. At most a quarter, so that
/// small tables can be used as well.
inline constexpr std::size_t protection_places = 128;

/// Of those that `policy` has, how many the configuration leaves to protection and control.
std::size_t places_kept(const ListPolicy &policy);

inline constexpr std::chrono::seconds block_span_default{3'600};
inline constexpr std::chrono::seconds span_max{366LL * 24 * 3'600};
inline constexpr std::size_t reason_bytes_max = 200;

/// "90", "90s", "10m", "1h" or "7d": at least a second, at most span_max.
Result<std::chrono::seconds> parse_span(std::string_view text);

/// Printable ASCII, and not too long.
Result<void> check_reason(std::string_view reason);

/// No wider than what may be blocked at all.
Result<void> check_width(const Block &block, const ListPolicy &policy);

/// Whether control may put `block` on the list of blocks, beside what `lists` has. The same block
/// again is no further one.
Result<void> may_block(const Block &block, const Lists &lists, const ListPolicy &policy,
                       UnixTime now);
Result<void> may_allow(const Block &block, const Lists &lists, const ListPolicy &policy);

/// A block that control sets always has an end; an allowance has one if that is asked for.
std::optional<UnixTime> end_of(ListKind kind, std::optional<std::chrono::seconds> span,
                               UnixTime now);

/// Whether the blocks of control are so many, or so wide, that it may add no other.
bool is_breaker_open(const Lists &lists, const ListPolicy &policy);
/// Why, and what ends it: the rest of a sentence about the circuit breaker. It is open.
std::string breaker_text(const Lists &lists, const ListPolicy &policy);

/// "address of eth0 (protected)", "spamhaus drop (tallygate.toml:31:1)", "control".
std::string grounds_text(const Grounds &grounds);

} // namespace tallygate::core
