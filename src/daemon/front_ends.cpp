// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/front_ends.hpp"

#include <utility>

#include "base/log.hpp"

namespace tallygate::daemon {
namespace {

Result<void> listen(const config::FrontEndSocket &socket, std::optional<net::Listener> &opened)
{
    if (!socket.path)
        return {};
    auto listener = net::Listener::on_path(*socket.path, socket.mode);
    if (!listener)
        return listener.error();
    opened.emplace(std::move(*listener));
    return {};
}

} // namespace

Result<void> FrontEnds::open(const config::Config &config)
{
    if (auto line = listen(config.line.socket, line_listener_); !line)
        return line;
    return {};
}

void FrontEnds::start(const Parts &parts)
{
    if (line_listener_) {
        line_ = std::make_unique<frontend::LineService>(parts.questions, parts.reporter);
        line_server_ = serve(parts, "line", line_listener_, line_->conversations(), line_->limits);
    }
}

std::unique_ptr<net::StreamServer> FrontEnds::serve(const Parts &parts, const char *name,
                                                    Opened &opened, net::StreamServer::Open open,
                                                    const net::StreamLimits &limits)
{
    auto server = std::make_unique<net::StreamServer>(
        parts.loop, std::move(*std::exchange(opened, std::nullopt)), std::move(open), limits);
    parts.control.show_server(name, *server);
    spdlog::info("answering {} on {}", name, server->name());
    return server;
}

} // namespace tallygate::daemon
