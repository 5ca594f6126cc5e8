// SPDX-License-Identifier: BSD-2-Clause
//
// A random life of the gate's events, reports and series together, with clocks that jump and
// restarts in between, beside a list of all that happened.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/fake_gate.hpp"
#include "core/question.hpp"
#include "core/series_file.hpp"
#include "core/snapshot.hpp"
#include "core/support.hpp"

namespace tallygate::core::test {
namespace {

constexpr ServiceId smtp = 1;
constexpr std::array<Monitor, 3> monitors = {Monitor{10, 6}, Monitor{60, 4}, Monitor{60, 9}};
const std::vector<std::string> services = {"smtp", "imap"};
const std::vector<std::string> texts = {"ann", "bob", "zoe", "j\xc3\xb6rg"};

/// Something that happened: a connection, a report, or an addition to a series.
struct Happened {
    enum class Kind { connection, report, series } kind;
    double when;
    Block client = Block::all(Family::ipv4);
    std::string name = {}; ///< a service, or a series
    std::string key = {};  ///< of a string series
    Reported event = Reported::auth;
    Monitor monitor = {};
    std::int64_t amount = 0;
};

class Life {
public:
    explicit Life(std::uint32_t seed) : dice_(seed) { begin(); }

    void step()
    {
        now_ += static_cast<double>(dice_.number(0, 40)) / 10;
        if (dice_.number(0, 60) == 0)
            now_ += static_cast<double>(dice_.number(-9, 200));
        clock_.set(now_);
        switch (dice_.number(0, 40)) {
        case 0:
            restart();
            break;
        case 1:
            forget();
            break;
        default:
            happen();
        }
    }

    void expect_agreement()
    {
        for (int i = 0; i < 8; i++) {
            const Monitor &monitor = monitors[static_cast<std::size_t>(dice_.number(0, 2))];
            const auto end = static_cast<std::uint32_t>(dice_.number(0, monitor.windows - 1));
            const auto start = static_cast<std::uint32_t>(dice_.number(0, end));
            expect_counts(dice_.next_block(), monitor, start, end);
            expect_series(monitor, start, end);
        }
    }

private:
    void begin()
    {
        ledger_.emplace(std::vector<Monitor>(monitors.begin(), monitors.end()));
        questions_.emplace(*ledger_, gate_, clock_);
        questions_->set_services({{"smtp", smtp}, {"imap", ServiceId{2}}});
        clock_.set(now_);
        gate_.source_bits = 128;
    }

    /// Everything through bytes, as a daemon that ends and one that starts do it.
    void restart()
    {
        Snapshot snapshot;
        auto books = ledger_->books();
        if (const auto found = books.find(smtp); found != books.end())
            snapshot.services.emplace("smtp", std::move(found->second));
        snapshot.reported = ledger_->reported().books();
        const auto read = decode_snapshot(encode_snapshot(snapshot));
        RC_ASSERT(static_cast<bool>(read));
        auto series = decode_series(encode_series(series_->all(), at(now_)), at(now_));
        RC_ASSERT(static_cast<bool>(series));

        forgot_.reset();
        begin();
        for (const auto &[name, saved] : read->services)
            ledger_->restore(smtp, saved);
        ledger_->reported().restore(read->reported);
        series_.emplace();
        series_->restore(std::move(*series));
        std::erase_if(happened_, [](const Happened &one) {
            return one.kind == Happened::Kind::series && one.name == "of a day";
        });
    }

    /// What is forgotten is past every monitor's reach, from where the clock is and was.
    void forget()
    {
        ledger_->forget_old(at(now_));
        series_->forget_old(at(now_));
        const auto before = forgot_.value_or(now_);
        forgot_ = now_;
        forgotten_.push_back({now_, before});
    }

    void happen()
    {
        Happened one{Happened::Kind::connection, now_};
        one.kind = static_cast<Happened::Kind>(dice_.number(0, 2));
        one.client = Block{dice_.next_address(), 128};
        one.amount = dice_.number(1, 4);
        if (one.kind == Happened::Kind::connection) {
            ledger_->record({.source = one.client.first(),
                             .service = smtp,
                             .opened = static_cast<std::uint64_t>(one.amount)},
                            at(now_));
        } else if (one.kind == Happened::Kind::report) {
            one.event = dice_.number(0, 1) == 0 ? Reported::auth : Reported::rejections;
            one.name = services[static_cast<std::size_t>(dice_.number(0, 1))];
            if (dice_.number(0, 4) == 0)
                one.client =
                    Block{one.client.first(), static_cast<unsigned>(dice_.number(100, 128))};
            ReportedEvents{*ledger_, gate_, clock_}.report(
                {one.event, one.name, one.client, static_cast<std::uint64_t>(one.amount)});
        } else {
            add_to_series(one);
        }
        happened_.push_back(one);
    }

    void add_to_series(Happened &one)
    {
        one.monitor = monitors[static_cast<std::size_t>(dice_.number(0, 2))];
        one.amount = dice_.number(-3, 4);
        const SeriesName which{names_[static_cast<std::size_t>(dice_.number(0, 2))],
                               one.monitor.text()};
        one.name = which.name;
        one.key = one.name == "senders" ? texts[static_cast<std::size_t>(dice_.number(0, 3))]
                                        : one.client.first().text();
        const auto type = one.name == "senders"          ? SeriesType::string
                          : one.client.first().is_ipv4() ? SeriesType::cidr
                                                         : SeriesType::cidr_ipv6;
        if (one.name != "of a day" && one.name != "senders")
            one.name += std::string(series_type_name(type));
        const bool persist = one.name != "of a day";
        if (!persist && type == SeriesType::cidr_ipv6) {
            one.client = Block{address("192.0.2.1"), 128};
            one.key = "192.0.2.1";
        }
        const auto defined = series_->define(
            {one.name, one.monitor, persist ? type : SeriesType::cidr, persist}, at(now_));
        RC_ASSERT(static_cast<bool>(defined));
        RC_ASSERT(static_cast<bool>(
            series_->add({one.name, one.monitor.text()}, one.key, one.amount, at(now_))));
    }

    bool is_in(const Happened &one, const Monitor &monitor, std::uint32_t start,
               std::uint32_t end) const
    {
        const auto index = window_index(monitor.window_seconds, at(one.when));
        const auto current = window_index(monitor.window_seconds, at(now_));
        return current - end <= index && index <= current - start;
    }

    /// Whether forget() may have taken it: then a question may miss it. Only a clock that jumped
    /// back makes such an event askable again.
    /// `kept`: so many windows of that size are.
    bool may_be_forgotten(const Happened &one, const Monitor &monitor, std::int64_t kept) const
    {
        const auto far = [&](double time) {
            return std::abs(window_index(monitor.window_seconds, at(one.when)) -
                            window_index(monitor.window_seconds, at(time))) > kept;
        };
        return std::ranges::any_of(
            forgotten_, [&](const auto &times) { return far(times.first) && far(times.second); });
    }

    /// Monitors of one size share their windows.
    static std::int64_t kept_of(const Monitor &monitor)
    {
        std::uint32_t kept = 0;
        for (const Monitor &each : monitors)
            if (each.window_seconds == monitor.window_seconds)
                kept = std::max(kept, each.windows);
        return kept;
    }

    void expect_counts(const Block &block, const Monitor &monitor, std::uint32_t start,
                       std::uint32_t end)
    {
        std::int64_t connections = 0;
        std::int64_t within = 0;
        std::int64_t around = 0;
        std::int64_t lost = 0;
        for (const Happened &one : happened_) {
            if (one.kind == Happened::Kind::series || !is_in(one, monitor, start, end))
                continue;
            lost += may_be_forgotten(one, monitor, kept_of(monitor)) ? one.amount : 0;
            if (one.kind == Happened::Kind::connection)
                connections += block.contains(one.client) ? one.amount : 0;
            else if (one.event == Reported::auth && block.contains(one.client))
                within += one.amount;
            else if (one.event == Reported::auth && one.client.contains(block))
                around += one.amount;
        }
        if (lost != 0)
            return;
        const CountQuestion question{
            .block = block, .monitor = monitor.text(), .start = start, .end = end};
        RC_ASSERT(questions_->count(question)->value == connections);
        CountQuestion reported = question;
        reported.event = Reported::auth;
        const auto answer = *questions_->count(reported);
        RC_ASSERT(answer.value == within);
        RC_ASSERT(answer.lower == within);
        RC_ASSERT(answer.upper == within + around);
    }

    void expect_series(const Monitor &monitor, std::uint32_t start, std::uint32_t end)
    {
        for (const auto &definition : series_->definitions()) {
            if (definition.monitor != monitor)
                continue;
            const bool is_text = definition.type == SeriesType::string;
            Block block = dice_.next_block();
            while (!is_text &&
                   (block.family() == Family::ipv4) != (definition.type == SeriesType::cidr))
                block = dice_.next_block();
            const std::string key =
                is_text ? texts[static_cast<std::size_t>(dice_.number(0, 3))] : block.text();
            std::int64_t expected = 0;
            bool lost = false;
            for (const Happened &one : happened_) {
                if (one.kind != Happened::Kind::series || one.name != definition.name ||
                    one.monitor != monitor || !is_in(one, monitor, start, end))
                    continue;
                lost = lost || may_be_forgotten(one, monitor, monitor.windows);
                if (is_text ? one.key == key : block.contains(one.client))
                    expected += one.amount;
            }
            const auto counted =
                series_->count({definition.name, monitor.text()}, key, start, end, at(now_));
            RC_ASSERT(static_cast<bool>(counted));
            RC_ASSERT(lost || counted->value == expected);
        }
    }

    const std::array<std::string, 3> names_ = {"clients", "senders", "of a day"};
    Dice dice_;
    double now_ = 1'700'000'000;
    FakeClock clock_;
    FakeGate gate_;
    std::optional<Ledger> ledger_;
    std::optional<Questions> questions_;
    std::optional<AuditSeries> series_{std::in_place};
    std::vector<Happened> happened_;
    std::optional<double> forgot_;
    std::vector<std::pair<double, double>> forgotten_;
};

RC_GTEST_PROP(AuditProperty, AgreesWithAListOfAllThatHappened, (std::uint32_t seed))
{
    Life life{seed};
    for (int i = 0; i < 300; i++) {
        life.step();
        if (i % 10 == 0)
            life.expect_agreement();
    }
}

} // namespace
} // namespace tallygate::core::test
