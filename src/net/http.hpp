// SPDX-License-Identifier: BSD-2-Clause
//
// A request and a response as handlers see them: no library's types, no wire.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace tallygate::net {

/// The process at the other end of a Unix socket, as the kernel knew it when it connected.
struct Peer {
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::int32_t pid = 0; ///< 0: of another PID namespace
};

struct Request {
    std::string method; ///< upper case; HEAD has become GET
    std::string target; ///< as it came, "/v1/live?cidr=192.0.2.0/24"
    std::string body;
    std::optional<Peer> peer = {}; ///< none on TCP
};

struct Response {
    unsigned status = 200;
    std::string content_type = "application/json";
    std::string body = {};
    std::string allow = {}; ///< for a 405: the methods that would do, "GET, HEAD"
};

/// Runs on the loop and so must be quick: everyone waits meanwhile.
using Handler = std::function<Response(const Request &)>;

} // namespace tallygate::net
