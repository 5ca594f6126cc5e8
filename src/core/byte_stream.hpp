// SPDX-License-Identifier: BSD-2-Clause
//
// Numbers and texts as bytes, the same on every machine: for what is kept on disk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/address.hpp"
#include "core/seams.hpp"

namespace tallygate::core {

/// Puts one thing behind the other.
class ByteWriter {
public:
    /// The `count` low bytes of `number`, the lowest first.
    void put_fixed(std::uint64_t number, std::size_t count);
    /// Seven bits a byte, the lowest first, the top bit set in all bytes but the last: 1 to 10.
    void put(std::uint64_t number)
    {
        for (; number >= 0x80; number >>= 7)
            bytes_.push_back(static_cast<char>(number | 0x80));
        bytes_.push_back(static_cast<char>(number));
    }
    /// 0, -1, 1, -2 ... as 0, 1, 2, 3 ..., so that small ones stay short.
    void put_signed(std::int64_t number)
    {
        put(static_cast<std::uint64_t>(number) << 1 ^ static_cast<std::uint64_t>(number >> 63));
    }
    void put_text(std::string_view text);
    void put_time(UnixTime time) { put_signed(time.time_since_epoch().count()); }
    void put_address(const Address &address);

    std::string take() { return std::move(bytes_); }

private:
    std::string bytes_;
};

/// Takes the same things off again. After the first failure everything is 0 or empty, and the
/// failure stays: look at the end, and before anything is believed.
class ByteReader {
public:
    /// Borrows `bytes`.
    explicit ByteReader(std::string_view bytes) : bytes_(bytes) {}

    std::uint64_t take_fixed(std::size_t count);
    std::uint64_t take();
    /// take(), which must be at most `max`, or it is a failure that names `what`.
    std::uint64_t take_at_most(std::uint64_t max, const char *what);
    std::int64_t take_signed();
    /// A number of things that follow, each of at least `bytes_min` bytes.
    std::size_t take_count(std::size_t bytes_min, const char *what);
    std::string take_text();
    /// At most 146 years to either side of 1970: no sum of two such times overflows.
    UnixTime take_time();
    /// Of a window: times its size in seconds it is a time.
    std::int64_t take_window_index();
    Address take_address();

    /// Only the first failure is kept: the others come from it.
    void fail(std::string reason);
    bool failed() const { return !failure_.empty(); }
    const std::string &failure() const { return failure_; }
    std::size_t left() const { return bytes_.size(); }

private:
    std::string_view take_bytes(std::size_t count);

    std::string_view bytes_;
    std::string failure_;
};

} // namespace tallygate::core
