// SPDX-License-Identifier: BSD-2-Clause
//
// Sockets that listen, on a path or on an address and port.
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>

#include "base/address.hpp"
#include "base/fd.hpp"
#include "base/result.hpp"

namespace tallygate::net {

/// A listening stream socket, and for a Unix socket the file that leads to it. The file goes
/// with the listener, unless somebody has put another in its place.
class Listener {
public:
    static constexpr mode_t socket_mode = 0660;

    /// Makes the last directory of `path` (0755) if it is missing. Replaces a socket on which
    /// nobody accepts; refuses one that answers, and a file that is not a socket.
    static Result<Listener> on_path(const std::string &path, mode_t mode = socket_mode);

    /// Port 0 takes any free one; name() then has the port that it became.
    static Result<Listener> on_endpoint(const Endpoint &endpoint);

    Listener(Listener &&other) noexcept;
    Listener &operator=(Listener &&other) = delete;
    ~Listener();

    /// The path, or "192.0.2.1:9847".
    const std::string &name() const { return name_; }
    int family() const { return family_; }
    /// Hands the socket over to whoever accepts on it. The file stays with the listener.
    Fd take_socket() { return std::move(socket_); }

private:
    /// A socket's file, told from any other that may come to stand under the same path.
    struct File {
        std::string path; ///< empty: none, or moved away
        dev_t device = 0;
        ino_t inode = 0;
    };

    Listener(Fd socket, int family, std::string name, File file);

    Fd socket_;
    int family_;
    std::string name_;
    File file_;
};

} // namespace tallygate::net
