// SPDX-License-Identifier: BSD-2-Clause
//
// Which places of a mapped table have changed since they were looked at: a bit for each, set by the
// programs (bpf/dirty.h) after each change.
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <utility>

#include "base/result.hpp"
#include "kernel/map_view.hpp"

namespace tallygate::kernel {

class DirtyBits {
public:
    static constexpr std::uint32_t word_places = 64;

    static Result<DirtyBits> open(int fd, const std::string &name)
    {
        auto words = MappedArray<std::uint64_t>::open(fd, name);
        if (!words)
            return words.error();
        return DirtyBits{std::move(*words)};
    }

    std::uint32_t words() const { return words_.entries_max(); }

    void mark(std::uint32_t place) const
    {
        if (place / word_places < words())
            __atomic_fetch_or(&words_[place / word_places], std::uint64_t{1} << place % word_places,
                              __ATOMIC_SEQ_CST);
    }

    void mark_all() const
    {
        for (std::uint32_t word = 0; word < words(); word++)
            __atomic_store_n(&words_[word], ~std::uint64_t{0}, __ATOMIC_SEQ_CST);
    }

    /// Clears a word, and calls with each place that was marked in it, in order. What changes from
    /// now on is marked again, so a place has to be read after that.
    template <typename Visit>
    void take(std::uint32_t word, Visit visit) const
    {
        if (__atomic_load_n(&words_[word], __ATOMIC_RELAXED) == 0)
            return;
        auto bits = __atomic_exchange_n(&words_[word], 0, __ATOMIC_SEQ_CST);
        for (; bits != 0; bits &= bits - 1)
            visit(word * word_places + static_cast<std::uint32_t>(std::countr_zero(bits)));
    }

private:
    explicit DirtyBits(MappedArray<std::uint64_t> words) : words_(std::move(words)) {}

    MappedArray<std::uint64_t> words_;
};

} // namespace tallygate::kernel
