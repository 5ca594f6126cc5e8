// SPDX-License-Identifier: BSD-2-Clause
#include "cli/command_line.hpp"

#include <CLI/CLI.hpp>
#include <boost/json.hpp>

#include <algorithm>
#include <deque>
#include <sstream>
#include <utility>

#include "cli/render.hpp"
#include "cli/verb.hpp"
#include "client/client.hpp"

namespace tallygate::cli {
namespace {

namespace json = boost::json;

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

void add_verb(CLI::App &app, const Verb &verb, Invocation &invocation)
{
    auto *command = app.add_subcommand(verb.name, verb.help);
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
        ->option_text("PATH");
    app.add_flag("--json", invocation.json, "Print the daemon's answer, one line of JSON");
    for (const auto *verb : all_verbs())
        add_verb(app, *verb, invocation);
}

std::string target_of(const Invocation &invocation)
{
    std::string target = invocation.verb->path;
    char separator = '?';

    for (const auto &value : invocation.values) {
        const auto &own = invocation.verb->arguments;
        const bool is_own = std::ranges::any_of(
            own, [&](const Argument &argument) { return &argument == value.argument; });
        if (!is_own || value.option->count() == 0)
            continue;
        target += separator + std::string(value.argument->parameter) + "=" +
                  client::percent_encoded(value.text);
        separator = '&';
    }
    return target;
}

Outcome failure(ExitCode code, const std::string &message)
{
    return {code, "", "tallygate: " + message + "\n"};
}

Outcome usage(const std::string &message, const std::string &verb)
{
    const std::string help = verb.empty() ? "tallygate --help" : "tallygate " + verb + " --help";
    auto outcome = failure(ExitCode::usage, message);
    outcome.err += "Try '" + help + "'.\n";
    return outcome;
}

Outcome wrong_arguments(const CLI::App &app, const CLI::ParseError &error)
{
    const auto chosen = app.get_subcommands();
    if (!chosen.empty()) {
        const std::string verb = chosen.front()->get_name();
        const bool too_much = dynamic_cast<const CLI::ExtrasError *>(&error) != nullptr;
        return usage(too_much ? verb + " does not take '" + app.remaining(true).front() + "'"
                              : error.what(),
                     verb);
    }

    std::string known;
    for (const auto *verb : all_verbs())
        known += (known.empty() ? "" : ", ") + std::string(verb->name);
    const auto extra = app.remaining();
    if (!extra.empty() && !extra.front().starts_with('-'))
        return usage("there is no verb '" + extra.front() + "': expected one of " + known, "");
    if (extra.empty() && dynamic_cast<const CLI::RequiredError *>(&error) != nullptr)
        return usage("a verb is missing: expected one of " + known, "");
    return usage(extra.empty() ? error.what() : "there is no option " + extra.front(), "");
}

ExitCode exit_code_of(const Error &error)
{
    switch (static_cast<client::Failure>(error.code)) {
    case client::Failure::unreachable:
        return ExitCode::unreachable;
    case client::Failure::not_permitted:
        return ExitCode::not_permitted;
    case client::Failure::protocol:
        break;
    }
    return ExitCode::failed;
}

ExitCode exit_code_of(unsigned status)
{
    switch (status) {
    case 400:
        return ExitCode::usage;
    case 403:
        return ExitCode::refused;
    case 404:
        return ExitCode::not_found;
    case 409:
        return ExitCode::bad_configuration;
    default:
        return ExitCode::failed;
    }
}

Outcome ask(const Invocation &invocation)
{
    const client::Client client{invocation.socket_path};
    const auto target = target_of(invocation);
    const bool posts = invocation.verb->method == Verb::Method::post;
    const auto reply = posts ? client.post(target) : client.get(target);
    if (!reply)
        return failure(exit_code_of(reply.error()), reply.error().message);

    boost::system::error_code error;
    const auto value = json::parse(reply->body, error);
    if (error || !value.is_object() || !value.get_object().contains("schema"))
        return failure(ExitCode::failed,
                       "what answers at " + client.socket_path() + " is no tallygated");
    const auto &answer = value.get_object();
    if (reply->status != 200) {
        const auto message = text_at(answer, "error");
        const auto code = exit_code_of(reply->status);
        return code == ExitCode::usage ? usage(message, invocation.verb->name)
                                       : failure(code, message);
    }
    return {ExitCode::ok, invocation.json ? reply->body : invocation.verb->show(answer), ""};
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
