// SPDX-License-Identifier: BSD-2-Clause
//
// The verbs of Momentum's audit console that are about named series, in the order of its
// arguments. docs/momentum.md has them all.
#include <boost/json.hpp>

#include "cli/render.hpp"
#include "cli/talk.hpp"
#include "cli/verb.hpp"
#include "client/query.hpp"

namespace tallygate::cli {
namespace {

std::string show_value(const boost::json::object &answer)
{
    return plain_at(answer, "value") + "\n";
}

std::string show_done(const boost::json::object &answer)
{
    const auto key = text_at(answer, "key");
    return text_at(answer, "done") + " " + (key.empty() ? "" : key + " of ") +
           text_at(answer, "name") + " " + text_at(answer, "monitor") +
           (key.empty() ? " " + text_at(answer, "type") : "") + "\n";
}

/// The console takes away with a word, the daemon with a sign.
Outcome subtract(Talk &talk, const Values &values, bool as_json)
{
    const auto target = client::Query("/v1/series/add")
                            .with("name", values.at("name"))
                            .with("monitor", values.at("monitor"))
                            .with("key", values.at("key"))
                            .with("amount", "-" + values.at("amount"));
    auto reply = talk.ask("POST", target.text());
    if (auto *const outcome = std::get_if<Outcome>(&reply))
        return std::move(*outcome);
    const auto &answer = std::get<Talk::Answer>(reply);
    return {ExitCode::ok, as_json ? answer.text : show_value(answer.object), ""};
}

const Argument series_argument{"SERIES", "name", "The series' name", Argument::Given::must};
const Argument parameters_argument{
    "PARAMETERS", "monitor", "Its monitor: 60,10 is ten windows of 60 s", Argument::Given::must};

} // namespace

const Group audit_group{"audit", "What policies ask, in the words of Momentum's console"};

const Verb audit_count_verb = {
    .name = "count_cidr",
    .help = "What a series has of an address or a block",
    .method = Verb::Method::get,
    .path = "/v1/series/count",
    .arguments = {{"CIDR", "key", "192.0.2.0/24, one address, or the key of a string series",
                   Argument::Given::must},
                  series_argument,
                  parameters_argument,
                  {"START", "start", "The newest window; 0 is now", Argument::Given::must,
                   check_number},
                  {"END", "end", "The oldest window", Argument::Given::must, check_number}},
    .show = show_value,
    .group = &audit_group,
};

const Verb audit_add_verb = {
    .name = "add",
    .help = "Add to a series; one that is not there is defined by the address",
    .method = Verb::Method::post,
    .path = "/v1/series/add",
    .arguments = {series_argument,
                  parameters_argument,
                  {"IP", "key", "Whose", Argument::Given::must},
                  {"INCREMENT", "amount", "So many", Argument::Given::must}},
    .show = show_value,
    .group = &audit_group,
    .tells_operator = false,
};

const Verb audit_subtract_verb = {
    .name = "subtract",
    .help = "Take away from a series, in the window of now",
    .method = Verb::Method::post,
    .path = "/v1/series/add",
    .arguments = {series_argument,
                  parameters_argument,
                  {"IP", "key", "Whose", Argument::Given::must},
                  {"DECREMENT", "amount", "So many", Argument::Given::must, check_number}},
    .show = show_value,
    .group = &audit_group,
    .act = subtract,
};

const Verb audit_delete_verb = {
    .name = "delete_ip",
    .help = "Forget an address of a series, or all of a block, in all windows",
    .method = Verb::Method::remove,
    .path = "/v1/series/item",
    .arguments = {{"IP", "key", "Which", Argument::Given::must},
                  series_argument,
                  parameters_argument},
    .show = show_done,
    .group = &audit_group,
};

const Verb audit_define_verb = {
    .name = "define",
    .help = "Define a series; again in the same words changes nothing",
    .method = Verb::Method::put,
    .path = "/v1/series",
    .arguments = {series_argument,
                  {"TYPE", "type", "cidr (IPv4), cidr_ipv6 or string", Argument::Given::must},
                  parameters_argument,
                  {"--persist YES", "persist", "true: its counts outlive the daemon"}},
    .show = show_done,
    .group = &audit_group,
};

const Verb audit_undefine_verb = {
    .name = "undefine",
    .help = "Take a series away, with its counts",
    .method = Verb::Method::remove,
    .path = "/v1/series",
    .arguments = {series_argument,
                  parameters_argument,
                  {"--type T", "type", "Of two families under one name: cidr or cidr_ipv6"}},
    .show = show_done,
    .group = &audit_group,
};

} // namespace tallygate::cli
