// SPDX-License-Identifier: BSD-2-Clause
#include "core/series.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/support.hpp"

namespace tallygate::core::test {
namespace {

constexpr Monitor half_hours{1800, 3};
constexpr Monitor minutes{60, 5};

class SeriesTest : public testing::Test {
protected:
    SeriesTest()
    {
        define("clients", SeriesType::cidr, half_hours);
        define("clients6", SeriesType::cidr_ipv6, half_hours);
        define("senders", SeriesType::string, half_hours);
    }

    void define(const char *name, SeriesType type, Monitor monitor)
    {
        const auto defined = series.define({name, monitor, type}, at(now));
        EXPECT_TRUE(defined) << defined.error().message;
    }

    std::int64_t add(const SeriesName &which, const std::string &key, std::int64_t amount = 1)
    {
        const auto added = series.add(which, key, amount, at(now));
        EXPECT_TRUE(added) << added.error().message;
        return added ? added->value : 0;
    }

    std::int64_t count(const SeriesName &which, const std::string &key, std::uint32_t start = 0,
                       std::optional<std::uint32_t> end = {})
    {
        const auto counted = series.count(which, key, start, end, at(now));
        EXPECT_TRUE(counted) << counted.error().message;
        return counted ? counted->value : 0;
    }

    AuditSeries series;
    double now = 180'000; ///< where windows of half an hour begin
};

TEST_F(SeriesTest, CountsByAddressAndByBlock)
{
    EXPECT_EQ(add({"clients"}, "192.0.2.1", 3), 3);
    EXPECT_EQ(add({"clients"}, "192.0.2.1"), 4) << "what the key has in the window of now";
    add({"clients"}, "192.0.2.2", 2);
    add({"clients6"}, "[2001:db8::1]", 7);

    EXPECT_EQ(count({"clients"}, "192.0.2.1"), 4);
    EXPECT_EQ(count({"clients"}, "192.0.2.9/24"), 6);
    EXPECT_EQ(count({"clients"}, "0.0.0.0/0"), 6);
    EXPECT_EQ(count({"clients"}, "198.51.100.1"), 0) << "nobody came from there";
    EXPECT_EQ(count({"clients6"}, "2001:db8::/32"), 7);
}

TEST_F(SeriesTest, AddsLessThanNothingToTheWindowOfNowAlone)
{
    add({"clients"}, "192.0.2.1", 3);
    now += 1800;
    add({"clients"}, "192.0.2.1", -1);

    EXPECT_EQ(count({"clients"}, "192.0.2.1"), -1);
    EXPECT_EQ(count({"clients"}, "192.0.2.1", 1), 3);
    EXPECT_EQ(count({"clients"}, "192.0.2.1", 0, 1), 2);
}

TEST_F(SeriesTest, CountsWindowsAndTheirSums)
{
    for (const int amount : {1, 20, 300}) {
        add({"clients"}, "192.0.2.1", amount);
        now += 1800;
    }
    now -= 1800;
    EXPECT_EQ(count({"clients"}, "192.0.2.1"), 300) << "neither: the current one";
    EXPECT_EQ(count({"clients"}, "192.0.2.1", 1), 20) << "a start alone: that window";
    EXPECT_EQ(count({"clients"}, "192.0.2.1", 0, 2), 321) << "both: their sum, ends included";
    EXPECT_EQ(count({"clients"}, "192.0.2.1", 1, 2), 21);
    now += 1800;
    EXPECT_EQ(count({"clients"}, "192.0.2.1", 0, 2), 320);
}

TEST_F(SeriesTest, KeepsSeriesOfOtherMonitorsApart)
{
    define("clients", SeriesType::cidr, minutes);
    add({"clients", "1800,3"}, "192.0.2.1", 3);

    EXPECT_EQ(count({"clients", "1800,3"}, "192.0.2.1"), 3);
    EXPECT_EQ(count({"clients", "60,5"}, "192.0.2.1"), 0);
    const auto which = series.count({"clients"}, "192.0.2.1", 0, {}, at(now));
    ASSERT_FALSE(which);
    EXPECT_EQ(which.error().message,
              "series 'clients' has several monitors: expected one of \"60,5\", "
              "\"1800,3\" with it");
}

TEST_F(SeriesTest, CountsTextsByTheLetter)
{
    add({"senders"}, "ann@example.com", 2);
    add({"senders"}, "Ann@example.com");
    add({"senders"}, "j\xc3\xb6rg@example.com", 5);

    EXPECT_EQ(count({"senders"}, "ann@example.com"), 2);
    EXPECT_EQ(count({"senders"}, "bob@example.com"), 0);
    EXPECT_EQ(count({"senders"}, "j\xc3\xb6rg@example.com"), 5);
    now += 1800;
    EXPECT_EQ(count({"senders"}, "ann@example.com"), 0);
    EXPECT_EQ(count({"senders"}, "ann@example.com", 0, 1), 2);
}

/* What was added to a block, to spare memory or against somebody who cycles addresses. */
TEST_F(SeriesTest, CountsABlockInItselfAndAroundIt)
{
    add({"clients6"}, "2001:db8::5/64", 3);
    add({"clients6"}, "2001:db8::9", 1);

    EXPECT_EQ(count({"clients6"}, "2001:db8::/64"), 4);
    EXPECT_EQ(count({"clients6"}, "2001:db8::/32"), 4);
    EXPECT_EQ(count({"clients6"}, "2001:db8::"), 0);
    EXPECT_EQ(count({"clients6"}, "2001:db8::9"), 1);
}

TEST_F(SeriesTest, RemovesAnItemAndNoOther)
{
    add({"clients"}, "192.0.2.1", 3);
    now += 1800;
    add({"clients"}, "192.0.2.1", 2);
    add({"clients"}, "192.0.2.2", 5);
    add({"senders"}, "ann@example.com");
    add({"senders"}, "bob@example.com");

    ASSERT_TRUE(series.remove_item({"clients"}, "192.0.2.1"));
    EXPECT_EQ(count({"clients"}, "192.0.2.1", 0, 2), 0);
    EXPECT_EQ(count({"clients"}, "192.0.2.0/24", 0, 2), 5);
    ASSERT_TRUE(series.remove_item({"senders"}, "ann@example.com"));
    ASSERT_TRUE(series.remove_item({"senders"}, "nobody@example.com")) << "it has none";
    EXPECT_EQ(count({"senders"}, "ann@example.com"), 0);
    EXPECT_EQ(count({"senders"}, "bob@example.com"), 1);
    EXPECT_EQ(add({"clients"}, "192.0.2.1"), 1) << "it may come back";
}

TEST_F(SeriesTest, ListsItemsInOrderAndInParts)
{
    for (const char *key : {"zoe", "ann", "bob"})
        add({"senders"}, key, 2);
    add({"senders"}, "bob");
    using Items = std::vector<SeriesItem>;
    const auto items = [&](const SeriesName &which, std::optional<std::string> after = {},
                           std::size_t rows = 10) {
        const auto page = series.items(which, 0, 1, after, rows, at(now));
        EXPECT_TRUE(page) << page.error().message;
        return page ? page->items : SeriesItems{};
    };
    EXPECT_EQ(items({"senders"}).items, (Items{{"ann", 2}, {"bob", 3}, {"zoe", 2}}));
    EXPECT_EQ(items({"senders"}, {}, 1).items, (Items{{"ann", 2}}));
    EXPECT_EQ(items({"senders"}, {}, 1).total, 3U);
    EXPECT_EQ(items({"senders"}, "ann", 1).items, (Items{{"bob", 3}}));
    EXPECT_EQ(items({"senders"}, "bob").items, (Items{{"zoe", 2}}));
    EXPECT_EQ(items({"senders"}, "zoe").total, 0U);

    add({"clients"}, "192.0.2.9");
    add({"clients"}, "192.0.2.0/24", 4);
    now += 1800;
    add({"clients"}, "192.0.2.9", 5);
    EXPECT_EQ(items({"clients"}).items, (Items{{"192.0.2.0/24", 4}, {"192.0.2.9", 6}}));
    EXPECT_EQ(items({"clients"}, "192.0.2.0/24").items, (Items{{"192.0.2.9", 6}}));
    EXPECT_EQ(items({"clients"}, "192.0.2.9").total, 0U);
    EXPECT_FALSE(series.items({"senders"}, 0, 1, {}, 0, at(now)));
    EXPECT_FALSE(series.items({"senders"}, 0, 1, {}, AuditSeries::items_max + 1, at(now)));
}

TEST_F(SeriesTest, DefinesAgainWhatIsTheSame)
{
    add({"clients"}, "192.0.2.1");
    const auto generation = series.generation();
    EXPECT_TRUE(series.define({"clients", half_hours, SeriesType::cidr, false}, at(now)));
    EXPECT_EQ(series.generation(), generation);
    EXPECT_TRUE(series.define({"clients", half_hours, SeriesType::cidr, true}, at(now)));
    EXPECT_NE(series.generation(), generation) << "it persists from now on";
    EXPECT_EQ(count({"clients"}, "192.0.2.1"), 1);

    const auto other = series.define({"clients", half_hours, SeriesType::string}, at(now));
    ASSERT_FALSE(other);
    EXPECT_EQ(other.error().message,
              "series 'clients' with monitor '1800,3' is of type cidr already");
    EXPECT_EQ(other.error().code, static_cast<int>(Wrong::conflict));
    EXPECT_FALSE(series.define({"clients", half_hours, SeriesType::cidr_ipv6}, at(now)));
    EXPECT_EQ(series.definitions().size(), 3U);
}

/* As Sieve does it, which has no words to define a series. */
TEST_F(SeriesTest, DefinesByAddingWithAMonitor)
{
    EXPECT_EQ(add({"mycounter", "1800,3"}, "192.0.2.1", 3), 3);
    EXPECT_EQ(add({"mycounter", "1800,3"}, "2001:db8::1", 2), 2);
    EXPECT_EQ(count({"mycounter", "1800,3"}, "192.0.2.0/24"), 3);
    EXPECT_EQ(count({"mycounter", "1800,3"}, "2001:db8::/64"), 2) << "each family has its own";
    EXPECT_EQ(series.definitions().size(), 5U);
    EXPECT_EQ(series.items({"mycounter", {}, SeriesType::cidr_ipv6}, 0, 0, {}, 5, at(now))
                  ->items.items.front()
                  .key,
              "2001:db8::1");

    EXPECT_FALSE(series.add({"unheard"}, "192.0.2.1", 1, at(now))) << "no monitor";
    EXPECT_FALSE(series.add({"unheard", "1800,3"}, "ann", 1, at(now))) << "no address";
    EXPECT_FALSE(series.add({"unheard", "1800"}, "192.0.2.1", 1, at(now))) << "no monitor";
    EXPECT_FALSE(series.add({" ", "1800,3"}, "192.0.2.1", 1, at(now))) << "no name";
    EXPECT_EQ(series.definitions().size(), 5U);
}

TEST_F(SeriesTest, TakesASeriesAway)
{
    add({"clients"}, "192.0.2.1");
    EXPECT_TRUE(series.undefine({"clients"}));
    EXPECT_FALSE(series.undefine({"clients"}));
    EXPECT_FALSE(series.count({"clients"}, "192.0.2.1", 0, {}, at(now)));
    define("clients", SeriesType::string, half_hours);
}

const std::string long_key(AuditSeries::key_bytes_max + 1, 'a');

const struct {
    SeriesName which;
    std::string key;
    std::uint32_t start;
    std::optional<std::uint32_t> end;
    Wrong wrong;
    std::string message;
} wrong_counts[] = {
    {{"client"},
     "192.0.2.1",
     0,
     {},
     Wrong::unknown,
     "there is no series 'client': expected one of clients, clients6, senders"},
    {{"clients", "1800,4"},
     "192.0.2.1",
     0,
     {},
     Wrong::unknown,
     "series 'clients' has no monitor '1800,4': expected one of \"1800,3\""},
    {{"clients", {}, SeriesType::string},
     "192.0.2.1",
     0,
     {},
     Wrong::unknown,
     "series 'clients' is not of type string but cidr"},
    {{"clients", "60"},
     "192.0.2.1",
     0,
     {},
     Wrong::malformed,
     "'60' is not a monitor: expected the seconds of a window, a comma and the number of "
     "windows, such as \"60,10\""},
    {{"clients"},
     "2001:db8::1",
     0,
     {},
     Wrong::malformed,
     "series 'clients' is of type cidr, which does not hold '2001:db8::1': a series of type "
     "cidr_ipv6 does"},
    {{"clients6"},
     "192.0.2.1",
     0,
     {},
     Wrong::malformed,
     "series 'clients6' is of type cidr_ipv6, which does not hold '192.0.2.1': a series of "
     "type cidr does"},
    {{"senders"}, "", 0, {}, Wrong::malformed, "the key is empty"},
    {{"senders"},
     "a\nb",
     0,
     {},
     Wrong::malformed,
     "the key is not text in UTF-8, or has control characters"},
    {{"senders"},
     "\xff",
     0,
     {},
     Wrong::malformed,
     "the key is not text in UTF-8, or has control characters"},
    {{"senders"}, long_key, 0, {}, Wrong::malformed, "the key has 257 bytes: expected at most 256"},
    {{"clients"},
     "192.0.2.1",
     3,
     {},
     Wrong::malformed,
     "monitor '1800,3' has no window 3: expected 0 (now) to 2 (the oldest)"},
    {{"clients"},
     "192.0.2.1",
     2,
     1,
     Wrong::malformed,
     "window 2 comes after window 1: expected the newer window first, and 0 is now"},
};

TEST_F(SeriesTest, SaysWhatIsWrong)
{
    for (const auto &row : wrong_counts) {
        SCOPED_TRACE(row.message);
        const auto counted = series.count(row.which, row.key, row.start, row.end, at(now));
        ASSERT_FALSE(counted);
        EXPECT_EQ(counted.error().message, row.message);
        EXPECT_EQ(counted.error().code, static_cast<int>(row.wrong));
    }
    const auto host = series.count({"clients"}, "localhost", 0, {}, at(now));
    ASSERT_FALSE(host);
    EXPECT_EQ(host.error().message.find("series 'clients' counts by address: 'localhost' is not"),
              0U);
    EXPECT_FALSE(series.add({"clients"}, "192.0.2.1", AuditSeries::amount_max + 1, at(now)));
    EXPECT_FALSE(series.add({"clients"}, "192.0.2.1", -AuditSeries::amount_max - 1, at(now)));
    EXPECT_EQ(AuditSeries{}.count({"any"}, "192.0.2.1", 0, {}, at(now)).error().message,
              "there is no series 'any': none is defined");
}

TEST_F(SeriesTest, HasRoomForSoManyDefinitions)
{
    for (std::size_t i = series.definitions().size(); i < AuditSeries::series_max; i++)
        define(("series" + std::to_string(i)).c_str(), SeriesType::cidr, minutes);
    const auto one_more = series.define({"more", minutes, SeriesType::cidr}, at(now));
    ASSERT_FALSE(one_more);
    EXPECT_EQ(one_more.error().code, 0);
    EXPECT_FALSE(series.add({"more", "60,5"}, "192.0.2.1", 1, at(now)));
    EXPECT_TRUE(series.define({"clients", half_hours, SeriesType::cidr}, at(now)));
    EXPECT_TRUE(series.undefine({"clients"}));
    EXPECT_TRUE(series.define({"more", minutes, SeriesType::cidr}, at(now)));

    for (const auto *name : {"", " a", "a ", "a\tb", "\xc3\xa9"})
        EXPECT_FALSE(series.define({name, minutes, SeriesType::cidr}, at(now))) << name;
    EXPECT_FALSE(series.define({std::string(65, 'a'), minutes, SeriesType::cidr}, at(now)));
}

/* Whoever sends garbage senders fills one series, and no other. */
TEST_F(SeriesTest, TakesNoNewKeysWhereTheyAreTooMany)
{
    series.set_memory(4 << 20);
    add({"senders"}, "ann@example.com");
    std::size_t refused = 0;
    for (int i = 0; i < 60'000; i++)
        refused +=
            series.add({"senders"}, "garbage-" + std::to_string(i * 7919), 1, at(now)) ? 0 : 1;

    EXPECT_GT(refused, 10'000U);
    EXPECT_EQ(series.refused_total(), refused);
    EXPECT_LT(series.bytes(), 2U << 20);
    EXPECT_EQ(add({"senders"}, "ann@example.com"), 2) << "known keys go on counting";
    EXPECT_EQ(add({"clients"}, "192.0.2.1"), 1) << "other series have room";
    const auto more = series.add({"senders"}, "new@example.com", 1, at(now));
    ASSERT_FALSE(more);
    EXPECT_EQ(more.error().code, 0);

    now += 4 * 1800;
    series.forget_old(at(now));
    now += 1800;
    series.forget_old(at(now));
    EXPECT_EQ(add({"senders"}, "new@example.com"), 1) << "their windows have left";
}

/* Who comes all the time is counted on when a window ends, and a stranger is not. */
TEST_F(SeriesTest, TakesWhomItKnowsIntoANewWindowWhereItIsFull)
{
    series.set_memory(4 << 20);
    const auto fill = [&](int from) {
        for (int i = from; i < from + 60'000; i++)
            static_cast<void>(
                series.add({"senders"}, "garbage-" + std::to_string(i * 7919), 1, at(now)));
    };
    add({"senders"}, "ann@example.com", 3);
    fill(0);
    for (int window = 1; window < 3; window++) {
        now += 1800;
        series.forget_old(at(now));
        fill(60'000 * window);
        EXPECT_EQ(add({"senders"}, "ann@example.com"), 1) << "window " << window;
        EXPECT_EQ(count({"senders"}, "ann@example.com", 0, 2), 3 + window);
        EXPECT_FALSE(series.add({"senders"}, "new@example.com", 1, at(now)));
        EXPECT_LT(series.bytes(), 2U << 20);
    }
    now += 1800;
    const auto before = series.add({"senders"}, "garbage-0", 1, at(now));
    EXPECT_FALSE(before) << "the window before has not got it";
}

TEST_F(SeriesTest, TakesNobodyIntoANewWindowWhereEvenTheRestIsUsedUp)
{
    series.set_memory(4 << 20);
    std::size_t taken = 0;
    for (int window = 0; window < 3; window++) {
        taken = 0;
        for (int i = 0; i < 60'000; i++)
            taken += series.add({"senders"}, "garbage-" + std::to_string(i), 1, at(now)) ? 1 : 0;
        now += 1800;
        series.forget_old(at(now));
        EXPECT_LT(series.bytes(), 2U << 20) << "the same ones in each window";
    }
    EXPECT_LT(taken, 10'000U);
}

TEST_F(SeriesTest, GivesMemoryBack)
{
    const auto before = series.bytes();
    for (int i = 0; i < 10'000; i++)
        add({"clients"}, Address::from_ipv4(0xc6330000U + static_cast<std::uint32_t>(i)).text());
    EXPECT_GT(series.bytes(), before + 100'000);
    now += 4 * 1800;
    series.forget_old(at(now));
    now += 1800;
    series.forget_old(at(now));
    EXPECT_LE(series.bytes(), before + 1'000);
}

TEST(SeriesTypeTest, IsReadByItsName)
{
    for (const auto type : {SeriesType::cidr, SeriesType::cidr_ipv6, SeriesType::string})
        EXPECT_EQ(parse_series_type(series_type_name(type)), type);
    for (const char *text : {"", "CIDR", "ipv6", "string "})
        EXPECT_EQ(parse_series_type(text), std::nullopt) << text;
}

} // namespace
} // namespace tallygate::core::test
