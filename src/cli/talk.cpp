// SPDX-License-Identifier: BSD-2-Clause
#include "cli/talk.hpp"

#include <chrono>
#include <utility>

#include "cli/render.hpp"

namespace tallygate::cli {
namespace {

namespace json = boost::json;

constexpr std::chrono::seconds timeout{5};

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

/// A conflict is one with the configuration, or of series.
ExitCode exit_code_of(unsigned status, const std::string &verb)
{
    switch (status) {
    case 400:
        return ExitCode::usage;
    case 403:
        return ExitCode::refused;
    case 404:
        return ExitCode::not_found;
    case 409:
        return verb.starts_with("audit ") ? ExitCode::failed : ExitCode::bad_configuration;
    default:
        return ExitCode::failed;
    }
}

/// With the names that would have been found, where the daemon's sentence has not told them.
std::string message_of(const json::object &answer, ExitCode code)
{
    auto message = text_at(answer, "error");
    const auto known = texts_at(answer, "known");
    if (code != ExitCode::not_found || known.empty() ||
        message.find("expected") != std::string::npos)
        return message;
    const char *before = ": expected one of ";
    for (const auto &name : known)
        message += std::exchange(before, ", ") + name;
    return message;
}

} // namespace

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

Talk::Talk(std::string socket_path, std::string verb)
    : channel_(std::move(socket_path)), verb_(std::move(verb))
{
}

Talk::Reply Talk::ask(std::string_view method, std::string_view target)
{
    const auto reply = channel_.ask(method, target, client::Again::would_count,
                                    client::Channel::Clock::now() + timeout);
    if (!reply)
        return failure(exit_code_of(reply.error()), reply.error().message);

    boost::system::error_code error;
    auto value = json::parse(reply->body, error);
    if (error || !value.is_object() || !value.get_object().contains("schema"))
        return failure(ExitCode::failed,
                       "what answers at " + channel_.path() + " is no tallygated");
    if (reply->status == 200)
        return Answer{std::move(value.get_object()), reply->body};
    const auto code = exit_code_of(reply->status, verb_);
    const auto message = message_of(value.get_object(), code);
    return code == ExitCode::usage ? usage(message, verb_) : failure(code, message);
}

} // namespace tallygate::cli
