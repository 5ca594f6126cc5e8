// SPDX-License-Identifier: BSD-2-Clause
//
// Small requests and replies on a stream, for protocols that are not HTTP. Made for clients
// that misbehave: whatever they send, or fail to read, costs them their own connection.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "net/http.hpp"
#include "net/listener.hpp"
#include "net/loop.hpp"

namespace tallygate::net {

/// What one connection says and is told: a codec and its service, and no socket. Runs on the
/// loop and so must be quick: everyone waits meanwhile. Destroyed when the connection ends,
/// whoever ended it, and when the server does.
class Conversation {
public:
    struct Step {
        std::size_t taken = 0; ///< bytes of the input that are done with
        bool close = false;    ///< after what was said so far has been sent
    };

    virtual ~Conversation() = default;

    /// What to say before anything was asked.
    virtual std::string greeting() { return {}; }

    /// Takes at most one request from the front of `input`, which is all that came and was not
    /// taken yet, and appends the reply to `output`. Takes 0 bytes to wait for more; called again
    /// at once after taking some. `ended`: the client will send no more.
    virtual Step receive(std::string_view input, bool ended, std::string &output) = 0;
};

struct StreamLimits {
    std::size_t input_bytes_max = 64 * 1024;   ///< of one request: a longer one ends the stream
    std::size_t output_bytes_max = 256 * 1024; ///< unsent: nothing more is read until it is less
    std::size_t connections_max = 1024;
    /// How long a connection may say nothing; 0: for ever.
    std::chrono::milliseconds idle_timeout{0};
    std::chrono::milliseconds send_timeout{10'000};
};

struct StreamCounts {
    std::size_t connection_count = 0;
    std::uint64_t accepted_total = 0;
    std::uint64_t requests_total = 0;
    std::uint64_t oversized_total = 0; ///< connections ended for a request that had no end
    std::uint64_t refused_total = 0;   ///< closed at once: connections_max, or no descriptors
};

/// Serves from construction to destruction, while the loop runs. Borrows the loop.
///
/// A client that sends many requests at once is served some of them a turn, so that others are
/// served between.
class StreamServer {
public:
    using Open = std::function<std::unique_ptr<Conversation>(const std::optional<Peer> &peer)>;

    StreamServer(Loop &loop, Listener listener, Open open, StreamLimits limits = {});
    StreamServer(const StreamServer &) = delete;
    StreamServer &operator=(const StreamServer &) = delete;
    ~StreamServer();

    /// The listener's.
    const std::string &name() const;
    const StreamCounts &counts() const;

    struct State; ///< known to stream_server.cpp alone

private:
    std::shared_ptr<State> state_; ///< shared with the connections' coroutines
};

} // namespace tallygate::net
