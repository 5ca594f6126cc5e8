// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "core/seams.hpp"
#include "kernel/options.hpp"
#include "kernel/program.hpp"

namespace tallygate::kernel {

/// The services in the kernel's tables. A name keeps its number for as long as the maps live,
/// because slots and flows carry the number.
class ServiceTable {
public:
    static Result<ServiceTable> open(const Program &program);

    /// Makes the ports and listeners be exactly these. What stays is never away for a moment.
    /// After an error the old ones stand.
    Result<void> apply(const std::vector<ServiceOption> &services);

    /// Numbers of the configured services.
    const std::map<std::string, core::ServiceId> &ids() const { return ids_; }
    /// And of those that were configured before.
    const std::map<std::string, core::ServiceId> &known_ids() const { return known_; }

private:
    explicit ServiceTable(const Program &program) : program_(&program) {}

    Result<core::ServiceId> number_for(const std::string &name);

    const Program *program_;
    std::map<std::string, core::ServiceId> known_; ///< also those no longer configured
    std::map<std::string, core::ServiceId> ids_;
};

} // namespace tallygate::kernel
