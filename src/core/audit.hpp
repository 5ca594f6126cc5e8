// SPDX-License-Identifier: BSD-2-Clause
//
// Who did what to the gate: what the audit log tells of each change and of each attempt at one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/address.hpp"
#include "core/seams.hpp"

namespace tallygate::core {

/// Whoever asks for a change. Without a number it is the daemon itself.
struct Requester {
    std::optional<std::uint32_t> uid = {};
    std::optional<std::int32_t> pid = {};
    std::string user = {};                      ///< the uid's name; empty if it has none
    std::optional<Address> remote_address = {}; ///< where the operator's own connection comes from

    auto operator<=>(const Requester &) const = default;

    bool is_daemon() const { return !uid; }
    /// "root (uid 0, pid 812, from 192.0.2.9)", or "tallygated".
    std::string text() const;
};

struct AuditRecord {
    UnixTime time;
    Requester who;
    std::string action = {}; ///< "block_add", "mode", "reload", ...: docs/safety.md has the list
    std::string what = {};   ///< to what it was done: "192.0.2.0/24"
    std::string before = {};
    std::string after = {};
    std::string result = {}; ///< "done", or why not

    /// For the journal: one sentence with all of it but the time.
    std::string text() const;
};

} // namespace tallygate::core
