// SPDX-License-Identifier: BSD-2-Clause
//
// tallygate postfix enable-policy | disable-policy
#include <optional>
#include <string>
#include <vector>

#include "cli/postfix.hpp"
#include "cli/postfix_files.hpp"
#include "cli/postfix_policy.hpp"
#include "cli/talk.hpp"
#include "cli/verb.hpp"

namespace tallygate::cli {
namespace {

/// The setting that a verb is about, and what is to become of it.
struct Change {
    std::string name;
    std::string main_cf;
    std::optional<std::string> text; ///< of main.cf; nothing: `words` are to be said instead
    std::vector<std::string> words;  ///< to postconf
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

Change change_to(const PostfixFacts &facts, const std::string &name, bool on)
{
    Change change;
    change.name = name;
    change.main_cf = facts.config_directory + "/main.cf";
    const auto text = text_of(change.main_cf);

    change.text = on ? with_policy(text, name) : without_policy(text, name);
    if (on)
        change.words = {"postconf", "-e", name + " = " + restrictions_alone()};
    else
        change.words = {"postconf", "-X", name};
    return change;
}

std::string shown(const Change &change, const PostfixFacts &facts)
{
    std::string text = "This would be done:\n";

    if (change.text)
        text += "in " + change.main_cf + "\n" + std::string(setting_in(*change.text, change.name));
    else
        text += "    " + change.words[0] + " " + change.words[1] + " '" + change.words[2] + "'\n";
    return text + (facts.is_running ? "    postfix reload\n" : "");
}

/// What Postfix says afterwards decides: if it is not what was wanted, main.cf is as it was.
Result<void> make(const Postfix &postfix, const Change &change, bool on)
{
    const auto before = text_of(change.main_cf);
    if (change.text) {
        if (auto written = rewrite_file(change.main_cf, *change.text); !written)
            return written;
    } else if (const auto done = postfix.ask(change.words); !done) {
        return done.error();
    }
    const auto now = postfix.ask({"postconf", "-h", change.name});
    if (now && asks_policy(*now) == on)
        return {};
    if (auto restored = rewrite_file(change.main_cf, before); !restored)
        return restored;
    return Error{"cannot change " + change.name + " in " + change.main_cf + ": it is " +
                 (now ? "'" + *now + "' afterwards" : now.error().message) + "; it is as it was"};
}

std::string enabled_text(const std::string &name, const PostfixFacts &facts)
{
    return name +
           " asks tallygate; `tallygate postfix disable-policy` takes it out again.\n"
           "Now let tallygated answer there, with this in its configuration and some "
           "[[check]] besides, and restart it:\n    [policy]\n    socket = \"" +
           facts.queue_directory +
           "/tallygate/policy\"\n    socket_mode = \"0666\"\n"
           "While nobody answers, Postfix lets everybody in.\n";
}

Outcome turn(const Values &values, bool on)
{
    const Postfix postfix{value_of(values, "config_dir")};
    const auto name = restrictions_at(value_of(values, "at"));
    const auto facts = postfix.look();
    if (!facts)
        return failure(facts.error());
    const auto restrictions = postfix.ask({"postconf", "-h", name});
    if (!restrictions)
        return failure(restrictions.error());
    if (asks_policy(*restrictions) == on)
        return {ExitCode::ok,
                name + (on ? " asks tallygate already.\n" : " does not ask tallygate.\n"), ""};
    const auto change = change_to(*facts, name, on);
    if (values.contains("dry_run"))
        return {ExitCode::ok, shown(change, *facts), ""};
    if (const auto done = make(postfix, change, on); !done)
        return failure(done.error());
    if (const auto done = postfix.reload(*facts); !done)
        return failure(done.error());
    return {ExitCode::ok, on ? enabled_text(name, *facts) : name + " asks tallygate no more.\n",
            ""};
}

Outcome enable(Talk &, const Values &values, bool)
{
    return turn(values, true);
}

Outcome disable(Talk &, const Values &values, bool)
{
    return turn(values, false);
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
