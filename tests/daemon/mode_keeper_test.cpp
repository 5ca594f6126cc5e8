// SPDX-License-Identifier: BSD-2-Clause
//
// The mode that control sets: confirmed or reverted, over restarts and reloads.
#include "daemon/mode_keeper.hpp"

#include <memory>

#include "core/policy.hpp"
#include "daemon/keeper_fixture.hpp"

namespace tallygate::test {
namespace {

using namespace std::chrono_literals;
using core::Mode;
using testing::ElementsAre;
using testing::HasSubstr;

class ModeKeeperTest : public KeeperTest {
protected:
    void SetUp() override
    {
        KeeperTest::SetUp();
        start(Mode::observe);
    }

    /// A daemon with this in its configuration, after the one before it has ended.
    void start(Mode configured)
    {
        if (keeper_)
            keeper_->finish();
        keeper_ = std::make_unique<daemon::ModeKeeper>(dir_ / "state", clock_, audit_);
        keeper_->restore(configured);
        keeper_->take_gate(gate_);
    }

    void pass(std::chrono::seconds time)
    {
        clock_.time += time;
        keeper_->tick();
    }

    Result<void> set(Mode mode, std::optional<std::chrono::seconds> confirm = {})
    {
        return keeper_->set(mode, confirm, ada_);
    }

    std::unique_ptr<daemon::ModeKeeper> keeper_;
};

TEST_F(ModeKeeperTest, IsTheConfigurationsAtFirst)
{
    EXPECT_EQ(gate_.mode_now, Mode::observe);
    EXPECT_FALSE(keeper_->facts().is_by_control);
    start(Mode::enforce);
    EXPECT_EQ(gate_.mode_now, Mode::enforce);
}

TEST_F(ModeKeeperTest, EnforcesAtControlsWord)
{
    ASSERT_TRUE(set(Mode::enforce));
    EXPECT_EQ(gate_.mode_now, Mode::enforce);
    EXPECT_EQ(gate_.mode_at_most, std::nullopt);
    EXPECT_TRUE(keeper_->facts().is_by_control);
    EXPECT_EQ(keeper_->facts().set_by, "ada");
    EXPECT_THAT(audited(), ElementsAre("mode enforce: observe (configured) -> enforce (set by "
                                       "control; configured observe): done"));
    ASSERT_TRUE(set(Mode::observe));
    EXPECT_FALSE(keeper_->facts().is_by_control) << "as the configuration has it";
}

TEST_F(ModeKeeperTest, RevertsWhatNobodyConfirms)
{
    ASSERT_TRUE(set(Mode::enforce, 600s));
    EXPECT_EQ(gate_.mode_now, Mode::enforce);
    EXPECT_EQ(gate_.mode_at_most, 600s) << "the gate ends it by itself";
    EXPECT_EQ(keeper_->facts().until, noon + 600s);
    pass(599s);
    EXPECT_EQ(gate_.mode_now, Mode::enforce);
    pass(1s);
    EXPECT_EQ(gate_.mode_now, Mode::observe);
    EXPECT_FALSE(keeper_->facts().is_by_control);
    EXPECT_THAT(audited().back(), HasSubstr("mode_revert observe: enforce (set by control, to be "
                                            "confirmed; configured observe) -> observe"));
}

TEST_F(ModeKeeperTest, KeepsWhatIsConfirmed)
{
    ASSERT_TRUE(set(Mode::enforce, 600s));
    pass(300s);
    ASSERT_TRUE(set(Mode::enforce));
    EXPECT_EQ(gate_.mode_at_most, std::nullopt);
    pass(3600s);
    EXPECT_EQ(gate_.mode_now, Mode::enforce);
}

TEST_F(ModeKeeperTest, ATrialThatIsProlongedStillRevertsToTheModeBeforeIt)
{
    ASSERT_TRUE(set(Mode::enforce, 600s));
    pass(300s);
    ASSERT_TRUE(set(Mode::enforce, 600s));
    pass(599s);
    EXPECT_EQ(gate_.mode_now, Mode::enforce);
    pass(1s);
    EXPECT_EQ(gate_.mode_now, Mode::observe);
}

TEST_F(ModeKeeperTest, WhatIsInForceForGoodHasNothingToConfirm)
{
    ASSERT_TRUE(set(Mode::enforce));
    ASSERT_TRUE(set(Mode::enforce, 600s));
    EXPECT_EQ(keeper_->facts().until, std::nullopt);
    pass(3600s);
    EXPECT_EQ(gate_.mode_now, Mode::enforce);
}

TEST_F(ModeKeeperTest, OnlyEnforceIsConfirmed)
{
    const auto refused = set(Mode::observe, 600s);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, static_cast<int>(core::Refused::malformed));
    EXPECT_EQ(refused.error().message, "only `mode enforce` is confirmed: observe drops nothing");
    EXPECT_THAT(audited().back(), HasSubstr(refused.error().message));
}

TEST_F(ModeKeeperTest, OutlivesTheDaemon)
{
    ASSERT_TRUE(set(Mode::enforce));
    start(Mode::observe);
    EXPECT_EQ(gate_.mode_now, Mode::enforce);
    EXPECT_EQ(keeper_->facts().set_by, "ada");

    ASSERT_TRUE(set(Mode::observe));
    start(Mode::observe);
    EXPECT_EQ(gate_.mode_now, Mode::observe);
}

TEST_F(ModeKeeperTest, ATrialGoesOnOverARestartAndEndsWhenItShould)
{
    ASSERT_TRUE(set(Mode::enforce, 600s));
    clock_.time += 200s;
    start(Mode::observe);
    EXPECT_EQ(gate_.mode_now, Mode::enforce);
    EXPECT_EQ(gate_.mode_at_most, 400s);
    pass(400s);
    EXPECT_EQ(gate_.mode_now, Mode::observe);

    ASSERT_TRUE(set(Mode::enforce, 600s));
    clock_.time += 601s;
    start(Mode::observe);
    EXPECT_EQ(gate_.mode_now, Mode::observe) << "it ran out while no daemon was there";
}

TEST_F(ModeKeeperTest, AnotherModeInTheConfigurationTakesItsPlace)
{
    ASSERT_TRUE(set(Mode::enforce));
    keeper_->configure(Mode::observe, ada_);
    EXPECT_EQ(gate_.mode_now, Mode::enforce) << "a reload without a change";
    ASSERT_TRUE(set(Mode::observe));
    keeper_->configure(Mode::enforce, ada_);
    EXPECT_EQ(gate_.mode_now, Mode::enforce);

    ASSERT_TRUE(set(Mode::observe));
    EXPECT_EQ(gate_.mode_now, Mode::observe);
    start(Mode::observe);
    EXPECT_FALSE(keeper_->facts().is_by_control) << "changed while no daemon was there";
}

TEST_F(ModeKeeperTest, AFileThatIsNotOursIsKeptAside)
{
    for (const auto *text :
         {"", "{", "[]", R"({"schema":1,"configured":"drop"})",
          R"({"configured":"observe","mode":"enforce"})",
          R"({"schema":2,"configured":"observe","mode":"enforce"})",
          R"({"schema":1,"configured":"observe","mode":"drop"})",
          R"({"schema":1,"configured":"observe","mode":"enforce","until_ns":"soon"})",
          R"({"schema":1,"configured":"observe","mode":"enforce","until_ns":1e30})",
          R"({"schema":1,"configured":"observe","mode":"enforce","until_ns":null})"}) {
        SCOPED_TRACE(text);
        keeper_->finish();
        ASSERT_TRUE(daemon::SnapshotFile(dir_ / "state", "mode.json").write(text));
        start(Mode::observe);
        EXPECT_EQ(gate_.mode_now, Mode::observe);
        EXPECT_EQ(read(dir_ / "state/mode.json.damaged"), text);
        ASSERT_EQ(keeper_->warnings().size(), 1U);
        EXPECT_THAT(keeper_->warnings().front(), HasSubstr("mode.json is of no use"));
    }
}

} // namespace
} // namespace tallygate::test
