// SPDX-License-Identifier: BSD-2-Clause
//
// HTTP/1.1 on one listener, made for clients that misbehave: whatever they send, or fail to
// send, costs them their own connection and nobody else anything.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "net/http.hpp"
#include "net/listener.hpp"
#include "net/loop.hpp"

namespace tallygate::net {

struct HttpLimits {
    std::size_t header_bytes_max = 8 * 1024;
    std::size_t body_bytes_max = 64 * 1024;
    std::size_t connections_max = 1024;
    std::chrono::milliseconds receive_timeout{10'000}; ///< for the whole of a request
    std::chrono::milliseconds send_timeout{10'000};    ///< for the whole of a response
    std::chrono::milliseconds idle_timeout{60'000};    ///< between requests
};

struct HttpCounts {
    std::size_t connection_count = 0;
    std::uint64_t requests_total = 0; ///< that reached the handler
    std::uint64_t rejected_total = 0; ///< answered 400, 408, 413 or 431 without it
    std::uint64_t evicted_total = 0;  ///< connections closed to make room for another
};

/// Serves from construction to destruction, while the loop runs. Borrows the loop.
///
/// Keeps connections alive and takes pipelined requests in their order. Over connections_max,
/// or when the process is out of descriptors, a new connection takes the place of the one that
/// has been idle longest; if none is idle, of the one that was served longest ago.
class HttpServer {
public:
    HttpServer(Loop &loop, Listener listener, Handler handler, HttpLimits limits = {});
    HttpServer(const HttpServer &) = delete;
    HttpServer &operator=(const HttpServer &) = delete;
    ~HttpServer();

    /// The listener's.
    const std::string &name() const;
    const HttpCounts &counts() const;

    struct State; ///< known to http_server.cpp alone

private:
    std::shared_ptr<State> state_; ///< shared with the connections' coroutines
};

} // namespace tallygate::net
