// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <tallygate/abi.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/address.hpp"
#include "base/result.hpp"
#include "core/seams.hpp"
#include "kernel/options.hpp"

struct bpf_object;

namespace tallygate::kernel {

/// What is guarded, on replay's side: the same answer as the gate's find_service().
class ReplayServices {
public:
    /// `any_port_service`, if it is not empty, is the one service on all ports.
    ReplayServices(const std::vector<ServiceOption> &services, const std::string &any_port_service);

    /// Into the tables of a loaded object.
    Result<void> write(const bpf_object *object) const;

    /// The id of the service at this end; 0 if nobody guards it.
    core::ServiceId find(const tg_addr &addr, __be16 port) const;

    const std::string &name(core::ServiceId id) const { return names_[id]; }
    /// By id; 0 is none.
    const std::vector<std::string> &names() const { return names_; }
    std::map<std::string, core::ServiceId> ids() const;

private:
    void add(const ServiceOption &service);

    std::vector<std::string> names_;
    std::vector<tg_port> ports_;
    std::map<Endpoint, core::ServiceId> listeners_;
};

} // namespace tallygate::kernel
