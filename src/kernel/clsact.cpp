// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/clsact.hpp"

#include <bpf/libbpf.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <memory>

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

std::string interface_of(const LinkName &name)
{
    std::array<char, IF_NAMESIZE> text{};

    if (::if_indextoname(static_cast<unsigned>(name.ifindex), text.data()) == nullptr)
        return "interface " + std::to_string(name.ifindex);
    return text.data();
}

struct Queue {
    int ifindex;
    std::string kind; ///< empty: there is none
};

int read_kind(const nlattr *attribute, void *queue)
{
    if (mnl_attr_get_type(attribute) == TCA_KIND)
        static_cast<Queue *>(queue)->kind = mnl_attr_get_str(attribute);
    return MNL_CB_OK;
}

int read_queue(const nlmsghdr *message, void *queue)
{
    const auto *info = static_cast<const tcmsg *>(mnl_nlmsg_get_payload(message));

    if (info->tcm_ifindex != static_cast<Queue *>(queue)->ifindex ||
        info->tcm_parent != TC_H_CLSACT)
        return MNL_CB_OK;
    return mnl_attr_parse(message, sizeof(*info), read_kind, queue);
}

/// The kind of the queue in the place that clsact and ingress share; empty if there is none. All
/// are listed: the answer about a single one goes to everybody who listens to news of queues.
std::string queue_kind(int ifindex)
{
    const std::unique_ptr<mnl_socket, int (*)(mnl_socket *)> socket{
        mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC), mnl_socket_close};
    // What MNL_SOCKET_BUFFER_SIZE asks for at most: it is not a constant.
    alignas(nlmsghdr) std::array<char, 32768> buffer;
    auto *const request = mnl_nlmsg_put_header(buffer.data());
    request->nlmsg_type = RTM_GETQDISC;
    request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    request->nlmsg_seq = 1;
    mnl_nlmsg_put_extra_header(request, sizeof(tcmsg));
    if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0 ||
        mnl_socket_sendto(socket.get(), request, request->nlmsg_len) < 0)
        return "";

    Queue queue{.ifindex = ifindex, .kind = ""};
    for (int more = MNL_CB_OK; more > MNL_CB_STOP;) {
        const auto bytes = mnl_socket_recvfrom(socket.get(), buffer.data(), buffer.size());
        more = bytes < 0 ? MNL_CB_ERROR
                         : mnl_cb_run(buffer.data(), static_cast<std::size_t>(bytes), 1,
                                      mnl_socket_get_portid(socket.get()), read_queue, &queue);
    }
    return queue.kind;
}

/// Whether the interface has a queue with this direction. An ingress queue has one list of
/// filters: what is put to egress there sees what comes in, in the place of our ingress filter.
bool has_direction(const LinkName &name)
{
    return name.kind != "clsact_egress" || queue_kind(name.ifindex) == "clsact";
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
    const auto interface_name = interface_of(name);
    const int created = bpf_tc_hook_create(&hook);

    if (created != 0 && created != -EEXIST)
        return Error::system("add clsact to " + interface_name, -created);
    if (!has_direction(name))
        return Error{interface_name + " has an ingress qdisc, where egress cannot be seen: `tc " +
                         "qdisc delete dev " + interface_name +
                         " ingress`; clsact takes its filters as well",
                     EBUSY};
    options.prog_fd = program_fd;
    options.flags = BPF_TC_F_REPLACE;
    const int attached = bpf_tc_attach(&hook, &options);
    if (attached != 0)
        return Error::system("attach a tc filter to " + interface_name, -attached);
    return {};
}

std::uint32_t clsact_program(const LinkName &name)
{
    auto hook = hook_of(name);
    auto options = filter_options();

    if (!has_direction(name))
        return 0;
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
    if (!has_direction(name))
        return {};

    auto hook = hook_of(name);
    auto options = filter_options();
    const int detached = bpf_tc_detach(&hook, &options);
    if (detached != 0 && detached != -ENOENT && detached != -ENODEV && detached != -EINVAL)
        return Error::system("remove the tc filter of " + interface_of(name), -detached);
    return {};
}

} // namespace tallygate::kernel
