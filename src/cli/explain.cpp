// SPDX-License-Identifier: BSD-2-Clause
//
// For a person at three in the morning: first what happens to the next SYN, then why.
#include <boost/json.hpp>

#include <array>
#include <cstdio>

#include "cli/render.hpp"
#include "cli/verb.hpp"

namespace tallygate::cli {
namespace {

using boost::json::object;
using enum Table::Align;

struct Reason {
    std::string_view name;
    const char *words;
};

constexpr Reason reasons[] = {
    {"blocked", "its address is blocked"},
    {"source_rate", "its source sends SYNs too fast"},
    {"source_live", "its source has as many connections open as it may"},
    {"prefix_rate", "addresses around it send SYNs too fast"},
    {"network_rate", "its network sends SYNs too fast"},
    {"network_live", "its network has as many connections open as it may"},
    {"service_rate", "all such sources together send SYNs too fast"},
};

std::string words_of(std::string_view reason)
{
    for (const auto &each : reasons)
        if (each.name == reason)
            return std::string(": ") + each.words;
    return "";
}

std::string verdict_text(const object &service, const std::string &mode)
{
    constexpr std::string_view drop = "drop_";
    constexpr std::string_view would_drop = "would_drop_";
    const auto verdict = text_at(service, "verdict");
    const std::string label = " (" + verdict + ")";

    if (verdict.starts_with(drop))
        return "is DROPPED" + label + words_of(verdict.substr(drop.size()));
    if (verdict.starts_with(would_drop))
        return "passes" + label + words_of(verdict.substr(would_drop.size())) +
               (mode == "enforce" ? ", which is only counted"
                                  : ", and nothing is dropped in mode " + mode);
    return "passes" + label + (is_set_at(service, "allowed") ? ": its address is allowed" : "");
}

std::string verdicts_text(const object &answer)
{
    std::string text;
    for (const auto *service : objects_at(answer, "services"))
        text += text_at(*service, "service") + ": the next SYN from " + text_at(answer, "address") +
                " " + verdict_text(*service, text_at(answer, "mode")) + "\n";
    return text;
}

std::string entry_text(const object &entry, double now)
{
    const bool has_end = entry.contains("until") && entry.at("until").is_number();
    return (text_at(entry, "kind") == "allow" ? "allowed as " : "blocked as ") +
           text_at(entry, "cidr") + (has_end ? " until " : " ") + end_at(entry, "until") +
           (has_end ? " (" + span_text(number_at(entry, "until") - now) + " left)" : "") + ", by " +
           grounds_text(entry);
}

/// "12", or "10 to 14" where it is not known exactly.
std::string bounded_text(const object &number)
{
    return is_set_at(number, "exact")
               ? grouped_at(number, "value")
               : grouped_at(number, "lower") + " to " + grouped_at(number, "upper");
}

std::string counts_text(const object &service)
{
    const auto network = text_at(service, "network");
    return (is_set_at(service, "proven") ? "proven; live " : "claimed; live ") +
           bounded_text(object_at(service, "live")) + "; in " + text_at(service, "monitor") +
           " connections " + bounded_text(object_at(service, "connections")) + ", SYNs " +
           bounded_text(object_at(service, "syn")) +
           (network.empty() ? "; in no network" : "; in network " + network);
}

/// "conforms in 0.5 s", "12 SYNs left", "live 3 of 50"
std::string state_text(const object &limit)
{
    if (!is_set_at(limit, "applies"))
        return "does not hold it";
    const auto verdict = text_at(limit, "verdict");
    const bool only_counts = text_at(limit, "action") == "count";
    std::string text = verdict.empty() ? "conforms" : only_counts ? "only counts it" : "REJECTS it";

    if (const auto wait = number_at(limit, "conforms_in_seconds"); wait > 0) {
        std::array<char, 32> seconds{};
        std::snprintf(seconds.data(), seconds.size(), "%.3f", wait);
        text += ", conforms in " + std::string(seconds.data()) + " s";
    } else if (const auto left = grouped_at(limit, "syns_left"); left != "0") {
        text += ", " + left + " SYNs left";
    }
    if (const auto live_max = plain_at(limit, "live_max"); !live_max.empty())
        text += ", live " + plain_at(limit, "live") + " of " + live_max;
    return text;
}

std::string service_text(const object &service)
{
    std::string text = text_at(service, "service") + ": " + counts_text(service) + "\n";
    Table table{{left, left, left, left}};
    for (const auto *limit : objects_at(service, "limits")) {
        const auto holder = text_at(*limit, "holder");
        table.add({"  " + text_at(*limit, "limit"),
                   text_at(*limit, "scope") + (holder.empty() ? "" : " " + holder),
                   state_text(*limit), text_at(*limit, "place")});
    }
    return text + (table.empty() ? "  no limit\n" : table.text());
}

std::string show(const object &answer)
{
    std::string text = verdicts_text(answer) + "\n";
    const auto entries = objects_at(answer, "entries");
    for (const auto *entry : entries)
        text += entry_text(*entry, number_at(answer, "as_of")) + "\n";
    if (entries.empty())
        text += "on no list\n";
    for (const auto *service : objects_at(answer, "services"))
        text += service_text(*service);
    return text;
}

} // namespace

const Verb explain_verb = {
    .name = "explain",
    .help = "What happens to the next SYN of an address, and why",
    .method = Verb::Method::get,
    .path = "/v1/explain",
    .arguments = {{"ADDRESS", "address", "One address, 192.0.2.1 or 2001:db8::1",
                   Argument::Given::must, check_address},
                  {"--service S", "service", "At this service alone"}},
    .show = show,
};

} // namespace tallygate::cli
