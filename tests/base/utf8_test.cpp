// SPDX-License-Identifier: BSD-2-Clause
#include "base/utf8.hpp"

#include <gtest/gtest.h>

namespace tallygate::test {
namespace {

TEST(Utf8, KnowsPlainText)
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

} // namespace
} // namespace tallygate::test
