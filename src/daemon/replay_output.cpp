// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/replay_output.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <iomanip>
#include <ios>
#include <sstream>
#include <tuple>
#include <utility>
#include <vector>

namespace tallygate::daemon {
namespace {

using boost::json::array;
using boost::json::object;
using kernel::ReplayCounts;
using kernel::ReplayReport;
using kernel::ReplaySource;

constexpr const char *verdict_labels[TG_VERDICT_COUNT] = {"undecided",
#define TG_LABEL(name, action, label) label,
                                                          TG_VERDICTS(TG_LABEL)
#undef TG_LABEL
};

using SourceRow = std::pair<ReplaySource, ReplayCounts>;

/// Those that opened most come first, then those that sent most SYNs.
std::vector<SourceRow> sorted_sources(const ReplayReport &report)
{
    std::vector<SourceRow> rows(report.sources.begin(), report.sources.end());

    std::ranges::stable_sort(rows, [](const auto &one, const auto &other) {
        return std::tie(one.second.opened, one.second.syn) >
               std::tie(other.second.opened, other.second.syn);
    });
    return rows;
}

std::string source_text(const Address &address, unsigned ipv6_source_bits)
{
    return address.is_ipv4() || ipv6_source_bits == 128 ? address.text()
                                                        : Block{address, ipv6_source_bits}.text();
}

object counts_json(const ReplayCounts &counts)
{
    return {
        {"syn", counts.syn},
        {"opened", counts.opened},
        {"closed",
         {{"fin", counts.closed_fin}, {"rst", counts.closed_rst}, {"other", counts.closed_other}}},
        {"live", counts.live()},
        {"dropped", counts.dropped},
        {"would_drop", counts.would_drop}};
}

array limits_json(const std::vector<core::LimitCounts> &limits)
{
    array rows;
    for (const auto &limit : limits)
        rows.push_back(
            {{"name", limit.name}, {"dropped", limit.dropped}, {"would_drop", limit.would_drop}});
    return rows;
}

/// A name and a number, and what it means; the numbers stand under each other.
class Lines {
public:
    void add(const std::string &name, std::uint64_t number, const std::string &meaning = "")
    {
        text_ << std::left << std::setw(22) << name << std::right << std::setw(14) << number;
        text_ << (meaning.empty() ? "" : "  " + meaning) << "\n";
    }

    void add_counts(const std::string &name, const ReplayCounts &counts)
    {
        text_ << std::left << std::setw(40) << name << std::right;
        for (const auto number :
             {counts.syn, counts.opened, counts.closed_fin, counts.closed_rst, counts.closed_other,
              counts.live(), counts.dropped, counts.would_drop})
            text_ << std::setw(10) << number;
        text_ << "\n";
    }

    void add_limit(const core::LimitCounts &limit)
    {
        text_ << std::left << std::setw(40) << limit.name << std::right << std::setw(10)
              << limit.dropped << std::setw(12) << limit.would_drop << "\n";
    }

    void add_header(const std::string &name)
    {
        text_ << "\n" << std::left << std::setw(40) << name << std::right;
        for (const auto *title :
             {"SYN", "OPENED", "FIN", "RST", "OTHER", "LIVE", "DROPPED", "WOULD"})
            text_ << std::setw(10) << title;
        text_ << "\n";
    }

    void add_line(const std::string &line) { text_ << line << "\n"; }

    std::string text() const { return text_.str(); }

private:
    std::ostringstream text_;
};

void add_totals(Lines &lines, const ReplaySummary &summary)
{
    const auto &report = summary.report;
    const auto &total = report.total;

    lines.add("packets", report.packets);
    lines.add("skipped", report.skipped, "cut by the capture within their headers");
    lines.add("syn", total.syn);
    lines.add("opened", total.opened);
    lines.add("closed", total.closed(),
              "fin " + std::to_string(total.closed_fin) + ", rst " +
                  std::to_string(total.closed_rst) + ", other " +
                  std::to_string(total.closed_other));
    lines.add("live", total.live(), "open at the end");
    lines.add("dropped", report.dropped, "by lists and limits");
    lines.add("would drop", report.would_drop, "in mode enforce with strict");
    lines.add_line("mode                  " + std::string{core::mode_name(summary.mode)});
    lines.add_line("program               " + summary.program_tag + " ingress, " +
                   summary.egress_program_tag + " egress");
}

} // namespace

object replay_json(const ReplaySummary &summary)
{
    const auto &report = summary.report;
    object answer{{"schema", 1}, {"packets", report.packets}, {"skipped", report.skipped}};
    object verdicts;
    object services;

    for (auto &[key, value] : counts_json(report.total))
        answer[key] = value;
    for (std::size_t verdict = 1; verdict < TG_VERDICT_COUNT; verdict++)
        verdicts[verdict_labels[verdict]] = report.verdicts[verdict];
    for (const auto &[name, counts] : report.services)
        services[name] = counts_json(counts);
    answer["verdicts"] = std::move(verdicts);
    answer["services"] = std::move(services);
    // Of all packets, where the other counts have SYNs alone.
    answer["dropped"] = report.dropped;
    answer["would_drop"] = report.would_drop;
    answer["limits"] = limits_json(report.limits);
    answer["mode"] = core::mode_name(summary.mode);
    answer["program_tag"] = summary.program_tag;
    answer["egress_program_tag"] = summary.egress_program_tag;
    if (summary.by_source) {
        array sources;
        for (const auto &[source, counts] : sorted_sources(report)) {
            object row{{"source", source_text(source.address, summary.ipv6_source_bits)},
                       {"service", source.service}};
            for (auto &[key, value] : counts_json(counts))
                row[key] = value;
            sources.push_back(std::move(row));
        }
        answer["sources"] = std::move(sources);
    }
    if (!summary.error.empty())
        answer["error"] = summary.error;
    return answer;
}

std::string replay_text(const ReplaySummary &summary)
{
    const auto &report = summary.report;
    Lines lines;

    add_totals(lines, summary);
    lines.add_line("\nVERDICT                      PACKETS");
    for (std::size_t verdict = 1; verdict < TG_VERDICT_COUNT; verdict++)
        if (report.verdicts[verdict] != 0)
            lines.add(verdict_labels[verdict], report.verdicts[verdict]);
    if (!report.limits.empty())
        lines.add_line("\nLIMIT                                      DROPPED  WOULD DROP");
    for (const auto &limit : report.limits)
        lines.add_limit(limit);
    lines.add_header("SERVICE");
    for (const auto &[name, counts] : report.services)
        lines.add_counts(name, counts);
    if (!summary.by_source)
        return lines.text();
    lines.add_header("SOURCE");
    for (const auto &[source, counts] : sorted_sources(report))
        lines.add_counts(
            source_text(source.address, summary.ipv6_source_bits) + " " + source.service, counts);
    return lines.text();
}

} // namespace tallygate::daemon
