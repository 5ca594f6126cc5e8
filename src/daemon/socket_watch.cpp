// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/socket_watch.hpp"

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <utility>

#include "base/log.hpp"

namespace tallygate::daemon {

SocketWatch::SocketWatch(std::string path) : path_(std::move(path))
{
    struct stat file = {};

    if (::lstat(path_.c_str(), &file) == 0) {
        device_ = file.st_dev;
        inode_ = file.st_ino;
    }
}

SocketWatch::Found SocketWatch::find() const
{
    struct stat file = {};

    if (::lstat(path_.c_str(), &file) != 0)
        return Found::none;
    return file.st_dev == device_ && file.st_ino == inode_ ? Found::ours : Found::other;
}

void SocketWatch::look()
{
    const auto found = find();

    is_ours_ = found == Found::ours;
    if (found == std::exchange(found_, found))
        return;
    if (is_ours_)
        spdlog::info("{} leads to us again", path_);
    else
        spdlog::warn("{}", warning());
}

std::string SocketWatch::warning() const
{
    switch (found_) {
    case Found::ours:
        return {};
    case Found::none:
        return path_ + " is gone: nobody who comes now finds us; restart tallygated";
    case Found::other:
        return path_ + " belongs to another program now, which answers in our place; "
                       "`tallygate postfix status` says more";
    }
    return {};
}

Result<void> give_to_owner_of_directory(const std::string &path)
{
    const auto directory = std::filesystem::path(path).parent_path();
    struct stat file = {};

    if (::stat(directory.c_str(), &file) != 0)
        return Error::system("look at " + directory.string());
    if (file.st_uid == ::geteuid())
        return {};
    const passwd *owner = ::getpwuid(file.st_uid);
    const gid_t group = owner != nullptr ? owner->pw_gid : file.st_gid;
    if (::lchown(path.c_str(), file.st_uid, group) != 0)
        return Error::system("give " + path + " to the owner of its directory");
    return {};
}

} // namespace tallygate::daemon
