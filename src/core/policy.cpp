// SPDX-License-Identifier: BSD-2-Clause
#include "core/policy.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>

namespace tallygate::core {
namespace {

Error refuse(Refused why, std::string sentence)
{
    return {std::move(sentence), static_cast<int>(why)};
}

/// Seconds in what the last letter of a span says, or 0.
std::int64_t unit_of(char letter)
{
    switch (letter) {
    case 's':
        return 1;
    case 'm':
        return 60;
    case 'h':
        return 3'600;
    case 'd':
        return 86'400;
    default:
        return 0;
    }
}

Result<void> check_room(const Block &block, ListKind kind, const Lists &lists,
                        const ListPolicy &policy)
{
    if (lists.size() < policy.entries_max || lists.find_control(block, kind))
        return {};
    return refuse(Refused::no_room, "the lists are full: gate.lists_max gives room for " +
                                        std::to_string(policy.entries_max) + " entries");
}

} // namespace

Result<std::chrono::seconds> parse_span(std::string_view text)
{
    const auto wrong = [&] {
        return refuse(Refused::malformed,
                      "'" + std::string(text) +
                          "' is not a span of time: expected 1s to 366d, such as 90s, 10m, 1h, 7d");
    };
    std::int64_t number = 0;
    const auto *const last = text.data() + text.size();
    const auto [end, error] = std::from_chars(text.data(), last, number);
    const bool has_unit = end != last;

    if (error != std::errc{} || (has_unit && end + 1 != last))
        return wrong();
    const std::int64_t unit = has_unit ? unit_of(*end) : 1;
    if (unit == 0 || number < 1 || number > span_max.count() / unit)
        return wrong();
    return std::chrono::seconds{number * unit};
}

Result<void> check_reason(std::string_view reason)
{
    const auto is_printable = [](char each) { return each >= 0x20 && each < 0x7f; };
    if (!std::ranges::all_of(reason, is_printable))
        return refuse(Refused::malformed, "the reason has a character that is not printable ASCII");
    if (reason.size() > reason_bytes_max)
        return refuse(Refused::malformed, "the reason has " + std::to_string(reason.size()) +
                                              " bytes: at most " +
                                              std::to_string(reason_bytes_max) + " are kept");
    return {};
}

Result<void> check_width(const Block &block, const ListPolicy &policy)
{
    const bool is_ipv4 = block.family() == Family::ipv4;
    const unsigned widest = is_ipv4 ? policy.widest_ipv4 : policy.widest_ipv6;
    if (block.text_length_bits() >= widest)
        return {};
    return refuse(Refused::by_protection, block.text() + " is wider than /" +
                                              std::to_string(widest) + ", the widest that lists." +
                                              (is_ipv4 ? "widest_ipv4" : "widest_ipv6") +
                                              " lets anybody block");
}

Result<void> may_block(const Block &block, const Lists &lists, const ListPolicy &policy,
                       UnixTime now)
{
    if (auto width = check_width(block, policy); !width)
        return width;
    if (const auto entry = lists.find_overlap(block, ListOrigin::protection))
        return refuse(Refused::by_protection,
                      block.text() + (entry->block.contains(block) ? " is in " : " covers ") +
                          entry->block.text() + ", which is protected: " + entry->grounds.reason);
    if (const auto entry = lists.find_cover(block, ListKind::allow, now))
        return refuse(Refused::by_protection,
                      block.text() + " is allowed by the entry " + entry->block.text() + " of " +
                          grounds_text(entry->grounds) + ", and allow beats block");
    const bool is_further = !lists.find_control(block, ListKind::block);
    if (is_further && is_breaker_open(lists, policy))
        return refuse(Refused::by_protection,
                      "the circuit breaker is open: " +
                          std::to_string(lists.count(ListKind::block, ListOrigin::control)) +
                          " blocks set by control are in force, and lists.blocks_max allows no "
                          "more until some of them have ended");
    return check_room(block, ListKind::block, lists, policy);
}

Result<void> may_allow(const Block &block, const Lists &lists, const ListPolicy &policy)
{
    return check_room(block, ListKind::allow, lists, policy);
}

std::optional<UnixTime> end_of(ListKind kind, std::optional<std::chrono::seconds> span,
                               UnixTime now)
{
    if (span)
        return now + *span;
    if (kind == ListKind::block)
        return now + block_span_default;
    return std::nullopt;
}

bool is_breaker_open(const Lists &lists, const ListPolicy &policy)
{
    return lists.count(ListKind::block, ListOrigin::control) >= policy.blocks_max;
}

std::string grounds_text(const Grounds &grounds)
{
    const std::string where =
        grounds.place.empty() ? std::string(list_origin_name(grounds.origin)) : grounds.place;
    return grounds.reason.empty() ? where : where + " (\"" + grounds.reason + "\")";
}

} // namespace tallygate::core
