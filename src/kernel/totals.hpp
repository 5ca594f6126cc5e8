// SPDX-License-Identifier: BSD-2-Clause
//
// What services, networks, limits and verdicts count in all: the per-CPU tables and, beside
// them, what each CPU holds back of SYNs that it rejects again and again (bpf/rejections.h).
#pragma once

#include <tallygate/abi.h>

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "core/seams.hpp"
#include "kernel/map_view.hpp"

struct bpf_object;

namespace tallygate::kernel {

/// Totals as they are now. Where nothing moves they are exact. What is just moving from a CPU
/// into the tables is missing for a moment; so that nobody sees a count go back, what was told of
/// one is the least that is told of it next.
class Totals {
public:
    /// In the maps of a loaded object, which must outlive this.
    static Result<Totals> open(const bpf_object *object);

    core::Tally service(core::ServiceId service, Family family) const;
    core::Tally network(std::uint32_t network) const { return networks({network})[network]; }
    /// Many at once, for one look at what is held back: there may be 65,536 of them, and as many
    /// slots.
    std::map<std::uint32_t, core::Tally> networks(const std::vector<std::uint32_t> &networks) const;
    /// `dropped` and `would_drop` alone.
    core::Tally limit(std::uint8_t limit) const;
    std::uint64_t packets(tg_hook hook, tg_verdict verdict) const;

    /// For a limit that has taken the number of another: it has dropped nothing yet, and what is
    /// held back of the other one is not its own.
    Result<void> begin_limit(std::uint8_t limit) const;

private:
    enum class Table : std::uint8_t { services, networks, limits, verdicts };

    Totals(PerCpuView<tg_tally> services, PerCpuView<tg_tally> networks,
           PerCpuView<tg_limit_tally> limits, PerCpuView<std::uint64_t> verdicts,
           MappedArray<tg_repeat> repeats)
        : services_(std::move(services)), networks_(std::move(networks)),
          limits_(std::move(limits)), verdicts_(std::move(verdicts)), repeats_(std::move(repeats))
    {
    }

    template <typename Visit>
    void visit_held_back(std::uint32_t first_slot, std::uint32_t end, Visit visit) const;
    template <typename IsOne>
    std::uint64_t held_back(std::uint32_t first_slot, std::uint32_t end, IsOne is_one) const;
    template <typename IsOne>
    std::uint64_t held_back(IsOne is_one) const;
    core::Tally limit_now(std::uint8_t limit) const;
    core::Tally tell(Table table, std::uint32_t index, const core::Tally &now) const;

    PerCpuView<tg_tally> services_;
    PerCpuView<tg_tally> networks_;
    PerCpuView<tg_limit_tally> limits_;
    PerCpuView<std::uint64_t> verdicts_;
    MappedArray<tg_repeat> repeats_;
    mutable std::map<std::pair<Table, std::uint32_t>, core::Tally> told_;
};

} // namespace tallygate::kernel
