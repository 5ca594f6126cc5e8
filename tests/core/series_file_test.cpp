// SPDX-License-Identifier: BSD-2-Clause
#include "core/series_file.hpp"

#include <gtest/gtest.h>

#include "core/support.hpp"

namespace tallygate::core::test {
namespace {

constexpr double now = 180'000;
constexpr Monitor minutes{60, 5};

AuditSeries some_series()
{
    AuditSeries series;
    for (const bool persist : {true, false}) {
        const std::string tail = persist ? "" : " of a day";
        EXPECT_TRUE(series.define({"clients" + tail, minutes, SeriesType::cidr, persist}, at(now)));
        EXPECT_TRUE(
            series.define({"clients6" + tail, minutes, SeriesType::cidr_ipv6, persist}, at(now)));
        EXPECT_TRUE(
            series.define({"senders" + tail, minutes, SeriesType::string, persist}, at(now)));
        EXPECT_TRUE(series.add({"clients" + tail}, "192.0.2.1", 3, at(now)));
        EXPECT_TRUE(series.add({"clients" + tail}, "192.0.2.0/24", 30, at(now)));
        EXPECT_TRUE(series.add({"clients" + tail}, "192.0.2.1", -1, at(now + 60)));
        EXPECT_TRUE(series.add({"clients6" + tail}, "2001:db8::1", 5, at(now)));
        EXPECT_TRUE(series.add({"senders" + tail}, "ann", 7, at(now)));
        EXPECT_TRUE(series.add({"senders" + tail}, "j\xc3\xb6rg", 70, at(now + 60)));
    }
    return series;
}

std::string some_bytes()
{
    return encode_series(some_series().all(), at(now + 60));
}

TEST(SeriesFile, GivesBackWhatPersists)
{
    auto decoded = decode_series(some_bytes(), at(now + 70));
    ASSERT_TRUE(decoded) << decoded.error().message;
    AuditSeries series;
    series.restore(std::move(*decoded));
    const auto count = [&](const char *name, const char *key) {
        return series.count({name}, key, 0, 1, at(now + 70))->value;
    };
    EXPECT_EQ(series.definitions(), some_series().definitions());
    EXPECT_EQ(count("clients", "192.0.2.1"), 2);
    EXPECT_EQ(count("clients", "192.0.2.0/24"), 32);
    EXPECT_EQ(count("clients6", "2001:db8::/64"), 5);
    EXPECT_EQ(count("senders", "ann"), 7);
    EXPECT_EQ(count("senders", "j\xc3\xb6rg"), 70);
    EXPECT_EQ(count("clients of a day", "0.0.0.0/0"), 0);
    EXPECT_EQ(count("senders of a day", "ann"), 0);
    EXPECT_EQ(series.count({"clients"}, "192.0.2.1", 0, 1, at(now + 70))->since, at(now));
    EXPECT_EQ(series.count({"senders of a day"}, "ann", 0, 1, at(now + 70))->since, at(now + 70));
}

TEST(SeriesFile, RefusesWhatItDidNotWrite)
{
    const auto whole = some_bytes();
    for (std::size_t size = 0; size < whole.size(); size++)
        EXPECT_FALSE(decode_series(whole.substr(0, size), at(now + 70))) << size;
    const auto body = whole.substr(24);
    for (std::size_t size = 0; size < body.size(); size++)
        EXPECT_FALSE(decode_series(seal_series(body.substr(0, size)), at(now + 70))) << size;
    EXPECT_TRUE(decode_series(seal_series(body), at(now + 70)));
    EXPECT_FALSE(decode_series(seal_series(body + '\0'), at(now + 70)));

    const auto early = decode_series(whole, at(now - 3600));
    ASSERT_FALSE(early);
    EXPECT_EQ(early.error().message, "it was written in the future");
    EXPECT_EQ(decode_series("", at(now)).error().message, "it is no file of tallygate's series");
}

TEST(SeriesFile, IsTheSameAgain)
{
    AuditSeries series;
    series.restore(std::move(*decode_series(some_bytes(), at(now + 60))));
    const auto once = encode_series(series.all(), at(now + 60));
    AuditSeries again;
    again.restore(std::move(*decode_series(once, at(now + 60))));
    EXPECT_EQ(encode_series(again.all(), at(now + 60)), once);
}

} // namespace
} // namespace tallygate::core::test
