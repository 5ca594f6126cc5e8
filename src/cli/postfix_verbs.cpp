// SPDX-License-Identifier: BSD-2-Clause
//
// tallygate postfix enable-anvil | disable-anvil | status
#include <boost/json.hpp>

#include <cerrno>
#include <string>

#include "cli/command_line.hpp"
#include "cli/postfix.hpp"
#include "cli/render.hpp"
#include "cli/talk.hpp"
#include "cli/verb.hpp"

namespace tallygate::cli {
namespace {

Outcome failure(const Error &error)
{
    auto code = ExitCode::failed;
    if (error.code == EACCES || error.code == EPERM)
        code = ExitCode::not_permitted;
    else if (error.code == ENOENT)
        code = ExitCode::not_found;
    return cli::failure(code, error.message);
}

/// The Postfix that the verb is about.
Postfix postfix_of(const Values &values)
{
    const auto directory = values.find("config_dir");
    return Postfix{directory != values.end() ? directory->second : std::string()};
}

enum class Daemon { serves, serves_elsewhere, has_no_anvil, unreachable };

struct Told {
    Daemon state = Daemon::unreachable;
    std::string socket = {}; ///< of its anvil, if it tells

    Claimed claims(const std::string &path) const
    {
        return state == Daemon::serves && socket == path ? Claimed::yes : Claimed::no;
    }
};

/// Whether tallygated has an anvil socket, and still leads to it.
Told ask_daemon(Talk &talk)
{
    const auto reply = talk.ask("GET", "/v1/status");
    const auto *answer = std::get_if<Talk::Answer>(&reply);
    if (answer == nullptr)
        return {Daemon::unreachable};
    const auto *anvil = answer->object.if_contains("anvil");
    if (anvil == nullptr || !anvil->is_object())
        return {Daemon::has_no_anvil};
    const auto *ours = anvil->get_object().if_contains("socket_is_ours");
    const bool is_ours = ours != nullptr && ours->is_bool() && ours->get_bool();
    return {is_ours ? Daemon::serves : Daemon::serves_elsewhere,
            text_at(anvil->get_object(), "socket")};
}

/// "60s", "1m", as seconds; 60 for what we cannot read.
std::string seconds_text(const std::string &span)
{
    const auto unit = span.find_first_not_of("0123456789");
    if (unit == 0 || span.empty() || span.size() > 6)
        return "60";
    const long value = std::stol(span);
    if (unit == std::string::npos || span[unit] == 's')
        return std::to_string(value);
    return std::to_string(value * (span[unit] == 'm' ? 60 : span[unit] == 'h' ? 3600 : 86'400));
}

std::string section_text(const PostfixFacts &facts)
{
    return "    [anvil]\n    socket = \"" + facts.socket() +
           "\"\n    time_unit = " + seconds_text(facts.time_unit) + "\n" +
           (facts.waits_for_greeting() ? "" : "    before_3_6 = true\n");
}

/// What is left for the operator to do.
std::string next_text(const PostfixFacts &facts, Claimed claimed)
{
    if (look_at_socket(facts, claimed) == AnvilSocket::tallygate)
        return "tallygated answers on " + facts.socket() + ".\n";
    return "Now let tallygated answer there, with this in its configuration, and restart it:\n" +
           section_text(facts) +
           "Until then Postfix goes on without its limits, and each session waits a second.\n";
}

std::string dry_text(const std::vector<std::string> &steps)
{
    std::string text = steps.empty() ? "There is nothing to do.\n" : "This would be done:\n";
    for (const auto &step : steps)
        text += "    " + step + "\n";
    return text;
}

Outcome enable(Talk &talk, const Values &values, bool)
{
    const Postfix postfix = postfix_of(values);
    const auto facts = postfix.look();
    if (!facts)
        return failure(facts.error());
    if (values.contains("dry_run"))
        return {ExitCode::ok, dry_text(postfix.steps_to_enable(*facts)), ""};
    if (const auto done = postfix.enable(*facts); !done)
        return failure(done.error());
    const std::string said = facts->is_enabled()
                                 ? "Postfix's anvil was out of master.cf already.\n"
                                 : "Took anvil out of " + facts->master_cf() +
                                       "; `tallygate postfix disable-anvil` puts it back.\n";
    return {ExitCode::ok, said + next_text(*facts, ask_daemon(talk).claims(facts->socket())), ""};
}

Outcome disable(Talk &, const Values &values, bool)
{
    const Postfix postfix = postfix_of(values);
    const auto facts = postfix.look();
    if (!facts)
        return failure(facts.error());
    const auto steps = postfix.steps_to_disable(*facts);
    if (values.contains("dry_run"))
        return {ExitCode::ok, dry_text(steps), ""};
    if (const auto done = postfix.disable(*facts); !done)
        return failure(done.error());
    if (steps.empty())
        return {ExitCode::ok, "Postfix's own anvil is in master.cf already.\n", ""};
    return {ExitCode::ok,
            "Put anvil back into " + facts->master_cf() +
                ". Take [anvil] out of tallygated's configuration before its next start, or it "
                "will find the path taken.\n",
            ""};
}

const char *socket_text(AnvilSocket socket)
{
    switch (socket) {
    case AnvilSocket::missing:
        return "is missing";
    case AnvilSocket::nobody:
        return "is answered by nobody";
    case AnvilSocket::silent:
        return "is answered by something that is no anvil";
    case AnvilSocket::other_anvil:
        return "is answered by Postfix's own anvil, or a third";
    case AnvilSocket::tallygate:
        return "is answered by tallygate";
    }
    return "";
}

const char *daemon_text(Daemon daemon)
{
    switch (daemon) {
    case Daemon::serves:
        return "serves anvil";
    case Daemon::serves_elsewhere:
        return "serves anvil, but another program took its path";
    case Daemon::has_no_anvil:
        return "has no [anvil] socket";
    case Daemon::unreachable:
        return "cannot be reached";
    }
    return "";
}

/// Who is asked, for how long, and what to do about it.
std::string conclusion(const PostfixFacts &facts, AnvilSocket socket)
{
    if (socket != AnvilSocket::tallygate)
        return "Postfix does not ask tallygate.\n";
    if (!facts.has_own_anvil())
        return "Postfix asks tallygate.\n";
    return std::string("Postfix asks tallygate, but anvil is back in master.cf: it takes the "
                       "socket at its next ") +
           (facts.is_running ? "reload" : "start") +
           ". `tallygate postfix enable-anvil` takes it out again.\n";
}

std::string master_cf_text(const PostfixFacts &facts)
{
    if (facts.has_own_anvil())
        return "anvil is in force";
    if (!facts.anvil_line.empty())
        return "something else is in anvil's place";
    return std::string("anvil is out, and the lines that keep it out are ") +
           (facts.has_guards() ? "there" : "missing: `tallygate postfix enable-anvil` adds them");
}

Outcome status(Talk &talk, const Values &values, bool as_json)
{
    const auto facts = postfix_of(values).look();
    if (!facts)
        return failure(facts.error());
    const auto daemon = ask_daemon(talk);
    const auto socket = look_at_socket(*facts, daemon.claims(facts->socket()));
    const bool is_settled = socket == AnvilSocket::tallygate && !facts->has_own_anvil();
    const auto code = is_settled ? ExitCode::ok : ExitCode::failed;
    if (as_json)
        return {code,
                boost::json::serialize(
                    boost::json::object{{"schema", 1},
                                        {"version", facts->version},
                                        {"config_directory", facts->config_directory},
                                        {"running", facts->is_running},
                                        {"anvil_in_master_cf", !facts->anvil_line.empty()},
                                        {"guard_in_master_cf", facts->has_guards()},
                                        {"socket", facts->socket()},
                                        {"socket_state", socket_text(socket)},
                                        {"daemon", daemon_text(daemon.state)},
                                        {"enabled", is_settled}}) +
                    "\n",
                ""};
    std::string text = "Postfix " + facts->version + " in " + facts->config_directory +
                       (facts->is_running ? ", running\n" : ", not running\n");
    text += "master.cf: " + master_cf_text(*facts) + "\n";
    text += facts->socket() + " " + socket_text(socket) + "\n";
    text += std::string("tallygated ") + daemon_text(daemon.state) + "\n";
    return {code, text + conclusion(*facts, socket), ""};
}

constexpr Argument config_dir = {"--config-dir DIR", "config_dir",
                                 "Postfix's configuration, if it is not the default one"};
constexpr Argument dry_run = {"--dry-run", "dry_run", "Say what would be done, and do nothing"};

} // namespace

const Group postfix_group = {"postfix", "Let a Postfix of this machine ask tallygate"};

const Verb postfix_enable_anvil_verb = {
    .name = "enable-anvil",
    .help = "Take Postfix's own anvil out of master.cf, so that tallygated can answer",
    .method = Verb::Method::post,
    .path = "",
    .arguments = {dry_run, config_dir},
    .show = nullptr,
    .group = &postfix_group,
    .act = enable,
};

const Verb postfix_disable_anvil_verb = {
    .name = "disable-anvil",
    .help = "Put it back",
    .method = Verb::Method::post,
    .path = "",
    .arguments = {dry_run, config_dir},
    .show = nullptr,
    .group = &postfix_group,
    .act = disable,
};

const Verb postfix_status_verb = {
    .name = "status",
    .help = "Who answers on Postfix's anvil socket",
    .method = Verb::Method::get,
    .path = "",
    .arguments = {config_dir},
    .show = nullptr,
    .group = &postfix_group,
    .act = status,
};

} // namespace tallygate::cli
