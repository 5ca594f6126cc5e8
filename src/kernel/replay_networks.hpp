// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <vector>

#include "base/result.hpp"
#include "kernel/networks.hpp"
#include "kernel/options.hpp"

struct bpf_object;

namespace tallygate::kernel {

/// The operator's networks for one run: what NetworkTable does, without what it keeps for the
/// next daemon.
class ReplayNetworks {
public:
    /// Blocks must differ from each other.
    explicit ReplayNetworks(const std::vector<NetworkOption> &networks);

    /// Into the tables of a loaded object, which have room for a network more than there are.
    Result<void> write(const bpf_object *object) const;

    /// Numbered from 1, in the order of the options.
    const std::vector<NetworkTable::Node> &nodes() const { return nodes_; }

private:
    std::vector<NetworkTable::Node> nodes_;
};

} // namespace tallygate::kernel
