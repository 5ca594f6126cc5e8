// SPDX-License-Identifier: BSD-2-Clause
#include "base/result.hpp"

#include <gtest/gtest.h>

#include <memory>

namespace tallygate {
namespace {

TEST(ResultTest, HoldsAValue)
{
    Result<std::string> result{"flows"};

    ASSERT_TRUE(result);
    EXPECT_EQ(*result, "flows");
    EXPECT_EQ(result->size(), 5U);
    result->append(" of smtp");
    EXPECT_EQ(*std::as_const(result), "flows of smtp");
}

TEST(ResultTest, HoldsAnError)
{
    const Result<std::string> result{Error{"no such map", ENOENT}};

    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().message, "no such map");
    EXPECT_EQ(result.error().code, ENOENT);
}

TEST(ResultTest, TakesAValueThatOnlyMoves)
{
    Result<std::unique_ptr<int>> result{std::make_unique<int>(25)};

    ASSERT_TRUE(result);
    const std::unique_ptr<int> taken = std::move(*result);
    EXPECT_EQ(*taken, 25);
}

TEST(ResultTest, OfNothingIsDoneOrAnError)
{
    const Result<void> done;
    const Result<void> failed{Error{"attach to eth0"}};

    EXPECT_TRUE(done);
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().message, "attach to eth0");
    EXPECT_EQ(failed.error().code, 0);
}

TEST(ErrorTest, SaysWhatTheSystemSaid)
{
    const auto given = Error::system("write to limits", E2BIG);
    EXPECT_EQ(given.message, "write to limits: Argument list too long");
    EXPECT_EQ(given.code, E2BIG);

    errno = EACCES;
    const auto last = Error::system("open /sys/fs/bpf");
    EXPECT_EQ(last.message, "open /sys/fs/bpf: Permission denied");
    EXPECT_EQ(last.code, EACCES);
}

} // namespace
} // namespace tallygate
