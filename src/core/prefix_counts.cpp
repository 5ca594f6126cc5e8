// SPDX-License-Identifier: BSD-2-Clause
#include "core/prefix_counts.hpp"

#include <cstring>
#include <utility>

namespace tallygate::core {
namespace {

// The crossing of memory is at one in 12; runs that grow take up to twice what they hold, and
// adding to them costs ten times as much.
constexpr unsigned dense_from_divisor = 32;

// What the node of a std::map takes beside its value.
constexpr std::size_t node_bytes = 48;

} // namespace

/// Of local arrays, as below: a compiler that knows that nothing overlaps takes 16 at a time.
PrefixPage::PrefixPage(std::uint32_t page, std::span<const std::uint32_t, numbers> from)
    : number(page)
{
    std::uint32_t any = 0;

    std::memcpy(amounts.data(), from.data(), sizeof(amounts));
    for (unsigned i = 0; i < numbers; i++) {
        any |= amounts[i];
        sum += amounts[i];
        changes += amounts[i] != 0 ? 1 : 0;
        bytes[i] = static_cast<std::uint8_t>(amounts[i]);
    }
    fit_bytes = any >> 8 == 0;
}

void PrefixCounts::add(const PrefixPage &page)
{
    const Number first = page.number * page_numbers;

    if (is_dense() && page.fit_bytes) {
        page_sums_[page.number] += page.sum;
        add_bytes(page);
        return;
    }
    for (unsigned i = 0; i < page_numbers; i++)
        if (page.amounts[i] != 0)
            add(first + i, page.amounts[i]);
}

/// Most bytes of a page do not overflow, and in most pages none does.
void PrefixCounts::add_bytes(const PrefixPage &page)
{
    const Number first = page.number * page_numbers;
    const auto added = page.bytes;
    std::array<std::uint8_t, page_numbers> low;
    std::uint8_t overflows = 0;

    std::memcpy(low.data(), &low_[first], sizeof(low));
    for (unsigned i = 0; i < page_numbers; i++) {
        low[i] = static_cast<std::uint8_t>(low[i] + added[i]);
        overflows |= low[i] < added[i] ? 1 : 0;
    }
    std::memcpy(&low_[first], low.data(), sizeof(low));
    if (overflows == 0)
        return;
    for (unsigned i = 0; i < page_numbers; i++)
        if (low[i] < added[i])
            carry(first + i, 1);
}

void PrefixCounts::add(Number number, std::uint64_t amount)
{
    if (is_dense()) {
        add_dense(number, amount);
        return;
    }
    sparse_.add(number, static_cast<std::int64_t>(amount));
    if (sparse_.entries() >= numbers() / dense_from_divisor)
        make_dense();
}

void PrefixCounts::make_dense()
{
    const Sparse sparse = std::exchange(sparse_, {});

    low_.resize(numbers());
    page_sums_.resize(numbers() / page_numbers);
    sparse.for_each(0, numbers() - 1, [&](Number number, std::int64_t amount) {
        add_dense(number, static_cast<std::uint64_t>(amount));
    });
}

void PrefixCounts::add_dense(Number number, std::uint64_t amount)
{
    page_sums_[number / page_numbers] += amount;
    amount += low_[number];
    low_[number] = static_cast<std::uint8_t>(amount);
    if (amount >> 8 != 0)
        carry(number, amount >> 8);
}

/// `amount` is in units of 2^8.
void PrefixCounts::carry(Number number, std::uint64_t amount)
{
    auto &middle = middle_[number / page_numbers][number % page_numbers];
    const auto carried = middle + amount;
    middle = static_cast<std::uint16_t>(carried);
    if (carried >> 16 != 0)
        above_[number] += carried >> 16;
}

std::uint64_t PrefixCounts::dense_at(Number number) const
{
    std::uint64_t count = low_[number];

    if (const auto page = middle_.find(number / page_numbers); page != middle_.end())
        count += std::uint64_t{page->second[number % page_numbers]} << 8;
    if (const auto above = above_.find(number); above != above_.end())
        count += above->second << 24;
    return count;
}

std::uint64_t PrefixCounts::sum(Number first, Number last) const
{
    if (is_dense())
        return sum_dense(first, last);
    return static_cast<std::uint64_t>(sparse_.sum(first, last));
}

std::uint64_t PrefixCounts::sum_dense(Number first, Number last) const
{
    std::uint64_t sum = 0;

    // A 64-bit counter, because `last` may be the largest number there is.
    for (std::uint64_t number = first; number <= last;) {
        const bool whole_page =
            number % page_numbers == 0 && number + page_numbers - 1 <= std::uint64_t{last};
        sum +=
            whole_page ? page_sums_[number / page_numbers] : dense_at(static_cast<Number>(number));
        number += whole_page ? page_numbers : 1;
    }
    return sum;
}

std::size_t PrefixCounts::entries() const
{
    return is_dense() ? numbers() : sparse_.entries();
}

void PrefixCounts::for_each(const std::function<void(Number, std::uint64_t)> &visit) const
{
    if (!is_dense()) {
        sparse_.for_each(0, numbers() - 1, [&](Number number, std::int64_t amount) {
            visit(number, static_cast<std::uint64_t>(amount));
        });
        return;
    }
    for (Number number = 0; number < numbers(); number++)
        if (const auto count = dense_at(number); count != 0)
            visit(number, count);
}

std::size_t PrefixCounts::bytes() const
{
    return sparse_.bytes() + low_.capacity() + page_sums_.capacity() * sizeof(std::uint64_t) +
           middle_.size() * (sizeof(*middle_.begin()) + node_bytes) +
           above_.size() * (sizeof(*above_.begin()) + node_bytes);
}

} // namespace tallygate::core
