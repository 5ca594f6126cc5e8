// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/snapshot_file.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace tallygate::daemon {
namespace {

namespace fs = std::filesystem;

class SnapshotFileTest : public testing::Test {
protected:
    void SetUp() override
    {
        std::string name = fs::temp_directory_path() / "tallygate-test-XXXXXX";
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        top_ = name;
    }

    void TearDown() override { fs::remove_all(top_); }

    static void put(const std::string &path, const std::string &text)
    {
        std::ofstream(path) << text;
    }

    static std::string text_of(const std::string &path)
    {
        std::ifstream file(path);
        return {std::istreambuf_iterator<char>(file), {}};
    }

    std::size_t files() const
    {
        return static_cast<std::size_t>(
            std::distance(fs::directory_iterator(dir()), fs::directory_iterator()));
    }

    std::string dir() const { return top_ / "state"; }

    fs::path top_;
};

TEST_F(SnapshotFileTest, is_read_as_it_was_written)
{
    const SnapshotFile file{dir()};
    for (const std::string &bytes :
         {std::string("one"), std::string(300'000, '\0') + "two", std::string()}) {
        ASSERT_TRUE(file.write(bytes));
        const auto read = file.read();
        ASSERT_TRUE(read);
        EXPECT_EQ(*read, bytes);
        EXPECT_EQ(files(), 1U) << "the draft is gone";
    }
}

TEST_F(SnapshotFileTest, is_nobody_elses)
{
    const SnapshotFile file{dir()};
    ASSERT_TRUE(file.write("one"));
    EXPECT_EQ(fs::status(dir()).permissions(), fs::perms::owner_all);
    EXPECT_EQ(fs::status(file.path()).permissions(),
              fs::perms::owner_read | fs::perms::owner_write);
}

TEST_F(SnapshotFileTest, may_be_missing)
{
    const auto no_directory = SnapshotFile{dir()}.read();
    ASSERT_TRUE(no_directory);
    EXPECT_FALSE(*no_directory);

    fs::create_directory(dir());
    const auto no_file = SnapshotFile{dir()}.read();
    ASSERT_TRUE(no_file);
    EXPECT_FALSE(*no_file);
}

TEST_F(SnapshotFileTest, a_draft_that_was_left_is_neither_read_nor_in_the_way)
{
    const SnapshotFile file{dir()};
    ASSERT_TRUE(file.write("one"));
    put(file.path() + ".new", "half of tw");
    EXPECT_EQ(*file.read(), "one");
    ASSERT_TRUE(file.write("two"));
    EXPECT_EQ(*file.read(), "two");
    EXPECT_EQ(files(), 1U);
}

TEST_F(SnapshotFileTest, the_old_one_is_replaced_and_not_overwritten)
{
    const SnapshotFile file{dir()};
    ASSERT_TRUE(file.write("one"));
    std::ifstream reader(file.path());
    ASSERT_TRUE(file.write("two"));
    std::string text;
    reader >> text;
    EXPECT_EQ(text, "one") << "whoever reads it meanwhile reads all of it";
}

TEST_F(SnapshotFileTest, a_link_in_place_of_the_draft_is_not_followed)
{
    const SnapshotFile file{dir()};
    fs::create_directory(dir());
    put(top_ / "precious", "keep me");
    fs::create_symlink(top_ / "precious", file.path() + ".new");
    const auto written = file.write("one");
    ASSERT_FALSE(written);
    EXPECT_NE(written.error().message.find(file.path() + ".new"), std::string::npos);
    EXPECT_EQ(text_of(top_ / "precious"), "keep me");
}

TEST_F(SnapshotFileTest, set_aside_replaces_an_older_one)
{
    const SnapshotFile file{dir()};
    for (const char *bytes : {"one", "two"}) {
        ASSERT_TRUE(file.write(bytes));
        ASSERT_TRUE(file.set_aside());
        EXPECT_EQ(text_of(file.damaged_path()), bytes);
        EXPECT_FALSE(*file.read());
    }
    EXPECT_FALSE(file.set_aside()) << "there is none";
}

TEST_F(SnapshotFileTest, errors_name_what_is_in_the_way)
{
    const SnapshotFile no_parent{top_ / "missing" / "state"};
    EXPECT_EQ(no_parent.write("one").error().code, ENOENT);
    EXPECT_NE(no_parent.write("one").error().message.find(top_ / "missing"), std::string::npos);

    put(dir(), "a file, not a directory");
    const SnapshotFile file{dir()};
    EXPECT_EQ(file.write("one").error().code, ENOTDIR);
    EXPECT_EQ(file.read().error().code, ENOTDIR);
    EXPECT_NE(file.write("one").error().message.find(dir()), std::string::npos);

    fs::remove(dir());
    fs::create_directories(file.path() + "/directory");
    EXPECT_EQ(file.read().error().code, EISDIR);
    EXPECT_FALSE(file.write("one"));
    EXPECT_FALSE(fs::exists(file.path() + ".new"));
}

TEST_F(SnapshotFileTest, a_directory_that_may_not_be_written)
{
    fs::create_directory(dir());
    fs::permissions(dir(), fs::perms::owner_read | fs::perms::owner_exec);
    // Root may write everywhere, so root becomes somebody else for a moment.
    const bool was_root = ::geteuid() == 0;
    if (was_root) {
        ASSERT_EQ(::seteuid(65534), 0);
    }
    const auto written = SnapshotFile{dir()}.write("one");
    if (was_root) {
        ASSERT_EQ(::seteuid(0), 0);
    }
    fs::permissions(dir(), fs::perms::owner_all);
    EXPECT_EQ(written.error().code, EACCES);
}

} // namespace
} // namespace tallygate::daemon
