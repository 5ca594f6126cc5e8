// SPDX-License-Identifier: BSD-2-Clause
#include "core/prefix_windows.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>

#include "core/count_bounds.hpp"
#include "core/fake_gate.hpp"
#include "core/question.hpp"
#include "core/source_set.hpp"
#include "core/support.hpp"

namespace tallygate::core::test {
namespace {

constexpr ServiceId smtp = 1;
constexpr ServiceId submission = 2;
constexpr Monitor minutes{60, 10};

/// Few numbers or many, small counts or some past 2^24, sparse and then dense.
RC_GTEST_PROP(PrefixCountsProperty, agree_with_a_map, (std::uint32_t seed))
{
    Dice dice{seed};
    PrefixCounts counts{16};
    std::map<std::uint32_t, std::uint64_t> naive;
    const auto adds = dice.number(0, 3) == 0 ? dice.number(0, 20'000) : dice.number(0, 500);
    const auto numbers_max = dice.number(0, 1) == 1 ? 65'535 : 300;

    for (auto left = adds; left > 0; left--) {
        const auto number = static_cast<std::uint32_t>(dice.number(0, numbers_max));
        const auto amount = static_cast<std::uint64_t>(dice.number(1, 1 << dice.number(0, 30)));
        counts.add(number, amount);
        naive[number] += amount;
    }
    std::map<std::uint32_t, std::uint64_t> seen;
    counts.for_each([&](std::uint32_t number, std::uint64_t amount) { seen[number] = amount; });
    RC_ASSERT(seen == naive);
    for (int i = 0; i < 20; i++) {
        const auto first = static_cast<std::uint32_t>(dice.number(0, 65'535));
        const auto last = static_cast<std::uint32_t>(dice.number(first, 65'535));
        std::uint64_t sum = 0;
        for (auto at = naive.lower_bound(first); at != naive.end() && at->first <= last; ++at)
            sum += at->second;
        RC_ASSERT(counts.sum(first, last) == sum);
    }
}

/// Amounts of neighbours, as a walk brings them: few or many of them, most of them small.
std::vector<std::uint32_t> next_run(Dice &dice, std::size_t size)
{
    std::vector<std::uint32_t> run(size);
    const auto filled_percent = dice.number(0, 2) == 0 ? 90 : dice.number(0, 20);
    const auto bits_max = dice.number(0, 4) == 0 ? 31 : 7;

    for (auto &amount : run)
        if (dice.number(0, 99) < filled_percent)
            amount = static_cast<std::uint32_t>((1ULL << dice.number(0, bits_max)) - 1 +
                                                static_cast<std::uint64_t>(dice.number(0, 1)));
    return run;
}

template <typename Counts>
std::map<std::uint32_t, std::uint64_t> all_of(const Counts &counts)
{
    std::map<std::uint32_t, std::uint64_t> all;
    counts.for_each([&](std::uint32_t number, std::uint64_t amount) { all[number] += amount; });
    return all;
}

/// While they are sparse, as they become dense, and when they are; beyond each size of a count.
RC_GTEST_PROP(PrefixCountsProperty, a_page_is_its_numbers_one_by_one, (std::uint32_t seed))
{
    Dice dice{seed};
    PrefixCounts at_once{16};
    PrefixCounts one_by_one{16};

    for (auto left = dice.number(0, 200); left > 0; left--) {
        const auto page = static_cast<std::uint32_t>(dice.number(0, 1) == 1 ? 255 : left);
        const auto run = next_run(dice, PrefixPage::numbers);
        at_once.add(PrefixPage{page, std::span{run}.first<PrefixPage::numbers>()});
        for (std::uint32_t i = 0; i < run.size(); i++)
            if (run[i] != 0)
                one_by_one.add(page * PrefixPage::numbers + i, run[i]);
    }
    RC_ASSERT(all_of(at_once) == all_of(one_by_one));
    RC_ASSERT(at_once.is_dense() == one_by_one.is_dense());
    for (int i = 0; i < 20; i++) {
        const auto first = static_cast<std::uint32_t>(dice.number(0, 65'535));
        const auto last = static_cast<std::uint32_t>(dice.number(first, 65'535));
        RC_ASSERT(at_once.sum(first, last) == one_by_one.sum(first, last));
    }
}

/// All that windows hold, as text: tables of the same counts may be laid out in another way.
std::string text_of(const PrefixWindows &windows)
{
    std::string text;
    const auto put = [&](std::uint64_t number, auto amount) {
        text += std::to_string(number) + "=" + std::to_string(amount) + " ";
    };
    for (const auto &[size, by_index] : windows.by_size())
        for (const auto &[index, window] : by_index) {
            text += "\n" + std::to_string(size) + "," + std::to_string(index) + ": ";
            text += std::to_string(window.has_fine[0]) + std::to_string(window.has_fine[1]) + " ";
            window.coarse_ipv4.for_each(put);
            text += "| ";
            window.fine_ipv4.for_each(put);
            text += "| ";
            window.coarse_ipv6.for_each_key(put);
            text += "| ";
            window.fine_ipv6.for_each_key(put);
        }
    return text;
}

/// From anywhere to anywhere in three /16s, in the windows of two monitors as they go by, with IPv6
/// between them, and where memory is tight: windows lose their fine level as they go.
RC_GTEST_PROP(PrefixWindowsProperty, a_run_of_24s_is_each_of_them, (std::uint32_t seed))
{
    Dice dice{seed};
    PrefixWindows at_once;
    PrefixWindows one_by_one;
    double now = 1'700'000'000;
    const auto memory = dice.number(0, 1) == 1 ? std::int64_t{0} : std::int64_t{100} << 20;

    for (PrefixWindows *windows : {&at_once, &one_by_one}) {
        windows->set_windows({{60, 3}, {900, 2}});
        windows->set_memory(static_cast<std::size_t>(memory));
    }
    for (auto left = dice.number(0, 12); left > 0; left--) {
        const auto from = static_cast<std::uint32_t>(dice.number(0, 767));
        const auto size = static_cast<std::size_t>(
            dice.number(0, 3) == 0 ? 1 : dice.number(1, 768 - std::int64_t{from}));
        const auto first = 0xc000fe00U + (dice.number(0, 3) == 0 ? 0 : from);
        const auto number = first & 0xffffff;
        const auto run = next_run(dice, number + size <= 1U << 24 ? size : 1);
        at_once.add_ipv4(number, run, at(now));
        for (std::uint32_t i = 0; i < run.size(); i++)
            one_by_one.add({Address::from_ipv4((number + i) << 8), 120}, run[i], at(now));
        const Block ipv6{dice.next_address(), 48};
        if (ipv6.family() == Family::ipv6)
            for (PrefixWindows *windows : {&at_once, &one_by_one})
                windows->add(ipv6, 3, at(now));
        now += static_cast<double>(dice.number(0, 60));
        if (dice.number(0, 4) == 0)
            for (PrefixWindows *windows : {&at_once, &one_by_one})
                windows->forget_old(at(now), at(now));
    }
    for (PrefixWindows *windows : {&at_once, &one_by_one})
        windows->forget_old(at(now), at(now));
    RC_ASSERT(text_of(at_once) == text_of(one_by_one));
}

/// Half a million of them, in pages: the table of all becomes dense on the way. Where there is no
/// room for that it loses its fine level at once, and where there is none before, soon.
TEST(PrefixWindows, keep_to_their_memory_while_pages_come)
{
    constexpr std::size_t mebibyte = std::size_t{1} << 20;
    std::vector<std::uint32_t> run(1024, 2);
    std::fill(run.begin(), run.begin() + 30, 0); // dense when nobody would look at the memory

    for (const std::size_t memory : {mebibyte, 16 * mebibyte, 64 * mebibyte}) {
        PrefixWindows windows;
        windows.set_windows({{60, 3}});
        windows.set_memory(memory);
        for (std::uint32_t page = 0; page < 600; page++) {
            windows.add_ipv4(page * 1024, run, at(60));
            ASSERT_LE(windows.bytes(), memory + mebibyte / 2) << page;
        }
        const auto &window = windows.by_size().at(60).at(1);
        EXPECT_EQ(window.has_fine[0], memory == 64 * mebibyte);
        EXPECT_EQ(window.fine_ipv4.sum(0, (1U << 24) - 1),
                  window.has_fine[0] ? 600U * 994 * 2 : 0U);
        EXPECT_EQ(window.coarse_ipv4.sum(0, 65'535), 600U * 994 * 2);
    }
}

TEST(PrefixCounts, become_dense_and_stay_small)
{
    PrefixCounts counts{24};
    for (std::uint32_t number = 0; number < 1U << 24; number += 16)
        counts.add(number, 200);
    EXPECT_TRUE(counts.is_dense());
    EXPECT_LT(counts.bytes(), std::size_t{18} << 20);
    EXPECT_EQ(counts.sum(0, (1U << 24) - 1), 200U << 20);
}

TEST(SourceSet, admits_so_many_and_knows_them)
{
    SourceSet set;
    const auto source = [](std::uint32_t i) { return Address::from_ipv4(i * 2'654'435'761U); };
    for (std::uint32_t i = 0; i < 10'000; i++)
        EXPECT_TRUE(set.admit(source(i)));
    EXPECT_EQ(set.size(), 10'000U);
    for (std::uint32_t i = 0; i < 1'000'000; i++)
        set.admit(source(i));
    EXPECT_EQ(set.size(), SourceSet::sources_max);
    EXPECT_FALSE(set.admit(source(2'000'000)));
    for (std::uint32_t i = 0; i < 10'000; i++)
        EXPECT_TRUE(set.admit(source(i))) << i;
    EXPECT_EQ(set.bytes(), sizeof(std::uint32_t) * 2 * SourceSet::sources_max);
}

/// Two services, and questions about the window of now.
class PrefixQuestions : public testing::Test {
protected:
    PrefixQuestions()
    {
        questions.set_services({{"smtp", smtp}, {"submission", submission}});
        questions.set_windows_since(at(0));
        gate.counting_since_ = at(0);
        questions.set_prefixes_walked_at(at(995));
        ledger.prefixes().set_since(at(0));
    }

    void send(const char *source, std::uint64_t syn, ServiceId service = smtp)
    {
        ledger.record({.source = address(source), .service = service, .syn = syn}, clock.now());
        ledger.record_prefix(widened(block(source), Detail::fine), syn, clock.now());
        gate.tallies[{service, address(source).family()}].syn += syn;
    }

    /// The gate forgot the source.
    void send_unseen(const char *source, std::uint64_t syn, ServiceId service = smtp)
    {
        const Family family = address(source).family();
        ledger.record_prefix(widened(block(source), Detail::fine), syn, clock.now());
        gate.tallies[{service, family}].syn += syn;
        ledger.reconcile(service, family, gate.tallies[{service, family}], clock.now());
    }

    Answer ask(const char *text, std::optional<std::string> service = {}, Event event = Event::syn,
               std::uint32_t start = 0)
    {
        const auto answer = questions.count({.block = block(text),
                                             .monitor = "60,10",
                                             .start = start,
                                             .event = event,
                                             .service = std::move(service)});
        EXPECT_TRUE(answer);
        return answer ? *answer : Answer{};
    }

    void expect_bounds(const char *text, std::int64_t lower, std::int64_t upper,
                       std::optional<std::string> service = {})
    {
        const auto answer = ask(text, std::move(service));
        EXPECT_EQ(answer.lower, lower) << text;
        EXPECT_EQ(answer.upper, upper) << text;
        EXPECT_EQ(answer.exact, lower == upper) << text;
        EXPECT_EQ(answer.value, lower) << text;
    }

    FakeClock clock;
    FakeGate gate;
    Ledger ledger{{minutes}};
    Questions questions{ledger, gate, clock};
};

TEST_F(PrefixQuestions, blocks_down_to_a_prefix_are_exact_and_others_are_bound_by_it)
{
    send("192.0.2.1", 3);
    send_unseen("192.0.2.9", 20);
    send_unseen("198.51.100.1", 100);

    expect_bounds("192.0.2.0/24", 23, 23);
    expect_bounds("192.0.0.0/16", 23, 23);
    expect_bounds("192.0.0.0/20", 23, 23);
    expect_bounds("0.0.0.0/0", 123, 123);
    expect_bounds("192.0.2.1", 3, 23);
    expect_bounds("192.0.2.128/25", 0, 20);
    expect_bounds("192.0.3.0/24", 0, 0);
    expect_bounds("203.0.113.1", 0, 0);
}

TEST_F(PrefixQuestions, a_service_is_bound_by_what_the_others_had_and_by_its_own_total)
{
    send("192.0.2.1", 3);
    send("192.0.2.1", 4, submission);
    send_unseen("192.0.2.9", 20);
    expect_bounds("192.0.2.0/24", 3 + 20, 3 + 20, "smtp");
    expect_bounds("192.0.2.0/24", 4, 4, "submission");
    send_unseen("198.51.100.1", 50, submission);
    expect_bounds("192.0.2.0/24", 3, 3 + 20, "smtp");
    expect_bounds("192.0.2.0/24", 4, 4 + 20, "submission");
    expect_bounds("198.51.100.0/24", 30, 50, "submission");
    expect_bounds("0.0.0.0/0", 54, 54, "submission");
}

TEST_F(PrefixQuestions, what_the_gate_has_of_no_ipv6_prefix_is_in_the_upper_bound)
{
    send_unseen("2001:db8:1::", 7);
    expect_bounds("2001:db8:1::/48", 7, 7);
    gate.tallies[{smtp, Family::ipv6}].syn += 5;
    ledger.reconcile(smtp, Family::ipv6, gate.tallies[{smtp, Family::ipv6}], clock.now());
    expect_bounds("2001:db8:1::/48", 7, 12);
    expect_bounds("2001:db8::/32", 7, 12);
    expect_bounds("2001:db8:1::/64", 0, 12);
    expect_bounds("2001:db9::/48", 0, 5);
    expect_bounds("::/0", 12, 12);
}

TEST_F(PrefixQuestions, a_source_that_is_ahead_of_its_prefix_keeps_the_bounds_in_order)
{
    ledger.record({.source = address("192.0.2.1"), .service = smtp, .syn = 3}, clock.now());
    expect_bounds("192.0.2.1", 3, 3);
    expect_bounds("192.0.2.0/25", 3, 3);
    expect_bounds("192.0.2.0/25", 3, 3, "smtp");
    expect_bounds("192.0.2.0/24", 0, 0);
}

TEST_F(PrefixQuestions, a_prefix_that_is_ahead_of_its_family_keeps_the_bounds_in_order)
{
    ledger.record_prefix(block("2001:db8:1::/48"), 7, clock.now());
    expect_bounds("2001:db8:1::/48", 7, 7);
    expect_bounds("2001:db8:1::/64", 0, 0);
    expect_bounds("2001:db8:1::/48", 0, 0, "smtp");
    ledger.record_prefix(block("192.0.2.0/24"), 7, clock.now());
    expect_bounds("192.0.2.0/24", 7, 7);
    expect_bounds("192.0.2.0/24", 0, 0, "smtp");
}

TEST_F(PrefixQuestions, prefixes_are_read_while_one_waits)
{
    gate.refreshes = true;
    send("192.0.2.1", 1);
    EXPECT_EQ(ask("192.0.2.0/24").as_of, at(995)) << "as old as the walk";
    questions.set_refresh_prefixes([&](const Block &asked) {
        EXPECT_FALSE(gate.refreshed.empty()) << "sources first";
        EXPECT_EQ(asked, block("192.0.2.0/24"));
        ledger.record_prefix(asked, 5, clock.now());
        return true;
    });
    const auto answer = ask("192.0.2.0/24");
    EXPECT_EQ(answer.value, 6);
    EXPECT_EQ(answer.as_of, at(1'000));
    questions.set_refresh_prefixes([](const Block &) { return false; });
    EXPECT_EQ(ask("192.0.2.0/24").as_of, at(995)) << "a block with too many prefixes";
}

TEST_F(PrefixQuestions, are_believed_from_when_they_were_counted)
{
    clock.set(950);
    send("192.0.2.1", 3);
    clock.set(1'000);
    send("192.0.2.1", 4);
    ledger.prefixes().set_since(at(930)); // in the window of 900
    ledger.reconcile(smtp, Family::ipv4, {.syn = 10}, at(950));
    EXPECT_EQ(ask("192.0.2.0/24", {}, Event::syn, 0).upper, 4);
    EXPECT_EQ(ask("192.0.2.0/24", {}, Event::syn, 1).upper, 6) << "by family";
    questions.set_windows_since(at(930));
    EXPECT_EQ(ask("192.0.2.0/24", {}, Event::syn, 1).upper, 3) << "nobody counted before";
    ledger.prefixes().set_since(at(900));
    questions.set_windows_since(at(0));
    EXPECT_EQ(ask("192.0.2.0/24", {}, Event::syn, 1).upper, 3);
    ledger.prefixes().lose(at(950));
    EXPECT_EQ(ask("192.0.2.0/24", {}, Event::syn, 1).upper, 6);
}

TEST_F(PrefixQuestions, a_network_is_exact_whatever_was_forgotten)
{
    const Block network = block("192.0.2.0/28");
    ledger.networks().begin(network, {.syn = 1'000}, at(960));
    send_unseen("192.0.2.1", 20);
    ledger.record_network(network, {.syn = 20, .dropped = 15}, clock.now());
    EXPECT_EQ(ledger.networks().find(network)->told, (Tally{.syn = 1'020, .dropped = 15}));

    expect_bounds("192.0.2.0/28", 20, 20);
    EXPECT_EQ(ask("192.0.2.0/28").as_of, at(995));
    const auto dropped = ask("192.0.2.0/28", {}, Event::dropped);
    EXPECT_EQ(dropped.value, 15);
    EXPECT_TRUE(dropped.exact);
    expect_bounds("192.0.2.0/29", 0, 20);
    const CountQuestion longer{.block = network, .monitor = "60,10", .end = 1, .event = Event::syn};
    EXPECT_FALSE(questions.count(longer)->exact) << "nobody counted it in the window before";
    ledger.networks().keep_only({});
    expect_bounds("192.0.2.0/28", 0, 20);
}

} // namespace
} // namespace tallygate::core::test
