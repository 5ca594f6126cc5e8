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
        /// What was said so far is held back so long, and nothing is taken meanwhile: a tarpit.
        std::chrono::milliseconds delay{0};
    };

    virtual ~Conversation() = default;

    /// What to say before anything was asked.
    virtual std::string greeting() { return {}; }

    /// Takes at most one request from the front of `input`, which is what came and was not taken
    /// yet, as far as one request may reach, and appends the reply to `output`. Takes 0 bytes to
    /// wait for more; called again at once after taking some. `ended`: the client will send no
    /// more, so that taking nothing ends the stream. Never called with an empty input.
    virtual Step receive(std::string_view input, bool ended, std::string &output) = 0;

    /// The last word to a client who has ended the stream, after all replies. He may read it if he
    /// closed only his own direction.
    virtual std::string farewell() { return {}; }

    /// The last word to a client whose request is longer than input_bytes_max.
    virtual std::string oversized() { return {}; }
};

/// Whose loss it is when there are connections_max, or no descriptors are left.
enum class WhenFull : std::uint8_t {
    refuse,     ///< the newcomer's: he is closed at once
    close_idle, ///< that of the client who has sent nothing for longest
};

struct StreamLimits {
    std::size_t input_bytes_max = 64 * 1024;   ///< of one request: a longer one ends the stream
    std::size_t output_bytes_max = 256 * 1024; ///< unsent: nothing more is taken until it is sent
    std::size_t connections_max = 1024;
    WhenFull when_full = WhenFull::refuse;
    /// How long a client may send nothing; 0: for ever.
    std::chrono::milliseconds idle_timeout{0};
    std::chrono::milliseconds send_timeout{10'000}; ///< for all that is unsent
    /// How long a client may speak first, in which case he is not greeted; 0: not at all.
    std::chrono::milliseconds greeting_wait{0};
};

struct StreamCounts {
    std::size_t connection_count = 0;
    std::uint64_t accepted_total = 0;
    std::uint64_t requests_total = 0;
    std::uint64_t oversized_total = 0; ///< connections ended for a request that had no end
    std::uint64_t refused_total = 0;   ///< closed at once, for want of room or by Open
    std::uint64_t evicted_total = 0;   ///< closed to make room for another
    std::uint64_t timed_out_total = 0; ///< idle for too long, or did not read what it was told
};

/// Serves from construction to destruction, while the loop runs. Borrows the loop.
///
/// A client that sends many requests at once is served some of them a turn, so that others are
/// served between.
class StreamServer {
public:
    /// A new client's; null refuses it. Not called after destruction has begun.
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
