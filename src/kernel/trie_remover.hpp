// SPDX-License-Identifier: BSD-2-Clause
//
// Takes tries away that no packet looks into any more, entry by entry.
//
// A trie that is closed with its entries in it is freed by a thread of the kernel in one go. While
// that frees a long list nothing else runs on its CPU, nor does the thread that answers Postfix.
// Entries that are taken out one at a time leave the CPU free in between.
#pragma once

#include <memory>
#include <vector>

#include "base/address.hpp"
#include "base/fd.hpp"

namespace tallygate::kernel {

class TrieRemover {
public:
    TrieRemover();
    TrieRemover(TrieRemover &&) noexcept;
    TrieRemover &operator=(TrieRemover &&) noexcept;
    /// What is left is the kernel's business.
    ~TrieRemover();

    /// On a thread of its own, behind everything else. The caller knows that no program has the
    /// trie any more, and all that is in it.
    void remove(Fd trie, std::vector<Block> blocks);

private:
    struct State;

    std::unique_ptr<State> state_;
};

} // namespace tallygate::kernel
