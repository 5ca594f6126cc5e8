// SPDX-License-Identifier: BSD-2-Clause
//
// Windows of SYNs and drops of the networks that the operator names, all services together. The
// gate's totals of a network miss nothing, whatever was forged.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>

#include "base/address.hpp"
#include "core/seams.hpp"

namespace tallygate::core {

/// One network's. `told` is how far the gate's totals went into the windows.
struct NetworkBook {
    struct Counts {
        std::uint64_t syn = 0;
        std::uint64_t dropped = 0;

        auto operator<=>(const Counts &) const = default;
    };
    using ByIndex = std::map<std::int64_t, Counts>;

    UnixTime since; ///< what was before this is not in the windows
    Tally told;
    std::map<std::uint32_t, ByIndex> by_size;
};
using NetworkBooks = std::map<Block, NetworkBook>;

class NetworkWindows {
public:
    void set_windows(const std::map<std::uint32_t, std::uint32_t> &windows_by_size);

    /// Takes a network in, unless it is known: its totals so far are taken for told.
    void begin(const Block &network, const Tally &told, UnixTime since);
    /// Forgets all networks but these.
    void keep_only(const std::set<Block> &networks);
    /// Adds what the gate counted since it was last told. A network that nobody began begins.
    void record(const Block &network, const Tally &difference, UnixTime now);
    /// The gate's tables are others: of theirs, nothing was told.
    void forget_totals();

    const NetworkBook *find(const Block &network) const;
    /// SYNs and drops of a known network in the windows `oldest` to `newest`, by absolute index.
    NetworkBook::Counts count(const Block &network, std::uint32_t window_seconds,
                              std::int64_t oldest, std::int64_t newest) const;

    /// As Windows::forget_old().
    void forget_old(UnixTime now, UnixTime before);

    const NetworkBooks &books() const { return books_; }
    /// Takes such books; of the windows, those that a monitor keeps.
    void restore(NetworkBooks books);

    std::size_t bytes() const;

private:
    std::map<std::uint32_t, std::uint32_t> windows_by_size_;
    NetworkBooks books_;
};

} // namespace tallygate::core
