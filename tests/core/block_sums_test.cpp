// SPDX-License-Identifier: BSD-2-Clause
#include "core/block_sums.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <utility>
#include <vector>

#include "core/support.hpp"

namespace tallygate::core::test {
namespace {

/// The same contract, the slow and obvious way.
class NaiveSums {
public:
    void add(const Address &address, std::int64_t amount) { sums_[address] += amount; }

    std::vector<std::pair<Address, std::int64_t>> rows(const Block &block) const
    {
        std::vector<std::pair<Address, std::int64_t>> rows;
        for (const auto &[address, sum] : sums_)
            if (sum != 0 && block.contains(address))
                rows.emplace_back(address, sum);
        return rows;
    }

    std::int64_t sum(const Block &block) const
    {
        std::int64_t sum = 0;
        for (const auto &[address, amount] : rows(block))
            sum += amount;
        return sum;
    }

private:
    std::map<Address, std::int64_t> sums_;
};

std::vector<std::pair<Address, std::int64_t>> rows(const BlockSums &sums, const Block &block)
{
    std::vector<std::pair<Address, std::int64_t>> rows;
    sums.for_each(
        block, [&](const Address &address, std::int64_t sum) { rows.emplace_back(address, sum); });
    return rows;
}

// clang-format off
const struct {
    const char *name;
    const char *block;
    std::int64_t sum;
    std::size_t addresses;
} sum_cases[] = {
    {"one address",                     "192.0.2.1",             3,  1},
    {"the same in mapped form",         "::ffff:192.0.2.1/128",  3,  1},
    {"an address nobody came from",     "192.0.2.2",             0,  0},
    {"its block",                       "192.0.2.0/24",          10, 2},
    {"the block around that",           "192.0.2.0/23",          10, 2},
    {"the block beside it",             "192.0.3.0/24",          0,  0},
    {"all of IPv4",                     "0.0.0.0/0",             142, 4},
    {"all of IPv4, mapped",             "::ffff:0:0/96",         142, 4},
    {"the lower half of IPv4",          "0.0.0.0/1",             32, 1},
    {"the highest address",             "255.255.255.255",       100, 1},
    {"one IPv6 address",                "2001:db8::1",           1000, 1},
    {"its block",                       "2001:db8::/64",         3000, 2},
    {"all of IPv6, and no IPv4",        "::/0",                  7000, 3},
    {"around the mapped ones",          "::/80",                 0,  0},
    {"the lower half of IPv6",          "::/1",                  3000, 2},
    {"the highest IPv6 address",        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 4000, 1},
};
// clang-format on

BlockSums some_sums()
{
    BlockSums sums;
    sums.add(address("192.0.2.1"), 1);
    sums.add(address("192.0.2.1"), 2);
    sums.add(address("192.0.2.255"), 7);
    sums.add(address("0.0.0.0"), 32);
    sums.add(address("255.255.255.255"), 100);
    sums.add(address("2001:db8::1"), 1000);
    sums.add(address("2001:db8::ffff:0:0:1"), 2000);
    sums.add(address("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), 4000);
    return sums;
}

TEST(BlockSumsTest, SumsAnyBlock)
{
    const BlockSums unmerged = some_sums();
    BlockSums merged = some_sums();
    merged.compact();

    for (const auto &row : sum_cases) {
        SCOPED_TRACE(row.name);
        EXPECT_EQ(unmerged.sum(block(row.block)), row.sum);
        EXPECT_EQ(merged.sum(block(row.block)), row.sum);
        EXPECT_EQ(unmerged.addresses(block(row.block)), row.addresses);
        EXPECT_EQ(merged.addresses(block(row.block)), row.addresses);
    }
}

TEST(BlockSumsTest, IsEmptyUntilSomethingIsAdded)
{
    BlockSums sums;

    EXPECT_TRUE(sums.empty());
    EXPECT_EQ(sums.bytes(), 0U);
    EXPECT_EQ(sums.sum(block("0.0.0.0/0")), 0);
    sums.add(address("192.0.2.1"), 0);
    EXPECT_TRUE(sums.empty());
    sums.add(address("2001:db8::1"), 1);
    EXPECT_FALSE(sums.empty());
    EXPECT_GT(sums.bytes(), 0U);
}

TEST(BlockSumsTest, ForgetsAddressesWhoseAmountsCancel)
{
    BlockSums sums;
    for (const int amount : {5, -5}) {
        for (std::uint32_t i = 0; i < 10'000; i++)
            sums.add(Address::from_ipv4(0xc6336400 + i), amount);
        EXPECT_EQ(sums.sum(block("0.0.0.0/0")), amount > 0 ? 50'000 : 0);
    }

    EXPECT_EQ(sums.addresses(block("0.0.0.0/0")), 0U);
    sums.compact();
    EXPECT_TRUE(sums.empty());
    EXPECT_LT(sums.bytes(), 1'000U);
}

TEST(BlockSumsTest, StaysSmallWhenFewAddressesComeOften)
{
    BlockSums sums;
    for (std::uint32_t i = 0; i < 100'000; i++)
        sums.add(Address::from_ipv4(0xc0000200 + i % 7), 1);

    EXPECT_EQ(sums.sum(block("192.0.2.0/24")), 100'000);
    EXPECT_LT(sums.bytes(), 20'000U);
}

TEST(BlockSumsTest, TakesTwelveBytesForAnIpv4Address)
{
    BlockSums sums;
    for (std::uint32_t i = 0; i < 100'000; i++)
        sums.add(Address::from_ipv4(0xc6000000 + i * 17), 1);
    sums.compact();

    EXPECT_LE(sums.bytes(), 12 * 100'000 + 1'000U);
}

RC_GTEST_PROP(BlockSumsProperty, AgreesWithAMap, ())
{
    Dice dice{*rc::gen::arbitrary<std::uint32_t>()};
    const auto added_max = *rc::gen::inRange(0, 4'000);
    BlockSums sums;
    NaiveSums naive;

    for (int i = 0; i < added_max; i++) {
        const Address address = dice.next_address();
        const std::int64_t amount = dice.number(-2, 3);
        sums.add(address, amount);
        naive.add(address, amount);
        if (dice.number(0, 999) == 0)
            sums.compact();
    }
    for (int i = 0; i < 20; i++) {
        const Block block = dice.next_block();
        RC_ASSERT(sums.sum(block) == naive.sum(block));
        RC_ASSERT(rows(sums, block) == naive.rows(block));
        RC_ASSERT(sums.addresses(block) == naive.rows(block).size());
    }
    for (const Family family : {Family::ipv4, Family::ipv6}) {
        const Block all = Block::all(family);
        RC_ASSERT(sums.sum(all) == naive.sum(all));
        RC_ASSERT(rows(sums, all) == naive.rows(all));
    }
}

RC_GTEST_PROP(BlockSumsProperty, TakesInABlockOfAnother, ())
{
    Dice dice{*rc::gen::arbitrary<std::uint32_t>()};
    const auto added_max = *rc::gen::inRange(0, 2'000);
    BlockSums sums;
    BlockSums other;
    NaiveSums naive;
    const Block taken = dice.next_block();

    for (int i = 0; i < added_max; i++) {
        const Address address = dice.next_address();
        const std::int64_t amount = dice.number(-2, 3);
        const bool is_other = dice.number(0, 1) == 0;
        (is_other ? other : sums).add(address, amount);
        if (!is_other || taken.contains(address))
            naive.add(address, amount);
    }
    sums.add_all(other, taken);
    for (const Family family : {Family::ipv4, Family::ipv6})
        RC_ASSERT(rows(sums, Block::all(family)) == naive.rows(Block::all(family)));
}

} // namespace
} // namespace tallygate::core::test
