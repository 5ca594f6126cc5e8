// SPDX-License-Identifier: BSD-2-Clause
#include "cli/command_line.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <optional>
#include <sstream>
#include <utility>

#include "base/address.hpp"
#include "cli/talk.hpp"
#include "cli/verb.hpp"
#include "client/client.hpp"

namespace tallygate::cli {
namespace {

struct Value {
    const Argument *argument;
    std::string text;
    const CLI::Option *option;
};

/// What was typed. CLI11 keeps pointers into it while it parses.
struct Invocation {
    std::string socket_path = client::default_socket_path;
    bool json = false;
    const Verb *verb = nullptr;
    std::deque<Value> values; ///< of the arguments of all verbs
};

/// The flag of an option: "--service" of "--service S".
std::string flag_of(const Argument &argument)
{
    const std::string shown = argument.shown;
    return shown.substr(0, shown.find(' '));
}

void add_argument(CLI::App &command, const Argument &argument, Invocation &invocation)
{
    auto &value = invocation.values.emplace_back(Value{&argument, "", nullptr});
    const std::string name = argument.is_option() ? flag_of(argument) : argument.parameter;
    if (argument.is_flag()) {
        value.option = command.add_flag(name, argument.help);
        return;
    }
    auto *option = command.add_option(name, value.text, argument.help);

    value.option = option;
    option->required(argument.given == Argument::Given::must);
    option->option_text(argument.is_option() ? std::string(argument.shown).substr(name.size() + 1)
                                             : std::string(argument.shown));
    if (argument.check != nullptr)
        option->check(CLI::Validator(
            [check = argument.check](const std::string &text) { return check(text); }, ""));
    if (argument.excludes != nullptr)
        option->excludes(argument.excludes);
}

/// The command under which a verb stands: the app, or its group's word.
CLI::App &place_of(CLI::App &app, const Verb &verb)
{
    if (verb.group == nullptr)
        return app;
    const auto is_it = [&](const CLI::App *one) { return one->get_name() == verb.group->name; };
    if (const auto made = app.get_subcommands(is_it); !made.empty())
        return *made.front();
    auto *const group = app.add_subcommand(verb.group->name, verb.group->help);
    group->fallthrough();
    group->require_subcommand(1);
    return *group;
}

void add_verb(CLI::App &app, const Verb &verb, Invocation &invocation)
{
    auto *command = place_of(app, verb).add_subcommand(verb.name, verb.help);
    for (const auto &argument : verb.arguments)
        add_argument(*command, argument, invocation);
    command->callback([&invocation, &verb] { invocation.verb = &verb; });
}

void set_up(CLI::App &app, Invocation &invocation)
{
    app.name("tallygate");
    app.fallthrough(); // Global options also stand after the verb.
    app.require_subcommand(1);
    app.set_version_flag("--version", "tallygate " TALLYGATE_VERSION);
    app.add_option("--socket", invocation.socket_path, "The daemon's control socket")
        ->envname("TALLYGATE_SOCKET")
        ->check(CLI::Validator(
            [](const std::string &text) {
                return text.empty() ? std::string("expected a path, and not ''") : std::string();
            },
            ""))
        ->option_text("PATH");
    app.add_flag("--json", invocation.json, "Print the daemon's answer, one line of JSON");
    for (const auto *verb : all_verbs())
        add_verb(app, *verb, invocation);
}

/// The address from which somebody works on this machine, as sshd tells it.
std::optional<Address> operator_address()
{
    const char *const connection = std::getenv("SSH_CONNECTION");
    if (connection == nullptr)
        return std::nullopt;
    const std::string text{connection};
    // "ADDRESS PORT ADDRESS PORT"; of a link's own address with the link, "fe80::1%eth0".
    const auto address = Address::parse(text.substr(0, text.find_first_of(" %")));
    return address ? std::optional{*address} : std::nullopt;
}

bool is_of(const Verb &verb, const Value &value)
{
    return std::ranges::any_of(
        verb.arguments, [&](const Argument &argument) { return &argument == value.argument; });
}

std::string target_of(const Invocation &invocation)
{
    std::string target = invocation.verb->path;
    char separator = target.find('?') == std::string::npos ? '?' : '&';

    for (const auto &value : invocation.values) {
        if (!is_of(*invocation.verb, value) || value.option->count() == 0)
            continue;
        target += separator + std::string(value.argument->parameter) + "=" +
                  client::percent_encoded(value.text);
        separator = '&';
    }
    const bool tells_operator =
        invocation.verb->method == Verb::Method::post && invocation.verb->tells_operator;
    if (const auto address = operator_address(); address && tells_operator)
        target += separator + ("operator=" + client::percent_encoded(address->text()));
    return target;
}

/// Of the whole, or of one group.
std::string known_verbs(const std::string &group)
{
    std::vector<std::string> known;
    for (const auto *verb : all_verbs()) {
        const std::string own_group = verb->group != nullptr ? verb->group->name : "";
        const std::string name = own_group == group ? verb->name : own_group;
        if ((group.empty() || own_group == group) && std::ranges::find(known, name) == known.end())
            known.push_back(name);
    }
    std::string text;
    for (const auto &name : known)
        text += (text.empty() ? "" : ", ") + name;
    return text;
}

/// No verb was found in a group, or in the whole.
Outcome wrong_verb(const std::vector<std::string> &extra, const CLI::ParseError &error,
                   const std::string &group)
{
    const std::string known = ": expected one of " + known_verbs(group);
    const std::string of_group = group.empty() ? "" : " of " + group;
    if (!extra.empty() && !extra.front().starts_with('-'))
        return usage("there is no verb '" + extra.front() + "'" + of_group + known, group);
    if (extra.empty() && dynamic_cast<const CLI::RequiredError *>(&error) != nullptr)
        return usage("a verb" + of_group + " is missing" + known, group);
    return usage(extra.empty() ? error.what() : "there is no option " + extra.front(), group);
}

Outcome wrong_arguments(const CLI::App &app, const CLI::ParseError &error)
{
    std::string name;
    const auto *command = &app;
    while (!command->get_subcommands().empty()) {
        command = command->get_subcommands().front();
        name += (name.empty() ? "" : " ") + command->get_name();
    }
    const bool is_verb = std::ranges::any_of(
        all_verbs(), [&](const Verb *verb) { return verb->full_name() == name; });
    if (!is_verb)
        return wrong_verb(app.remaining(true), error, name);
    const bool too_much = dynamic_cast<const CLI::ExtrasError *>(&error) != nullptr;
    return usage(too_much ? name + " does not take '" + app.remaining(true).front() + "'"
                          : error.what(),
                 name);
}

/// What was given, by the parameter's name.
Values values_of(const Invocation &invocation)
{
    Values values;
    for (const auto &value : invocation.values)
        if (is_of(*invocation.verb, value) && value.option->count() != 0)
            values[value.argument->parameter] = value.text;
    return values;
}

const char *method_name(Verb::Method method)
{
    switch (method) {
    case Verb::Method::get:
        return "GET";
    case Verb::Method::post:
        return "POST";
    case Verb::Method::put:
        return "PUT";
    case Verb::Method::remove:
        break;
    }
    return "DELETE";
}

Outcome ask(const Invocation &invocation)
{
    const Verb &verb = *invocation.verb;
    Talk talk{invocation.socket_path, verb.full_name()};
    if (verb.act != nullptr)
        return verb.act(talk, values_of(invocation), invocation.json);
    auto reply = talk.ask(method_name(verb.method), target_of(invocation));
    if (auto *const outcome = std::get_if<Outcome>(&reply))
        return std::move(*outcome);
    const auto &answer = std::get<Talk::Answer>(reply);
    return {ExitCode::ok, invocation.json ? answer.text : verb.show(answer.object), ""};
}

} // namespace

Outcome run(const std::vector<std::string> &arguments)
{
    Invocation invocation;
    CLI::App app{"Asks tallygated who is connected, and who was."};
    set_up(app, invocation);

    try {
        // CLI11 takes them from the back.
        app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
    } catch (const CLI::Success &wish) {
        std::ostringstream out;
        std::ostringstream err;
        app.exit(wish, out, err);
        return {ExitCode::ok, out.str(), err.str()};
    } catch (const CLI::ParseError &error) {
        return wrong_arguments(app, error);
    }
    return ask(invocation);
}

} // namespace tallygate::cli
