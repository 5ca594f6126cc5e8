// SPDX-License-Identifier: BSD-2-Clause
//
// The TCP sockets of this network namespace, as `ss` sees them: through sock_diag. A BPF iterator
// would be quicker, but it takes references to half-made connections that the kernel does not
// count yet, and a SYN flood makes many.
#pragma once

#include <tallygate/abi.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "base/result.hpp"

struct mnl_socket;

namespace tallygate::kernel {

enum class SocketStage : std::uint8_t {
    listening, ///< its client's address and port are zero
    handshake, ///< the client may have proven itself, and the server not accepted it yet
    connected, ///< live, as a flow is
    ending,    ///< live yet: both sides have said FIN
    over,      ///< TIME-WAIT
};

struct Socket {
    tg_flow_key ends; ///< the socket being the server's
    SocketStage stage;
};

/// One pass over the table at a time.
class SocketTable {
public:
    static Result<SocketTable> open();

    SocketTable(SocketTable &&) noexcept;
    SocketTable &operator=(SocketTable &&) noexcept;
    ~SocketTable();

    /// Begins a pass; one that was under way is given up. Those that listen come first.
    Result<void> begin();
    /// Adds the next few hundred sockets to `sockets`, and says whether they were the last.
    Result<bool> read_some(std::vector<Socket> &sockets);

private:
    struct Close {
        void operator()(mnl_socket *socket) const;
    };

    SocketTable() = default;
    Result<void> ask();

    std::unique_ptr<mnl_socket, Close> socket_;
    unsigned question_ = 0;      ///< which of the dumps is under way
    std::uint32_t sequence_ = 0; ///< of its messages
};

} // namespace tallygate::kernel
