// SPDX-License-Identifier: BSD-2-Clause
//
// Answers Postfix' policy requests by the configured checks. docs/policy.md is its contract.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/address.hpp"
#include "core/checks.hpp"
#include "core/reports.hpp"
#include "frontend/policy_codec.hpp"
#include "net/stream_server.hpp"

namespace tallygate::frontend {

struct PolicyOptions {
    /// What is guarded, as the configuration has it: a request names an address and a port.
    struct Service {
        std::string name;
        std::vector<std::uint16_t> ports = {};
        std::vector<Endpoint> listeners = {};
    };

    std::vector<Service> services = {};
    bool report_only = false;
    bool report = false; ///< the ends of messages, to the ledger
};

struct PolicyCounts {
    std::map<core::CheckAction, std::uint64_t> answers_total; ///< "pass" is DUNNO
    std::uint64_t broken_total = 0;  ///< streams ended for what was no request
    std::uint64_t unknown_total = 0; ///< requests that passed, for they name no client's address
};

/// Borrows all that it is given, and is borrowed by its conversations. Not for several threads.
class PolicyService {
public:
    /// One stream for each smtpd, and Postfix opens another when one is gone.
    static constexpr net::StreamLimits limits{.input_bytes_max = 64 * 1024,
                                              .output_bytes_max = 64 * 1024,
                                              .connections_max = 4096,
                                              .when_full = net::WhenFull::close_idle};

    struct Answer {
        std::string reply;
        std::chrono::seconds delay{0};
    };
    /// Told what was found of a client, whether it is answered so or only reported.
    using Found = std::function<void(const core::CheckSubject &, const core::CheckFinding &,
                                     bool is_reported_only)>;

    PolicyService(core::Checks &checks, core::Reporter &reporter, Found found);

    /// Replaced at a reload.
    void set_options(PolicyOptions options) { options_ = std::move(options); }

    /// Nothing for a request that is not for us: the stream must end without an answer.
    std::optional<Answer> handle(const PolicyRequest &request);
    void count_broken() { counts_.broken_total++; }
    /// handle(), for a server.
    net::StreamServer::Open conversations();

    const PolicyCounts &counts() const { return counts_; }

private:
    std::optional<std::string> service_of(const PolicyRequest &request) const;
    void report(const PolicyRequest &request, const core::CheckSubject &subject);

    core::Checks &checks_;
    core::Reporter &reporter_;
    Found found_;
    PolicyOptions options_;
    PolicyCounts counts_;
};

} // namespace tallygate::frontend
