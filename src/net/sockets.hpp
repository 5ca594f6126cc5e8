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

#include <cstddef>
#include <exception>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>

#include "net/http.hpp"
#include "net/listener.hpp"
#include "net/loop.hpp"

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

/// What a server is while it lives: where clients come in. Shared with its coroutines.
struct Entrance {
    Entrance(Loop &loop, Listener from);

    boost::asio::io_context &context;
    std::optional<Listener> listener; ///< its file goes when this closes
    std::string name;
    Acceptor acceptor;

    void close();
    bool closed() const { return !acceptor.is_open(); }
};

/// Takes in clients until the entrance is closed. When the process or the machine has no more to
/// give, `make_room` is asked; it answers whether it has given something back.
boost::asio::awaitable<void> accept_clients(std::shared_ptr<Entrance> entrance,
                                            std::function<void(Socket)> welcome,
                                            std::function<bool()> make_room);

/// A server's connections, the one that was heard of longest ago first; `count` is kept as many.
/// A Connection has `std::optional<Connections<Connection>::Place> place`, which is ours.
template <typename Connection>
class Connections {
public:
    using All = std::list<std::shared_ptr<Connection>>;
    using Place = typename All::iterator;

    explicit Connections(std::size_t &count) : count_(count) {}

    const All &all() const { return all_; }

    void add(const std::shared_ptr<Connection> &connection)
    {
        connection->place = all_.insert(all_.end(), connection);
        count_ = all_.size();
    }

    void heard(const Connection &connection)
    {
        if (connection.place)
            all_.splice(all_.end(), all_, *connection.place);
    }

    void remove(Connection &connection)
    {
        if (connection.place)
            all_.erase(*connection.place);
        connection.place.reset();
        count_ = all_.size();
    }

private:
    All all_;
    std::size_t &count_;
};

/// Nothing of a client on TCP.
std::optional<Peer> peer_of(Socket &socket);

/// What accept(2) says when the process or the machine has no more to give.
bool out_of_resources(const boost::system::error_code &error);

/// Sends no more and reads away what the client still sends, for a while: closing over unread
/// bytes would reset the connection, and the reset could overtake our last answer.
boost::asio::awaitable<void> drain(Socket &socket);

} // namespace tallygate::net
