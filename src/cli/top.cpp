// SPDX-License-Identifier: BSD-2-Clause
#include <boost/json.hpp>

#include "cli/render.hpp"
#include "cli/verb.hpp"

namespace tallygate::cli {
namespace {

std::string show(const boost::json::object &answer)
{
    using enum Table::Align;
    const auto rows = objects_at(answer, "rows");
    // Somebody may be connected, and have come before the oldest window.
    if (rows.empty())
        return text_at(answer, "by") == "live"
                   ? "nobody is connected\n"
                   : "nobody came in the windows of " + text_at(answer, "monitor") + "\n";

    Table table{{left, right, right, right}};
    table.add({"SOURCE", "LIVE", "CONNECTIONS", "SYN"});
    for (const auto *row : rows)
        table.add({text_at(*row, "source"), grouped_at(*row, "live"),
                   grouped_at(*row, "connections"), grouped_at(*row, "syn")});
    return table.text() + "\nby " + text_at(answer, "by") +
           "; connections and SYNs of all windows of " + text_at(answer, "monitor") + "\n";
}

} // namespace

const Verb top_verb = {
    .name = "top",
    .help = "The busiest sources",
    .method = Verb::Method::get,
    .path = "/v1/top",
    .arguments = {{"CIDR", "cidr", "Of this block alone", Argument::Given::may, check_block},
                  {"--by WHAT", "by", "connections (the default), live or syn"},
                  {"--rows N", "rows", "At most so many, 1 to 1000; 10 if not given",
                   Argument::Given::may, check_number},
                  {"--service S", "service", "At this service alone"},
                  {"--monitor M", "monitor",
                   "Whose windows to add up; the first configured, if not given"}},
    .show = show,
};

} // namespace tallygate::cli
