// SPDX-License-Identifier: BSD-2-Clause
//
// tallygated: its verbs, and what they exit with.
#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <signal.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

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
        std::cerr << "tallygated: run it as root, or with CAP_NET_ADMIN and CAP_SYS_ADMIN; "
                     "`tallygated probe` says what is missing\n";
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
        // Without rights nothing else is known for sure.
        if (line.finding == kernel::Finding::fail && result != not_permitted)
            result = line.what == "rights" ? not_permitted : failed;
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

/// What was typed. CLI11 keeps pointers into it while it parses.
struct Invocation {
    std::string file = default_config;
    std::string detach_file;
    std::string pin_dir;
    std::vector<std::string> interfaces;
    ReplayRequest replay;
    bool verbose = false;
    bool probe_json = false;
};

/// An empty text is most likely a variable that nobody has set: `--pin-dir "$DIR"` must not mean
/// the default, which may be the one that is in use.
const CLI::Validator &not_empty()
{
    static const CLI::Validator validator{
        [](const std::string &text) {
            return text.empty() ? std::string("expected a path, and not ''") : std::string();
        },
        ""};
    return validator;
}

const CLI::Validator &absolute_path()
{
    static const CLI::Validator validator{[](const std::string &text) {
                                              return text.starts_with('/')
                                                         ? std::string()
                                                         : "expected an absolute path, and not '" +
                                                               text + "'";
                                          },
                                          ""};
    return validator;
}

void set_up(CLI::App &app, Invocation &invocation)
{
    const auto add_config = [&](CLI::App *verb) {
        verb->add_option("--config", invocation.file, "The configuration file")
            ->check(not_empty())
            ->option_text("FILE [" + std::string(default_config) + "]");
    };

    app.name("tallygated");
    app.require_subcommand(1);
    app.fallthrough();
    app.set_version_flag("--version", "tallygated " TALLYGATE_VERSION);
    app.add_flag("--verbose", invocation.verbose, "Say more in the log");

    add_config(app.add_subcommand("run", "Guard the interfaces until told to stop"));
    add_config(app.add_subcommand("check", "Read the configuration, and do nothing"));
    auto *probe_verb = app.add_subcommand("probe", "Say what this machine can do");
    probe_verb->add_flag("--json", invocation.probe_json, "One JSON object");
    probe_verb->add_option("interfaces", invocation.interfaces, "Interfaces to look at (all)");
    auto *detach_verb = app.add_subcommand("detach", "Take the gate off every interface");
    auto *from_file =
        detach_verb
            ->add_option("--config", invocation.detach_file, "Take gate.pin_dir from this file")
            ->check(not_empty())
            ->option_text("FILE");
    detach_verb->add_option("--pin-dir", invocation.pin_dir, "The pin directory")
        ->check(absolute_path())
        ->option_text("DIR")
        ->excludes(from_file);
    auto *replay_verb =
        app.add_subcommand("replay", "Count what a capture has, by the gate itself");
    add_config(replay_verb);
    replay_verb->add_flag("--json", invocation.replay.as_json, "One JSON object");
    replay_verb->add_flag("--sources", invocation.replay.by_source, "Count by source as well");
    replay_verb->add_option("capture", invocation.replay.capture, "A pcap or pcapng file")
        ->required();
}

/// Options that stand before the verb, behind it: each verb knows which are its own.
std::vector<std::string> with_verb_first(std::vector<std::string> arguments)
{
    const auto has_value = [](const std::string &option) {
        return option == "--config" || option == "--pin-dir";
    };
    auto verb = arguments.begin();

    while (verb != arguments.end() && verb->starts_with("--"))
        verb += has_value(*verb) && verb + 1 != arguments.end() ? 2 : 1;
    if (verb != arguments.end())
        std::rotate(arguments.begin(), verb, verb + 1);
    return arguments;
}

std::string names_of(const std::vector<CLI::App *> &verbs)
{
    std::string names;
    for (const auto *verb : verbs)
        names += (names.empty() ? "" : ", ") + verb->get_name();
    return names;
}

/// One sentence, and where there is more to read.
int fail_usage(CLI::App &app, const CLI::ParseError &error)
{
    const auto extra = app.remaining(true);
    const auto parsed = app.get_subcommands();
    const std::string verb = parsed.empty() ? "" : parsed.front()->get_name();
    std::string message = error.what();

    if (verb.empty() && !extra.empty() && !extra.front().starts_with('-'))
        message = "there is no verb '" + extra.front() + "': expected one of " +
                  names_of(app.get_subcommands(nullptr));
    else if (verb.empty())
        message = extra.empty() ? "a verb is missing: expected one of " +
                                      names_of(app.get_subcommands(nullptr))
                                : "there is no option " + extra.front();
    else if (dynamic_cast<const CLI::ExtrasError *>(&error) != nullptr && !extra.empty())
        message = verb + " does not take '" + extra.front() + "'";
    std::cerr << "tallygated: " << message << "\nTry 'tallygated " << verb
              << (verb.empty() ? "" : " ") << "--help'.\n";
    return usage;
}

int dispatch(std::vector<std::string> arguments)
{
    CLI::App app{"tallygated: counts TCP connections on the network card, and answers for them"};
    Invocation invocation;
    set_up(app, invocation);

    arguments = with_verb_first(std::move(arguments));
    std::ranges::reverse(arguments); // CLI11 takes them from the back.
    try {
        app.parse(std::move(arguments));
    } catch (const CLI::Success &wish) {
        return app.exit(wish);
    } catch (const CLI::ParseError &error) {
        return fail_usage(app, error);
    }
    set_up_log(invocation.verbose);
    if (app.got_subcommand("run"))
        return run(invocation.file);
    if (app.got_subcommand("check"))
        return check(invocation.file);
    if (app.got_subcommand("probe"))
        return probe(invocation.interfaces, invocation.probe_json);
    if (app.got_subcommand("replay"))
        return replay(invocation.file, invocation.replay);
    return detach(invocation.detach_file, invocation.pin_dir);
}

/// What a full disk has not taken must not look as if it were there.
int conclude(int exit_code)
{
    std::cout.flush();
    if (std::cout.good() && std::fflush(stdout) == 0 && std::ferror(stdout) == 0)
        return exit_code;
    std::cerr << "tallygated: write to the standard output: " << std::strerror(errno) << "\n";
    return exit_code == ok ? failed : exit_code;
}

} // namespace
} // namespace tallygate::daemon

int main(int argc, char **argv)
{
    using namespace tallygate::daemon;
    return conclude(dispatch({argv + (argc > 0 ? 1 : 0), argv + argc}));
}
