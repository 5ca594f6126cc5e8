// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <map>
#include <utility>
#include <vector>

#include "core/seams.hpp"

namespace tallygate::test {

/// A gate that has counted what the test says, and nothing else.
class FakeGate : public core::Gate {
public:
    bool refresh(const Block &) override { return true; }

    Result<std::uint64_t> count_flows(const Block &, const std::optional<Endpoint> &listener,
                                      std::optional<core::ServiceId>) const override
    {
        if (flows_fail)
            return Error{"walk flows: Out of memory"};
        return std::uint64_t{listener ? 7U : 0U};
    }

    core::Tally service_tally(core::ServiceId service, Family family) const override
    {
        const auto found = tallies.find({service, family});
        return found != tallies.end() ? found->second : core::Tally{};
    }

    std::vector<core::VerdictCount> verdicts() const override { return verdict_counts; }
    std::vector<core::NetworkCounts> networks() const override { return network_counts; }
    core::GateStatus status() const override { return gate_status; }
    unsigned ipv6_source_bits() const override { return 64; }

    bool flows_fail = false;
    std::map<std::pair<core::ServiceId, Family>, core::Tally> tallies;
    std::vector<core::VerdictCount> verdict_counts;
    std::vector<core::NetworkCounts> network_counts;
    core::GateStatus gate_status;
};

struct FakeClock : core::Clock {
    core::UnixTime time;
    core::UnixTime now() const override { return time; }
};

} // namespace tallygate::test
