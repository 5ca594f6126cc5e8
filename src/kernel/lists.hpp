// SPDX-License-Identifier: BSD-2-Clause
//
// The block and allow lists in the kernel. A whole list is replaced by putting another trie in
// the place of the one that packets look into: each packet sees the old list or the new one.
#pragma once

#include <tallygate/abi.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/address.hpp"
#include "base/fd.hpp"
#include "base/result.hpp"
#include "core/seams.hpp"
#include "kernel/hints.hpp"
#include "kernel/trie_remover.hpp"

struct bpf_object;

namespace tallygate::kernel {

/// What must be added to Unix time to have the time of the gate's clock.
using ClockOffset = std::chrono::nanoseconds;
/// Of this machine, now: from the real time to CLOCK_MONOTONIC.
ClockOffset clock_offset();

/// A trie that is filled, and in no gate yet.
struct BuiltLists {
    Fd trie;
    std::vector<Block> blocks; ///< sorted
    HintCounts hints;
    std::uint64_t retries = 0; ///< entries that did not find memory at once
};

class ListTable {
public:
    /// In the maps of a loaded object; they must outlive this. Lists that an earlier daemon left
    /// stay in force until the first publish().
    static Result<ListTable> open(const bpf_object *object, std::uint32_t entries_max);

    /// Fills a trie, which takes a second for a million entries: may be called from another
    /// thread. Blocks must differ from each other.
    static Result<BuiltLists> build(const std::vector<core::ListNode> &nodes,
                                    std::uint32_t entries_max, ClockOffset offset = clock_offset());

    /// Puts these lists in the place of those in force.
    Result<void> publish(BuiltLists built);

    /// Changes single entries: those of `put` are added or replaced, those of `removed` taken
    /// out. After an error nothing has changed. Not before the first publish() if an earlier
    /// daemon left lists: nobody here knows what is in them.
    Result<void> change(const std::vector<core::ListNode> &put, const std::vector<Block> &removed,
                        ClockOffset offset = clock_offset());

    std::size_t entries() const { return blocks_.size(); }
    std::uint32_t entries_max() const { return entries_max_; }
    /// For the settings: whether packets have to look.
    bool is_empty() const { return is_known_ && blocks_.empty(); }
    /// Entries of what was published or changed here that did not find memory at once.
    std::uint64_t retries() const { return retries_; }

private:
    ListTable(int lists_fd, HintTable hints, std::uint32_t entries_max)
        : lists_fd_(lists_fd), hints_(std::move(hints)), entries_max_(entries_max)
    {
    }

    Result<void> find_trie();
    bool holds(const Block &block) const;
    std::vector<Block> added_by(const std::vector<core::ListNode> &put) const;
    Result<void> check_room(std::size_t added) const;
    void take_over(const std::vector<Block> &added, const std::vector<Block> &removed);

    int lists_fd_;
    HintTable hints_;
    std::uint32_t entries_max_;
    Fd trie_; ///< the one in force
    std::uint64_t retries_ = 0;
    bool is_known_ = false;     ///< whether blocks_ is what is in it
    std::vector<Block> blocks_; ///< sorted
    HintCounts counts_;
    TrieRemover remover_; ///< of those that were in force
};

} // namespace tallygate::kernel
