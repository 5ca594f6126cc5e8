// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/front_ends.hpp"

#include <utility>

#include "base/log.hpp"

namespace tallygate::daemon {
namespace {

using namespace std::chrono_literals;

// How far back a daemon that is killed takes the rates.
constexpr auto rates_interval = 10s;

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
    if (auto anvil = listen(config.anvil.socket, anvil_listener_); !anvil)
        return anvil;
    if (auto line = listen(config.line.socket, line_listener_); !line)
        return line;
    if (auto sessions = listen(config.sessions.socket, sessions_listener_); !sessions)
        return sessions;
    return {};
}

void FrontEnds::start(const Parts &parts)
{
    if (anvil_listener_) {
        anvil_ = std::make_unique<AnvilFront>(
            std::move(*std::exchange(anvil_listener_, std::nullopt)), parts.config.anvil,
            AnvilFront::Parts{.loop = parts.loop,
                              .questions = parts.questions,
                              .reporter = parts.reporter,
                              .clock = parts.clock,
                              .watchdog = parts.watchdog,
                              .state_dir = parts.config.state.dir});
        anvil_->start();
    }
    if (line_listener_) {
        line_ = std::make_unique<frontend::LineService>(parts.questions, parts.reporter);
        line_server_ = serve(parts, "line", line_listener_, line_->conversations(), line_->limits);
    }
    if (sessions_listener_)
        start_sessions(parts);
}

void FrontEnds::start_sessions(const Parts &parts)
{
    const auto &config = parts.config.sessions;

    sessions_ = std::make_unique<frontend::SessionsService>(
        parts.questions, parts.reporter, parts.is_allowed,
        frontend::SessionsOptions{.count_from =
                                      config.count_from == config::Sessions::CountFrom::gate
                                          ? frontend::CountFrom::gate
                                          : frontend::CountFrom::sessions,
                                  .services = config.services,
                                  .version = TALLYGATE_VERSION});
    rates_ = std::make_unique<RatesKeeper>(parts.config.state.dir, *sessions_);
    rates_->restore();
    sessions_server_ = serve(parts, "sessions", sessions_listener_, sessions_->opener(),
                             frontend::SessionsService::limits());
    parts.loop.every(rates_interval, [this] {
        sessions_->tick();
        rates_->save_aside();
    });
}

void FrontEnds::finish()
{
    if (anvil_)
        anvil_->stop();
    if (rates_)
        rates_->save();
}

std::vector<std::string> FrontEnds::warnings() const
{
    auto sentences = anvil_ ? anvil_->warnings() : std::vector<std::string>{};

    if (rates_ && rates_->warning())
        sentences.push_back(*rates_->warning());
    return sentences;
}

void FrontEnds::configure(const config::Config &config)
{
    if (anvil_)
        anvil_->configure(config.anvil);
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
