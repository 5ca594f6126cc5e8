// SPDX-License-Identifier: BSD-2-Clause
//
// A random life of a table that is nearly full: sources come and go, slots change their owners,
// snapshots are begun and finished, and daemons end at any moment and go on from the last one.
// Whatever happens, each connection that the gate counted is told of its source, and once.
#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "kernel/sandbox.hpp"
#include "kernel/slot_recycler.hpp"
#include "kernel/told_ledger.hpp"

namespace tallygate::test {
namespace {

using namespace std::chrono_literals;
using kernel::SlotRecycler;
using kernel::SourceWalk;

constexpr std::uint16_t smtp = 1;
constexpr int sources = 120; // of which 64 have a slot
constexpr int steps = 600;
constexpr auto idle = 50s;

struct Expected {
    std::uint64_t opened = 0;
    std::uint64_t closed = 0;
};

class SlotLife : public ProgramTest, public testing::WithParamInterface<unsigned> {
protected:
    void SetUp() override
    {
        ProgramTest::SetUp();
        watch(25, smtp);
        traffic_.emplace(program());
        dice_.seed(GetParam());
        open();
        begin_saving();
        finish_saving();
    }

    int roll(int last) { return std::uniform_int_distribution{0, last}(dice_); }

    void step()
    {
        const int what = roll(99);
        if (what < 45)
            connect();
        else if (what < 70)
            disconnect();
        else if (what < 80)
            walk_->walk(ledger_.sink());
        else if (what < 85)
            time_passes();
        else if (what < 92)
            recycle();
        else if (what < 95)
            begin_saving();
        else if (what < 97)
            finish_saving();
        else
            restart();
    }

    void expect_agreement()
    {
        walk_->walk(ledger_.sink());
        for (const auto &[source, expected] : expected_) {
            const auto told = ledger_.of(source);
            ASSERT_EQ(told.opened, expected.opened) << source;
            ASSERT_EQ(told.closed, expected.closed) << source;
        }
    }

    std::uint64_t restarts() const { return restarts_; }
    std::uint64_t left_total() const { return left_total_ + recycler_->left_total(); }

private:
    struct Saved {
        core::SharedArray<core::Tally> told;
        ToldLedger ledger;
    };
    struct Open {
        std::string source;
        Conversation conversation;
    };

    void open()
    {
        walk_.emplace(must(SourceWalk::open(program())));
        walk_->set_time(now_);
        recycler_ = std::make_unique<SlotRecycler>(program());
    }

    std::uint64_t opened_in_slots() const
    {
        std::uint64_t opened = 0;
        for (std::uint32_t slot = 0; slot < program().entries_max("sources"); slot++)
            opened += get<tg_source>("sources", slot).tally.opened;
        return opened;
    }

    /// Where the table is full a newcomer is not counted, and neither is his end.
    void connect()
    {
        const auto source = "192.0.2." + std::to_string(1 + roll(sources - 1));
        const auto before = opened_in_slots();
        const auto conversation = traffic_->connect(source);
        if (opened_in_slots() == before)
            return;
        expected_[source].opened++;
        open_.push_back({source, conversation});
    }

    void disconnect()
    {
        if (open_.empty())
            return;
        std::swap(open_[static_cast<std::size_t>(roll(static_cast<int>(open_.size()) - 1))],
                  open_.back());
        traffic_->disconnect(open_.back().conversation);
        expected_[open_.back().source].closed++;
        open_.pop_back();
    }

    /// What is idle was told before the last snapshot, as a day's windows are.
    void time_passes()
    {
        while (open_.size() > 20)
            disconnect();
        walk_->walk(ledger_.sink());
        begin_saving();
        finish_saving();
        now_ += idle + 10s;
        walk_->set_time(now_);
    }

    void recycle()
    {
        for (int i = 0; i < 3; i++) {
            must(recycler_->step(*walk_, idle));
            std::this_thread::sleep_for(10ms);
        }
    }

    void begin_saving()
    {
        saving_ = Saved{walk_->told(), ledger_};
        recycler_->note_saving();
    }

    void finish_saving()
    {
        if (!saving_)
            return;
        saved_ = *std::exchange(saving_, std::nullopt);
        recycler_->note_saved();
    }

    /// In the daemon's order, while clients go on coming.
    void restart()
    {
        left_total_ += recycler_->left_total();
        open();
        ledger_ = saved_.ledger;
        saving_.reset();
        must(recycler_->reclaim(*walk_));
        for (int i = roll(20); i > 0; i--)
            connect();
        walk_->resume(saved_.told, must(kernel::RepeatsReader::open(program())),
                      [](const Address &, core::ServiceId, std::int64_t) {});
        restarts_++;
    }

    std::mt19937 dice_;
    std::optional<Traffic> traffic_;
    std::optional<SourceWalk> walk_;
    std::unique_ptr<SlotRecycler> recycler_;
    ToldLedger ledger_;
    Saved saved_;
    std::optional<Saved> saving_;
    std::vector<Open> open_;
    std::map<std::string, Expected> expected_;
    std::chrono::seconds now_{1000};
    std::uint64_t restarts_ = 0;
    std::uint64_t left_total_ = 0;
};

TEST_P(SlotLife, EachConnectionIsToldOfItsSourceAndOnce)
{
    for (int i = 0; i < steps && !HasFatalFailure(); i++) {
        step();
        if (i % 20 == 0)
            expect_agreement();
    }
    expect_agreement();
    EXPECT_GT(restarts(), 3U);
    EXPECT_GT(left_total(), 20U) << "slots that changed their owners";
}

INSTANTIATE_TEST_SUITE_P(Seeds, SlotLife, testing::Range(1U, 5U));

} // namespace
} // namespace tallygate::test
