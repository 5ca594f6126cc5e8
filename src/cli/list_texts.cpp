// SPDX-License-Identifier: BSD-2-Clause
#include "cli/list_texts.hpp"

#include <boost/json.hpp>

#include "cli/render.hpp"

namespace tallygate::cli {
namespace {

/// "192.0.2.0/24", and what was typed if that was not quite it.
std::string block_text(const boost::json::object &answer)
{
    return text_at(answer, "cidr") +
           (is_set_at(answer, "folded") ? " (of " + text_at(answer, "asked") + ")" : "");
}

} // namespace

std::string show_added(const boost::json::object &answer)
{
    const bool has_end = answer.contains("until") && answer.at("until").is_number();
    return text_at(answer, "kind") + " " + block_text(answer) + (has_end ? " until " : " ") +
           end_at(answer, "until") + "\n";
}

std::string show_removed(const boost::json::object &answer)
{
    return "removed " + text_at(answer, "kind") + " " + block_text(answer) + "\n";
}

std::string show_entries(const boost::json::object &answer)
{
    using enum Table::Align;
    const auto entries = objects_at(answer, "entries");
    if (entries.empty())
        return "no entries\n";

    Table table{{left, left, left, left}};
    table.add({"CIDR", "UNTIL", "FROM", "REASON"});
    for (const auto *entry : entries) {
        const auto place = text_at(*entry, "place");
        table.add({text_at(*entry, "cidr"), end_at(*entry, "until"),
                   place.empty() ? text_at(*entry, "origin") : place, text_at(*entry, "reason")});
    }
    const auto shown = static_cast<double>(entries.size());
    const auto total = number_at(answer, "total");
    if (total <= shown)
        return table.text();
    const boost::json::object more{{"more", static_cast<std::int64_t>(total - shown)}};
    return table.text() + "\nand " + grouped_at(more, "more") + " more\n";
}

} // namespace tallygate::cli
