// SPDX-License-Identifier: BSD-2-Clause
#include "core/reports.hpp"

#include <algorithm>
#include <array>

#include "core/ledger.hpp"

namespace tallygate::core {
namespace {

constexpr std::array<std::string_view, reported_count> names = {"receptions", "recipients",
                                                                "rejections", "auth", "tls"};

} // namespace

std::string_view reported_name(Reported event)
{
    return names[static_cast<std::size_t>(event)];
}

std::optional<Reported> parse_reported(std::string_view text)
{
    const auto *const found = std::ranges::find(names, text);
    if (found == names.end())
        return std::nullopt;
    return static_cast<Reported>(found - names.begin());
}

void ReportedEvents::report(const Report &report)
{
    const unsigned bits_max =
        report.client.family() == Family::ipv4 ? 128 : gate_.ipv6_source_bits();
    Report cut = report;

    cut.client = Block{report.client.first(), std::min(report.client.length_bits(), bits_max)};
    ledger_.reported().record(cut, clock_.now());
}

} // namespace tallygate::core
