// SPDX-License-Identifier: BSD-2-Clause
//
// Time, bounds and memory of anvil's table, and what of it outlives the daemon.
#include "frontend/anvil_table.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <ctime>
#include <deque>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "frontend/anvil_saved.hpp"

namespace tallygate::frontend {
namespace {

using std::chrono::seconds;

constexpr std::int64_t begin = 1'700'000'000;

AnvilTable::Time at(double second)
{
    return AnvilTable::Time{seconds{begin + static_cast<std::int64_t>(second)}};
}

AnvilTable::Options six_seconds()
{
    return {.time_unit = seconds{6}, .hash_seed = 7};
}

std::uint32_t connections(const AnvilCounts &counts)
{
    return counts.rate(AnvilRate::connection);
}

class AnvilTableTest : public testing::Test {
protected:
    AnvilTable table_{six_seconds()};
    AnvilLink a_;
    AnvilLink b_;
};

TEST_F(AnvilTableTest, a_window_ends_after_more_than_the_time_unit)
{
    table_.connect(a_, "x", at(0));
    EXPECT_EQ(connections(table_.lookup("x", at(5))), 1U);
    EXPECT_EQ(connections(table_.lookup("x", at(6))), 1U);
    EXPECT_EQ(connections(table_.lookup("x", at(7))), 0U);
    EXPECT_EQ(table_.lookup("x", at(7)).count, 1U) << "a session has no window";
}

TEST_F(AnvilTableTest, a_window_begins_with_an_event)
{
    table_.connect(a_, "x", at(0));
    EXPECT_EQ(table_.add(a_, "x", AnvilRate::message, at(3)), 1U);
    EXPECT_EQ(table_.add(a_, "x", AnvilRate::message, at(6)), 2U);
    EXPECT_EQ(table_.add(a_, "x", AnvilRate::message, at(7.2)), 1U);
    EXPECT_EQ(table_.add(a_, "x", AnvilRate::message, at(10.2)), 2U);
    EXPECT_EQ(connections(table_.lookup("x", at(10.2))), 0U) << "one window for all rates";
}

TEST_F(AnvilTableTest, an_ident_without_sessions_is_forgotten_a_time_unit_later)
{
    table_.connect(a_, "x", at(0));
    table_.disconnect(a_, "x", at(4));
    EXPECT_EQ(connections(table_.lookup("x", at(5))), 1U);
    EXPECT_EQ(connections(table_.lookup("x", at(9))), 0U);
    EXPECT_EQ(table_.size(), 1U);
    EXPECT_EQ(table_.lookup("x", at(10)), AnvilCounts{});
    EXPECT_EQ(table_.size(), 0U);
}

TEST_F(AnvilTableTest, a_session_that_comes_in_time_keeps_it)
{
    table_.connect(a_, "x", at(0));
    table_.disconnect(a_, "x", at(4));
    table_.connect(a_, "x", at(6));
    table_.disconnect(a_, "x", at(6));
    EXPECT_EQ(table_.size(), 1U);
    table_.forget(10, at(11));
    EXPECT_EQ(table_.size(), 1U) << "counted from its last session";
    table_.forget(10, at(12));
    EXPECT_EQ(table_.size(), 0U);
}

TEST_F(AnvilTableTest, rates_stop_at_the_largest_number)
{
    const AnvilRates full{AnvilTable::rate_max, AnvilTable::rate_max - 1, AnvilTable::rate_max};
    table_.restore({"x", at(0), full, 0}, at(0));
    EXPECT_EQ(connections(table_.connect(a_, "x", at(1))), 2'147'483'647U);
    EXPECT_EQ(table_.add(a_, "x", AnvilRate::message, at(1)), 2'147'483'647U);
    EXPECT_EQ(table_.add(a_, "x", AnvilRate::message, at(1)), 2'147'483'647U);
}

TEST_F(AnvilTableTest, a_clock_that_is_set_back_stops_no_window)
{
    table_.connect(a_, "x", at(1000));
    EXPECT_EQ(connections(table_.connect(a_, "x", at(10))), 2U);
    EXPECT_EQ(connections(table_.connect(a_, "x", at(16))), 3U);
    EXPECT_EQ(connections(table_.connect(a_, "x", at(17))), 1U);
    std::deque<AnvilSaved> saved;
    table_.save(0, 10, at(17), saved);
    EXPECT_EQ(saved.front().start, at(17)) << "in the clock's own time";
}

TEST_F(AnvilTableTest, peaks_are_logged_as_postfix_does)
{
    ::setenv("TZ", "UTC", 1);
    ::tzset();
    const auto time = AnvilTable::Time{seconds{1'795'176'883}}; // Nov 20 2026, 12:14:43
    const std::string ident = "smtp:198.51.100.7";
    table_.connect(a_, ident, time);
    table_.connect(b_, ident, time);
    table_.connect(b_, ident, time);
    table_.add(b_, ident, AnvilRate::message, time);
    table_.add(b_, ident, AnvilRate::tlstr, time);
    table_.connect(b_, "smtp:203.0.113.9", time + seconds{1});
    EXPECT_EQ(table_.take_peaks().lines(seconds{6}),
              (std::vector<std::string>{
                  "statistics: max connection rate 3/6s for (smtp:198.51.100.7) at Nov 20 12:14:43",
                  "statistics: max connection count 2 for (smtp:198.51.100.7) at Nov 20 12:14:43",
                  "statistics: max message rate 1/6s for (smtp:198.51.100.7) at Nov 20 12:14:43",
                  "statistics: max cache size 2 at Nov 20 12:14:44"}));
    EXPECT_EQ(table_.take_peaks().lines(seconds{6}).size(), 0U) << "nothing since";

    table_.connect(b_, "a\nb", time);
    EXPECT_NE(table_.take_peaks().lines(seconds{6}).front().find("(a?b)"), std::string::npos);
}

TEST_F(AnvilTableTest, the_longest_idle_goes_where_there_is_no_room)
{
    AnvilTable small{{.time_unit = seconds{60}, .idents_max = 3, .hash_seed = 1}};
    AnvilLink link;
    for (const auto *ident : {"a", "b", "c"})
        small.connect(link, ident, at(0));
    EXPECT_EQ(small.evicted_total(), 0U);
    small.connect(link, "d", at(1));
    EXPECT_EQ(small.size(), 3U);
    EXPECT_EQ(small.evicted_total(), 1U);
    EXPECT_EQ(small.lookup("a", at(1)), AnvilCounts{});
    EXPECT_EQ(connections(small.lookup("b", at(1))), 1U);
    EXPECT_EQ(small.lookup("d", at(1)).count, 1U);
}

TEST_F(AnvilTableTest, whoever_has_a_session_is_never_forgotten)
{
    AnvilTable small{{.time_unit = seconds{60}, .idents_max = 2, .hash_seed = 1}};
    std::vector<AnvilLink> links(5);
    for (std::size_t i = 0; i < links.size(); i++)
        small.connect(links[i], std::to_string(i), at(0));
    for (std::size_t i = 0; i < links.size(); i++)
        EXPECT_EQ(small.lookup(std::to_string(i), at(1000)).count, 1U) << i;
}

TEST_F(AnvilTableTest, long_idents_have_a_bound_of_their_own)
{
    AnvilTable small{{.time_unit = seconds{60}, .ident_bytes_max = 10'000, .hash_seed = 1}};
    AnvilLink link;
    for (int i = 0; i < 100; i++)
        small.connect(link, std::string(1000, 'x') + std::to_string(i), at(0));
    EXPECT_LE(small.size(), 10U);
}

TEST_F(AnvilTableTest, a_million_that_are_due_keep_nobody_waiting)
{
    constexpr std::size_t many = 100'000;
    for (std::size_t i = 0; i < many; i++)
        table_.connect(a_, std::to_string(i), at(0));
    EXPECT_EQ(table_.lookup("5", at(100)), AnvilCounts{});
    EXPECT_GE(table_.size(), many - 100) << "one question removes a few";
    for (std::size_t i = 0; i < many; i++)
        table_.lookup("y", at(100));
    EXPECT_EQ(table_.size(), 1U) << "all but the last, which is connected";
}

TEST_F(AnvilTableTest, what_outlives_the_daemon)
{
    table_.connect(a_, "open", at(0));
    table_.add(a_, "open", AnvilRate::message, at(1));
    table_.connect(b_, "idle", at(2));
    table_.disconnect(b_, "idle", at(2));
    std::deque<AnvilSaved> saved;
    EXPECT_EQ(table_.save(0, 100, at(3), saved), std::nullopt);
    const auto bytes = encode_anvil_saved(saved);
    const auto decoded = decode_anvil_saved(bytes);
    ASSERT_TRUE(decoded);
    EXPECT_EQ(*decoded, saved);

    AnvilTable next{six_seconds()};
    AnvilLink link;
    for (const auto &each : *decoded)
        next.restore(each, at(4));
    EXPECT_EQ(next.lookup("open", at(4)).count, 0U) << "its stream ended with the daemon";
    EXPECT_EQ(connections(next.lookup("open", at(4))), 1U);
    EXPECT_EQ(connections(next.lookup("idle", at(4))), 1U);
    EXPECT_EQ(next.add(link, "open", AnvilRate::message, at(5)), 2U);
    EXPECT_EQ(next.lookup("open", at(5)).count, 1U) << "the session was heard of again";
    EXPECT_EQ(connections(next.lookup("open", at(5))), 1U) << "and has not come a second time";
    EXPECT_EQ(next.add(link, "open", AnvilRate::message, at(5)), 3U);
    EXPECT_EQ(next.lookup("open", at(5)).count, 1U);

    AnvilLink later;
    EXPECT_EQ(next.add(later, "idle", AnvilRate::message, at(5)), 1U);
    EXPECT_EQ(next.lookup("idle", at(5)).count, 0U) << "it had no session to be heard of";
    EXPECT_EQ(connections(next.lookup("open", at(7))), 0U) << "the window goes on where it was";
}

TEST_F(AnvilTableTest, a_session_that_ended_while_nobody_listened_is_not_waited_for)
{
    AnvilLink link;
    table_.restore({"x", at(0), {3}, 1}, at(0));
    table_.disconnect(link, "x", at(1));
    table_.add(link, "x", AnvilRate::auth, at(2));
    EXPECT_EQ(table_.lookup("x", at(2)).count, 0U);
}

TEST_F(AnvilTableTest, saving_in_slices_sees_all)
{
    for (int i = 0; i < 1000; i++)
        table_.connect(a_, std::to_string(i), at(0));
    std::deque<AnvilSaved> saved;
    std::size_t slices = 0;
    for (std::optional<std::size_t> next = 0; next; slices++)
        next = table_.save(*next, 100, at(1), saved);
    EXPECT_EQ(slices, 10U);
    EXPECT_EQ(saved.size(), 1000U);
    saved.clear();
    table_.save(0, 1000, at(100), saved);
    EXPECT_EQ(saved.size(), 1U) << "only what is worth it: the one with a session";
}

TEST_F(AnvilTableTest, a_file_that_is_not_whole_is_refused)
{
    const auto bytes = encode_anvil_saved({{"x", at(0), {1}, 1}});
    for (std::size_t size = 0; size < bytes.size(); size++)
        EXPECT_FALSE(decode_anvil_saved(bytes.substr(0, size))) << size;
    auto changed = bytes;
    changed.back() ^= 1;
    EXPECT_FALSE(decode_anvil_saved(changed));
    EXPECT_FALSE(decode_anvil_saved(bytes + "x"));
}

/// The same, as simply as it can be said.
struct Model {
    struct Ident {
        std::multiset<int> holders;
        AnvilRates rates{};
        std::int64_t start = 0;
        std::int64_t idle_since = 0;
    };

    void tick(std::int64_t now)
    {
        std::erase_if(idents, [&](const auto &each) {
            return each.second.holders.empty() && each.second.idle_since + 6 <= now;
        });
    }

    void leave(int stream, std::int64_t now)
    {
        for (auto &[name, ident] : idents)
            if (ident.holders.erase(stream) > 0 && ident.holders.empty())
                ident.idle_since = now;
    }

    std::uint32_t count(const std::string &name, AnvilRate which, std::int64_t now)
    {
        auto &ident = idents[name];
        if (ident.start + 6 < now) {
            ident.rates = {};
            ident.start = now;
        }
        return ++ident.rates[static_cast<std::size_t>(which)];
    }

    void connect(int stream, const std::string &name, std::int64_t now)
    {
        count(name, AnvilRate::connection, now);
        idents[name].holders.insert(-1); // not idle while the stream leaves
        leave(stream, now);
        idents[name].holders.erase(-1);
        idents[name].holders.insert(stream);
    }

    std::map<std::string, Ident> idents;
};

TEST_F(AnvilTableTest, agrees_with_a_plain_model_over_random_days)
{
    std::mt19937 dice{20261121};
    const auto number = [&](int below) {
        return static_cast<int>(dice() % static_cast<unsigned>(below));
    };
    std::array<AnvilLink, 5> links;
    Model model;
    std::int64_t now = begin;

    for (int step = 0; step < 100'000; step++) {
        now += number(4) == 0 ? number(4) : 0;
        model.tick(now);
        const auto time = AnvilTable::Time{seconds{now}};
        const int stream = number(5);
        const auto name = "ident" + std::to_string(number(8));
        const auto known = model.idents.find(name);
        auto &link = links[static_cast<std::size_t>(stream)];
        switch (number(6)) {
        case 0:
            table_.connect(link, name, time);
            model.connect(stream, name, now);
            break;
        case 1:
            table_.disconnect(link, name, time);
            if (known != model.idents.end() && known->second.holders.count(stream) > 0)
                model.leave(stream, now);
            break;
        case 2:
        case 3:
            if (known == model.idents.end())
                model.connect(stream, name, now);
            ASSERT_EQ(table_.add(link, name, AnvilRate::auth, time),
                      model.count(name, AnvilRate::auth, now));
            break;
        case 4:
            table_.end(link, time);
            model.leave(stream, now);
            break;
        default:
            break;
        }
        const auto found = model.idents.find(name);
        const auto counts = table_.lookup(name, time);
        if (found == model.idents.end()) {
            ASSERT_EQ(counts, AnvilCounts{}) << step;
            continue;
        }
        ASSERT_EQ(counts.count, found->second.holders.size()) << step;
        ASSERT_EQ(counts.rates, found->second.start + 6 < now ? AnvilRates{} : found->second.rates)
            << step;
    }
}

} // namespace
} // namespace tallygate::frontend
