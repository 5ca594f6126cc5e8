// SPDX-License-Identifier: BSD-2-Clause
//
// Who has proven himself is remembered beyond the gate's tables: after a boot, an upgrade or
// `tallygated detach`, those who wrote yesterday are no newcomers.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/proven.hpp"
#include "core/seams.hpp"
#include "daemon/background_file.hpp"
#include "kernel/gate.hpp"

namespace tallygate::daemon {

/// Nothing here is fatal: who is not remembered proves himself again.
class ProvenKeeper {
public:
    /// What a restored table has room for beside them.
    static constexpr std::uint32_t newcomers_divisor = 4;

    /// Borrows the clock.
    ProvenKeeper(const std::string &dir, const core::Clock &clock);

    /// How long after its last connection a source is remembered; none: not at all.
    void configure(std::optional<std::chrono::seconds> remember) { remember_ = remember; }

    /// Those to begin with if the tables turn out to be new.
    core::ProvenSources load(std::uint32_t sources_max);

    /// Before the first look(): of sources that are in the tables, load() knew when they were
    /// last seen. Of others, nobody does.
    void begin(const kernel::KernelGate &gate);
    /// Notes who has connections open, or has opened one since the last look. A million sources
    /// take some milliseconds.
    void look(const kernel::KernelGate &gate);

    /// Saves before it returns.
    void save(const kernel::KernelGate &gate);
    /// Leaves it to a thread, unless the last one is still at it.
    void save_aside(const kernel::KernelGate &gate);

    const std::optional<std::string> &warning() const { return file_.warning(); }

private:
    /// By slot. In seconds since 1970.
    struct Seen {
        std::uint32_t opened = 0; ///< the low bits of the total
        std::uint32_t at = 0;
    };

    core::ProvenSources take(const kernel::KernelGate &gate) const;
    std::chrono::sys_seconds oldest() const;

    BackgroundFile file_;
    const core::Clock &clock_;
    std::optional<std::chrono::seconds> remember_;
    core::ProvenSources loaded_; ///< in order, until begin()
    std::vector<Seen> seen_;
};

} // namespace tallygate::daemon
