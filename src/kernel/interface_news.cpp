// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/interface_news.hpp"

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace tallygate::kernel {

void InterfaceNews::Close::operator()(mnl_socket *socket) const
{
    mnl_socket_close(socket);
}

Result<InterfaceNews> InterfaceNews::listen()
{
    Socket socket{mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK)};

    if (!socket || mnl_socket_bind(socket.get(), RTMGRP_LINK, MNL_SOCKET_AUTOPID) < 0)
        return Error::system("listen to news of interfaces");
    return InterfaceNews{std::move(socket)};
}

int InterfaceNews::fd() const
{
    return mnl_socket_get_fd(socket_.get());
}

void InterfaceNews::read_all()
{
    std::array<char, 8192> message{}; // a longer one is cut, which is as good

    while (mnl_socket_recvfrom(socket_.get(), message.data(), message.size()) >= 0 ||
           errno == ENOBUFS || errno == ENOSPC || errno == EINTR)
        continue;
}

} // namespace tallygate::kernel
