// SPDX-License-Identifier: BSD-2-Clause
#include <boost/json.hpp>

#include "cli/render.hpp"
#include "cli/verb.hpp"

namespace tallygate::cli {
namespace {

using boost::json::object;
using enum Table::Align;

std::string warnings_text(const object &answer)
{
    std::string text;
    for (const auto &warning : texts_at(answer, "warnings"))
        text += "WARNING: " + warning + "\n";
    return text.empty() ? "" : text + "\n";
}

std::string mode_text(const object &answer)
{
    const auto mode = text_at(answer, "mode");
    const char *meaning = mode == "observe"   ? ": counts, drops nothing"
                          : mode == "enforce" ? ": counts, and drops what limits say"
                                              : "";
    return mode + meaning + (is_set_at(answer, "strict") ? "; strict" : "") +
           mode_origin_text(object_at(answer, "mode_set"));
}

std::string lists_text(const object &lists)
{
    const auto swap = number_at(lists, "swap_seconds_last");
    return "allow " + grouped_at(lists, "allow") + ", block " + grouped_at(lists, "block") + " (" +
           grouped_at(lists, "control_blocks") + " of at most " + grouped_at(lists, "blocks_max") +
           " by control)" +
           (lists.contains("swapped_at") && !lists.at("swapped_at").is_null()
                ? "; last taken anew in " + milliseconds_text(swap) + " ms"
                : "") +
           (is_set_at(lists, "breaker_open") ? "; the circuit breaker is OPEN" : "");
}

std::string reconcile_text(const object &reconcile)
{
    const auto how = text_at(reconcile, "how");
    return (how == "sockets" ? "with the kernel's sockets"
            : how == "idle"  ? "by idle times"
                             : how) +
           "; adopted " + grouped_at(reconcile, "adopted") + ", closed " +
           grouped_at(reconcile, "closed") + ", idle " + grouped_at(reconcile, "idle_closed");
}

std::string facts_text(const object &answer)
{
    Table table{{left, left}};
    table.add({"daemon", text_at(answer, "version") + ", pid " + plain_at(answer, "pid") + ", up " +
                             span_text(number_at(answer, "uptime_seconds"))});
    table.add({"mode", mode_text(answer)});
    if (const auto &lists = object_at(answer, "lists"); !lists.empty())
        table.add({"lists", lists_text(lists)});
    table.add({"counting", "since " + time_text(number_at(answer, "counting_since"))});

    if (const auto *reconcile = answer.if_contains("reconcile");
        reconcile && reconcile->is_object())
        table.add({"reconcile", reconcile_text(reconcile->get_object())});

    const char *label = "attached";
    for (const auto *each : objects_at(answer, "attachments")) {
        const auto note = text_at(*each, "note");
        table.add({label, text_at(*each, "interface") + " " + text_at(*each, "direction") + ", " +
                              text_at(*each, "how") + (note.empty() ? "" : ": " + note)});
        label = "";
    }
    if (objects_at(answer, "attachments").empty())
        table.add({label, "nowhere"});
    return table.text();
}

std::string services_text(const object &answer)
{
    Table table{{left, right, right, right, right, right}};
    table.add({"SERVICE", "LIVE", "OPENED", "CLOSED", "SYN", "DROPPED"});
    for (const auto *service : objects_at(answer, "services"))
        table.add({text_at(*service, "name"), grouped_at(*service, "live"),
                   grouped_at(*service, "opened"), grouped_at(*service, "closed"),
                   grouped_at(*service, "syn"), grouped_at(*service, "dropped")});
    return table.text();
}

std::string tables_text(const object &answer)
{
    Table table{{left, right, right}};
    table.add({"TABLE", "ENTRIES", "MAX"});
    for (const auto *each : objects_at(answer, "tables"))
        table.add({text_at(*each, "name"), grouped_at(*each, "entries"),
                   grouped_at(*each, "entries_max")});
    return table.text();
}

std::string show(const object &answer)
{
    return warnings_text(answer) + facts_text(answer) + "\n" + services_text(answer) + "\n" +
           tables_text(answer);
}

} // namespace

const Verb status_verb = {
    .name = "status",
    .help = "What is guarded, how, and how much of it there is",
    .method = Verb::Method::get,
    .path = "/v1/status",
    .arguments = {},
    .show = show,
};

} // namespace tallygate::cli
