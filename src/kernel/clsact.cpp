// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/clsact.hpp"

#include <bpf/libbpf.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>

namespace tallygate::kernel {
namespace {

// Ours by these two numbers: a second daemon replaces the filter and never doubles it.
constexpr std::uint32_t filter_handle = 0x7467; // "tg"
constexpr std::uint32_t filter_priority = 0x7467;

bpf_tc_hook hook_of(const LinkName &name)
{
    bpf_tc_hook hook{};
    hook.sz = sizeof(hook);
    hook.ifindex = name.ifindex;
    hook.attach_point = name.kind == "clsact_egress" ? BPF_TC_EGRESS : BPF_TC_INGRESS;
    return hook;
}

bpf_tc_opts filter_options()
{
    bpf_tc_opts options{};
    options.sz = sizeof(options);
    options.handle = filter_handle;
    options.priority = filter_priority;
    return options;
}

/// A descriptor of the namespace with this inode, found through somebody who is in it.
Fd open_netns(std::uint64_t netns)
{
    namespace fs = std::filesystem;
    std::error_code ignored;
    const auto try_open = [netns](const std::string &path) {
        struct stat info {};
        const bool found = ::stat(path.c_str(), &info) == 0 && info.st_ino == netns;
        return Fd{found ? ::open(path.c_str(), O_RDONLY | O_CLOEXEC) : -1};
    };

    for (const auto &named : fs::directory_iterator("/run/netns", ignored))
        if (auto fd = try_open(named.path()))
            return fd;
    for (const auto &process : fs::directory_iterator("/proc", ignored))
        if (auto fd = try_open(process.path().string() + "/ns/net"))
            return fd;
    return Fd{};
}

/// Puts this thread into a namespace and, at the end, back into its own.
class NetnsVisit {
public:
    explicit NetnsVisit(const Fd &there)
        : home_(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)),
          entered_(home_ && ::setns(there.get(), CLONE_NEWNET) == 0)
    {
    }
    NetnsVisit(const NetnsVisit &) = delete;
    ~NetnsVisit()
    {
        if (entered_)
            ::setns(home_.get(), CLONE_NEWNET);
    }
    explicit operator bool() const { return entered_; }

private:
    Fd home_;
    bool entered_;
};

} // namespace

Result<void> put_clsact(const LinkName &name, int program_fd)
{
    auto hook = hook_of(name);
    auto options = filter_options();
    const int created = bpf_tc_hook_create(&hook);

    if (created != 0 && created != -EEXIST)
        return Error::system("add clsact to interface " + std::to_string(name.ifindex), -created);
    options.prog_fd = program_fd;
    options.flags = BPF_TC_F_REPLACE;
    const int attached = bpf_tc_attach(&hook, &options);
    if (attached != 0)
        return Error::system("attach a tc filter to interface " + std::to_string(name.ifindex),
                             -attached);
    return {};
}

std::uint32_t clsact_program(const LinkName &name)
{
    auto hook = hook_of(name);
    auto options = filter_options();

    return bpf_tc_query(&hook, &options) == 0 ? options.prog_id : 0;
}

Result<void> remove_clsact(const LinkName &name)
{
    const auto there = open_netns(name.netns);
    if (!there)
        return {};
    const NetnsVisit visit{there};
    if (!visit)
        return Error::system("enter network namespace " + std::to_string(name.netns));

    auto hook = hook_of(name);
    auto options = filter_options();
    const int detached = bpf_tc_detach(&hook, &options);
    if (detached != 0 && detached != -ENOENT && detached != -ENODEV && detached != -EINVAL)
        return Error::system("remove the tc filter of interface " + std::to_string(name.ifindex),
                             -detached);
    return {};
}

} // namespace tallygate::kernel
