// SPDX-License-Identifier: BSD-2-Clause
#include "core/text.hpp"

#include <gtest/gtest.h>

namespace tallygate::core::test {
namespace {

TEST(TextTest, KnowsPlainText)
{
    for (const char *text :
         {"", "ann@example.com", "j\xc3\xb6rg", "\xe2\x82\xac", "\xf0\x9f\x93\xa8", "\xed\x9f\xbf",
          "\xee\x80\x80", "\xf4\x8f\xbf\xbf", "\xc2\xa0"})
        EXPECT_TRUE(is_plain_text(text)) << text;
    for (const char *text :
         {"\n", "a\x7f", "\x80", "\xc3", "\xc3(", "\xc0\xaf", "\xe0\x80\xaf", "\xf0\x80\x80\xaf",
          "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff", "\xe2\x82", "\xc2\x85"})
        EXPECT_FALSE(is_plain_text(text)) << text;
    EXPECT_FALSE(is_plain_text(std::string_view("\0", 1)));
}

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
