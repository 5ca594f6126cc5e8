// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <sys/resource.h>

#include <algorithm>

namespace tallygate::test {

/// Room for both ends of many connections in this one process.
inline bool allow_descriptors(rlim_t count)
{
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_max < count)
        return false;
    limit.rlim_cur = std::max(limit.rlim_cur, count);
    return ::setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

} // namespace tallygate::test
