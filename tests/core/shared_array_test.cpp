// SPDX-License-Identifier: BSD-2-Clause
#include "core/shared_array.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstdint>
#include <numeric>
#include <random>
#include <thread>
#include <utility>
#include <vector>

namespace tallygate::core {
namespace {

using Numbers = SharedArray<std::uint64_t, 8>;
using Model = std::vector<std::uint64_t>;

Model values_of(const Numbers &numbers)
{
    Model values;
    for (std::size_t i = 0; i < numbers.size(); i++)
        values.push_back(numbers[i]);
    return values;
}

TEST(SharedArray, HoldsZerosUntilTheyAreChanged)
{
    Numbers numbers(20);
    EXPECT_EQ(values_of(numbers), Model(20));
    numbers.change(19) = 7;
    EXPECT_EQ(numbers[19], 7U);
    EXPECT_EQ(numbers[18], 0U) << "its neighbour in the piece";
    EXPECT_EQ(numbers[0], 0U);
    EXPECT_EQ((Numbers{1, 2, 3}), (Numbers{1, 2, 3}));
    EXPECT_NE((Numbers{1, 2, 3}), (Numbers{1, 2}));
    EXPECT_NE((Numbers{1, 2, 3}), (Numbers{1, 2, 4}));
    EXPECT_EQ(Numbers(3), (Numbers{0, 0, 0})) << "whether its memory is there or not";
}

/// Arrays and copies of them, changed and dropped in any order, against vectors.
RC_GTEST_PROP(SharedArrayProperty, each_copy_keeps_its_own_values, (std::uint32_t seed))
{
    std::mt19937 dice{seed};
    const auto roll = [&](std::size_t below) { return dice() % below; };
    std::vector<std::pair<Numbers, Model>> all(1);

    for (int step = 0; step < 300; step++) {
        auto &[numbers, model] = all[roll(all.size())];
        switch (roll(4)) {
        case 0:
            numbers.push_back(step);
            model.push_back(step);
            break;
        case 1:
            if (all.size() < 5)
                all.push_back(std::pair{numbers, model});
            break;
        case 2:
            if (all.size() > 1)
                all.erase(all.begin() + static_cast<std::ptrdiff_t>(roll(all.size())));
            break;
        default:
            if (const auto size = model.size()) {
                const auto i = roll(size);
                numbers.change(i) = model[i] = dice();
            }
        }
    }
    for (const auto &[numbers, model] : all)
        RC_ASSERT(values_of(numbers) == model);
}

TEST(SharedArray, IsReadByAnotherThreadWhileItChanges)
{
    constexpr std::size_t size = 4096;
    SharedArray<std::uint64_t> numbers(size);
    for (std::size_t i = 0; i < size; i++)
        numbers.change(i) = 1;

    for (int round = 0; round < 50; round++) {
        const auto expected = size * static_cast<std::uint64_t>(round + 1);
        std::uint64_t sum = 0;
        std::thread reader{[copy = numbers, &sum]() mutable {
            for (std::size_t i = 0; i < size; i++)
                sum += copy[i];
            copy = {};
        }};
        for (std::size_t i = 0; i < size; i++)
            numbers.change(i)++;
        reader.join();
        ASSERT_EQ(sum, expected);
    }
}

} // namespace
} // namespace tallygate::core
