// SPDX-License-Identifier: BSD-2-Clause
//
// [anvil]
#include "config/draft.hpp"
#include "config/rules.hpp"

namespace tallygate::config {
namespace {

using namespace std::chrono_literals;

// Postfix has no bound for its own; a window of more than a day is no rate any more.
constexpr std::uint32_t time_unit_max = 86'400;
constexpr std::uint32_t streams_bound = 1U << 17;
constexpr std::uint32_t idents_bound = 1U << 26;

} // namespace

void read_anvil(TableReader &table, Draft &draft)
{
    using CountFrom = Anvil::CountFrom;
    Anvil &anvil = draft.config.anvil;

    anvil.socket = read_socket(table, draft, "anvil", anvil.socket);
    if (const auto unit = table.find("time_unit", number("a number of seconds", 1U, time_unit_max)))
        anvil.time_unit = std::chrono::seconds{unit->value};
    anvil.count_from = table.value(
        "count_from",
        choice<CountFrom>({{"reported", CountFrom::reported}, {"gate", CountFrom::gate}}),
        anvil.count_from);
    anvil.before_3_6 = table.value("before_3_6", flag(), anvil.before_3_6);
    anvil.statistics_interval =
        table.value("statistics_interval", duration(1s, 24h), anvil.statistics_interval);
    anvil.streams_max =
        table.value("streams_max", number("a number", 1U, streams_bound), anvil.streams_max);
    anvil.idents_max =
        table.value("idents_max", number("a number", 1U, idents_bound), anvil.idents_max);
}

} // namespace tallygate::config
