// SPDX-License-Identifier: BSD-2-Clause
//
// What the servers of this room share: sockets of any family, and how their coroutines are
// written. Included by their .cpp files alone, for Asio's headers cost seconds.
#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/error_code.hpp>

#include <exception>
#include <optional>

#include "net/http.hpp"

namespace tallygate::net {

using Protocol = boost::asio::generic::stream_protocol;
using Socket = Protocol::socket;
using Acceptor = boost::asio::basic_socket_acceptor<Protocol>;

inline constexpr auto as_result = boost::asio::as_tuple(boost::asio::use_awaitable);

/// For co_spawn. An error in a coroutine of ours is a mistake of ours: it must not pass unseen.
inline void end_coroutine(std::exception_ptr error)
{
    if (error)
        std::rethrow_exception(error);
}

/// Nothing of a client on TCP.
std::optional<Peer> peer_of(Socket &socket);

/// What accept(2) says when the process or the machine has no more to give.
bool out_of_resources(const boost::system::error_code &error);

/// Sends no more and reads away what the client still sends, for a while: closing over unread
/// bytes would reset the connection, and the reset could overtake our last answer.
boost::asio::awaitable<void> drain(Socket &socket);

} // namespace tallygate::net
