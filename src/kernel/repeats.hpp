// SPDX-License-Identifier: BSD-2-Clause
//
// What gathers on each CPU before it goes into the tables (bpf/repeats.h, bpf/batches.h). A sum
// that a table has is read before what is still on its way there, so that nothing is counted twice
// while it moves; and who tells differences tells them of the largest sum so far, because what
// moves is missing for a moment.
#pragma once

#include <tallygate/abi.h>

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "base/address.hpp"
#include "base/result.hpp"
#include "kernel/map_view.hpp"
#include "kernel/program.hpp"

namespace tallygate::kernel {

/// In the word of a prefix, see bpf/prefixes.h.
inline constexpr std::uint64_t is_ipv4_bit = 2;

/// The word of the prefix that an address is in, as prefix_of() in bpf/prefixes.h.
std::uint64_t prefix_word(const Address &address);

/// What a slot holds back, and of whom; nothing while it is just moving, when nobody can say
/// whether the tables have it.
std::optional<tg_repeat> read_repeat(const volatile tg_repeat &repeat);

/// What one CPU holds back of one source or prefix. Of a prefix there may be several.
struct Residual {
    std::uint64_t prefix = 0; ///< as in tg_repeat
    std::uint32_t prefix_syn = 0;
    tg_source_key source{};
    std::uint32_t place = 0; ///< of the source, as in tg_repeat
    /// Of claims: there its source may have a place, which is not known yet.
    std::uint32_t bucket = no_bucket;
    bool is_proven = false;
    std::uint32_t rejected = 0;

    static constexpr std::uint32_t no_bucket = ~std::uint32_t{0};
};

class RepeatsReader {
public:
    /// All ones in `place`: the source has none.
    static constexpr std::uint32_t no_place = ~std::uint32_t{0};

    static Result<RepeatsReader> open(const Program &program);

    /// What is held back now. What is just moving is left out.
    std::vector<Residual> read() const;

private:
    RepeatsReader(MappedArray<tg_repeat> repeats, MappedArray<tg_batch> batches,
                  std::array<__be32, 2> ipv6_source_mask)
        : repeats_(std::move(repeats)), batches_(std::move(batches)),
          ipv6_source_mask_(ipv6_source_mask)
    {
    }

    tg_source_key cut_to_source(tg_source_key client) const;
    void read_batch(const volatile tg_batch &batch, std::vector<Residual> &found) const;

    MappedArray<tg_repeat> repeats_;
    MappedArray<tg_batch> batches_;
    std::array<__be32, 2> ipv6_source_mask_;
};

/// Sums of tables and residuals, of all that is held back of. `key_of` says where a residual
/// belongs (an optional), `read` what the table has there (an optional), and `add` adds a residual
/// to that.
template <typename KeyOf, typename Read, typename Add>
auto sums_with_residuals(const RepeatsReader &repeats, KeyOf key_of, Read read, Add add)
{
    using Key = typename std::invoke_result_t<KeyOf, const Residual &>::value_type;
    using Value = typename std::invoke_result_t<Read, const Residual &>::value_type;
    std::map<Key, Value> sums;

    for (const auto &residual : repeats.read())
        if (const auto key = key_of(residual); key && !sums.contains(*key))
            if (const auto value = read(residual))
                sums.emplace(*key, *value);
    // A second time: what has moved since is in the table's sum, or is missing until next time.
    for (const auto &residual : repeats.read())
        if (const auto key = key_of(residual))
            if (const auto found = sums.find(*key); found != sums.end())
                add(found->second, residual);
    return sums;
}

} // namespace tallygate::kernel
