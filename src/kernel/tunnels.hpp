// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <vector>

#include "base/address.hpp"
#include "base/result.hpp"
#include "kernel/program.hpp"

namespace tallygate::kernel {

/// The senders whose tunnels are looked into: the packet inside is the one that counts. Whoever
/// stands here can speak for any client, so it is for load balancers alone.
class TunnelTable {
public:
    explicit TunnelTable(const Program &program) : program_(&program) {}

    /// Makes the table hold exactly these blocks, which must differ from each other. Who stays
    /// is never away for a moment. After an error the old ones stand.
    Result<void> apply(const std::vector<Block> &senders) const;

private:
    const Program *program_;
};

} // namespace tallygate::kernel
