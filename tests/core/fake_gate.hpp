// SPDX-License-Identifier: BSD-2-Clause
//
// A clock and a gate that say what a test told them to say.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "core/seams.hpp"
#include "core/support.hpp"

namespace tallygate::core::test {

class FakeClock : public Clock {
public:
    UnixTime now() const override { return now_; }
    void set(double seconds) { now_ = at(seconds); }

private:
    UnixTime now_ = at(1'000);
};

/// Says what it was told to say, and keeps what it was asked.
class FakeGate : public Gate {
public:
    bool refresh(const Block &block) override
    {
        refreshed.push_back(block);
        if (refreshes && on_refresh)
            on_refresh();
        return refreshes;
    }

    Result<std::uint64_t> count_flows(const Block &block, const std::optional<Endpoint> &listener,
                                      std::optional<ServiceId> service) const override
    {
        flows_asked.push_back({block, listener, service});
        return flows;
    }

    Tally service_tally(ServiceId service, Family family) const override
    {
        const auto found = tallies.find({service, family});
        return found == tallies.end() ? Tally{} : found->second;
    }

    std::vector<VerdictCount> verdicts() const override { return {}; }
    std::vector<NetworkCounts> networks() const override { return {}; }
    GateStatus status() const override
    {
        GateStatus status;
        status.counting_since = counting_since_;
        return status;
    }
    Mode mode() const override { return {}; }
    void set_mode(Mode, std::optional<std::chrono::nanoseconds>) override {}
    Result<void> change_lists(const std::vector<ListNode> &, const std::vector<Block> &) override
    {
        return {};
    }
    std::vector<LimitCounts> limits() const override { return {}; }
    Result<Explanation> explain(const Address &, ServiceId) override { return Explanation{}; }
    unsigned ipv6_source_bits() const override { return source_bits; }

    struct FlowsAsked {
        Block block;
        std::optional<Endpoint> listener;
        std::optional<ServiceId> service;
    };

    bool refreshes = false;
    std::function<void()> on_refresh;
    Result<std::uint64_t> flows = std::uint64_t{0};
    std::map<std::pair<ServiceId, Family>, Tally> tallies;
    UnixTime counting_since_ = at(100);
    unsigned source_bits = 64;
    std::vector<Block> refreshed;
    mutable std::vector<FlowsAsked> flows_asked;
};

} // namespace tallygate::core::test
