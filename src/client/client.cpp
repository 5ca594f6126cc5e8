// SPDX-License-Identifier: BSD-2-Clause
#include "client/client.hpp"

#include <utility>

namespace tallygate::client {

Client::Client(std::string socket_path, std::chrono::milliseconds timeout)
    : socket_path_(std::move(socket_path)), timeout_(timeout)
{
}

Result<Reply> Client::ask(std::string_view method, std::string_view target) const
{
    Channel channel{socket_path_};
    return channel.ask(method, target, Again::would_count, Channel::Clock::now() + timeout_);
}

} // namespace tallygate::client
