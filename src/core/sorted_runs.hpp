// SPDX-License-Identifier: BSD-2-Clause
//
// The logarithmic method (Bentley and Saxe, 1980) for amounts under ordered keys. BlockSums
// puts addresses in front of it.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <utility>
#include <vector>

namespace tallygate::core {

/// Amounts by key, with the sum over any range of keys.
///
/// A run is sorted, holds each key once, and carries prefix sums. An amount joins a short
/// unsorted tail; a full tail becomes a run, and takes in every run that is not more than twice
/// its size. So each run is more than twice as large as the next, there are O(log n) of them,
/// and every amount is merged O(log n) times in its life.
///
/// A copy costs little and shares the runs, which never change once they are made: a snapshot is
/// a copy that another thread may read while this one goes on.
///
/// A longer tail makes adding cheaper; every sum scans it, which 512 keeps well under 1 µs.
template <std::totally_ordered Key, std::size_t TailMax = 512>
class SortedRuns {
public:
    struct Entry {
        Key key;
        std::int64_t amount;
    };

    void add(Key key, std::int64_t amount)
    {
        if (amount == 0)
            return;
        if (!tail_.empty() && tail_.back().key == key) {
            tail_.back().amount += amount;
            return;
        }
        tail_.push_back({key, amount});
        if (tail_.size() < TailMax)
            return;
        push(run_of(tail_));
        tail_.clear();
    }

    /// Adds what `other` holds from `first` to `last`, inclusive. Linear.
    void add_all(const SortedRuns &other, Key first, Key last) { push(other.collect(first, last)); }

    /// Adds entries that are in order of their keys, each key once. Linear.
    void add_sorted(const std::vector<Entry> &entries)
    {
        Run run;
        run.keys.reserve(entries.size());
        run.sums_before.reserve(entries.size() + 1);
        for (const Entry &entry : entries)
            run.append(entry.key, entry.amount);
        push(std::move(run));
    }

    /// The sum of the amounts under `first` to `last`, inclusive.
    std::int64_t sum(Key first, Key last) const
    {
        std::int64_t sum = 0;

        for (const auto &run : runs_)
            sum += run->slice(first, last).sum();
        for (const Entry &entry : tail_)
            sum += first <= entry.key && entry.key <= last ? entry.amount : 0;
        return sum;
    }

    /// How many keys from `first` to `last` have a sum other than 0. Linear in their number.
    std::size_t keys(Key first, Key last) const
    {
        return with_all(first, last, [](Slice all) { return all.size(); });
    }

    /// Calls `visit(key, sum)` for each of them, in order.
    template <std::invocable<Key, std::int64_t> Visit>
    void for_each(Key first, Key last, Visit &&visit) const
    {
        with_all(first, last, [&](Slice left) {
            while (!left.empty()) {
                const Key key = left.key();
                visit(key, left.take());
            }
        });
    }

    /// As for_each() for every key there is.
    template <typename Visit>
    void for_each_key(Visit &&visit) const
    {
        SortedRuns all = *this;
        all.compact();
        for (const auto &run : all.runs_)
            for (std::size_t i = 0; i < run->size(); i++)
                visit(run->keys[i], run->sums_before[i + 1] - run->sums_before[i]);
    }

    /// Calls `visit(key)` for each amount that is kept, in no order: entries() times.
    template <std::invocable<const Key &> Visit>
    void for_each_entry(Visit &&visit) const
    {
        for (const Entry &entry : tail_)
            visit(entry.key);
        for (const auto &run : runs_)
            for (const Key &key : run->keys)
                visit(key);
    }

    /// Merges everything into one run, and gives back the memory that growing took.
    void compact()
    {
        if (tail_.empty() && tail_.capacity() == 0 && runs_.size() <= 1)
            return;
        Run all = run_of(tail_);
        for (auto run = runs_.rbegin(); run != runs_.rend(); ++run)
            all = merge((*run)->whole(), all.whole());
        all.keys.shrink_to_fit();
        all.sums_before.shrink_to_fit();

        tail_ = std::vector<Entry>{};
        runs_.clear();
        push(std::move(all));
    }

    /// How many amounts are kept: one for each key once all is merged, up to twice as many (and
    /// the tail) before.
    std::size_t entries() const
    {
        std::size_t entries = tail_.size();

        for (const auto &run : runs_)
            entries += run->size();
        return entries;
    }

    /// Whether no key has an amount. Amounts that cancel may show until they are merged.
    bool empty() const { return runs_.empty() && tail_.empty(); }

    std::size_t bytes() const
    {
        std::size_t bytes = tail_.capacity() * sizeof(Entry) + runs_.capacity() * sizeof(SharedRun);

        for (const auto &run : runs_)
            bytes += sizeof(Run) + run->keys.capacity() * sizeof(Key) +
                     run->sums_before.capacity() * sizeof(std::int64_t);
        return bytes;
    }

private:
    struct Slice;

    /// Two arrays, not one of pairs: a search reads keys alone, and an IPv4 key has 4 bytes.
    struct Run {
        std::vector<Key> keys;
        std::vector<std::int64_t> sums_before{0}; ///< before each key, and after the last

        std::size_t size() const { return keys.size(); }

        void append(Key key, std::int64_t amount)
        {
            if (amount == 0)
                return;
            keys.push_back(key);
            sums_before.push_back(sums_before.back() + amount);
        }

        Slice whole() const { return {this, 0, size()}; }

        Slice slice(Key first, Key last) const
        {
            const auto begin = std::lower_bound(keys.begin(), keys.end(), first);
            const auto end = std::upper_bound(begin, keys.end(), last);
            return {this, static_cast<std::size_t>(begin - keys.begin()),
                    static_cast<std::size_t>(end - keys.begin())};
        }
    };

    /// Neighbours in a run, taken one by one from the front. Borrows the run.
    struct Slice {
        const Run *run;
        std::size_t begin;
        std::size_t end;

        bool empty() const { return begin == end; }
        std::size_t size() const { return end - begin; }
        std::int64_t sum() const { return run->sums_before[end] - run->sums_before[begin]; }
        const Key &key() const { return run->keys[begin]; }

        /// The amount under key(), which is then behind us.
        std::int64_t take()
        {
            begin++;
            return run->sums_before[begin] - run->sums_before[begin - 1];
        }
    };

    static Run merge(Slice left, Slice right)
    {
        Run merged;
        merged.keys.reserve(left.size() + right.size());
        merged.sums_before.reserve(left.size() + right.size() + 1);

        while (!left.empty() && !right.empty()) {
            const auto order = left.key() <=> right.key();
            const Key key = order <= 0 ? left.key() : right.key();
            std::int64_t amount = 0;
            if (order <= 0)
                amount += left.take();
            if (order >= 0)
                amount += right.take();
            merged.append(key, amount);
        }
        for (Slice rest = left.empty() ? right : left; !rest.empty();) {
            const Key key = rest.key();
            merged.append(key, rest.take());
        }
        return merged;
    }

    static Run run_of(std::vector<Entry> entries)
    {
        Run run;

        std::ranges::sort(entries, {}, &Entry::key);
        for (auto entry = entries.begin(); entry != entries.end();) {
            const Key key = entry->key;
            std::int64_t amount = 0;
            for (; entry != entries.end() && entry->key == key; ++entry)
                amount += entry->amount;
            run.append(key, amount);
        }
        return run;
    }

    void push(Run run)
    {
        while (!runs_.empty() && runs_.back()->size() <= 2 * run.size()) {
            run = merge(runs_.back()->whole(), run.whole());
            runs_.pop_back();
        }
        if (run.size() != 0)
            runs_.push_back(std::make_shared<const Run>(std::move(run)));
    }

    /// Everything from `first` to `last` as one run. The small runs come first, so that the
    /// work stays linear.
    Run collect(Key first, Key last) const
    {
        std::vector<Entry> entries;
        std::ranges::copy_if(tail_, std::back_inserter(entries), [&](const Entry &entry) {
            return first <= entry.key && entry.key <= last;
        });

        Run all = run_of(std::move(entries));
        for (auto run = runs_.rbegin(); run != runs_.rend(); ++run)
            all = merge((*run)->slice(first, last), all.whole());
        return all;
    }

    /// Shared with copies, of which a snapshot's may be read in another thread.
    using SharedRun = std::shared_ptr<const Run>;

    /// Calls `read` with all from `first` to `last` in one slice. Of a window that has closed,
    /// that is a part of its only run.
    template <typename Read>
    auto with_all(Key first, Key last, Read &&read) const
    {
        if (tail_.empty() && runs_.size() == 1)
            return read(runs_.front()->slice(first, last));
        const Run all = collect(first, last);
        return read(all.whole());
    }

    std::vector<SharedRun> runs_; ///< the largest first
    std::vector<Entry> tail_;
};

} // namespace tallygate::core
