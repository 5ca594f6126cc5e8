// SPDX-License-Identifier: BSD-2-Clause
#include "frontend/control_codec.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <span>
#include <utility>

#include "core/policy.hpp"

namespace tallygate::frontend {
namespace {

struct Parameter {
    std::string name;
    std::string value;
};

int hex_digit(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

/// Every name and value of ours is printable ASCII, and what is not must not be echoed.
bool is_printable(std::string_view text)
{
    return std::ranges::all_of(text, [](char each) { return each >= 0x20 && each < 0x7f; });
}

/// Nothing for a broken escape, and for what is not printable.
std::optional<std::string> percent_decoded(std::string_view text)
{
    std::string decoded;

    for (std::size_t i = 0; i < text.size(); i++) {
        char byte = text[i];
        if (byte == '%') {
            const int high = i + 1 < text.size() ? hex_digit(text[i + 1]) : -1;
            const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
            if (high < 0 || low < 0)
                return std::nullopt;
            byte = static_cast<char>(high << 4 | low);
            i += 2;
        }
        decoded += byte;
    }
    if (!is_printable(decoded))
        return std::nullopt;
    return decoded;
}

/// The parameters of a query, taken by name. Remembers the first thing that was wrong, so that
/// a parser reads straight through and looks at refusal() once.
class Parameters {
public:
    explicit Parameters(std::string_view query)
    {
        while (!query.empty()) {
            const auto pair = query.substr(0, query.find('&'));
            query.remove_prefix(std::min(pair.size() + 1, query.size()));
            if (!pair.empty())
                add(pair);
        }
    }

    void allow_only(std::span<const std::string_view> names)
    {
        for (const auto &parameter : parameters_) {
            if (std::ranges::find(names, parameter.name) == names.end()) {
                refuse(ControlRefusal{.message = "unknown parameter '" + parameter.name + "'",
                                      .known = {names.begin(), names.end()}});
            }
        }
    }

    std::optional<std::string> text(std::string_view name)
    {
        const auto found = std::ranges::find(parameters_, name, &Parameter::name);
        if (found == parameters_.end())
            return std::nullopt;
        return found->value;
    }

    std::string required_text(std::string_view name)
    {
        auto value = text(name);
        if (!value)
            refuse("parameter '" + std::string(name) + "' is missing");
        return value.value_or("");
    }

    std::optional<std::uint32_t> number(std::string_view name, std::uint32_t min, std::uint32_t max)
    {
        const auto value = text(name);
        if (!value)
            return std::nullopt;
        std::uint32_t number = 0;
        const auto *const last = value->data() + value->size();
        const auto [end, error] = std::from_chars(value->data(), last, number);
        if (value->empty() || error != std::errc{} || end != last || number < min || number > max)
            refuse("parameter '" + std::string(name) + "': expected a number from " +
                   std::to_string(min) + " to " + std::to_string(max) + ", not '" + *value + "'");
        return number;
    }

    core::Counted event()
    {
        const auto value = text("event");
        const auto event =
            value ? core::parse_counted(*value) : Result<core::Counted>{core::Event::connections};
        if (event)
            return *event;
        refuse({.status = 404, .message = event.error().message, .known = core::counted_names()});
        return core::Event::connections;
    }

    core::Reported reported(std::string_view name)
    {
        const auto value = required_text(name);
        if (const auto event = core::parse_reported(value))
            return *event;
        ControlRefusal refusal{.status = 404,
                               .message = "there is no event '" + value + "' to report"};
        for (std::size_t i = 0; i < core::reported_count; i++)
            refusal.known.emplace_back(core::reported_name(static_cast<core::Reported>(i)));
        refuse(std::move(refusal));
        return core::Reported::receptions;
    }

    std::optional<Block> block(std::string_view name = "cidr")
    {
        const auto value = text(name);
        if (!value)
            return std::nullopt;
        const auto block = Block::parse(*value);
        if (block)
            return *block;
        refuse(block.error().message);
        return std::nullopt;
    }

    Block required_block(std::string_view name = "cidr")
    {
        required_text(name);
        return block(name).value_or(Block::all(Family::ipv4));
    }

    AskedBlock asked(std::string_view name = "cidr")
    {
        const auto value = text(name).value_or("");
        return {value, Block::has_host_bits(value)};
    }

    std::optional<Endpoint> listener()
    {
        const auto value = text("listener");
        if (!value)
            return std::nullopt;
        const auto endpoint = Endpoint::parse(*value);
        if (endpoint)
            return *endpoint;
        refuse(endpoint.error().message);
        return std::nullopt;
    }

    core::TopBy top_by()
    {
        const auto value = text("by");
        constexpr std::array all = {core::TopBy::connections, core::TopBy::live, core::TopBy::syn};
        ControlRefusal refusal;

        for (const auto by : all) {
            if (!value || *value == top_by_name(by))
                return by;
            refusal.known.emplace_back(top_by_name(by));
        }
        refusal.message = "parameter 'by': expected connections, live or syn, not '" + *value + "'";
        refuse(std::move(refusal));
        return core::TopBy::connections;
    }

    std::optional<Address> address(std::string_view name)
    {
        const auto value = text(name);
        return value ? taken(Address::parse(*value)) : std::nullopt;
    }

    std::optional<std::chrono::seconds> span(std::string_view name)
    {
        const auto value = text(name);
        return value ? taken(core::parse_span(*value)) : std::nullopt;
    }

    std::string reason()
    {
        const auto value = text("reason").value_or("");
        if (const auto fits = core::check_reason(value); !fits)
            refuse(fits.error().message);
        return value;
    }

    /// The word of one of `all`, if the parameter is given.
    template <typename T, std::size_t Count>
    std::optional<T> one_of(std::string_view name, const std::array<T, Count> &all,
                            std::string_view (*name_of)(T))
    {
        const auto value = text(name);
        if (!value)
            return std::nullopt;
        ControlRefusal refusal;
        std::string known;
        for (const T each : all) {
            if (*value == name_of(each))
                return each;
            refusal.known.emplace_back(name_of(each));
            known += (known.empty() ? "" : " or ") + refusal.known.back();
        }
        refusal.message =
            "parameter '" + std::string(name) + "': expected " + known + ", not '" + *value + "'";
        refuse(std::move(refusal));
        return std::nullopt;
    }

    const std::optional<ControlRefusal> &refusal() const { return refusal_; }

private:
    void add(std::string_view pair)
    {
        const auto equals = pair.find('=');
        const auto name = percent_decoded(pair.substr(0, equals));
        const auto value = equals == std::string_view::npos
                               ? std::optional<std::string>{""}
                               : percent_decoded(pair.substr(equals + 1));
        if (!name || !value) {
            refuse(
                "the query has a bad percent escape, or a character that is not printable ASCII");
            return;
        }
        if (text(*name))
            refuse("parameter '" + *name + "' is given twice");
        parameters_.push_back({*name, *value});
    }

    template <typename T>
    std::optional<T> taken(const Result<T> &read)
    {
        if (read)
            return *read;
        refuse(read.error().message);
        return std::nullopt;
    }

    void refuse(std::string message) { refuse(ControlRefusal{.message = std::move(message)}); }
    void refuse(ControlRefusal refusal)
    {
        if (!refusal_)
            refusal_ = std::move(refusal);
    }

    std::vector<Parameter> parameters_;
    std::optional<ControlRefusal> refusal_;
};

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
    CountRequest request;
    request.question.block = parameters.required_block();
    request.question.monitor = parameters.required_text("monitor");
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
constexpr std::array<std::string_view, 6> count_parameters = {"cidr", "monitor", "start",
                                                              "end",  "event",   "service"};
constexpr std::array<std::string_view, 5> top_parameters = {"cidr", "service", "by", "monitor",
                                                            "rows"};
constexpr std::array<std::string_view, 1> reload_parameters = {"operator"};
constexpr std::array<std::string_view, 4> add_parameters = {"cidr", "for", "reason", "operator"};
constexpr std::array<std::string_view, 2> remove_parameters = {"cidr", "operator"};
constexpr std::array<std::string_view, 2> lists_parameters = {"kind", "rows"};
constexpr std::array<std::string_view, 2> explain_parameters = {"address", "service"};
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
    {"/v1/explain", "GET", explain_parameters, parse_explain},
    {"/v1/block", "POST", add_parameters, parse_add<core::ListKind::block>},
    {"/v1/block/remove", "POST", remove_parameters, parse_remove<core::ListKind::block>},
    {"/v1/allow", "POST", add_parameters, parse_add<core::ListKind::allow>},
    {"/v1/allow/remove", "POST", remove_parameters, parse_remove<core::ListKind::allow>},
    {"/v1/event", "POST", event_parameters, parse_event},
    {"/v1/mode", "POST", mode_parameters, parse_mode},
    {"/v1/reload", "POST", reload_parameters, parse_reload},
    {"/metrics", "GET", {}, parse_nothing<MetricsRequest>},
    {"/", "GET", {}, parse_nothing<PageRequest>},
};

ControlRefusal unknown_path(std::string_view path)
{
    ControlRefusal refusal{.status = 404, .message = "there is nothing at this path"};
    if (is_printable(path))
        refusal.message = "there is nothing at '" + std::string(path) + "'";
    for (const auto &route : routes)
        refusal.known.emplace_back(route.path);
    return refusal;
}

} // namespace

std::variant<ControlRequest, ControlRefusal> parse_control(std::string_view method,
                                                           std::string_view target)
{
    const auto mark = target.find('?');
    const auto path = target.substr(0, mark);
    const auto *const route = std::ranges::find(routes, path, &Route::path);

    if (route == std::end(routes))
        return unknown_path(path);
    if (method != route->method) {
        const std::string right{route->method};
        return ControlRefusal{.status = 405,
                              .message = std::string(path) + " takes " + right,
                              .allow = right == "GET" ? "GET, HEAD" : right};
    }
    Parameters parameters{mark == std::string_view::npos ? "" : target.substr(mark + 1)};
    parameters.allow_only(route->parameters);
    auto request = route->parse(parameters);
    if (parameters.refusal())
        return *parameters.refusal();
    return request;
}

bool is_for_everybody(const ControlRequest &request)
{
    return std::holds_alternative<LiveRequest>(request) ||
           std::holds_alternative<CountRequest>(request) ||
           std::holds_alternative<TopRequest>(request) ||
           std::holds_alternative<NetworksRequest>(request) ||
           std::holds_alternative<StatusRequest>(request) ||
           std::holds_alternative<MetricsRequest>(request) ||
           std::holds_alternative<PageRequest>(request);
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
