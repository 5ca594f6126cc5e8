// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/grace.hpp"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace tallygate::kernel {

Result<void> wait_for_programs()
{
    if (::syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) != 0)
        return Error::system("wait until no program runs that began before");
    return {};
}

} // namespace tallygate::kernel
