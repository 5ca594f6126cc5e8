// SPDX-License-Identifier: BSD-2-Clause
//
// The interfaces of this network namespace, which of them get their packets from another, the
// addresses on them, and the gateways behind them.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "base/address.hpp"
#include "base/result.hpp"

namespace tallygate::kernel {

/// The indices of `interfaces`, as far as they exist, and of all that stand on them: VLANs,
/// bridges, bonds, and what stands on those. A packet that came in by one of `interfaces` is
/// delivered by one of these.
Result<std::set<std::uint32_t>> interfaces_above(const std::vector<std::string> &interfaces);

/// By which packets come in that were in a tunnel.
Result<std::set<std::uint32_t>> tunnel_interfaces();

struct AddressOnLink {
    Address address;
    std::string interface; ///< empty if it has gone meanwhile

    auto operator<=>(const AddressOnLink &) const = default;
};

/// The addresses of this machine, each once.
Result<std::vector<AddressOnLink>> own_addresses();

/// The gateways of all default routes, each once.
Result<std::vector<AddressOnLink>> gateways();

} // namespace tallygate::kernel
