// SPDX-License-Identifier: BSD-2-Clause
//
// A walk that goes on where another one was, over tables that went on counting in between.
#include <gmock/gmock.h>

#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "kernel/claims_walk.hpp"
#include "kernel/sandbox.hpp"
#include "kernel/walk.hpp"

namespace tallygate::test {
namespace {

using kernel::ClaimsWalk;
using kernel::RepeatsReader;
using kernel::SourceWalk;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;
using testing::UnorderedElementsAre;

class Resume : public ProgramTest {
protected:
    /// Connections opened and closed, by source.
    using Changes = std::map<std::string, std::pair<std::uint64_t, std::uint64_t>>;
    using Live = std::map<std::string, std::int64_t>;
    using Syns = std::map<std::string, std::uint64_t>;

    void SetUp() override
    {
        ProgramTest::SetUp();
        watch(25);
        traffic_ = std::make_unique<Traffic>(program());
    }

    Traffic &traffic() { return *traffic_; }
    SourceWalk open_walk() const { return must(SourceWalk::open(program())); }
    ClaimsWalk open_claims() const { return must(ClaimsWalk::open(program())); }
    RepeatsReader open_repeats() const { return must(RepeatsReader::open(program())); }

    static Changes changes_of(SourceWalk &walk)
    {
        Changes changes;
        walk.walk([&](const core::SourceChange &change) {
            changes[change.source.text()] = {change.opened, change.closed};
        });
        return changes;
    }

    static kernel::LiveSink into(Live &live)
    {
        return [&live](const Address &source, core::ServiceId, std::int64_t amount) {
            live[source.text()] += amount;
        };
    }

    static std::vector<std::string> sources_of(const core::SharedArray<core::Told::Claim> &told)
    {
        std::vector<std::string> sources;
        for (std::size_t i = 0; i < told.size(); i++)
            if (told[i].syn != 0)
                sources.push_back(told[i].source.text());
        return sources;
    }

    static Syns syns_of(ClaimsWalk &walk)
    {
        Syns syns;
        while (!walk.walk_some(64, [&](const core::SourceChange &change) {
            syns[change.source.text()] += change.syn;
        })) {
        }
        return syns;
    }

private:
    std::unique_ptr<Traffic> traffic_;
};

TEST_F(Resume, tells_what_came_since_and_what_was_open_then)
{
    traffic().connect("192.0.2.1");
    const auto second = traffic().connect("192.0.2.2");
    auto first_walk = open_walk();
    changes_of(first_walk);
    const auto told = first_walk.told();

    traffic().connect("192.0.2.1");
    traffic().disconnect(second);
    traffic().connect("192.0.2.3"); // a slot that nobody was told of
    Live live;
    auto walk = open_walk();
    walk.resume(told, open_repeats(), into(live));
    EXPECT_THAT(live, UnorderedElementsAre(Pair("192.0.2.1", 1), Pair("192.0.2.2", 1)));
    EXPECT_THAT(changes_of(walk),
                UnorderedElementsAre(Pair("192.0.2.1", Pair(1, 0)), Pair("192.0.2.2", Pair(0, 1)),
                                     Pair("192.0.2.3", Pair(1, 0))));
    EXPECT_THAT(changes_of(walk), IsEmpty());
}

/// What a daemon told after its last snapshot is told again: the marks are gone, the slots are not.
TEST_F(Resume, tells_what_the_daemon_before_had_looked_at_and_not_saved)
{
    traffic().connect("192.0.2.1");
    traffic().send_syn("192.0.2.2");
    auto first_walk = open_walk();
    auto first_claims = open_claims();
    changes_of(first_walk);
    syns_of(first_claims);
    const auto told = first_walk.told();
    const auto told_claims = first_claims.told();

    traffic().connect("192.0.2.1");
    traffic().connect("192.0.2.3");
    traffic().send_syn("192.0.2.2");
    changes_of(first_walk);
    syns_of(first_claims);
    Live live;
    auto walk = open_walk();
    auto claims = open_claims();
    walk.resume(told, open_repeats(), into(live));
    claims.resume(told_claims, open_repeats());
    EXPECT_THAT(changes_of(walk),
                UnorderedElementsAre(Pair("192.0.2.1", Pair(1, 0)), Pair("192.0.2.3", Pair(1, 0))));
    EXPECT_THAT(syns_of(claims), UnorderedElementsAre(Pair("192.0.2.2", 1), Pair("192.0.2.3", 1)));
}

TEST_F(Resume, tells_nothing_again_when_nothing_came_since)
{
    traffic().connect("192.0.2.1");
    traffic().connect("2001:db8:1::1");
    auto first_walk = open_walk();
    changes_of(first_walk);

    Live live;
    auto walk = open_walk();
    walk.resume(first_walk.told(), open_repeats(), into(live));
    EXPECT_THAT(changes_of(walk), IsEmpty());
    EXPECT_THAT(live, UnorderedElementsAre(Pair("192.0.2.1", 1), Pair("2001:db8:1::", 1)));
    EXPECT_EQ(walk.told(), first_walk.told());
}

TEST_F(Resume, takes_the_present_where_more_was_told_than_there_is)
{
    traffic().connect("192.0.2.1");
    Live live;
    auto walk = open_walk();
    walk.resume({{.syn = 90, .opened = 90, .closed = 80}}, open_repeats(), into(live));
    EXPECT_THAT(live, ElementsAre(Pair("192.0.2.1", 1)));
    EXPECT_THAT(changes_of(walk), IsEmpty());
    traffic().connect("192.0.2.1");
    EXPECT_THAT(changes_of(walk), ElementsAre(Pair("192.0.2.1", Pair(1, 0))));
}

TEST_F(Resume, leaves_slots_alone_that_are_not_in_use)
{
    traffic().connect("192.0.2.1");
    Live live;
    auto walk = open_walk();
    core::SharedArray<core::Tally> told;
    for (int slot = 0; slot < 500; slot++)
        told.push_back({.opened = 7});
    walk.resume(told, open_repeats(), into(live));
    EXPECT_THAT(live, ElementsAre(Pair("192.0.2.1", 1)));
    traffic().connect("192.0.2.2");
    EXPECT_THAT(changes_of(walk), ElementsAre(Pair("192.0.2.2", Pair(1, 0))));
}

TEST_F(Resume, from_the_present_tells_what_is_open_alone)
{
    traffic().connect("192.0.2.1");
    traffic().connect("192.0.2.1");
    Live live;
    auto walk = open_walk();
    walk.skip_to_present(into(live));
    EXPECT_THAT(live, ElementsAre(Pair("192.0.2.1", 2)));
    EXPECT_THAT(changes_of(walk), IsEmpty());
    traffic().connect("192.0.2.1");
    EXPECT_THAT(changes_of(walk), ElementsAre(Pair("192.0.2.1", Pair(1, 0))));
}

TEST_F(Resume, claims_tell_what_came_since)
{
    for (const char *client : {"192.0.2.1", "192.0.2.1", "192.0.2.2", "2001:db8:1::1"})
        traffic().send_syn(client);
    auto first_walk = open_claims();
    syns_of(first_walk);

    traffic().send_syn("192.0.2.2");
    traffic().send_syn("192.0.2.3");
    auto walk = open_claims();
    walk.resume(first_walk.told(), open_repeats());
    EXPECT_THAT(syns_of(walk), UnorderedElementsAre(Pair("192.0.2.2", 1), Pair("192.0.2.3", 1)));
    EXPECT_THAT(syns_of(walk), IsEmpty());
}

TEST_F(Resume, a_claim_that_came_back_meanwhile_is_told_from_its_beginning)
{
    traffic().send_syn("192.0.2.1");
    auto walk = open_claims();
    walk.resume({{.source = address("192.0.2.1"), .service = 1, .dropped = 0, .syn = 5}},
                open_repeats());
    EXPECT_THAT(syns_of(walk), ElementsAre(Pair("192.0.2.1", 1)));
}

/// Its old way was another's already, and nobody had looked at that.
TEST_F(Resume, a_claim_that_was_told_in_two_ways_goes_on_from_the_one_that_it_has)
{
    traffic().send_syn("192.0.2.1");
    traffic().send_syn("192.0.2.1");
    auto walk = open_claims();
    const auto source = address("192.0.2.1");
    walk.resume({{.source = source, .service = 1, .dropped = 0, .syn = 5},
                 {.source = source, .service = 1, .dropped = 0, .syn = 1}},
                open_repeats());
    EXPECT_THAT(syns_of(walk), ElementsAre(Pair("192.0.2.1", 1)));
}

TEST_F(Resume, claims_at_another_service_are_others)
{
    traffic().send_syn("192.0.2.1");
    auto walk = open_claims();
    walk.resume({{.source = address("192.0.2.1"), .service = 2, .dropped = 0, .syn = 1}},
                open_repeats());
    EXPECT_THAT(syns_of(walk), ElementsAre(Pair("192.0.2.1", 1)));
}

TEST_F(Resume, claims_that_are_gone_are_not_told_of_for_ever)
{
    traffic().send_syn("192.0.2.1");
    auto walk = open_claims();
    walk.resume({{.source = address("192.0.2.9"), .service = 1, .dropped = 5, .syn = 5}},
                open_repeats());
    syns_of(walk);
    EXPECT_THAT(sources_of(walk.told()), ElementsAre("192.0.2.1"));
}

TEST_F(Resume, claims_from_the_present_tell_nothing_old)
{
    traffic().send_syn("192.0.2.1");
    auto walk = open_claims();
    walk.skip_to_present();
    EXPECT_THAT(syns_of(walk), IsEmpty());
    traffic().send_syn("192.0.2.1");
    EXPECT_THAT(syns_of(walk), ElementsAre(Pair("192.0.2.1", 1)));
}

TEST_F(Resume, tells_nothing_again_of_what_waited_on_a_cpu)
{
    traffic().send_syn("192.0.2.1");
    traffic().connect("192.0.2.2");
    const auto place = find_claim("192.0.2.1").value();
    tg_batch batch{};
    batch.count = 1;
    batch.syns[0].key.addr = kernel::from_address(address("192.0.2.1"));
    batch.syns[0].key.service = 1;
    batch.syns[0].bucket = place / TG_BUCKET_WAYS;
    put("batches", 0U, batch);
    tg_repeat repeat{};
    repeat.client = kernel::from_address(address("192.0.2.2"));
    repeat.service = 1;
    repeat.is_proven = 1; // in the first slot
    repeat.rejected = 7;
    put("repeats", 0U, repeat);

    Syns told;
    const auto into_told = [&told](const core::SourceChange &change) {
        told[change.source.text()] += change.syn;
    };
    auto first_claims = open_claims();
    auto first_walk = open_walk();
    syns_of(first_claims);
    changes_of(first_walk);
    first_claims.walk_repeats(open_repeats(), into_told);
    first_walk.walk_repeats(open_repeats(), into_told);
    EXPECT_THAT(told, UnorderedElementsAre(Pair("192.0.2.1", 1), Pair("192.0.2.2", 7)));

    told.clear();
    Live live;
    auto claims = open_claims();
    auto walk = open_walk();
    claims.resume(first_claims.told(), open_repeats());
    walk.resume(first_walk.told(), open_repeats(), into(live));
    EXPECT_THAT(syns_of(claims), IsEmpty());
    EXPECT_THAT(changes_of(walk), IsEmpty());
    claims.walk_repeats(open_repeats(), into_told);
    walk.walk_repeats(open_repeats(), into_told);
    EXPECT_THAT(told, IsEmpty());
}

} // namespace
} // namespace tallygate::test
