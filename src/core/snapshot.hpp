// SPDX-License-Identifier: BSD-2-Clause
//
// What must survive the daemon, as one value and as bytes: its windows, and how far the gate's
// totals went into them. Pure; daemon/snapshot_file.hpp knows the disk.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/address.hpp"
#include "base/result.hpp"
#include "core/ledger.hpp"
#include "core/seams.hpp"
#include "core/shared_array.hpp"

namespace tallygate::core {

/// What the ledger was told of the gate's tables. It means something for the same tables alone.
struct Told {
    struct Claim {
        Address source;
        ServiceId service = 0;
        std::uint32_t dropped = 0;
        std::uint32_t syn = 0; ///< 0: nothing was told, and it need not be kept

        auto operator<=>(const Claim &) const = default;
    };

    SharedArray<Tally> slots; ///< of the proven sources, by slot
    SharedArray<Claim> claims;
};

struct Snapshot {
    UnixTime counting_since; ///< Gate::counting_since(): which tables were told of
    UnixTime written;
    UnixTime windows_since;
    std::map<std::string, EventBooks> services; ///< by name: numbers belong to the tables
    Told told;
    PrefixWindows prefixes; ///< what for_snapshot() gave: no window past 2^18 prefixes
    NetworkBooks networks;
    ReportedWindows::Books reported;
    std::optional<UnixTime> reported_since; ///< nothing: nobody recorded reports then
    KeptBySize kept;                        ///< which windows, and since when
};

/// Header and body. Takes about 40 ns for each address of each window: 0.3 s for a million sources
/// in three monitors.
std::string encode_snapshot(const Snapshot &snapshot);

/// Puts the header before a body, with its length and checksum.
std::string seal_snapshot(std::string_view body);

/// Takes what encode_snapshot() made. Anything else is an error that says what is wrong with
/// it: "its checksum is wrong". What is accepted can be summed without an overflow. What older
/// formats did not have, prefixes and networks before 2, reports before 3 and `kept` before 4, is
/// empty.
Result<Snapshot> decode_snapshot(std::string_view bytes);

} // namespace tallygate::core
