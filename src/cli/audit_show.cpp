// SPDX-License-Identifier: BSD-2-Clause
//
// `audit show ip CIDR`, in the form of Momentum's console, and `audit show all`, as CSV.
#include <boost/json.hpp>

#include <array>
#include <cstdlib>
#include <optional>
#include <utility>

#include "cli/render.hpp"
#include "cli/talk.hpp"
#include "cli/verb.hpp"
#include "client/query.hpp"

namespace tallygate::cli {
namespace {

namespace json = boost::json;

/// Of the console, and of the daemon.
constexpr std::array<std::pair<const char *, const char *>, 3> rows_of_ip = {{
    {"Connections", "connections"},
    {"Receptions", "receptions"},
    {"Rejections", "rejections"},
}};

/// How many windows a monitor keeps: 10 of "60,10".
unsigned long windows_of(const std::string &monitor)
{
    return std::strtoul(monitor.substr(monitor.find(',') + 1).c_str(), nullptr, 10);
}

Outcome show_ip(Talk &talk, const std::string &cidr, bool as_json)
{
    auto status = talk.ask("GET", "/v1/status");
    if (auto *const outcome = std::get_if<Outcome>(&status))
        return std::move(*outcome);
    const auto monitors = texts_at(std::get<Talk::Answer>(status).object, "monitors");
    if (monitors.empty())
        return failure(ExitCode::not_found, "no monitor is configured");

    Outcome shown;
    for (const auto &[label, event] : rows_of_ip) {
        for (const auto &monitor : monitors) {
            for (unsigned long window = 0; window < windows_of(monitor); window++) {
                auto reply = talk.ask("GET", client::Query("/v1/count")
                                                 .with("cidr", cidr)
                                                 .with("monitor", monitor)
                                                 .with("event", event)
                                                 .with("start", std::to_string(window))
                                                 .text());
                if (auto *const outcome = std::get_if<Outcome>(&reply))
                    return std::move(*outcome);
                const auto &answer = std::get<Talk::Answer>(reply);
                shown.out += as_json
                                 ? answer.text
                                 : std::string(label) + " " + monitor.substr(0, monitor.find(',')) +
                                       "/" + std::to_string(window) + ": " +
                                       plain_at(answer.object, "value") + "\n";
            }
        }
    }
    return shown;
}

/// RFC 4180; and what would be a comment where it begins a line of `load`.
std::string csv(const std::string &text)
{
    if (text.find_first_of(",\"\n\r") == std::string::npos && !text.starts_with('#'))
        return text;
    std::string quoted = "\"";
    for (const char each : text)
        quoted += each == '"' ? std::string("\"\"") : std::string(1, each);
    return quoted + "\"";
}

std::string rows_text(const json::object &series, unsigned long window,
                      const std::vector<const json::object *> &items)
{
    std::string text;
    for (const auto *const item : items)
        text += csv(text_at(series, "name")) + "," + csv(text_at(series, "monitor")) + "," +
                std::to_string(window) + "," + csv(text_at(*item, "key")) + "," +
                plain_at(*item, "value") + "\n";
    return text;
}

/// Appends the rows of one window to `shown`, part by part; an outcome if that fails.
std::optional<Outcome> show_window(Talk &talk, const json::object &series, unsigned long window,
                                   Outcome &shown, bool as_json)
{
    std::string after;

    for (bool more = true; more;) {
        client::Query query{"/v1/series/items"};
        query.with("name", text_at(series, "name"))
            .with("monitor", text_at(series, "monitor"))
            .with("type", text_at(series, "type"))
            .with("start", std::to_string(window));
        if (!after.empty())
            query.with("after", after);
        auto reply = talk.ask("GET", query.text());
        if (auto *const outcome = std::get_if<Outcome>(&reply))
            return std::move(*outcome);
        const auto &answer = std::get<Talk::Answer>(reply);
        const auto items = objects_at(answer.object, "items");
        shown.out += as_json ? answer.text : rows_text(series, window, items);
        more = !items.empty() && number_at(answer.object, "total") > double(items.size());
        after = items.empty() ? "" : text_at(*items.back(), "key");
    }
    return std::nullopt;
}

Outcome show_all(Talk &talk, bool as_json)
{
    auto all = talk.ask("GET", "/v1/series");
    if (auto *const outcome = std::get_if<Outcome>(&all))
        return std::move(*outcome);
    Outcome shown;
    if (!as_json)
        shown.out = "series,parameters,window,key,count\n";
    for (const auto *const series : objects_at(std::get<Talk::Answer>(all).object, "series"))
        for (unsigned long window = 0; window < windows_of(text_at(*series, "monitor")); window++)
            if (auto failed = show_window(talk, *series, window, shown, as_json))
                return std::move(*failed);
    return shown;
}

Outcome show(Talk &talk, const Values &values, bool as_json)
{
    const auto &what = values.at("what");
    const auto cidr = values.find("cidr");

    if (what == "all" && cidr == values.end())
        return show_all(talk, as_json);
    if (what != "ip")
        return usage(what == "all" ? "show all takes nothing more"
                                   : "there is no '" + what + "' to show: expected ip or all",
                     talk.verb());
    if (cidr == values.end())
        return usage("show ip takes an address or a block", talk.verb());
    return show_ip(talk, cidr->second, as_json);
}

} // namespace

const Verb audit_show_verb = {
    .name = "show",
    .help = "ip CIDR: all windows of an address or a block; all: all series, as CSV",
    .method = Verb::Method::get,
    .path = "",
    .arguments = {{"WHAT", "what", "ip or all", Argument::Given::must},
                  {"CIDR", "cidr", "192.0.2.0/24, 2001:db8::/32, or one address",
                   Argument::Given::may, check_block}},
    .show = nullptr,
    .group = &audit_group,
    .act = show,
};

} // namespace tallygate::cli
