// SPDX-License-Identifier: BSD-2-Clause
#include "core/monitor.hpp"

#include <gtest/gtest.h>

namespace tallygate::core {
namespace {

using namespace std::string_literals;

// clang-format off
const struct {
    const char *name;
    std::string text;
    Monitor monitor;
} good_monitors[] = {
    {"ten minutes by the minute",  "60,10",          {60, 10}},
    {"a day by the hour",          "3600,24",        {3600, 24}},
    {"the smallest",               "1,1",            {1, 1}},
    {"the most windows",           "1,10000",        {1, 10'000}},
    {"the longest windows",        "31622400,10000", {31'622'400, 10'000}},
};

const struct {
    const char *name;
    std::string text;
    const char *expected; ///< what the error must speak of
} bad_monitors[] = {
    {"nothing",                     "",                "such as \"60,10\""},
    {"one number",                  "60",              "such as \"60,10\""},
    {"a colon for the comma",       "60:10",           "such as \"60,10\""},
    {"a comma alone",               ",",               "from 1 to 31622400"},
    {"no seconds",                  ",10",             "from 1 to 31622400"},
    {"windows of no time",          "0,5",             "from 1 to 31622400"},
    {"windows too long",            "31622401,1",      "from 1 to 31622400"},
    {"seconds that overflow",       "4294967356,10",   "from 1 to 31622400"},
    {"negative seconds",            "-60,10",          "from 1 to 31622400"},
    {"seconds with a sign",         "+60,10",          "from 1 to 31622400"},
    {"a blank before",              " 60,10",          "from 1 to 31622400"},
    {"a blank before the comma",    "60 ,10",          "from 1 to 31622400"},
    {"a unit",                      "60s,10",          "from 1 to 31622400"},
    {"a fraction",                  "0.5,10",          "from 1 to 31622400"},
    {"hexadecimal seconds",         "0x3c,10",         "from 1 to 31622400"},
    {"no number of windows",        "60,",             "from 1 to 10000"},
    {"no windows",                  "60,0",            "from 1 to 10000"},
    {"one window too many",         "60,10001",        "from 1 to 10000"},
    {"far too many windows",        "60,100000",       "from 1 to 10000"},
    {"windows that overflow",       "60,4294967306",   "from 1 to 10000"},
    {"negative windows",            "60,-10",          "from 1 to 10000"},
    {"a blank after the comma",     "60, 10",          "from 1 to 10000"},
    {"a letter after",              "60,10x",          "from 1 to 10000"},
    {"a line end after",            "60,10\n",         "from 1 to 10000"},
    {"a NUL after",                 "60,10\0"s,        "from 1 to 10000"},
    {"a third number",              "60,10,5",         "from 1 to 10000"},
    {"a very long number",          "60," + std::string(100'000, '1'), "from 1 to 10000"},
};
// clang-format on

TEST(MonitorTest, ReadsWhatItPrints)
{
    for (const auto &row : good_monitors) {
        SCOPED_TRACE(row.name);
        const auto parsed = Monitor::parse(row.text);
        ASSERT_TRUE(parsed) << parsed.error().message;
        EXPECT_EQ(*parsed, row.monitor);
        EXPECT_EQ(parsed->text(), row.text);
    }
}

TEST(MonitorTest, SaysWhatItExpected)
{
    for (const auto &row : bad_monitors) {
        SCOPED_TRACE(row.name);
        const auto parsed = Monitor::parse(row.text);
        ASSERT_FALSE(parsed) << "read as " << parsed->text();
        EXPECT_NE(parsed.error().message.find("is not a monitor: expected"), std::string::npos);
        EXPECT_NE(parsed.error().message.find(row.expected), std::string::npos)
            << parsed.error().message.substr(0, 200);
    }
}

} // namespace
} // namespace tallygate::core
