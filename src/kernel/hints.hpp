// SPDX-License-Identifier: BSD-2-Clause
//
// Hints: a bit that is not set spares a packet the look into a trie, or the filter of the proven
// sources. The bit of a block must be set before the table holds it, and may go when the table
// holds it no more.
#pragma once

#include <tallygate/abi.h>

#include <cstdint>
#include <vector>

#include "base/address.hpp"
#include "base/result.hpp"
#include "kernel/map_view.hpp"

namespace tallygate::kernel {

/// How many blocks of a set need each bit.
class HintCounts {
public:
    HintCounts() : counts_(TG_HINT_BITS) {}

    void add(const Block &block);
    /// Of a block that was added.
    void remove(const Block &block);

    /// TG_HINT_WORDS of them.
    std::vector<std::uint64_t> words() const;

private:
    std::vector<std::uint32_t> counts_;
};

/// The bits of one table in the gate's own, which is mapped.
class HintTable {
public:
    /// `fd` is that of the map `hints`.
    static Result<HintTable> open(int fd, tg_hint table);

    /// Sets what is set in `words`; the rest stays.
    void add(const std::vector<std::uint64_t> &words) const;
    /// Sets exactly these.
    void replace(const std::vector<std::uint64_t> &words) const;

private:
    HintTable(MappedArray<std::uint64_t> hints, tg_hint table)
        : hints_(std::move(hints)), first_(static_cast<std::uint32_t>(table) * TG_HINT_WORDS)
    {
    }

    MappedArray<std::uint64_t> hints_;
    std::uint32_t first_;
};

} // namespace tallygate::kernel
