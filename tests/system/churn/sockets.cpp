// SPDX-License-Identifier: BSD-2-Clause
#include "churn/sockets.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>

#include <cerrno>
#include <cstring>

namespace churn {
namespace {

constexpr int backlog = 65'535; // cut to net.core.somaxconn, which the test raises
constexpr int events_max = 512;

struct SocketAddress {
    sockaddr_storage storage{};
    socklen_t bytes = 0;

    SocketAddress(const Address &address, std::uint16_t port)
    {
        if (address.is_ipv4()) {
            auto &ipv4 = reinterpret_cast<sockaddr_in &>(storage);
            ipv4.sin_family = AF_INET;
            ipv4.sin_port = htons(port);
            std::memcpy(&ipv4.sin_addr, &address.bytes[12], sizeof(ipv4.sin_addr));
            bytes = sizeof(ipv4);
        } else {
            auto &ipv6 = reinterpret_cast<sockaddr_in6 &>(storage);
            ipv6.sin6_family = AF_INET6;
            ipv6.sin6_port = htons(port);
            std::memcpy(&ipv6.sin6_addr, address.bytes.data(), sizeof(ipv6.sin6_addr));
            bytes = sizeof(ipv6);
        }
    }
    const sockaddr *get() const { return reinterpret_cast<const sockaddr *>(&storage); }
};

std::string name_of(const Address &address, std::uint16_t port)
{
    return address.text() + " port " + std::to_string(port);
}

Result<Fd> bound_socket(const Address &address, std::uint16_t port)
{
    const SocketAddress name(address, port);
    Fd fd(::socket(name.get()->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const int yes = 1;

    if (!fd)
        return Error::system("make a socket");
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    if (::bind(fd.get(), name.get(), name.bytes) != 0)
        return Error::system("bind to " + name_of(address, port));
    return fd;
}

} // namespace

Result<Fd> listen_at(const Address &address, std::uint16_t port)
{
    auto fd = bound_socket(address, port);

    if (fd && ::listen(fd->get(), backlog) != 0)
        return Error::system("listen at " + name_of(address, port));
    return fd;
}

Result<Fd> connect_from(const Address &client, std::uint16_t client_port, const Address &server,
                        std::uint16_t server_port)
{
    const SocketAddress name(server, server_port);
    auto fd = bound_socket(client, client_port);

    if (fd && ::connect(fd->get(), name.get(), name.bytes) != 0 && errno != EINPROGRESS)
        return Error::system("connect from " + name_of(client, client_port));
    return fd;
}

int connect_error(const Fd &socket)
{
    int error = 0;
    socklen_t bytes = sizeof(error);

    ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &bytes);
    return error;
}

void reset_on_close(const Fd &socket)
{
    const linger at_once{.l_onoff = 1, .l_linger = 0};

    ::setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
}

Result<Poller> Poller::make()
{
    Fd fd(::epoll_create1(EPOLL_CLOEXEC));

    if (!fd)
        return Error::system("make an epoll set");
    return Poller(std::move(fd));
}

Result<void> Poller::add(int fd, std::uint64_t token)
{
    epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data = {.u64 = token}};

    if (::epoll_ctl(fd_.get(), EPOLL_CTL_ADD, fd, &event) != 0)
        return Error::system("watch a descriptor");
    return {};
}

const std::vector<std::uint64_t> &Poller::wait(int milliseconds)
{
    epoll_event events[events_max];
    const int count = ::epoll_wait(fd_.get(), events, events_max, milliseconds);

    changed_.clear();
    for (int index = 0; index < count; index++)
        changed_.push_back(events[index].data.u64);
    return changed_;
}

} // namespace churn
