// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/links.hpp"

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
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

struct Ask {
    std::uint16_t type;       ///< RTM_GETLINK
    std::size_t header_bytes; ///< of what follows nlmsghdr
    const char *what;         ///< "interfaces"
};

Result<void> dump_once(const Ask &ask, mnl_cb_t read, void *into)
{
    const std::string asking = std::string("ask the kernel for its ") + ask.what;
    const std::unique_ptr<mnl_socket, CloseSocket> socket{
        mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC)};
    if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) != 0)
        return Error::system(asking);

    // What MNL_SOCKET_BUFFER_SIZE asks for at most: it is not a constant.
    alignas(nlmsghdr) std::array<char, 32768> buffer;
    nlmsghdr *const request = mnl_nlmsg_put_header(buffer.data());
    request->nlmsg_type = ask.type;
    request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    request->nlmsg_seq = 1;
    mnl_nlmsg_put_extra_header(request, ask.header_bytes);
    if (mnl_socket_sendto(socket.get(), request, request->nlmsg_len) < 0)
        return Error::system(asking);

    for (int more = MNL_CB_OK; more > MNL_CB_STOP;) {
        const auto bytes = mnl_socket_recvfrom(socket.get(), buffer.data(), buffer.size());
        more = bytes < 0 ? MNL_CB_ERROR
                         : mnl_cb_run(buffer.data(), static_cast<std::size_t>(bytes), 1,
                                      mnl_socket_get_portid(socket.get()), read, into);
        if (more == MNL_CB_ERROR)
            return Error::system(std::string("list the ") + ask.what);
    }
    return {};
}

/// A list that changed while it was told is told again.
template <typename List>
Result<List> dump(const Ask &ask, mnl_cb_t read)
{
    constexpr int tries_max = 5;
    for (int tries = 1;; tries++) {
        List list;
        const auto told = dump_once(ask, read, &list);
        if (told)
            return list;
        if (told.error().code != EINTR || tries == tries_max)
            return told.error();
    }
}

Result<Links> list_links()
{
    return dump<Links>({RTM_GETLINK, sizeof(ifinfomsg), "interfaces"}, read_link);
}

using Addresses = std::set<AddressOnLink>;

/// mnl_attr_for_each() is C alone.
template <typename See>
void for_each_attribute(const void *first, const void *end, See see)
{
    const auto left = [&](const nlattr *attribute) {
        return static_cast<int>(static_cast<const char *>(end) -
                                reinterpret_cast<const char *>(attribute));
    };
    for (const auto *attribute = static_cast<const nlattr *>(first);
         mnl_attr_ok(attribute, left(attribute)); attribute = mnl_attr_next(attribute))
        see(attribute);
}

template <typename See>
void for_each_attribute(const nlmsghdr *message, std::size_t offset, See see)
{
    for_each_attribute(mnl_nlmsg_get_payload_offset(message, offset),
                       mnl_nlmsg_get_payload_tail(message), see);
}

std::string interface_name(std::uint32_t index)
{
    std::array<char, IF_NAMESIZE> name{};
    return ::if_indextoname(index, name.data()) != nullptr ? name.data() : "";
}

std::optional<Address> read_address(const void *bytes, std::size_t size)
{
    Address address = Address::from_ipv4(0);
    if (size != 4 && size != 16)
        return std::nullopt;
    std::memcpy(address.bytes.data() + (16 - size), bytes, size);
    return address;
}

std::optional<Address> read_address(const nlattr *attribute)
{
    return read_address(mnl_attr_get_payload(attribute), mnl_attr_get_payload_len(attribute));
}

/// On a link between two machines IFA_ADDRESS is the other's, and IFA_LOCAL ours.
int read_own_address(const nlmsghdr *message, void *into)
{
    const auto *info = static_cast<const ifaddrmsg *>(mnl_nlmsg_get_payload(message));
    std::optional<Address> address;
    std::optional<Address> local;

    for_each_attribute(message, sizeof(*info), [&](const nlattr *attribute) {
        if (mnl_attr_get_type(attribute) == IFA_ADDRESS)
            address = read_address(attribute);
        if (mnl_attr_get_type(attribute) == IFA_LOCAL)
            local = read_address(attribute);
    });
    if (local || address)
        static_cast<Addresses *>(into)->insert(
            {local ? *local : *address, interface_name(info->ifa_index)});
    return MNL_CB_OK;
}

/// RTA_VIA has a family in front: IPv4 behind an IPv6 gateway.
std::optional<Address> read_gateway(const nlattr *attribute)
{
    const auto type = mnl_attr_get_type(attribute);
    if (type == RTA_GATEWAY)
        return read_address(attribute);
    const std::size_t size = mnl_attr_get_payload_len(attribute);
    if (type != RTA_VIA || size < sizeof(rtvia))
        return std::nullopt;
    const auto *via = static_cast<const rtvia *>(mnl_attr_get_payload(attribute));
    return read_address(via->rtvia_addr, size - sizeof(rtvia));
}

/// A route over several gateways: an rtnexthop and its attributes for each.
void read_next_hops(const nlattr *attribute, Addresses &gateways)
{
    const auto *hop = static_cast<const rtnexthop *>(mnl_attr_get_payload(attribute));
    auto left = static_cast<int>(mnl_attr_get_payload_len(attribute));

    while (left >= static_cast<int>(sizeof(*hop)) && RTNH_OK(hop, left)) {
        const auto interface = static_cast<std::uint32_t>(hop->rtnh_ifindex);
        for_each_attribute(RTNH_DATA(hop), reinterpret_cast<const char *>(hop) + hop->rtnh_len,
                           [&](const nlattr *each) {
                               if (const auto address = read_gateway(each))
                                   gateways.insert({*address, interface_name(interface)});
                           });
        left -= static_cast<int>(RTNH_ALIGN(hop->rtnh_len));
        hop = RTNH_NEXT(hop);
    }
}

int read_default_route(const nlmsghdr *message, void *into)
{
    const auto *route = static_cast<const rtmsg *>(mnl_nlmsg_get_payload(message));
    auto &gateways = *static_cast<Addresses *>(into);
    std::optional<Address> gateway;
    std::uint32_t interface = 0;

    if (route->rtm_dst_len != 0)
        return MNL_CB_OK;
    for_each_attribute(message, sizeof(*route), [&](const nlattr *attribute) {
        if (const auto address = read_gateway(attribute))
            gateway = address;
        if (mnl_attr_get_type(attribute) == RTA_OIF)
            interface = mnl_attr_get_u32(attribute);
        if (mnl_attr_get_type(attribute) == RTA_MULTIPATH)
            read_next_hops(attribute, gateways);
    });
    if (gateway)
        gateways.insert({*gateway, interface_name(interface)});
    return MNL_CB_OK;
}

Result<std::vector<AddressOnLink>> in_order(const Result<Addresses> &told)
{
    if (!told)
        return told.error();
    return std::vector<AddressOnLink>{told->begin(), told->end()};
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

Result<std::vector<AddressOnLink>> own_addresses()
{
    return in_order(
        dump<Addresses>({RTM_GETADDR, sizeof(ifaddrmsg), "addresses"}, read_own_address));
}

Result<std::vector<AddressOnLink>> gateways()
{
    return in_order(dump<Addresses>({RTM_GETROUTE, sizeof(rtmsg), "routes"}, read_default_route));
}

} // namespace tallygate::kernel
