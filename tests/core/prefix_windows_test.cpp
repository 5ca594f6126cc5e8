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
