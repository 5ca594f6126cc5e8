// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <memory>

#include "base/result.hpp"

struct mnl_socket;

namespace tallygate::kernel {

/// rtnetlink's word that some interface of this network namespace came, went or changed. What
/// it was is not read: whoever is woken looks for himself, and news that were lost because there
/// were too many are news as well.
class InterfaceNews {
public:
    static Result<InterfaceNews> listen();

    /// Readable when there is news.
    int fd() const;
    /// Takes what there is, so that the descriptor is not readable until the next.
    void read_all();

private:
    struct Close {
        void operator()(mnl_socket *socket) const;
    };
    using Socket = std::unique_ptr<mnl_socket, Close>;

    explicit InterfaceNews(Socket socket) : socket_(std::move(socket)) {}

    Socket socket_;
};

} // namespace tallygate::kernel
