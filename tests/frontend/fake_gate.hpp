// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cerrno>
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
    core::Mode mode() const override { return mode_now; }
    void set_mode(core::Mode mode, std::optional<std::chrono::nanoseconds> at_most) override
    {
        mode_now = mode;
        mode_at_most = at_most;
    }
    Result<void> change_lists(const std::vector<core::ListNode> &put,
                              const std::vector<Block> &removed) override
    {
        if (lists_fail)
            return Error{"write to lists: No space left on device", ENOSPC};
        for (const auto &node : put)
            listed[node.block] = node;
        for (const auto &block : removed)
            listed.erase(block);
        return {};
    }
    std::vector<core::LimitCounts> limits() const override { return limit_counts; }
    Result<core::Explanation> explain(const Address &address, core::ServiceId service) override
    {
        const auto found = explanations.find(service);
        if (found == explanations.end())
            return Error{"run explain_syn: Operation not permitted"};
        auto explanation = found->second;
        explanation.source = address;
        return explanation;
    }
    unsigned ipv6_source_bits() const override { return 64; }

    bool flows_fail = false;
    std::map<std::pair<core::ServiceId, Family>, core::Tally> tallies;
    std::vector<core::VerdictCount> verdict_counts;
    std::vector<core::NetworkCounts> network_counts;
    core::GateStatus gate_status;
    core::Mode mode_now = core::Mode::observe;
    std::optional<std::chrono::nanoseconds> mode_at_most;
    bool lists_fail = false;
    std::map<Block, core::ListNode> listed;
    std::vector<core::LimitCounts> limit_counts;
    std::map<core::ServiceId, core::Explanation> explanations;
};

struct FakeClock : core::Clock {
    core::UnixTime time;
    core::UnixTime now() const override { return time; }
};

} // namespace tallygate::test
