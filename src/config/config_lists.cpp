// SPDX-License-Identifier: BSD-2-Clause
//
// [lists], [[block]] and [[allow]]. The files that they name are read by list_file.hpp.
#include <utility>

#include "config/draft.hpp"
#include "config/rules.hpp"

namespace tallygate::config {
namespace {

constexpr std::uint32_t control_blocks_max = 1U << 20;

/// Blocks that would take too much of the Internet are more likely a slip than a wish. An allow
/// may be of any width: at worst it lets pass.
void check_widths(TableReader &table, const Lists &lists, const std::vector<Placed<Block>> &cidrs)
{
    for (const auto &[block, position] : cidrs) {
        const bool is_ipv4 = block.family() == Family::ipv4;
        const auto widest = is_ipv4 ? lists.widest_ipv4 : lists.widest_ipv6;
        if (lists.is_too_wide(block))
            table.note("cidrs", position,
                       "has " + block.text() + ", which is wider than lists.widest_" +
                           (is_ipv4 ? "ipv4" : "ipv6") + ": expected /" + std::to_string(widest) +
                           " or longer");
    }
}

ListSource read_source(TableReader &table, Draft &draft, std::vector<Placed<Block>> &cidrs)
{
    const std::size_t entries_max = draft.config.gate.lists_max;
    const std::size_t entries_before = draft.list_entries;
    Seen<Block> seen;
    ListSource source;

    source.position = table.position();
    cidrs = table.list("cidrs", block(), seen);
    source.cidrs = values(cidrs);
    if (const auto file = table.find("file", absolute_path(path_bytes_max))) {
        source.file = file->value;
        source.file_position = file->position;
    }
    source.reason = table.value("reason", reason(), source.reason);
    if (const auto until = table.find("until", moment()))
        source.until = until->value;
    draft.list_entries += source.cidrs.size();
    if (entries_before <= entries_max && draft.list_entries > entries_max)
        table.note("cidrs", "makes more entries than gate.lists_max: expected at most " +
                                std::to_string(entries_max));
    return source;
}

void note_if_empty(TableReader &table, const std::string &section)
{
    if (!table.has("cidrs") && !table.has("file"))
        table.note(section + " has neither cidrs nor a file: expected at least one of them");
}

} // namespace

void read_lists(TableReader &table, Draft &draft)
{
    Lists &lists = draft.config.lists;

    lists.widest_ipv4 = table.value("widest_ipv4", number("a number", 0U, 32U), lists.widest_ipv4);
    lists.widest_ipv6 = table.value("widest_ipv6", number("a number", 0U, 128U), lists.widest_ipv6);
    lists.blocks_max =
        table.value("blocks_max", number("a number", 0U, control_blocks_max), lists.blocks_max);
}

void read_block(TableReader &table, Draft &draft)
{
    std::vector<Placed<Block>> cidrs;

    draft.config.blocks.push_back(read_source(table, draft, cidrs));
    check_widths(table, draft.config.lists, cidrs);
    note_if_empty(table, "block");
}

void read_allow(TableReader &table, Draft &draft)
{
    std::vector<Placed<Block>> cidrs;

    draft.config.allows.push_back(read_source(table, draft, cidrs));
    note_if_empty(table, "allow");
}

} // namespace tallygate::config
