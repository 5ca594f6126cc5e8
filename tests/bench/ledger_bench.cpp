// SPDX-License-Identifier: BSD-2-Clause
//
// What the ledger costs at size: events a second into it, its memory, and questions a second and
// their latency, inside and over the control socket. The gate in front of it is a dummy that is
// never read: a question about few sources costs the daemon a look at their slots besides.
#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iostream>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "client/channel.hpp"
#include "core/question.hpp"
#include "core/series.hpp"
#include "frontend/control_service.hpp"
#include "frontend/fake_actions.hpp"
#include "frontend/fake_gate.hpp"
#include "net/http_server.hpp"
#include "net/loop_thread.hpp"
#include "net/temp_dir.hpp"

namespace {

using namespace tallygate;
using Steady = std::chrono::steady_clock;
namespace json = boost::json;

const std::vector<core::Monitor> monitors = {{10, 6},  {30, 10}, {60, 10},  {120, 15},  {300, 6},
                                             {600, 6}, {900, 4}, {1800, 4}, {3600, 24}, {86400, 7}};
constexpr core::UnixTime begin{std::chrono::seconds{1'763'726'400}};
constexpr std::chrono::seconds life{3'600}; ///< over which events are spread
constexpr core::ServiceId smtp = 1;

struct Options {
    std::size_t sources = 1'000'000;
    std::size_t questions = 20'000; ///< of each kind
};

/// A tenth of them IPv6; the others in as many /24s as a mail server sees.
std::vector<Address> make_sources(std::size_t count)
{
    std::mt19937_64 engine{7};
    std::vector<Address> sources;

    for (std::size_t i = 0; i < count; i++) {
        const auto random = engine();
        if (random % 10 != 0) {
            sources.push_back(Address::from_ipv4(static_cast<std::uint32_t>(random >> 32)));
            continue;
        }
        Address source = *Address::parse("2001:db8::");
        for (unsigned byte = 4; byte < 8; byte++)
            source.bytes[byte] = static_cast<std::uint8_t>(random >> 8 * byte);
        sources.push_back(source);
    }
    return sources;
}

std::size_t resident_bytes()
{
    std::ifstream statm{"/proc/self/statm"};
    std::size_t all = 0;
    std::size_t resident = 0;
    statm >> all >> resident;
    return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

struct Latency {
    double per_second = 0;
    double median_us = 0;
    double p99_us = 0;
};

template <typename Ask>
Latency measure(std::size_t times, Ask ask)
{
    std::vector<double> spans;
    const auto started = Steady::now();

    spans.reserve(times);
    for (std::size_t i = 0; i < times; i++) {
        const auto before = Steady::now();
        ask(i);
        spans.push_back(std::chrono::duration<double, std::micro>(Steady::now() - before).count());
    }
    const double seconds = std::chrono::duration<double>(Steady::now() - started).count();
    std::ranges::sort(spans);
    return {static_cast<double>(times) / seconds, spans[times / 2], spans[times * 99 / 100]};
}

json::object to_json(const Latency &latency)
{
    return {{"per_second", latency.per_second},
            {"median_us", latency.median_us},
            {"p99_us", latency.p99_us}};
}

/// A ledger, its questions, and a control socket in front of them.
class Scene {
public:
    explicit Scene(const Options &options)
        : options_(options), sources_(make_sources(options.sources))
    {
        questions_.set_services({{"smtp", smtp}});
        clock_.time = begin;
    }

    json::object run()
    {
        const auto before = resident_bytes();
        json::object result{{"sources", sources_.size()},
                            {"monitors", monitors.size()},
                            {"events_per_second", fill()},
                            {"reports_per_second", report()}};
        result["ledger_bytes"] = ledger_.bytes();
        result["reported_bytes"] = ledger_.reported().bytes();
        result["resident_bytes"] = resident_bytes() - before;

        auto listener = net::Listener::on_path(path_);
        if (!listener)
            throw std::runtime_error(listener.error().message);
        server_.emplace(loop_, std::move(*listener), service_.handler(frontend::Access::full));
        thread_.start();
        json::array rows;
        for (const unsigned length : {32U, 24U, 16U, 0U})
            for (const char *kind : {"live", "window 0", "all windows", "reported"})
                rows.push_back(row(length, kind));
        thread_.stop();
        server_.reset();
        result["rows"] = std::move(rows);
        return result;
    }

private:
    /// One connection of each source, as a walk tells it, at a time of its own in an hour.
    double fill()
    {
        const auto started = Steady::now();
        std::size_t told = 0;
        for (const Address &source : sources_) {
            clock_.time = begin + life * told / sources_.size();
            ledger_.record(
                {.source = source, .service = smtp, .syn = 1, .opened = 1, .closed = told % 2},
                clock_.time);
            if (++told % 100'000 == 0)
                ledger_.forget_old(clock_.time);
        }
        return static_cast<double>(told) /
               std::chrono::duration<double>(Steady::now() - started).count();
    }

    double report()
    {
        const auto started = Steady::now();
        for (const Address &source : sources_)
            reports_.report({core::Reported::receptions, "smtp",
                             Block{source, source.is_ipv4() ? 128U : 64U}, 1});
        return static_cast<double>(sources_.size()) /
               std::chrono::duration<double>(Steady::now() - started).count();
    }

    Block block_at(std::size_t turn, unsigned length) const
    {
        Address around = sources_[turn * 7'919 % sources_.size()];
        if (!around.is_ipv4())
            around = Address::from_ipv4(static_cast<std::uint32_t>(turn * 2'654'435'761U));
        return Block{around, 96 + length};
    }

    json::object row(unsigned length, const std::string &kind)
    {
        const bool live = kind == "live";
        std::size_t at = 0;
        const auto inside = measure(options_.questions, [&](std::size_t turn) {
            const Block block = block_at(turn, length);
            if (live) {
                static_cast<void>(questions_.live({.block = block}));
                return;
            }
            const core::Monitor &monitor = monitors[at++ % monitors.size()];
            core::CountQuestion question{.block = block, .monitor = monitor.text()};
            if (kind == "all windows")
                question.end = monitor.windows - 1;
            if (kind == "reported")
                question.event = core::Reported::receptions;
            static_cast<void>(questions_.count(question));
        });
        const auto socket = measure(options_.questions, [&](std::size_t turn) {
            ask(target(block_at(turn, length), kind, turn));
        });
        return {{"question", kind + " of a /" + std::to_string(length)},
                {"inside", to_json(inside)},
                {"socket", to_json(socket)}};
    }

    static std::string target(const Block &block, const std::string &kind, std::size_t turn)
    {
        if (kind == "live")
            return "/v1/live?cidr=" + block.text();
        const core::Monitor &monitor = monitors[turn % monitors.size()];
        std::string target = "/v1/count?cidr=" + block.text() + "&monitor=" + monitor.text();
        if (kind == "all windows")
            target += "&end=" + std::to_string(monitor.windows - 1);
        if (kind == "reported")
            target += "&event=receptions";
        return target;
    }

    void ask(const std::string &target)
    {
        const auto reply = channel_.ask("GET", target, client::Again::harmless,
                                        Steady::now() + std::chrono::seconds{5});
        if (!reply || reply->status != 200)
            throw std::runtime_error(target + ": " + (reply ? reply->body : reply.error().message));
    }

    Options options_;
    std::vector<Address> sources_;
    test::FakeGate gate_;
    test::FakeClock clock_;
    core::Ledger ledger_{monitors};
    core::Questions questions_{ledger_, gate_, clock_};
    core::ReportedEvents reports_{ledger_, gate_, clock_};
    core::AuditSeries series_;
    test::FakeActions actions_;
    frontend::ControlService service_{questions_, actions_.facts, actions_, reports_, series_};
    test::TempDir dir_;
    std::string path_ = dir_ / "control.sock";
    net::Loop loop_;
    std::optional<net::HttpServer> server_;
    test::LoopThread thread_{loop_};
    client::Channel channel_{path_};
};

} // namespace

int main(int argc, char **argv)
{
    Options options;
    CLI::App app{"What the ledger costs at size."};
    app.add_option("--sources", options.sources, "how many have come");
    app.add_option("--questions", options.questions, "of each kind");
    CLI11_PARSE(app, argc, argv);
    try {
        std::cout << json::serialize(Scene{options}.run()) << "\n";
    } catch (const std::exception &error) {
        std::cerr << "ledger_bench: " << error.what() << "\n";
        return 1;
    }
    return 0;
}
