// SPDX-License-Identifier: BSD-2-Clause
//
// A daemon without a kernel, for what asks one from outside: the ledger, the questions and the
// control socket are the real ones, and the test says what the gate counted and what time it is.
//
//     ledger_server SOCKET
//
// A line on standard input is a command; "ok" or a reason on standard output is its answer:
//
//     connect ADDRESS SERVICE LISTENER OPENED CLOSED
//     forward SECONDS
//
// It ends with its standard input.
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "core/reports.hpp"
#include "core/series.hpp"
#include "frontend/control_service.hpp"
#include "frontend/fake_actions.hpp"
#include "frontend/fake_gate.hpp"
#include "net/http_server.hpp"
#include "net/loop.hpp"

namespace {

using namespace tallygate;
using namespace std::chrono_literals;

constexpr core::UnixTime noon{1'763'726'400s}; // 2025-11-21 12:00:00 UTC: every window begins

/// Flows by listener, as the test tells them.
class ListenerGate : public test::FakeGate {
public:
    struct Flows {
        Address source;
        Endpoint listener;
        std::uint64_t live = 0;
    };

    Result<std::uint64_t> count_flows(const Block &block, const std::optional<Endpoint> &listener,
                                      std::optional<core::ServiceId>) const override
    {
        std::uint64_t live = 0;
        for (const auto &each : flows) {
            if (block.contains(each.source) && (!listener || each.listener == *listener))
                live += each.live;
        }
        return live;
    }

    std::vector<Flows> flows;
};

class LedgerServer {
public:
    LedgerServer()
    {
        clock_.time = noon;
        gate_.gate_status.counting_since = noon;
        questions_.set_services({{"smtp", 1}, {"submission", 2}, {"control", 3}});
        checks_.set_checks({{.name = "open",
                             .per = {*Block::parse("0.0.0.0/24")},
                             .max = 100,
                             .action = core::CheckAction::disconnect,
                             .delay = 10s,
                             .text = "too many"}});
        service_.set_checks(checks_);
    }

    bool serve(const std::string &path)
    {
        auto listener = net::Listener::on_path(path);
        if (!listener) {
            std::cerr << listener.error().message << '\n';
            return false;
        }
        server_.emplace(loop_, std::move(*listener), service_.handler(frontend::Access::full));
        loop_.on_readable(STDIN_FILENO, [this] { read_commands(); });
        std::cout << "ok" << std::endl;
        loop_.run();
        return true;
    }

private:
    void read_commands()
    {
        char bytes[4096];
        const ssize_t count = ::read(STDIN_FILENO, bytes, sizeof(bytes));
        if (count <= 0) {
            loop_.stop();
            return;
        }
        lines_.append(bytes, static_cast<std::size_t>(count));
        for (auto end = lines_.find('\n'); end != std::string::npos; end = lines_.find('\n')) {
            std::cout << obey(lines_.substr(0, end)) << std::endl;
            lines_.erase(0, end + 1);
        }
    }

    std::string obey(const std::string &line)
    {
        std::istringstream words{line};
        std::string verb;
        words >> verb;
        if (verb == "connect")
            return connect(words);
        if (verb == "forward") {
            std::int64_t seconds = 0;
            words >> seconds;
            clock_.time += std::chrono::seconds{seconds};
            questions_.set_walked_at(clock_.time);
            return "ok";
        }
        return "no such command: " + line;
    }

    std::string connect(std::istringstream &words)
    {
        std::string source, service, listener;
        std::uint64_t opened = 0, closed = 0;
        words >> source >> service >> listener >> opened >> closed;
        const auto address = Address::parse(source);
        const auto endpoint = Endpoint::parse(listener);
        const auto id = questions_.services().find(service);
        if (!address || !endpoint || id == questions_.services().end())
            return "which source, which service, which listener?";
        ledger_.record({.source = address->is_ipv4() ? *address : address->masked(64),
                        .service = id->second,
                        .syn = opened,
                        .opened = opened,
                        .closed = closed},
                       clock_.time);
        gate_.flows.push_back({*address, *endpoint, opened - closed});
        return "ok";
    }

    test::FakeClock clock_;
    ListenerGate gate_;
    core::Ledger ledger_{{{60, 10}, {60, 1}, {300, 6}, {1800, 4}}};
    core::Questions questions_{ledger_, gate_, clock_};
    frontend::DaemonFacts facts_;
    test::FakeActions actions_;
    core::ReportedEvents reports_{ledger_, gate_, clock_};
    core::AuditSeries series_;
    core::Checks checks_{
        questions_,
        {.is_allowed = [](const Address &) { return false; },
         .add_and_count = [](const auto &,
                             const auto &) { return Result<std::int64_t>{std::int64_t{0}}; }}};
    frontend::ControlService service_{questions_, facts_, actions_, reports_, series_};
    net::Loop loop_;
    std::optional<net::HttpServer> server_;
    std::string lines_;
};

} // namespace

int main(int argc, char **argv)
{
    if (argc != 2)
        return EXIT_FAILURE;
    return LedgerServer{}.serve(argv[1]) ? EXIT_SUCCESS : EXIT_FAILURE;
}
