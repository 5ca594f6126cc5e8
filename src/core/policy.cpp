// SPDX-License-Identifier: BSD-2-Clause
#include "core/policy.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <vector>

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

std::size_t kept_for_protection(const ListPolicy &policy)
{
    return std::min(protection_places, policy.entries_max / 4);
}

Result<void> check_room(const Block &block, ListKind kind, const Lists &lists,
                        const ListPolicy &policy)
{
    const auto kept = kept_for_protection(policy);
    if (lists.size() + kept < policy.entries_max || lists.find_control(block, kind))
        return {};
    return refuse(Refused::no_room, "the lists are full: gate.lists_max gives room for " +
                                        std::to_string(policy.entries_max) + " entries, of which " +
                                        std::to_string(kept) +
                                        " are kept for addresses to be protected");
}

std::string blocks_text(const Lists &lists)
{
    return std::to_string(lists.count(ListKind::block, ListOrigin::control)) +
           " blocks set by control";
}

std::string share_text(Family family)
{
    return family == Family::ipv4 ? "a sixteenth of all IPv4 addresses"
                                  : "a sixteenth of the IPv6 addresses of 2000::/3";
}

bool has_too_many(const Lists &lists, const ListPolicy &policy)
{
    return lists.count(ListKind::block, ListOrigin::control) >= policy.blocks_max;
}

/// What `blocks` hold of a family, where 1 is what all of control's may hold. What lies in
/// another one counts once.
double share_of(std::vector<Block> blocks, Family family)
{
    const auto bits_most =
        static_cast<int>(family == Family::ipv4 ? blocked_bits_ipv4 : blocked_bits_ipv6);
    const Block *outer = nullptr;
    double share = 0;
    std::ranges::sort(blocks);
    for (const auto &block : blocks) {
        if (block.family() != family || (outer != nullptr && outer->contains(block)))
            continue;
        outer = &block;
        share += std::ldexp(1.0, bits_most - static_cast<int>(block.text_length_bits()));
    }
    return share;
}

/// The family of which the blocks of control hold as much as they may.
std::optional<Family> crowded_family(const Lists &lists)
{
    const auto blocks = lists.blocks_of(ListKind::block, ListOrigin::control);
    for (const auto family : {Family::ipv4, Family::ipv6})
        if (share_of(blocks, family) >= 1)
            return family;
    return std::nullopt;
}

Result<void> check_breaker(const Block &block, const Lists &lists, const ListPolicy &policy)
{
    if (lists.find_control(block, ListKind::block))
        return {};
    if (has_too_many(lists, policy))
        return refuse(Refused::by_protection,
                      "the circuit breaker is open: " + blocks_text(lists) +
                          " are in force, and lists.blocks_max allows no more until some of them "
                          "have ended");
    auto blocks = lists.blocks_of(ListKind::block, ListOrigin::control);
    blocks.push_back(block);
    if (share_of(std::move(blocks), block.family()) <= 1)
        return {};
    return refuse(Refused::by_protection, "the circuit breaker is open for " + block.text() +
                                              ": with it the blocks set by control would hold "
                                              "more than " +
                                              share_text(block.family()));
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

std::size_t places_kept(const ListPolicy &policy)
{
    return std::min(policy.entries_max, kept_for_protection(policy) + policy.set_by_control);
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
    if (auto breaker = check_breaker(block, lists, policy); !breaker)
        return breaker;
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
    return has_too_many(lists, policy) || crowded_family(lists);
}

std::string breaker_text(const Lists &lists, const ListPolicy &policy)
{
    const auto family = has_too_many(lists, policy) ? std::nullopt : crowded_family(lists);
    if (!family)
        return blocks_text(lists) +
               " are in force, and no more are taken until there are fewer than " +
               std::to_string(policy.blocks_max);
    return blocks_text(lists) + " hold " + share_text(*family) +
           ", and no more are taken until some of them have ended";
}

std::string grounds_text(const Grounds &grounds)
{
    const std::string where =
        grounds.place.empty() ? std::string(list_origin_name(grounds.origin)) : grounds.place;
    return grounds.reason.empty() ? where : where + " (\"" + grounds.reason + "\")";
}

} // namespace tallygate::core
