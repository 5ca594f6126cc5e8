// SPDX-License-Identifier: BSD-2-Clause
//
// The walk over claims in the real table: what a way counts is told once, and to whom it belongs.
#include "kernel/claims_walk.hpp"

#include <gmock/gmock.h>

#include <functional>

#include "kernel/sandbox.hpp"
#include "kernel/told_ledger.hpp"

namespace tallygate::test {
namespace {

using kernel::ClaimsWalk;
using kernel::RepeatsReader;
using kernel::SourceWalk;

constexpr std::uint16_t smtp = 1;
constexpr std::uint16_t submission = 2;

class Claims : public ProgramTest {
protected:
    void SetUp() override
    {
        ProgramTest::SetUp();
        watch(25, smtp);
        watch(587, submission);
        traffic_ = std::make_unique<Traffic>(program());
    }

    Traffic &traffic() { return *traffic_; }
    ClaimsWalk open_claims() const { return must(ClaimsWalk::open(program())); }
    RepeatsReader open_repeats() const { return must(RepeatsReader::open(program())); }

    /// A whole round, in slices.
    static void walk_round(ClaimsWalk &walk, ToldLedger &ledger)
    {
        while (!walk.walk_some(64, ledger.sink())) {
        }
    }

    /// The way of a source, which nobody marks.
    void change_unseen(const std::string &source,
                       const std::function<void(tg_addr &, tg_claim_state &)> &how) const
    {
        const auto place = find_claim(source);
        ASSERT_TRUE(place) << source;
        auto bucket = get<tg_claims>("claims", *place / TG_BUCKET_WAYS);
        how(bucket.sources[*place % TG_BUCKET_WAYS], bucket.states[*place % TG_BUCKET_WAYS]);
        put("claims", *place / TG_BUCKET_WAYS, bucket);
    }

    /// As a program would change it.
    void change(const std::string &source,
                const std::function<void(tg_addr &, tg_claim_state &)> &how) const
    {
        const auto place = find_claim(source);
        change_unseen(source, how);
        must(kernel::DirtyBits::open(program().map_fd("dirty_claims"), "dirty_claims"))
            .mark(*place / TG_BUCKET_WAYS);
    }

    /// A way that was just being given to this source.
    void finish(std::uint32_t place, const std::string &source) const
    {
        auto bucket = get<tg_claims>("claims", place / TG_BUCKET_WAYS);
        bucket.sources[place % TG_BUCKET_WAYS] = kernel::from_address(address(source));
        bucket.states[place % TG_BUCKET_WAYS].word |= smtp;
        put("claims", place / TG_BUCKET_WAYS, bucket);
    }

    /// What the first CPU holds back of a source.
    tg_repeat held_back(const std::string &source, std::uint32_t rejected) const
    {
        tg_repeat repeat{};
        repeat.client = kernel::from_address(address(source));
        repeat.service = smtp;
        repeat.place = find_claim(source).value_or(RepeatsReader::no_place);
        repeat.rejected = rejected;
        return repeat;
    }

    std::unique_ptr<Traffic> traffic_;
};

TEST_F(Claims, TellWhatCameSinceTheLastRound)
{
    auto walk = open_claims();
    ToldLedger ledger;
    for (int i = 0; i < 50; i++)
        traffic().send_syn("192.0.2." + std::to_string(i));
    traffic().send_syn("192.0.2.7");
    traffic().send_syn("2001:db8::7", 587);
    walk_round(walk, ledger);
    EXPECT_EQ(ledger.take_changes(), 51U);
    EXPECT_EQ(ledger.claimed(), 51U) << "whoever told these may be forged";
    EXPECT_EQ(ledger.of("192.0.2.6").syn, 1U);
    EXPECT_EQ(ledger.of("192.0.2.7").syn, 2U);
    EXPECT_EQ(ledger.of("2001:db8::", submission).syn, 1U);

    walk_round(walk, ledger);
    EXPECT_EQ(ledger.take_changes(), 0U);
    traffic().send_syn("192.0.2.7");
    walk_round(walk, ledger);
    EXPECT_EQ(ledger.take_changes(), 1U);
    EXPECT_EQ(ledger.of("192.0.2.7").syn, 3U);
}

TEST_F(Claims, TellWhatWasDropped)
{
    auto walk = open_claims();
    ToldLedger ledger;
    traffic().send_syn("192.0.2.1");
    change("192.0.2.1", [](tg_addr &, tg_claim_state &state) {
        state.syn = 9;
        state.dropped = 8;
    });
    walk_round(walk, ledger);
    EXPECT_EQ(ledger.of("192.0.2.1").syn, 9U);
    EXPECT_EQ(ledger.of("192.0.2.1").dropped, 8U);
}

TEST_F(Claims, OfAWayThatIsGivenToAnotherBeginAtZero)
{
    auto walk = open_claims();
    ToldLedger ledger;
    traffic().send_syn("192.0.2.1");
    traffic().send_syn("192.0.2.1");
    walk_round(walk, ledger);

    // Another source with more: the difference to what was told is nobody's.
    change("192.0.2.1", [](tg_addr &source, tg_claim_state &state) {
        source = kernel::from_address(address("203.0.113.1"));
        state.syn = 5;
    });
    walk_round(walk, ledger);
    EXPECT_EQ(ledger.of("192.0.2.1").syn, 2U);
    EXPECT_EQ(ledger.of("203.0.113.1").syn, 5U);

    change("203.0.113.1", [](tg_addr &, tg_claim_state &state) {
        state.word = (state.word & ~0xffULL) | submission;
        state.syn = 7;
    });
    walk_round(walk, ledger);
    EXPECT_EQ(ledger.of("203.0.113.1", submission).syn, 7U);
    EXPECT_EQ(ledger.of("203.0.113.1").syn, 5U);
}

TEST_F(Claims, OfAWayThatIsJustBeingGivenAreNotTold)
{
    auto walk = open_claims();
    ToldLedger ledger;
    traffic().send_syn("192.0.2.1");
    const auto place = find_claim("192.0.2.1");
    change("192.0.2.1", [](tg_addr &, tg_claim_state &state) { state.word &= ~0xffULL; });
    walk_round(walk, ledger);
    EXPECT_EQ(ledger.take_changes(), 0U);

    // Whoever takes it may be done at any moment after.
    finish(*place, "192.0.2.1");
    walk_round(walk, ledger);
    EXPECT_EQ(ledger.of("192.0.2.1").syn, 1U);
    EXPECT_EQ(ledger.take_changes(), 1U);
}

TEST_F(Claims, LookOnlyAtWhatIsMarked)
{
    auto walk = open_claims();
    ToldLedger ledger;
    traffic().send_syn("192.0.2.1");
    walk_round(walk, ledger);
    ledger.take_changes();

    change_unseen("192.0.2.1", [](tg_addr &, tg_claim_state &state) { state.syn = 5; });
    walk_round(walk, ledger);
    EXPECT_EQ(ledger.take_changes(), 0U);
    change("192.0.2.1", [](tg_addr &, tg_claim_state &) {});
    walk_round(walk, ledger);
    EXPECT_EQ(ledger.take_changes(), 1U);
    EXPECT_EQ(ledger.of("192.0.2.1").syn, 5U);
}

TEST_F(Claims, SkipToThePresent)
{
    traffic().send_syn("192.0.2.1");
    auto walk = open_claims();
    ToldLedger ledger;
    walk.skip_to_present();
    walk_round(walk, ledger);
    EXPECT_EQ(ledger.take_changes(), 0U);
    traffic().send_syn("192.0.2.1");
    walk_round(walk, ledger);
    EXPECT_EQ(ledger.of("192.0.2.1").syn, 1U);
}

TEST_F(Claims, AndProvenSourcesTogetherAreAllSyns)
{
    auto walk = must(SourceWalk::open(program()));
    auto claims = open_claims();
    ToldLedger ledger;
    for (int i = 0; i < 4; i++) {
        traffic().send_syn("192.0.2.1");
        traffic().connect("192.0.2.1");
        walk.walk(ledger.sink());
        walk_round(claims, ledger);
    }
    EXPECT_EQ(ledger.of("192.0.2.1").syn, 8U);
    EXPECT_EQ(ledger.of("192.0.2.1").opened, 4U);
}

TEST_F(Claims, TellWhatACpuHoldsBackOnce)
{
    auto walk = open_claims();
    const auto repeats = open_repeats();
    ToldLedger ledger;
    traffic().send_syn("192.0.2.1");
    walk_round(walk, ledger);

    put("repeats", 3U, held_back("192.0.2.1", 40));
    put("repeats", 4U, held_back("192.0.2.1", 2));
    walk.walk_repeats(repeats, ledger.sink());
    EXPECT_EQ(ledger.of("192.0.2.1").syn, 43U);
    EXPECT_EQ(ledger.of("192.0.2.1").dropped, 42U);
    walk.walk_repeats(repeats, ledger.sink());
    walk_round(walk, ledger);
    EXPECT_EQ(ledger.of("192.0.2.1").syn, 43U);

    // They move into the table, where the walk meets them again.
    put("repeats", 3U, held_back("192.0.2.1", 0));
    change("192.0.2.1", [](tg_addr &, tg_claim_state &state) {
        state.syn += 40;
        state.dropped += 40;
    });
    walk_round(walk, ledger);
    walk.walk_repeats(repeats, ledger.sink());
    EXPECT_EQ(ledger.of("192.0.2.1").syn, 43U);
    put("repeats", 3U, held_back("192.0.2.1", 1));
    walk.walk_repeats(repeats, ledger.sink());
    EXPECT_EQ(ledger.of("192.0.2.1").syn, 44U);
    EXPECT_EQ(ledger.of("192.0.2.1").dropped, 43U);
}

TEST_F(Claims, TellWhatWaitsInABatchOnce)
{
    auto walk = open_claims();
    const auto repeats = open_repeats();
    ToldLedger ledger;
    for (const char *source : {"192.0.2.1", "192.0.2.2"})
        traffic().send_syn(source);
    walk_round(walk, ledger);

    const auto bucket = find_claim("192.0.2.1").value() / TG_BUCKET_WAYS;
    const auto waiting = [bucket](const std::string &source) {
        tg_waiting_syn syn{};
        syn.key.addr = kernel::from_address(address(source));
        syn.key.service = smtp;
        syn.bucket = bucket;
        return syn;
    };
    tg_batch batch{};
    batch.count = 3;
    batch.syns[0] = waiting("192.0.2.1");
    batch.syns[1] = waiting("203.0.113.1"); // has no claim
    batch.syns[2] = waiting("192.0.2.2");   // whose claim has heard of it
    batch.syns[2].bucket = ~std::uint32_t{0};
    batch.syns[3] = waiting("192.0.2.1"); // moved long ago
    put("batches", 0U, batch);
    for (int i = 0; i < 2; i++)
        walk.walk_repeats(repeats, ledger.sink());
    EXPECT_EQ(ledger.of("192.0.2.1").syn, 2U);
    EXPECT_EQ(ledger.of("192.0.2.1").dropped, 1U);
    EXPECT_EQ(ledger.of("192.0.2.2").syn, 1U);
    EXPECT_EQ(ledger.of("203.0.113.1").syn, 0U);

    batch.sequence = 1; // it moves
    batch.count = 4;
    put("batches", 0U, batch);
    walk.walk_repeats(repeats, ledger.sink());
    EXPECT_EQ(ledger.of("192.0.2.1").syn, 2U);
    batch.sequence = 2;
    batch.count = 0;
    put("batches", 0U, batch);
    change("192.0.2.1", [](tg_addr &, tg_claim_state &state) {
        state.syn += 1;
        state.dropped += 1;
    });
    walk_round(walk, ledger);
    EXPECT_EQ(ledger.of("192.0.2.1").syn, 2U);
    EXPECT_EQ(ledger.of("192.0.2.1").dropped, 1U);
}

TEST_F(Claims, TellAWayThatHasAnotherOwnerAndElseTheSame)
{
    auto walk = open_claims();
    ToldLedger ledger;
    traffic().send_syn("192.0.2.1");
    walk_round(walk, ledger);
    change("192.0.2.1", [](tg_addr &source, tg_claim_state &) {
        source = kernel::from_address(address("192.0.2.9"));
    });
    walk_round(walk, ledger);
    EXPECT_EQ(ledger.of("192.0.2.9").syn, 1U);
}

struct HeldBack {
    const char *name;
    void (*spoil)(tg_repeat &repeat);
};

TEST_F(Claims, DoNotTakeWhatIsHeldBackOfOthers)
{
    const HeldBack rows[] = {
        {"what is moving at this moment", [](tg_repeat &repeat) { repeat.sequence = 7; }},
        {"a proven source's", [](tg_repeat &repeat) { repeat.is_proven = 1; }},
        {"a source's that has no way",
         [](tg_repeat &repeat) { repeat.place = RepeatsReader::no_place; }},
        {"a source's that has lost its way",
         [](tg_repeat &repeat) { repeat.client.words[3] ^= 1; }},
        {"the same source's at another service",
         [](tg_repeat &repeat) { repeat.service = submission; }},
        {"a place beyond the table", [](tg_repeat &repeat) { repeat.place = 1024; }},
    };
    auto walk = open_claims();
    const auto repeats = open_repeats();
    ToldLedger ledger;
    traffic().send_syn("192.0.2.1");
    walk_round(walk, ledger);
    for (const auto &row : rows) {
        auto repeat = held_back("192.0.2.1", 40);
        row.spoil(repeat);
        put("repeats", 3U, repeat);
        walk.walk_repeats(repeats, ledger.sink());
        EXPECT_EQ(ledger.of("192.0.2.1").syn, 1U) << row.name;
    }
}

} // namespace
} // namespace tallygate::test
