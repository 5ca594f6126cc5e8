// SPDX-License-Identifier: BSD-2-Clause
//
// Any bytes as a stream of lines: each is a request within its bounds, or a refusal; the answer
// is one printable line.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "frontend/line_codec.hpp"

namespace {

using namespace tallygate;

void require(bool holds)
{
    if (!holds)
        std::abort();
}

void check_line(std::string_view line)
{
    require(line.ends_with('\n'));
    for (const char byte : line.substr(0, line.size() - 1))
        require(byte >= 0x20 && byte < 0x7f);
}

void check(const frontend::LineLive &request)
{
    check_line(frontend::answer_line({}, request.question.block));
}

void check(const frontend::LineCount &request)
{
    require(request.question.start < core::Monitor::windows_max);
    require(request.question.end.value_or(0) < core::Monitor::windows_max);
    check_line(frontend::answer_line({}, request.question.block));
}

void check(const frontend::LineEvent &request)
{
    require(request.report.amount >= 1);
    check_line(frontend::event_line(request.report));
}

void check(const frontend::LineCheck &request)
{
    require(!request.subject.address.text().empty());
}

void check(const frontend::LineSeriesAdd &request)
{
    require(request.amount >= -core::AuditSeries::amount_max);
    require(request.amount <= core::AuditSeries::amount_max);
    require(!request.key.empty());
}

void check(const frontend::LineSeriesCount &request)
{
    require(request.start < core::Monitor::windows_max);
    check_line(
        frontend::series_line({.definition = {.name = request.series.name}, .key = request.key}));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size)
{
    std::string_view input{reinterpret_cast<const char *>(data), size};

    while (const auto first = frontend::first_line(input, true)) {
        require(first->taken > 0 && first->taken <= input.size());
        const auto parsed = frontend::parse_line(first->line);
        if (const auto *refusal = std::get_if<frontend::LineRefusal>(&parsed))
            check_line(frontend::refusal_line(*refusal));
        else
            std::visit([](const auto &each) { check(each); },
                       std::get<frontend::LineRequest>(parsed));
        input.remove_prefix(first->taken);
    }
    require(input.empty());
    return 0;
}
