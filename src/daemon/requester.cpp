// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/requester.hpp"

#include <pwd.h>

#include <cstdio>
#include <memory>

namespace tallygate::daemon {
namespace {

std::string user_name(std::uint32_t uid)
{
    const std::unique_ptr<std::FILE, int (*)(std::FILE *)> file{std::fopen("/etc/passwd", "re"),
                                                                std::fclose};
    if (!file)
        return "";
    while (const passwd *entry = ::fgetpwent(file.get()))
        if (entry->pw_uid == uid)
            return entry->pw_name;
    return "";
}

} // namespace

core::Requester requester_of(const frontend::Asker &asker)
{
    return {.uid = asker.uid,
            .pid = asker.pid,
            .user = asker.uid ? user_name(*asker.uid) : "",
            .remote_address = asker.remote_address};
}

} // namespace tallygate::daemon
