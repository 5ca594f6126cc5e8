// SPDX-License-Identifier: BSD-2-Clause
//
// The line protocol: one line asks, one line of logfmt answers. For shells, nc and mail servers
// that can write to a socket and read a line. Pure functions; docs/line.md is their contract.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/address.hpp"
#include "core/checks.hpp"
#include "core/question.hpp"
#include "core/reports.hpp"
#include "core/series.hpp"

namespace tallygate::frontend {

/// Without its end.
inline constexpr std::size_t line_bytes_max = 1024;

struct LineLive {
    core::LiveQuestion question;
};

struct LineCount {
    core::CountQuestion question;
};

struct LineEvent {
    core::Report report;
};

struct LineCheck {
    core::CheckSubject subject;
};

struct LineSeriesAdd {
    core::SeriesName series;
    std::string key;
    std::int64_t amount = 1;
};

struct LineSeriesCount {
    core::SeriesName series;
    std::string key;
    std::uint32_t start = 0;
    std::optional<std::uint32_t> end = {};
};

using LineRequest =
    std::variant<LineLive, LineCount, LineEvent, LineCheck, LineSeriesAdd, LineSeriesCount>;

struct LineRefusal {
    std::string message = {};
    std::vector<std::string> known = {}; ///< what would have been right, if that is a list
};

/// One request, without its end. The service of a report is "smtp" unless it is given.
std::variant<LineRequest, LineRefusal> parse_line(std::string_view line);

/// How much of `input` is its first request and its end, and the request itself: up to a
/// newline, or to the end of the stream. Nothing if more must come.
struct FirstLine {
    std::string_view line;
    std::size_t taken = 0;
};
std::optional<FirstLine> first_line(std::string_view input, bool ended);

std::string answer_line(const core::Answer &answer, const Block &block);
/// "action=disconnect code=421 delay=10 ...", and what would be found if all checks acted.
std::string check_line(const core::CheckDecision &decision);
std::string series_line(const core::SeriesAnswer &answer);
std::string event_line(const core::Report &report);
std::string refusal_line(const LineRefusal &refusal);

} // namespace tallygate::frontend
