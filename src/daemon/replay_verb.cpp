// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/replay_verb.hpp"

#include <boost/json.hpp>
#include <signal.h>
#include <unistd.h>

#include <iostream>
#include <optional>
#include <utility>
#include <vector>

#include "core/lists.hpp"
#include "daemon/list_groups.hpp"
#include "daemon/options.hpp"
#include "daemon/replay_output.hpp"
#include "kernel/capture.hpp"
#include "kernel/program.hpp"
#include "kernel/replay.hpp"

namespace tallygate::daemon {
namespace {

constexpr std::uint64_t packets_between_looks = 4096;

/// Ends a run early, with what there is, when SIGINT or SIGTERM comes. They are held back and
/// asked for, so that nothing is interrupted; a pipe, which may never say more, is not guarded.
class Interruption {
public:
    explicit Interruption(bool is_guarded)
    {
        ::sigemptyset(&signals_);
        if (is_guarded) {
            ::sigaddset(&signals_, SIGINT);
            ::sigaddset(&signals_, SIGTERM);
        }
        ::sigprocmask(SIG_BLOCK, &signals_, &before_);
    }
    Interruption(const Interruption &) = delete;
    Interruption &operator=(const Interruption &) = delete;
    ~Interruption() { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }

    bool has_come() const
    {
        const timespec now{};
        return ::sigtimedwait(&signals_, nullptr, &now) > 0;
    }

private:
    sigset_t signals_{};
    sigset_t before_{};
};

/// One line on a terminal that is written over and over.
class Progress {
public:
    Progress() : is_shown_(::isatty(STDERR_FILENO) == 1) {}
    Progress(const Progress &) = delete;
    Progress &operator=(const Progress &) = delete;
    ~Progress()
    {
        if (was_shown_)
            std::cerr << "\r\033[K" << std::flush;
    }

    void show(const kernel::Capture &capture, std::uint64_t packets)
    {
        if (!is_shown_)
            return;
        was_shown_ = true;
        std::cerr << "\r" << packets << " packets";
        if (capture.bytes_total() != 0)
            std::cerr << ", " << 100 * capture.bytes_read() / capture.bytes_total() << " %";
        std::cerr << std::flush;
    }

private:
    bool is_shown_;
    bool was_shown_ = false;
};

/// Those of the configuration, files and all. What control has set is of a daemon, and what is
/// protected is of a machine: a capture may be of another.
Result<std::vector<core::ListNode>> load_lists(const config::Config &config)
{
    auto groups = load_list_groups(config, list_policy(config), {});
    if (!groups)
        return groups.error();
    core::Lists lists;
    lists.set_fixed(core::FixedLists{std::move(*groups)});
    return lists.resolve();
}

kernel::ReplayOptions make_replay_options(const config::Config &config,
                                          const ReplayRequest &request,
                                          const kernel::Capture &capture)
{
    // A record's own header, and the IP and TCP headers of what can open a flow.
    constexpr std::uint64_t record_bytes_min = 16 + 20 + 20;
    kernel::ReplayOptions options;

    for (const auto &service : config.services)
        if (service.any_port)
            options.any_port_service = service.name;
        else
            options.services.push_back({service.name, service.ports, service.listeners});
    auto as_guarded = make_gate_options(config);
    options.networks = std::move(as_guarded.networks);
    options.limits = std::move(as_guarded.limits);
    options.mode = as_guarded.mode;
    options.tunnels_from = config.gate.tunnels_from;
    options.ipv6_source_bits = config.gate.ipv6_source_bits;
    options.by_source = request.by_source;
    if (capture.bytes_total() != 0)
        options.packets_bound = capture.bytes_total() / record_bytes_min + 1;
    return options;
}

Result<void> feed_all(kernel::Capture &capture, kernel::Replay &replay)
{
    const Interruption interruption{capture.bytes_total() != 0};
    Progress progress;

    for (;;) {
        const auto packets = replay.report().packets;
        if (packets % packets_between_looks == 0 && packets != 0) {
            if (interruption.has_come())
                return Error{"interrupted after packet " + std::to_string(packets)};
            progress.show(capture, packets);
        }
        const auto frame = capture.next();
        if (!frame)
            return frame.error();
        if (!*frame)
            return {};
        if (const auto fed = replay.feed(**frame); !fed)
            return fed;
    }
}

} // namespace

Result<void> replay_capture(const config::Config &config, const ReplayRequest &request,
                            std::ostream &out)
{
    auto capture = kernel::Capture::open(request.capture);
    if (!capture)
        return capture.error();
    kernel::capture_libbpf_log();
    auto lists = load_lists(config);
    if (!lists)
        return lists.error();
    auto options = make_replay_options(config, request, *capture);
    options.lists = std::move(*lists);
    auto replay = kernel::Replay::load(options);
    if (!replay)
        return replay.error();

    const auto fed = feed_all(*capture, *replay);
    const ReplaySummary summary{.report = replay->report(),
                                .mode = options.mode,
                                .program_tag = replay->program_tag(),
                                .egress_program_tag = replay->egress_program_tag(),
                                .ipv6_source_bits = options.ipv6_source_bits,
                                .by_source = request.by_source,
                                .error = fed ? "" : fed.error().message};
    if (request.as_json)
        out << replay_json(summary) << "\n";
    else
        out << replay_text(summary);
    out << std::flush;
    return fed;
}

} // namespace tallygate::daemon
