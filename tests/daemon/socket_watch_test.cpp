// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/socket_watch.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "net/listener.hpp"
#include "net/temp_dir.hpp"

namespace tallygate::daemon {
namespace {

TEST(SocketWatchTest, sees_who_the_path_leads_to)
{
    test::TempDir dir;
    const std::string path = dir / "anvil";
    auto ours = net::Listener::on_path(path);
    ASSERT_TRUE(ours);
    SocketWatch watch{path};
    watch.look();
    EXPECT_TRUE(watch.is_ours());
    EXPECT_EQ(watch.warning(), "");

    const std::string aside = dir / "aside";
    std::filesystem::rename(path, aside);
    watch.look();
    EXPECT_FALSE(watch.is_ours());
    EXPECT_NE(watch.warning().find("is gone"), std::string::npos) << watch.warning();

    auto theirs = net::Listener::on_path(path);
    ASSERT_TRUE(theirs);
    watch.look();
    EXPECT_FALSE(watch.is_ours());
    EXPECT_NE(watch.warning().find("belongs to another program"), std::string::npos);

    std::filesystem::rename(aside, path);
    watch.look();
    EXPECT_TRUE(watch.is_ours());
    EXPECT_EQ(watch.warning(), "");
}

TEST(SocketWatchTest, a_socket_belongs_to_whoever_owns_the_directory)
{
    if (::geteuid() != 0)
        GTEST_SKIP() << "needs root";
    constexpr uid_t mail = 54'321; // nobody's
    test::TempDir dir;
    ASSERT_EQ(::chown(std::string(dir / "").c_str(), mail, 0), 0);
    const std::string path = dir / "anvil";
    auto ours = net::Listener::on_path(path, 0666);
    ASSERT_TRUE(ours);
    ASSERT_TRUE(give_to_owner_of_directory(path));
    struct stat file = {};
    ASSERT_EQ(::lstat(path.c_str(), &file), 0);
    EXPECT_EQ(file.st_uid, mail);
    EXPECT_EQ(file.st_mode & 0777U, 0666U);
}

} // namespace
} // namespace tallygate::daemon
