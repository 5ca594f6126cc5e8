// SPDX-License-Identifier: BSD-2-Clause
#include "frontend/control_codec.hpp"

#include <algorithm>
#include <array>
#include <span>

#include "core/text.hpp"
#include "frontend/parameters.hpp"
#include "frontend/series_codec.hpp"

namespace tallygate::frontend {
namespace {

ControlRequest parse_live(Parameters &parameters)
{
    LiveRequest request;
    request.question.block = parameters.required_block();
    request.question.service = parameters.text("service");
    request.question.listener = parameters.listener();
    request.asked = parameters.asked();
    return request;
}

ControlRequest parse_count(Parameters &parameters)
{
    constexpr std::uint32_t window_max = core::Monitor::windows_max - 1;
    constexpr std::uint32_t index_max = 9'999;
    CountRequest request;
    request.question.block = parameters.required_block();
    request.question.monitor_index = parameters.number("index", 0, index_max);
    if (request.question.monitor_index && parameters.text("monitor"))
        parameters.refuse("a count is about a monitor or about its index, not about both");
    if (!request.question.monitor_index)
        request.question.monitor = parameters.required_text("monitor");
    request.question.smooth = parameters.flag("smooth");
    request.question.start = parameters.number("start", 0, window_max).value_or(0);
    request.question.end = parameters.number("end", 0, window_max);
    request.question.event = parameters.event();
    request.question.service = parameters.text("service");
    request.asked = parameters.asked();
    return request;
}

ControlRequest parse_top(Parameters &parameters)
{
    constexpr std::uint32_t rows_max = core::Questions::rows_max;
    TopRequest request;
    request.question.block = parameters.block();
    request.question.service = parameters.text("service");
    request.question.by = parameters.top_by();
    request.question.monitor = parameters.text("monitor");
    request.question.rows_max = parameters.number("rows", 1, rows_max).value_or(10);
    return request;
}

ControlRequest parse_reload(Parameters &parameters)
{
    return ReloadRequest{.remote_address = parameters.address("operator")};
}

template <core::ListKind kind>
ControlRequest parse_add(Parameters &parameters)
{
    return ListAddRequest{.kind = kind,
                          .block = parameters.required_block(),
                          .asked = parameters.asked(),
                          .span = parameters.span("for"),
                          .reason = parameters.reason(),
                          .remote_address = parameters.address("operator")};
}

template <core::ListKind kind>
ControlRequest parse_remove(Parameters &parameters)
{
    return ListRemoveRequest{.kind = kind,
                             .block = parameters.required_block(),
                             .asked = parameters.asked(),
                             .remote_address = parameters.address("operator")};
}

ControlRequest parse_lists(Parameters &parameters)
{
    constexpr std::array kinds = {core::ListKind::allow, core::ListKind::block};
    ListsRequest request;
    request.kind = parameters.one_of("kind", kinds, core::list_kind_name);
    if (const auto rows = parameters.number("rows", 1, ListsRequest::rows_max))
        request.rows = *rows;
    return request;
}

ControlRequest parse_explain(Parameters &parameters)
{
    parameters.required_text("address");
    return ExplainRequest{.address = parameters.address("address").value_or(Address{}),
                          .service = parameters.text("service")};
}

ControlRequest parse_check(Parameters &parameters)
{
    parameters.required_text("address");
    return CheckRequest{{.address = parameters.address("address").value_or(Address{}),
                         .service = parameters.text("service")}};
}

ControlRequest parse_mode(Parameters &parameters)
{
    constexpr std::array modes = {core::Mode::observe, core::Mode::enforce};
    parameters.required_text("mode");
    return ModeRequest{
        .mode = parameters.one_of("mode", modes, core::mode_name).value_or(core::Mode::observe),
        .confirm = parameters.span("confirm"),
        .remote_address = parameters.address("operator")};
}

ControlRequest parse_event(Parameters &parameters)
{
    constexpr auto amount_max = static_cast<std::uint32_t>(core::ReportedWindows::amount_max);
    EventRequest request;
    request.report.event = parameters.reported("name");
    request.report.client = parameters.required_block("address");
    request.report.service = parameters.text("service").value_or("smtp");
    request.report.amount = parameters.number("amount", 1, amount_max).value_or(1);
    request.asked = parameters.asked("address");
    return request;
}

template <typename T>
ControlRequest parse_nothing(Parameters &)
{
    return T{};
}

constexpr std::array<std::string_view, 3> live_parameters = {"cidr", "service", "listener"};
constexpr std::array<std::string_view, 8> count_parameters = {
    "cidr", "monitor", "index", "start", "end", "event", "service", "smooth"};
constexpr std::array<std::string_view, 5> top_parameters = {"cidr", "service", "by", "monitor",
                                                            "rows"};
constexpr std::array<std::string_view, 1> reload_parameters = {"operator"};
constexpr std::array<std::string_view, 4> add_parameters = {"cidr", "for", "reason", "operator"};
constexpr std::array<std::string_view, 2> remove_parameters = {"cidr", "operator"};
constexpr std::array<std::string_view, 2> lists_parameters = {"kind", "rows"};
constexpr std::array<std::string_view, 2> address_parameters = {"address", "service"};
constexpr std::array<std::string_view, 4> event_parameters = {"name", "address", "service",
                                                              "amount"};
constexpr std::array<std::string_view, 3> mode_parameters = {"mode", "confirm", "operator"};

struct Route {
    std::string_view path;
    std::string_view method;
    std::span<const std::string_view> parameters;
    ControlRequest (*parse)(Parameters &);
};

constexpr Route routes[] = {
    {"/v1/live", "GET", live_parameters, parse_live},
    {"/v1/count", "GET", count_parameters, parse_count},
    {"/v1/top", "GET", top_parameters, parse_top},
    {"/v1/networks", "GET", {}, parse_nothing<NetworksRequest>},
    {"/v1/status", "GET", {}, parse_nothing<StatusRequest>},
    {"/v1/lists", "GET", lists_parameters, parse_lists},
    {"/v1/limits", "GET", {}, parse_nothing<LimitsRequest>},
    {"/v1/explain", "GET", address_parameters, parse_explain},
    {"/v1/block", "POST", add_parameters, parse_add<core::ListKind::block>},
    {"/v1/block/remove", "POST", remove_parameters, parse_remove<core::ListKind::block>},
    {"/v1/allow", "POST", add_parameters, parse_add<core::ListKind::allow>},
    {"/v1/allow/remove", "POST", remove_parameters, parse_remove<core::ListKind::allow>},
    {"/v1/check", "GET", address_parameters, parse_check},
    {"/v1/event", "POST", event_parameters, parse_event},
    {"/v1/series", "GET", {}, parse_series_list},
    {"/v1/series", "PUT", series_define_parameters, parse_series_define},
    {"/v1/series", "DELETE", series_undefine_parameters, parse_series_undefine},
    {"/v1/series/add", "POST", series_add_parameters, parse_series_add},
    {"/v1/series/count", "GET", series_count_parameters, parse_series_count},
    {"/v1/series/item", "DELETE", series_item_parameters, parse_series_item},
    {"/v1/series/items", "GET", series_items_parameters, parse_series_items},
    {"/v1/mode", "POST", mode_parameters, parse_mode},
    {"/v1/reload", "POST", reload_parameters, parse_reload},
    {"/metrics", "GET", {}, parse_nothing<MetricsRequest>},
    {"/", "GET", {}, parse_nothing<PageRequest>},
};

ControlRefusal unknown_path(std::string_view path)
{
    ControlRefusal refusal{.status = 404, .message = "there is nothing at this path"};
    if (core::is_printable(path))
        refusal.message = "there is nothing at '" + std::string(path) + "'";
    for (const auto &route : routes)
        if (refusal.known.empty() || refusal.known.back() != route.path)
            refusal.known.emplace_back(route.path);
    return refusal;
}

/// The path is there.
ControlRefusal wrong_method(std::string_view path)
{
    ControlRefusal refusal{.status = 405};
    std::string takes;
    for (const auto &route : routes) {
        if (route.path != path)
            continue;
        const std::string right{route.method};
        takes += (takes.empty() ? "" : " or ") + right;
        refusal.allow +=
            (refusal.allow.empty() ? "" : ", ") + (right == "GET" ? "GET, HEAD" : right);
    }
    refusal.message = std::string(path) + " takes " + takes;
    return refusal;
}

} // namespace

std::variant<ControlRequest, ControlRefusal> parse_control(std::string_view method,
                                                           std::string_view target)
{
    const auto mark = target.find('?');
    const auto path = target.substr(0, mark);
    const auto *const route = std::ranges::find_if(
        routes, [&](const Route &each) { return each.path == path && each.method == method; });

    if (route == std::end(routes))
        return std::ranges::find(routes, path, &Route::path) == std::end(routes)
                   ? unknown_path(path)
                   : wrong_method(path);
    Parameters parameters{mark == std::string_view::npos ? "" : target.substr(mark + 1)};
    parameters.allow_only(route->parameters);
    auto request = route->parse(parameters);
    if (parameters.refusal())
        return *parameters.refusal();
    return request;
}

bool is_for_everybody(const ControlRequest &request)
{
    // Counts, and not whose: a list of keys has people's addresses.
    if (const auto *const series = std::get_if<SeriesRequest>(&request))
        return std::holds_alternative<SeriesListRequest>(*series) ||
               std::holds_alternative<SeriesCountRequest>(*series);
    return std::holds_alternative<LiveRequest>(request) ||
           std::holds_alternative<CountRequest>(request) ||
           std::holds_alternative<TopRequest>(request) ||
           std::holds_alternative<NetworksRequest>(request) ||
           std::holds_alternative<StatusRequest>(request) ||
           std::holds_alternative<MetricsRequest>(request) ||
           std::holds_alternative<PageRequest>(request);
}

bool is_for_policy(const ControlRequest &request)
{
    if (const auto *const series = std::get_if<SeriesRequest>(&request))
        return !std::holds_alternative<SeriesUndefineRequest>(*series);
    return is_for_everybody(request) || std::holds_alternative<EventRequest>(request) ||
           std::holds_alternative<CheckRequest>(request);
}

std::string_view top_by_name(core::TopBy by)
{
    switch (by) {
    case core::TopBy::live:
        return "live";
    case core::TopBy::syn:
        return "syn";
    case core::TopBy::connections:
        break;
    }
    return "connections";
}

} // namespace tallygate::frontend
