// SPDX-License-Identifier: BSD-2-Clause
#include "net/sockets.hpp"

#include <sys/socket.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <array>
#include <chrono>
#include <utility>

namespace tallygate::net {

namespace asio = boost::asio;
using boost::system::error_code;

Entrance::Entrance(Loop &loop, Listener from)
    : context(loop.context()), listener(std::move(from)), name(listener->name()),
      acceptor(context, Protocol(listener->family(), 0), listener->take_socket().release())
{
    acceptor.non_blocking(true);
}

void Entrance::close()
{
    error_code ignored;
    listener.reset();
    acceptor.close(ignored);
}

asio::awaitable<void> accept_clients(std::shared_ptr<Entrance> entrance,
                                     std::function<void(Socket)> welcome,
                                     std::function<bool()> make_room)
{
    constexpr std::chrono::milliseconds pause{100};
    asio::steady_timer timer{entrance->context};

    while (!entrance->closed()) {
        Socket socket{entrance->context};
        // accept(2) says that it is out of descriptors even while nobody waits for one: only
        // ask when somebody does, or somebody would be closed for nobody.
        const auto [waited] = co_await entrance->acceptor.async_wait(Socket::wait_read, as_result);
        if (waited || entrance->closed())
            co_return;
        error_code error;
        entrance->acceptor.accept(socket, error);
        if (!error) {
            welcome(std::move(socket));
            continue;
        }
        if (error == asio::error::connection_aborted || error == asio::error::try_again)
            continue;
        if (out_of_resources(error) && make_room())
            continue;
        timer.expires_after(pause);
        co_await timer.async_wait(as_result);
    }
}

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
