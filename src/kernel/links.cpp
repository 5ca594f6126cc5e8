// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/links.hpp"

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <string_view>

namespace tallygate::kernel {
namespace {

struct Link {
    std::uint32_t index = 0;
    std::uint32_t lower = 0; ///< what it stands on, as a VLAN does, if it does
    bool stands_on_lower = true;
    std::uint32_t master = 0; ///< what it is a port of; 0: nothing
    std::string name;
    bool is_tunnel = false;
};

using Links = std::vector<Link>;

struct CloseSocket {
    void operator()(mnl_socket *socket) const { mnl_socket_close(socket); }
};

/// The "link" of a veth is its other end, and not what it stands on.
int read_kind(const nlattr *attribute, void *into)
{
    if (mnl_attr_get_type(attribute) != IFLA_INFO_KIND)
        return MNL_CB_OK;
    const std::string_view kind = mnl_attr_get_str(attribute);
    auto &link = *static_cast<Link *>(into);
    if (kind == "veth")
        link.stands_on_lower = false;
    link.is_tunnel = kind == "ipip" || kind == "sit" || kind == "ip6tnl";
    return MNL_CB_OK;
}

int read_attribute(const nlattr *attribute, void *into)
{
    auto &link = *static_cast<Link *>(into);

    switch (mnl_attr_get_type(attribute)) {
    case IFLA_IFNAME:
        link.name = mnl_attr_get_str(attribute);
        break;
    case IFLA_LINK:
        link.lower = mnl_attr_get_u32(attribute);
        break;
    case IFLA_LINK_NETNSID:
        link.stands_on_lower = false;
        break;
    case IFLA_LINKINFO:
        return mnl_attr_parse_nested(attribute, read_kind, into);
    case IFLA_MASTER:
        link.master = mnl_attr_get_u32(attribute);
        break;
    default:
        break;
    }
    return MNL_CB_OK;
}

int read_link(const nlmsghdr *message, void *links)
{
    const auto *info = static_cast<const ifinfomsg *>(mnl_nlmsg_get_payload(message));
    Link link;

    link.index = static_cast<std::uint32_t>(info->ifi_index);
    if (mnl_attr_parse(message, sizeof(*info), read_attribute, &link) != MNL_CB_OK)
        return MNL_CB_ERROR;
    static_cast<Links *>(links)->push_back(std::move(link));
    return MNL_CB_OK;
}

Result<Links> dump_links()
{
    const std::unique_ptr<mnl_socket, CloseSocket> socket{
        mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC)};
    if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) != 0)
        return Error::system("ask the kernel for its interfaces");

    // What MNL_SOCKET_BUFFER_SIZE asks for at most: it is not a constant.
    alignas(nlmsghdr) std::array<char, 32768> buffer;
    nlmsghdr *const request = mnl_nlmsg_put_header(buffer.data());
    request->nlmsg_type = RTM_GETLINK;
    request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    request->nlmsg_seq = 1;
    mnl_nlmsg_put_extra_header(request, sizeof(ifinfomsg));
    if (mnl_socket_sendto(socket.get(), request, request->nlmsg_len) < 0)
        return Error::system("ask the kernel for its interfaces");

    Links links;
    for (int more = MNL_CB_OK; more > MNL_CB_STOP;) {
        const auto bytes = mnl_socket_recvfrom(socket.get(), buffer.data(), buffer.size());
        more = bytes < 0 ? MNL_CB_ERROR
                         : mnl_cb_run(buffer.data(), static_cast<std::size_t>(bytes), 1,
                                      mnl_socket_get_portid(socket.get()), read_link, &links);
        if (more == MNL_CB_ERROR)
            return Error::system("list the interfaces");
    }
    return links;
}

/// A list that changed while it was told is told again.
Result<Links> list_links()
{
    constexpr int tries_max = 5;
    for (int tries = 1;; tries++) {
        auto links = dump_links();
        if (links || links.error().code != EINTR || tries == tries_max)
            return links;
    }
}

} // namespace

Result<std::set<std::uint32_t>> interfaces_above(const std::vector<std::string> &interfaces)
{
    const auto links = list_links();
    if (!links)
        return links.error();

    std::set<std::uint32_t> above;
    for (const auto &link : *links)
        if (std::find(interfaces.begin(), interfaces.end(), link.name) != interfaces.end())
            above.insert(link.index);
    // Until nothing new stands on what was found.
    for (std::size_t before = 0; before != above.size();) {
        before = above.size();
        for (const auto &link : *links) {
            if (link.stands_on_lower && above.contains(link.lower))
                above.insert(link.index);
            if (link.master != 0 && above.contains(link.index))
                above.insert(link.master);
        }
    }
    return above;
}

Result<std::set<std::uint32_t>> tunnel_interfaces()
{
    const auto links = list_links();
    if (!links)
        return links.error();

    std::set<std::uint32_t> tunnels;
    for (const auto &link : *links)
        if (link.is_tunnel)
            tunnels.insert(link.index);
    return tunnels;
}

} // namespace tallygate::kernel
