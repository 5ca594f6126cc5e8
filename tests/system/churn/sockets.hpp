// SPDX-License-Identifier: BSD-2-Clause
//
// TCP sockets that never block, for addresses of both families.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/address.hpp"
#include "base/fd.hpp"
#include "base/result.hpp"

namespace churn {

using tallygate::Address;
using tallygate::Error;
using tallygate::Fd;
using tallygate::Result;

Result<Fd> listen_at(const Address &address, std::uint16_t port);
/// Under way to `server`, from that very port, also if TIME-WAIT still holds it. Where another
/// connection has the same ends, the error's code is EADDRINUSE or EADDRNOTAVAIL.
Result<Fd> connect_from(const Address &client, std::uint16_t client_port, const Address &server,
                        std::uint16_t server_port);
/// The error that ended the attempt; 0 once it is connected.
int connect_error(const Fd &socket);
/// From now on close() sends a RST.
void reset_on_close(const Fd &socket);

/// Tells of each socket when something has changed about it, once.
class Poller {
public:
    static Result<Poller> make();

    Result<void> add(int fd, std::uint64_t token);
    /// The tokens of what has changed; none if nothing has within `milliseconds`.
    const std::vector<std::uint64_t> &wait(int milliseconds);

private:
    explicit Poller(Fd fd) : fd_(std::move(fd)) {}

    Fd fd_;
    std::vector<std::uint64_t> changed_;
};

} // namespace churn
