// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <sys/types.h>

#include <string>

#include "base/result.hpp"

namespace tallygate::daemon {

/// Whether the file that leads to a socket is still the one that we made. Another program that
/// takes the path, as Postfix's master does when anvil comes back into master.cf, says nothing.
class SocketWatch {
public:
    /// The file at `path` is ours now.
    explicit SocketWatch(std::string path);

    /// Looks, and logs what has changed since the last look.
    void look();
    bool is_ours() const { return is_ours_; }
    const std::string &path() const { return path_; }
    /// A sentence for the operator; empty if all is well.
    std::string warning() const;

private:
    enum class Found : unsigned char { ours, none, other };

    Found find() const;

    std::string path_;
    dev_t device_ = 0;
    ino_t inode_ = 0;
    Found found_ = Found::ours;
    bool is_ours_ = true;
};

/// Gives the socket at `path` to whoever owns the directory that it lies in, as the sockets beside
/// it are: Postfix's own user. Nothing to do in our own directory.
Result<void> give_to_owner_of_directory(const std::string &path);

} // namespace tallygate::daemon
