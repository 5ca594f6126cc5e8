// SPDX-License-Identifier: BSD-2-Clause
#include "net/listener.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <optional>

#include "net/raw_client.hpp"
#include "net/temp_dir.hpp"

namespace tallygate::test {
namespace {

using net::Listener;
using testing::HasSubstr;

mode_t mode_of(const std::string &path)
{
    struct stat found = {};
    return ::stat(path.c_str(), &found) == 0 ? found.st_mode & 0777 : 0;
}

class ListenerTest : public testing::Test {
protected:
    TempDir dir_;
    std::string path_ = dir_ / "run/control.sock";
};

TEST_F(ListenerTest, MakesTheDirectoryAndListens)
{
    const auto listener = Listener::on_path(path_);
    ASSERT_TRUE(listener) << listener.error().message;
    EXPECT_EQ(mode_of(path_), 0660u);
    EXPECT_EQ(mode_of(dir_ / "run"), 0755u);
    EXPECT_TRUE(RawClient{path_}.connected());
}

TEST_F(ListenerTest, TakesTheModeItIsGivenWhateverTheUmask)
{
    const mode_t before = ::umask(077);
    const auto listener = Listener::on_path(path_, 0666);
    ::umask(before);
    ASSERT_TRUE(listener) << listener.error().message;
    EXPECT_EQ(mode_of(path_), 0666u);
}

TEST_F(ListenerTest, RemovesItsSocketAtTheEnd)
{
    {
        const auto listener = Listener::on_path(path_);
        ASSERT_TRUE(listener);
        EXPECT_TRUE(std::filesystem::exists(path_));
    }
    EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(ListenerTest, LeavesAnothersFileAlone)
{
    std::optional<Listener> mine;
    auto made = Listener::on_path(path_);
    ASSERT_TRUE(made);
    mine.emplace(std::move(*made));
    std::filesystem::remove(path_);
    std::ofstream{path_} << "another's";
    mine.reset();
    EXPECT_TRUE(std::filesystem::exists(path_));
}

TEST_F(ListenerTest, ReplacesASocketThatNobodyAcceptsOn)
{
    {
        auto listener = Listener::on_path(path_);
        ASSERT_TRUE(listener);
        std::filesystem::create_hard_link(path_, path_ + ".kept");
    }
    std::filesystem::rename(path_ + ".kept", path_);
    ASSERT_TRUE(std::filesystem::is_socket(path_));
    ASSERT_FALSE(RawClient{path_}.connected());

    const auto next = Listener::on_path(path_);
    ASSERT_TRUE(next) << next.error().message;
    EXPECT_TRUE(RawClient{path_}.connected());
}

TEST_F(ListenerTest, RefusesASocketThatAnswers)
{
    const auto first = Listener::on_path(path_);
    ASSERT_TRUE(first);
    const auto second = Listener::on_path(path_);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().message, "listen on " + path_ + ": another process answers there; " +
                                          "is it running already?");
    EXPECT_TRUE(RawClient{path_}.connected());
}

TEST_F(ListenerTest, RefusesAFileThatIsNoSocket)
{
    std::filesystem::create_directory(dir_ / "run");
    std::ofstream{path_} << "precious";
    const auto listener = Listener::on_path(path_);
    ASSERT_FALSE(listener);
    EXPECT_EQ(listener.error().message,
              "listen on " + path_ + ": there is a file that is not a socket");
    EXPECT_EQ(std::filesystem::file_size(path_), 8u);
}

TEST_F(ListenerTest, NamesThePathItCannotUse)
{
    const struct {
        const char *name;
        std::string path;
        const char *message;
    } rows[] = {
        {"two directories missing", dir_ / "no/such/control.sock", "create directory"},
        {"longer than a socket's path can be", dir_ / std::string(120, 'x'), "1 to 107 bytes"},
        {"no path at all", "", "1 to 107 bytes"},
    };
    for (const auto &row : rows) {
        SCOPED_TRACE(row.name);
        const auto listener = Listener::on_path(row.path);
        ASSERT_FALSE(listener);
        EXPECT_THAT(listener.error().message, HasSubstr(row.message));
    }
}

TEST(TcpListener, TellsThePortThatItGot)
{
    for (const char *address : {"127.0.0.1", "::1"}) {
        SCOPED_TRACE(address);
        const auto listener = Listener::on_endpoint({*Address::parse(address), 0});
        ASSERT_TRUE(listener) << listener.error().message;
        const auto bound = Endpoint::parse(listener->name());
        ASSERT_TRUE(bound) << listener->name();
        EXPECT_NE(bound->port, 0);

        const auto again = Listener::on_endpoint(*bound);
        ASSERT_FALSE(again);
        EXPECT_EQ(again.error().message, "listen on " + bound->text() + ": Address already in use");
    }
}

} // namespace
} // namespace tallygate::test
