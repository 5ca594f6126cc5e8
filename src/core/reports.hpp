// SPDX-License-Identifier: BSD-2-Clause
//
// What front-ends report: messages received, recipients, and the like. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/address.hpp"
#include "core/seams.hpp"

namespace tallygate::core {

class Ledger;

enum class Reported : std::uint8_t { receptions, recipients, rejections, auth, tls };
inline constexpr std::size_t reported_count = 5;

std::string_view reported_name(Reported event);
std::optional<Reported> parse_reported(std::string_view text);

/// Something that a front-end saw.
struct Report {
    Reported event = Reported::receptions;
    std::string service; ///< as the front-end calls it; need not be one that the gate guards
    Block client = Block::all(Family::ipv4); ///< one address, or the block that stands for it
    std::uint64_t amount = 1;
};

/// Where front-ends report what they saw. Never fails: what cannot be kept is counted there.
class Reporter {
public:
    virtual ~Reporter() = default;
    virtual void report(const Report &report) = 0;
};

/// Takes reports into the ledger's windows of now, IPv6 clients as the sources that the gate
/// counts. Borrows everything.
class ReportedEvents : public Reporter {
public:
    ReportedEvents(Ledger &ledger, const Gate &gate, const Clock &clock)
        : ledger_(ledger), gate_(gate), clock_(clock)
    {
    }

    void report(const Report &report) override;

private:
    Ledger &ledger_;
    const Gate &gate_;
    const Clock &clock_;
};

} // namespace tallygate::core
