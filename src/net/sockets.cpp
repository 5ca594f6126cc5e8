// SPDX-License-Identifier: BSD-2-Clause
#include "net/sockets.hpp"

#include <sys/socket.h>

#include <array>
#include <cstddef>

namespace tallygate::net {

namespace asio = boost::asio;
using boost::system::error_code;

std::optional<Peer> peer_of(Socket &socket)
{
    ucred credentials{};
    socklen_t size = sizeof(credentials);
    error_code error;
    const auto local = socket.local_endpoint(error);

    if (error || local.protocol().family() != AF_UNIX ||
        ::getsockopt(socket.native_handle(), SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0)
        return std::nullopt;
    return Peer{credentials.uid, credentials.gid, credentials.pid};
}

bool out_of_resources(const error_code &error)
{
    return error == asio::error::no_descriptors || error == asio::error::no_memory ||
           error == asio::error::no_buffer_space ||
           error == boost::system::errc::too_many_files_open_in_system;
}

asio::awaitable<void> drain(Socket &socket)
{
    constexpr std::size_t bytes_max = 256 * 1024;
    std::array<char, 4096> scratch;
    error_code ignored;

    socket.shutdown(Socket::shutdown_send, ignored);
    for (std::size_t drained = 0; drained < bytes_max;) {
        const auto [error, bytes] =
            co_await socket.async_read_some(asio::buffer(scratch), as_result);
        if (error)
            break;
        drained += bytes;
    }
}

} // namespace tallygate::net
