// SPDX-License-Identifier: BSD-2-Clause
#include "cli/render.hpp"

#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "cli/screen.hpp"

namespace tallygate::test {
namespace {

namespace json = boost::json;

TEST(Render, GroupsDigits)
{
    const struct {
        const char *json;
        const char *grouped;
        const char *plain;
    } rows[] = {
        {R"({"n":0})", "0", "0"},
        {R"({"n":999})", "999", "999"},
        {R"({"n":1000})", "1,000", "1000"},
        {R"({"n":-123456})", "-123,456", "-123456"},
        {R"({"n":1234567})", "1,234,567", "1234567"},
        {R"({"n":18446744073709551615})", "18,446,744,073,709,551,615", "18446744073709551615"},
        {R"({"n":null})", "-", ""},
        {R"({"n":1.5})", "-", ""},
        {R"({})", "-", ""},
    };
    for (const auto &row : rows) {
        SCOPED_TRACE(row.json);
        const auto value = json::parse(row.json);
        EXPECT_EQ(cli::grouped_at(value.get_object(), "n"), row.grouped);
        EXPECT_EQ(cli::plain_at(value.get_object(), "n"), row.plain);
    }
}

TEST(Render, TellsSpansInTheTwoUnitsThatMatter)
{
    const struct {
        double seconds;
        const char *text;
    } rows[] = {
        {-1, "0 s"},    {0.9, "0 s"},        {59, "59 s"},
        {60, "1 min"},  {125, "2 min 5 s"},  {3600, "1 h"},
        {3605, "1 h"},  {7500, "2 h 5 min"}, {86399, "23 h 59 min"},
        {86400, "1 d"}, {360000, "4 d 4 h"},
    };
    for (const auto &row : rows)
        EXPECT_EQ(cli::span_text(row.seconds), row.text);
}

TEST(Render, TellsTimeInUtc)
{
    EXPECT_EQ(cli::time_text(1763693292.75), "2025-11-21 02:48:12 UTC");
}

TEST(Render, LinesColumnsUp)
{
    using enum cli::Table::Align;
    cli::Table table{{left, right, left}};
    table.add({"NAME", "N", "NOTE"});
    table.add({"a", "1,000", ""});
    table.add({"longer", "1", "x"});
    EXPECT_EQ(table.text(), "NAME        N  NOTE\n"
                            "a       1,000\n"
                            "longer      1  x\n");
}

TEST(Render, ReadsNothingIntoFieldsOfAnotherType)
{
    const auto value = json::parse(R"({"text":1,"number":"x","flag":1,"objects":[1],"texts":[1]})");
    const auto &object = value.get_object();
    EXPECT_EQ(cli::text_at(object, "text"), "");
    EXPECT_EQ(cli::number_at(object, "number"), 0);
    EXPECT_FALSE(cli::is_set_at(object, "flag"));
    EXPECT_TRUE(cli::object_at(object, "text").empty());
    EXPECT_TRUE(cli::objects_at(object, "objects").empty());
    EXPECT_TRUE(cli::objects_at(object, "missing").empty());
    EXPECT_TRUE(cli::texts_at(object, "texts").empty());
}

TEST(Screen, CutsAViewToTheTerminal)
{
    EXPECT_EQ(cli::on_screen("one\n\nthree and more\n", {.columns = 5, .rows = 24}),
              "\x1b[Hone\x1b[K\n\x1b[K\nthree\x1b[K\n\x1b[J");
    EXPECT_EQ(cli::on_screen("one\ntwo\nthree\n", {.columns = 80, .rows = 3}),
              "\x1b[Hone\x1b[K\ntwo\x1b[K\n\x1b[J");
    EXPECT_EQ(cli::on_screen("", {}), "\x1b[H\x1b[J");
}

} // namespace
} // namespace tallygate::test
