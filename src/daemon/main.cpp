// SPDX-License-Identifier: BSD-2-Clause
//
// tallygated: its verbs, and what they exit with.
#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <signal.h>
#include <sys/resource.h>

#include <cstdio>
#include <iostream>
#include <string>

#include "base/log.hpp"
#include "config/config_toml.hpp"
#include "daemon/daemon.hpp"
#include "daemon/list_groups.hpp"
#include "daemon/machine.hpp"
#include "daemon/replay_verb.hpp"
#include "kernel/pins.hpp"
#include "kernel/probe.hpp"

namespace tallygate::daemon {
namespace {

enum Exit : int { ok = 0, failed = 1, usage = 2, not_permitted = 4, bad_config = 78 };

constexpr auto default_config = "/etc/tallygate/tallygate.toml";

int fail(const Error &error)
{
    std::cerr << "tallygated: " << error.message << "\n";
    if (error.code == bad_configuration)
        return bad_config;
    if (error.code == EPERM || error.code == EACCES) {
        std::cerr << "tallygated: run it as root, or with CAP_BPF, CAP_NET_ADMIN and "
                     "CAP_PERFMON; `tallygated probe` says what is missing\n";
        return not_permitted;
    }
    return failed;
}

/// Every client of ours is a descriptor, and the shell's usual 1,024 are soon gone. The kernel
/// lets us have the hard limit; if it does not, the servers make do with fewer clients.
void raise_descriptor_limit()
{
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        ::setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/// Mistakes in the file are lines that already say where they are.
int fail_configuration(const Error &error)
{
    std::cerr << error.message << "\n";
    return bad_config;
}

int run(const std::string &file)
{
    auto config = config::load_config(file);
    if (!config)
        return fail_configuration(config.error());
    raise_descriptor_limit();
    // Whoever read our log may go away; that must not end the daemon.
    ::signal(SIGPIPE, SIG_IGN);
    auto daemon = Daemon::start(std::move(*config));
    if (!daemon)
        return daemon.error().code == bad_configuration ? fail_configuration(daemon.error())
                                                        : fail(daemon.error());
    (*daemon)->run();
    return ok;
}

int check(const std::string &file)
{
    const auto config = config::load_config(file);
    if (!config)
        return fail_configuration(config.error());
    if (const auto fits = check_machine(*config); !fits)
        return fail_configuration(fits.error());
    const auto lists = load_list_groups(*config, list_policy(*config), {});
    if (!lists)
        return fail_configuration(lists.error());
    std::cout << file << ": ok\n";
    return ok;
}

const char *finding_name(kernel::Finding finding)
{
    switch (finding) {
    case kernel::Finding::ok:
        return "ok";
    case kernel::Finding::warn:
        return "warn";
    case kernel::Finding::fail:
        return "fail";
    }
    return "";
}

int probe(const std::vector<std::string> &interfaces, bool as_json)
{
    const auto lines = kernel::probe(interfaces);
    boost::json::array rows;
    int result = ok;

    for (const auto &line : lines) {
        if (line.finding == kernel::Finding::fail)
            result = failed;
        rows.push_back({{"finding", finding_name(line.finding)},
                        {"what", line.what},
                        {"detail", line.detail},
                        {"mend", line.mend},
                        {"since", line.since},
                        {"stand_in", line.stand_in},
                        {"here", line.here}});
        if (as_json)
            continue;
        std::printf("%-5s %-30s %s\n", finding_name(line.finding), line.what.c_str(),
                    line.detail.c_str());
        if (!line.mend.empty())
            std::printf("      %-30s -> %s\n", "", line.mend.c_str());
    }
    if (as_json)
        std::cout << boost::json::object{{"schema", 1}, {"lines", rows}} << "\n";
    return result;
}

int detach(const std::string &file, std::string pin_dir)
{
    if (pin_dir.empty() && !file.empty()) {
        auto configured = config::load_pin_dir(file);
        if (!configured)
            return fail_configuration(configured.error());
        pin_dir = *configured;
    }
    if (pin_dir.empty())
        pin_dir = config::Gate{}.pin_dir;

    const auto done = kernel::detach_all(pin_dir);
    if (!done)
        return fail(done.error());
    for (const auto &line : *done)
        std::cout << line << "\n";
    if (done->empty())
        std::cout << "nothing of tallygate's is pinned in " << pin_dir << "\n";
    return ok;
}

int replay(const std::string &file, const ReplayRequest &request)
{
    const auto config = config::load_config(file, config::Purpose::replay);
    if (!config)
        return fail_configuration(config.error());
    const auto done = replay_capture(*config, request, std::cout);
    if (done)
        return ok;
    return done.error().code == bad_configuration ? fail_configuration(done.error())
                                                  : fail(done.error());
}

int dispatch(int argc, char **argv)
{
    CLI::App app{"tallygated: counts TCP connections on the network card, and answers for them"};
    std::string file = default_config;
    std::string detach_file;
    std::string pin_dir;
    std::vector<std::string> interfaces;
    ReplayRequest replay_request;
    bool verbose = false;
    bool as_json = false;

    app.require_subcommand(1);
    app.fallthrough();
    app.set_version_flag("--version", "tallygated " TALLYGATE_VERSION);
    app.add_flag("--verbose", verbose, "Say more in the log");

    auto *run_verb = app.add_subcommand("run", "Guard the interfaces until told to stop");
    run_verb->add_option("--config", file, "The configuration file")->capture_default_str();
    auto *check_verb = app.add_subcommand("check", "Read the configuration, and do nothing");
    check_verb->add_option("--config", file, "The configuration file")->capture_default_str();
    auto *probe_verb = app.add_subcommand("probe", "Say what this machine can do");
    probe_verb->add_flag("--json", as_json, "One JSON object");
    probe_verb->add_option("interfaces", interfaces, "Interfaces to look at (all)");
    auto *detach_verb = app.add_subcommand("detach", "Take the gate off every interface");
    auto *from_file =
        detach_verb->add_option("--config", detach_file, "Take gate.pin_dir from this file");
    detach_verb->add_option("--pin-dir", pin_dir, "The pin directory")->excludes(from_file);
    auto *replay_verb =
        app.add_subcommand("replay", "Count what a capture has, by the gate itself");
    replay_verb->add_option("--config", file, "The configuration file")->capture_default_str();
    replay_verb->add_flag("--json", replay_request.as_json, "One JSON object");
    replay_verb->add_flag("--sources", replay_request.by_source, "Count by source as well");
    replay_verb->add_option("capture", replay_request.capture, "A pcap or pcapng file")->required();

    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError &error) {
        return app.exit(error) == 0 ? ok : usage;
    }
    set_up_log(verbose);
    if (*run_verb)
        return run(file);
    if (*check_verb)
        return check(file);
    if (*probe_verb)
        return probe(interfaces, as_json);
    if (*replay_verb)
        return replay(file, replay_request);
    return detach(detach_file, pin_dir);
}

} // namespace
} // namespace tallygate::daemon

int main(int argc, char **argv)
{
    return tallygate::daemon::dispatch(argc, argv);
}
