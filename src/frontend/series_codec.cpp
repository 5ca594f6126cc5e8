// SPDX-License-Identifier: BSD-2-Clause
#include "frontend/series_codec.hpp"

namespace tallygate::frontend {
namespace {

constexpr std::array all_types = {core::SeriesType::cidr, core::SeriesType::cidr_ipv6,
                                  core::SeriesType::string};
constexpr std::uint32_t window_max = core::Monitor::windows_max - 1;

core::SeriesName parse_name(Parameters &parameters)
{
    return {.name = parameters.required_text("name"), .monitor = parameters.text("monitor")};
}

core::SeriesName parse_name_and_type(Parameters &parameters)
{
    auto which = parse_name(parameters);
    which.type = parameters.one_of("type", all_types, core::series_type_name);
    return which;
}

} // namespace

ControlRequest parse_series_define(Parameters &parameters)
{
    SeriesDefineRequest request;
    request.definition.name = parameters.required_text("name");
    parameters.required_text("type");
    request.definition.type = parameters.one_of("type", all_types, core::series_type_name)
                                  .value_or(core::SeriesType::cidr);
    request.definition.monitor = parameters.required_monitor();
    request.definition.persist = parameters.flag("persist");
    return SeriesRequest{std::move(request)};
}

ControlRequest parse_series_undefine(Parameters &parameters)
{
    return SeriesRequest{SeriesUndefineRequest{parse_name_and_type(parameters)}};
}

ControlRequest parse_series_list(Parameters &)
{
    return SeriesRequest{SeriesListRequest{}};
}

ControlRequest parse_series_add(Parameters &parameters)
{
    constexpr auto amount_max = core::AuditSeries::amount_max;
    SeriesAddRequest request{.which = parse_name(parameters)};
    request.key = parameters.required_text("key");
    request.amount = parameters.number("amount", -amount_max, amount_max).value_or(1);
    return SeriesRequest{std::move(request)};
}

ControlRequest parse_series_count(Parameters &parameters)
{
    SeriesCountRequest request{.which = parse_name(parameters)};
    request.key = parameters.required_text("key");
    request.start = parameters.number("start", 0, window_max).value_or(0);
    request.end = parameters.number("end", 0, window_max);
    return SeriesRequest{std::move(request)};
}

ControlRequest parse_series_item(Parameters &parameters)
{
    SeriesItemRequest request{.which = parse_name(parameters)};
    request.key = parameters.required_text("key");
    return SeriesRequest{std::move(request)};
}

ControlRequest parse_series_items(Parameters &parameters)
{
    constexpr auto rows_max = static_cast<std::uint32_t>(core::AuditSeries::items_max);
    SeriesItemsRequest request{.which = parse_name_and_type(parameters)};
    request.start = parameters.number("start", 0, window_max).value_or(0);
    request.end = parameters.number("end", 0, window_max);
    request.after = parameters.text("after");
    request.rows = parameters.number("rows", 1, rows_max).value_or(rows_max);
    return SeriesRequest{std::move(request)};
}

} // namespace tallygate::frontend
