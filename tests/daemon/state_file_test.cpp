// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/state_file.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace tallygate::daemon {
namespace {

namespace fs = std::filesystem;

class StateFileTest : public testing::Test {
protected:
    void SetUp() override
    {
        std::string name = fs::temp_directory_path() / "tallygate-test-XXXXXX";
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        top_ = name;
        dir_ = top_ + "/state"; // is made by whoever writes first
    }

    void TearDown() override { fs::remove_all(top_); }

    StateFile file() const { return {dir_, "things.json", "what was set"}; }
    std::string draft() const { return dir_ + "/things.json.draft"; }
    std::string saved() const { return dir_ + "/things.json"; }

    static void put(const std::string &path, const std::string &text)
    {
        std::ofstream(path) << text;
    }
    static std::string text_of(const std::string &path)
    {
        std::ifstream stream(path);
        return {std::istreambuf_iterator<char>(stream), {}};
    }

    /// What a daemon leaves that is killed right after it wrote `bytes`.
    void leave(const std::string &bytes)
    {
        std::string left;
        {
            auto killed = file();
            killed.write(bytes);
            left = text_of(draft());
        }
        put(draft(), left);
    }

    std::string top_;
    std::string dir_;
};

TEST_F(StateFileTest, ThereIsNothingAtFirst)
{
    EXPECT_EQ(file().read(), std::nullopt);
}

TEST_F(StateFileTest, WhatIsWrittenIsThereAtOnceAndForNobodyElse)
{
    auto writer = file();
    writer.write("one\n");
    EXPECT_EQ(file().read(), "one\n");
    writer.write("two\n");
    EXPECT_EQ(file().read(), "two\n");
    struct stat found {};
    ASSERT_EQ(::stat(draft().c_str(), &found), 0);
    EXPECT_EQ(found.st_mode & 0777U, 0600U);
}

TEST_F(StateFileTest, WhenTheDiskHasItThereIsNoDraft)
{
    auto writer = file();
    for (int number = 0; number < 20; number++)
        writer.write(std::to_string(number));
    writer.finish();
    EXPECT_FALSE(fs::exists(draft()));
    EXPECT_EQ(text_of(saved()), "19");
    EXPECT_EQ(writer.warning(), std::nullopt);
}

TEST_F(StateFileTest, ADraftThatAKilledDaemonLeftIsNewerThanTheFile)
{
    leave("new");
    put(saved(), "old");
    EXPECT_EQ(file().read(), "new");
}

TEST_F(StateFileTest, ADraftThatIsNotWholeIsNotBelieved)
{
    leave("what was set last");
    const auto whole = text_of(draft());
    put(saved(), "old");
    for (const auto &damaged :
         {std::string(), whole.substr(0, whole.size() - 1), whole + "x", whole.substr(3),
          std::string(whole.size(), '\0'), std::string("\n"), std::string("no draft at all\n")}) {
        put(draft(), damaged);
        EXPECT_EQ(file().read(), "old") << damaged;
    }
}

TEST_F(StateFileTest, ADraftThatCannotBeMadeLeavesNoOlderOne)
{
    leave("older");
    fs::create_directory(draft() + ".new");
    auto writer = file();
    writer.write("newer");
    writer.finish();
    EXPECT_EQ(file().read(), "newer");
}

TEST_F(StateFileTest, ADraftThatMakesNoSenseIsMovedAside)
{
    leave("no sense");
    put(saved(), "old");
    auto reader = file();
    ASSERT_EQ(reader.read(), "no sense");
    reader.set_aside("it is not JSON");
    EXPECT_TRUE(text_of(saved() + ".damaged").ends_with("\nno sense"));
    EXPECT_FALSE(fs::exists(draft()));
    ASSERT_NE(reader.warning(), std::nullopt);
    EXPECT_NE(reader.warning()->find("it is not JSON"), std::string::npos);
}

} // namespace
} // namespace tallygate::daemon
