// SPDX-License-Identifier: BSD-2-Clause
//
// tallygate postfix enable-policy | disable-policy
#include <string>

#include "cli/postfix.hpp"
#include "cli/postfix_policy.hpp"
#include "cli/talk.hpp"
#include "cli/verb.hpp"

namespace tallygate::cli {
namespace {

/// The place in main.cf that a verb is about, and what stands there.
struct Place {
    std::string name;
    std::string restrictions;
};

Outcome failure(const Error &error)
{
    return cli::failure(error.code == ENOENT ? ExitCode::not_found : ExitCode::failed,
                        error.message);
}

std::string value_of(const Values &values, const char *name)
{
    const auto found = values.find(name);
    return found != values.end() ? found->second : std::string();
}

Result<Place> look(const Postfix &postfix, const Values &values)
{
    const auto name = restrictions_at(value_of(values, "at"));
    const auto restrictions = postfix.ask({"postconf", "-h", name});
    if (!restrictions)
        return restrictions.error();
    return Place{name, *restrictions};
}

/// An edit, which leaves the rest of main.cf as it is; empty takes the line away.
std::vector<std::string> edit(const Place &place, const std::string &restrictions)
{
    if (restrictions.empty())
        return {"postconf", "-X", place.name};
    return {"postconf", "-e", place.name + " = " + restrictions};
}

std::string shown(const std::vector<std::string> &words)
{
    return "    " + words[0] + " " + words[1] + " '" + words[2] + "'\n";
}

Outcome change(const Values &values, bool on)
{
    const Postfix postfix{value_of(values, "config_dir")};
    const auto facts = postfix.look();
    if (!facts)
        return failure(facts.error());
    const auto place = look(postfix, values);
    if (!place)
        return failure(place.error());
    if (asks_policy(place->restrictions) == on)
        return {ExitCode::ok,
                place->name + (on ? " asks tallygate already.\n" : " does not ask tallygate.\n"),
                ""};
    const auto words =
        edit(*place, on ? with_policy(place->restrictions) : without_policy(place->restrictions));
    if (values.contains("dry_run"))
        return {ExitCode::ok,
                "This would be done:\n" + shown(words) +
                    (facts->is_running ? "    postfix reload\n" : ""),
                ""};
    if (const auto done = postfix.ask(words); !done)
        return failure(done.error());
    if (const auto done = postfix.reload(*facts); !done)
        return failure(done.error());
    if (!on)
        return {ExitCode::ok, place->name + " asks tallygate no more.\n", ""};
    return {ExitCode::ok,
            place->name +
                " asks tallygate; `tallygate postfix disable-policy` takes it out again.\n"
                "Now let tallygated answer there, with this in its configuration and some "
                "[[check]] besides, and restart it:\n    [policy]\n    socket = \"" +
                facts->queue_directory +
                "/tallygate/policy\"\n    socket_mode = \"0666\"\n"
                "While nobody answers, Postfix lets everybody in.\n",
            ""};
}

Outcome enable(Talk &, const Values &values, bool)
{
    return change(values, true);
}

Outcome disable(Talk &, const Values &values, bool)
{
    return change(values, false);
}

std::string check_at(const std::string &text)
{
    return text == "connect" || text == "rcpt" ? "" : "expected connect or rcpt";
}

constexpr Argument at = {"--at WHEN", "at", "connect or rcpt; connect if not given",
                         Argument::Given::may, check_at};
constexpr Argument config_dir = {"--config-dir DIR", "config_dir",
                                 "Postfix's configuration, if it is not the default one"};
constexpr Argument dry_run = {"--dry-run", "dry_run", "Say what would be done, and do nothing"};

} // namespace

const Verb postfix_enable_policy_verb = {
    .name = "enable-policy",
    .help = "Let Postfix ask tallygate's policy server about clients",
    .method = Verb::Method::post,
    .path = "",
    .arguments = {at, dry_run, config_dir},
    .show = nullptr,
    .group = &postfix_group,
    .act = enable,
};

const Verb postfix_disable_policy_verb = {
    .name = "disable-policy",
    .help = "Let it ask no more",
    .method = Verb::Method::post,
    .path = "",
    .arguments = {at, dry_run, config_dir},
    .show = nullptr,
    .group = &postfix_group,
    .act = disable,
};

} // namespace tallygate::cli
