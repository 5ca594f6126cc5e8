// SPDX-License-Identifier: BSD-2-Clause
//
// The claimed sources' table, which is mapped, a slice at a time.
#pragma once

#include <tallygate/abi.h>

#include <cstdint>
#include <map>
#include <optional>

#include "base/result.hpp"
#include "core/snapshot.hpp"
#include "kernel/dirty_bits.hpp"
#include "kernel/map_view.hpp"
#include "kernel/program.hpp"
#include "kernel/repeats.hpp"
#include "kernel/walk.hpp"

namespace tallygate::kernel {

/// What its ways have counted becomes changes, with `claimed` set. A way that was given to another
/// source begins again at zero; what its last one counted after the last look is told by nobody,
/// and shows in the totals alone. A source that is proven counts in its slot: its way, which it
/// may keep, stays as it was.
class ClaimsWalk {
public:
    static Result<ClaimsWalk> open(const Program &program);

    /// Looks at about `entries` more ways, of those that have changed since they were looked at,
    /// and says whether they were the last of a round. In the first round at each.
    bool walk_some(std::uint32_t entries, const ChangeSink &sink);
    /// Looks at the ways of sources that the CPUs hold counts of, with those counts.
    void walk_repeats(const RepeatsReader &repeats, const ChangeSink &sink);

    /// Goes on where another walk over these claims was when its told() was `told`.
    void resume(const core::SharedArray<core::Told::Claim> &told, const RepeatsReader &repeats);
    /// Takes what is counted for told. Before the first walk.
    void skip_to_present();
    /// What has been told so far, by way, of the source that had it then.
    const core::SharedArray<core::Told::Claim> &told() const { return told_; }

private:
    using Told = core::Told::Claim;

    ClaimsWalk(MappedArray<tg_claims> claims, DirtyBits dirty)
        : claims_(std::move(claims)), dirty_(std::move(dirty)),
          told_(std::size_t{claims_.entries_max()} * TG_BUCKET_WAYS)
    {
    }

    void look_at(std::uint32_t bucket, const ChangeSink &sink);
    std::optional<Told> read(std::uint32_t place) const;
    std::map<std::uint32_t, Told> sums_with(const RepeatsReader &repeats) const;
    std::optional<std::uint32_t> place_of(const Residual &residual) const;
    void tell(std::uint32_t place, const Told &now, const ChangeSink &sink);
    static bool is_of(const Residual &residual, const Told &way);
    static bool is_same_source(const Told &one, const Told &other);

    MappedArray<tg_claims> claims_;
    DirtyBits dirty_;              ///< by bucket
    core::SharedArray<Told> told_; ///< by place: bucket * TG_BUCKET_WAYS + way
    std::uint32_t next_word_ = 0;
};

} // namespace tallygate::kernel
