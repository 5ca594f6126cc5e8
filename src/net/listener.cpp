// SPDX-License-Identifier: BSD-2-Clause
#include "net/listener.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstring>
#include <filesystem>
#include <utility>

namespace tallygate::net {
namespace {

Fd stream_socket(int family)
{
    return Fd{::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
}

Result<sockaddr_un> unix_address(const std::string &path)
{
    sockaddr_un address{};

    if (path.empty() || path.size() >= sizeof(address.sun_path))
        return Error{"listen on '" + path + "': the path of a socket has 1 to " +
                         std::to_string(sizeof(address.sun_path) - 1) + " bytes",
                     ENAMETOOLONG};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    return address;
}

Result<void> make_parent(const std::string &path)
{
    const auto parent = std::filesystem::path(path).parent_path();

    if (!parent.empty() && ::mkdir(parent.c_str(), 0755) != 0 && errno != EEXIST)
        return Error::system("create directory " + parent.string());
    return {};
}

/// Removes the socket under `path` if nobody accepts on it.
Result<void> remove_stale(const std::string &path, const sockaddr_un &address)
{
    struct stat found = {};
    if (::lstat(path.c_str(), &found) != 0)
        return Error::system("listen on " + path);
    if (!S_ISSOCK(found.st_mode))
        return Error{"listen on " + path + ": there is a file that is not a socket", EEXIST};

    const Fd probe = stream_socket(AF_UNIX);
    const int failed =
        ::connect(probe.get(), reinterpret_cast<const sockaddr *>(&address), sizeof(address));
    // EAGAIN: somebody listens, and the queue of those who wait for it is full.
    if (failed == 0 || errno == EAGAIN)
        return Error{"listen on " + path +
                         ": another process answers there; is it running already?",
                     EADDRINUSE};
    if (errno != ECONNREFUSED)
        return Error::system("listen on " + path + ": ask who is there");
    if (::unlink(path.c_str()) != 0 && errno != ENOENT)
        return Error::system("remove the stale socket " + path);
    return {};
}

Result<void> bind_path(const Fd &socket, const std::string &path, mode_t mode)
{
    const auto address = unix_address(path);
    if (!address)
        return address.error();
    const auto bind = [&] {
        return ::bind(socket.get(), reinterpret_cast<const sockaddr *>(&*address),
                      sizeof(*address));
    };

    // The file takes the socket's mode less the umask: it is never wider than asked.
    if (::fchmod(socket.get(), mode) != 0)
        return Error::system("set the mode of " + path);
    if (bind() != 0) {
        if (errno != EADDRINUSE)
            return Error::system("listen on " + path);
        if (auto removed = remove_stale(path, *address); !removed)
            return removed;
        if (bind() != 0)
            return Error::system("listen on " + path);
    }
    if (::chmod(path.c_str(), mode) != 0)
        return Error::system("set the mode of " + path);
    return {};
}

struct SocketAddress {
    sockaddr_storage storage{};
    socklen_t size = 0;
};

SocketAddress socket_address(const Endpoint &endpoint)
{
    SocketAddress address;

    if (endpoint.address.is_ipv4()) {
        sockaddr_in ipv4{};
        ipv4.sin_family = AF_INET;
        ipv4.sin_port = htons(endpoint.port);
        std::memcpy(&ipv4.sin_addr, endpoint.address.bytes.data() + 12, sizeof(ipv4.sin_addr));
        std::memcpy(&address.storage, &ipv4, sizeof(ipv4));
        address.size = sizeof(ipv4);
    } else {
        sockaddr_in6 ipv6{};
        ipv6.sin6_family = AF_INET6;
        ipv6.sin6_port = htons(endpoint.port);
        std::memcpy(&ipv6.sin6_addr, endpoint.address.bytes.data(), sizeof(ipv6.sin6_addr));
        std::memcpy(&address.storage, &ipv6, sizeof(ipv6));
        address.size = sizeof(ipv6);
    }
    return address;
}

std::uint16_t bound_port(const Fd &socket)
{
    sockaddr_storage storage{};
    socklen_t size = sizeof(storage);

    ::getsockname(socket.get(), reinterpret_cast<sockaddr *>(&storage), &size);
    // The port stands in the same place for both families.
    sockaddr_in address{};
    std::memcpy(&address, &storage, sizeof(address));
    return ntohs(address.sin_port);
}

} // namespace

Listener::Listener(Fd socket, int family, std::string name, File file)
    : socket_(std::move(socket)), family_(family), name_(std::move(name)), file_(std::move(file))
{
}

Listener::Listener(Listener &&other) noexcept
    : socket_(std::move(other.socket_)), family_(other.family_), name_(other.name_),
      file_(std::exchange(other.file_, {}))
{
}

Listener::~Listener()
{
    struct stat found = {};

    if (!file_.path.empty() && ::lstat(file_.path.c_str(), &found) == 0 &&
        found.st_dev == file_.device && found.st_ino == file_.inode)
        ::unlink(file_.path.c_str());
}

Result<Listener> Listener::on_path(const std::string &path, mode_t mode)
{
    Fd socket = stream_socket(AF_UNIX);
    if (!socket)
        return Error::system("open a socket for " + path);
    if (auto made = make_parent(path); !made)
        return made.error();
    if (auto bound = bind_path(socket, path, mode); !bound)
        return bound.error();
    if (::listen(socket.get(), SOMAXCONN) != 0)
        return Error::system("listen on " + path);

    struct stat found = {};
    if (::lstat(path.c_str(), &found) != 0)
        return Error::system("look at " + path);
    return Listener{std::move(socket), AF_UNIX, path, {path, found.st_dev, found.st_ino}};
}

Result<Listener> Listener::on_endpoint(const Endpoint &endpoint)
{
    const auto address = socket_address(endpoint);
    const int family = address.storage.ss_family;
    const int on = 1;
    Fd socket = stream_socket(family);

    if (!socket)
        return Error::system("open a socket for " + endpoint.text());
    ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (family == AF_INET6)
        ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    if (::bind(socket.get(), reinterpret_cast<const sockaddr *>(&address.storage), address.size) !=
            0 ||
        ::listen(socket.get(), SOMAXCONN) != 0)
        return Error::system("listen on " + endpoint.text());
    const Endpoint bound{endpoint.address, bound_port(socket)};
    return Listener{std::move(socket), family, bound.text(), {}};
}

} // namespace tallygate::net
