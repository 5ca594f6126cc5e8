// SPDX-License-Identifier: BSD-2-Clause
//
// Counts the connections to a port in the network namespace that it runs in, as TCP itself
// tells of them (sockops.bpf.c).
//
//     kernel_counter PORT
//
// Prints a line of JSON once it counts, and one for each line of its standard input. Nothing
// of it stays when it ends: the cgroup tree is mounted nowhere, and the link is not pinned.
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "base/fd.hpp"
#include "base/result.hpp"
#include "sockops.skel.h"

namespace churn {
namespace {

using tallygate::Error;
using tallygate::Fd;
using tallygate::Result;

struct Counts {
    std::uint64_t opened = 0;
    std::uint64_t closed = 0;
};

struct Destroy {
    void operator()(sockops *skeleton) const { sockops::destroy(skeleton); }
};

/// Of the cgroup v2 tree, whether it is mounted or not. The C library's wrappers are newer than
/// what Debian 12 has for all of them.
Result<Fd> open_root_cgroup()
{
    Fd context(static_cast<int>(::syscall(SYS_fsopen, "cgroup2", FSOPEN_CLOEXEC)));

    if (!context)
        return Error::system("open the cgroup2 file system");
    if (::syscall(SYS_fsconfig, context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0)
        return Error::system("set up the cgroup2 file system");
    Fd mount(static_cast<int>(::syscall(SYS_fsmount, context.get(), FSMOUNT_CLOEXEC, 0)));
    if (!mount)
        return Error::system("mount the cgroup2 file system");
    Fd root(::openat(mount.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!root)
        return Error::system("open the root cgroup");
    return root;
}

Result<std::uint64_t> cookie_of_this_namespace()
{
    Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    std::uint64_t cookie = 0;
    socklen_t bytes = sizeof(cookie);

    if (!fd || ::getsockopt(fd.get(), SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &bytes) != 0)
        return Error::system("read the cookie of the network namespace");
    return cookie;
}

Result<Counts> read_counts(const bpf_map *map)
{
    std::vector<Counts> each(static_cast<std::size_t>(libbpf_num_possible_cpus()));
    const std::uint32_t only = 0;
    Counts sum;

    if (bpf_map__lookup_elem(map, &only, sizeof(only), each.data(), each.size() * sizeof(Counts),
                             0) != 0)
        return Error::system("read what was counted");
    for (const auto &counts : each) {
        sum.opened += counts.opened;
        sum.closed += counts.closed;
    }
    return sum;
}

Result<void> print_counts(const bpf_map *map)
{
    const auto counts = read_counts(map);

    if (!counts)
        return counts.error();
    std::printf("{\"opened\": %llu, \"closed\": %llu}\n",
                static_cast<unsigned long long>(counts->opened),
                static_cast<unsigned long long>(counts->closed));
    std::fflush(stdout);
    return {};
}

Result<void> run(std::uint32_t port)
{
    const auto cookie = cookie_of_this_namespace();
    const auto cgroup = open_root_cgroup();
    std::unique_ptr<sockops, Destroy> skeleton(sockops::open());

    if (!cookie)
        return cookie.error();
    if (!cgroup)
        return cgroup.error();
    if (!skeleton)
        return Error::system("open the sockops program");
    skeleton->rodata->namespace_cookie = *cookie;
    skeleton->rodata->server_port = port;
    if (sockops::load(skeleton.get()) != 0)
        return Error::system("load the sockops program");
    skeleton->links.count_connections =
        bpf_program__attach_cgroup(skeleton->progs.count_connections, cgroup->get());
    if (!skeleton->links.count_connections)
        return Error::system("attach the sockops program");

    auto printed = print_counts(skeleton->maps.counted);
    for (std::string line; printed && std::getline(std::cin, line);)
        printed = print_counts(skeleton->maps.counted);
    return printed;
}

} // namespace
} // namespace churn

int main(int count, char **words)
{
    const auto done = churn::run(count > 1 ? std::atoi(words[1]) : 25);

    if (done)
        return 0;
    std::fprintf(stderr, "kernel_counter: %s\n", done.error().message.c_str());
    return 1;
}
