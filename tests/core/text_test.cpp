// SPDX-License-Identifier: BSD-2-Clause
#include "core/text.hpp"

#include <gtest/gtest.h>

namespace tallygate::core::test {
namespace {

TEST(TextTest, LowersLettersOfAsciiAlone)
{
    EXPECT_EQ(lower_case("SMTP-Az9"), "smtp-az9");
    EXPECT_EQ(lower_case("\xc3\x96"), "\xc3\x96");
    EXPECT_EQ(listed({"one", "two"}), "one, two");
    EXPECT_EQ(listed({}), "");
    EXPECT_TRUE(is_printable(" ~"));
    EXPECT_FALSE(is_printable("\x7f"));
}

} // namespace
} // namespace tallygate::core::test
