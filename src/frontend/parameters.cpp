// SPDX-License-Identifier: BSD-2-Clause
#include "frontend/parameters.hpp"

#include <algorithm>

#include "base/utf8.hpp"
#include "core/policy.hpp"
#include "core/text.hpp"

namespace tallygate::frontend {
namespace {

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

/// Nothing for a broken escape.
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
    return decoded;
}

/// What names and values may have; what else there is must not be echoed. Keys of series are
/// people's names, in any script.
bool is_allowed(const std::string &name, const std::string &value)
{
    const bool is_key = name == "key" || name == "after";
    return core::is_printable(name) && (is_key ? is_plain_text(value) : core::is_printable(value));
}

} // namespace

Parameters::Parameters(std::string_view query)
{
    while (!query.empty()) {
        const auto pair = query.substr(0, query.find('&'));
        query.remove_prefix(std::min(pair.size() + 1, query.size()));
        if (!pair.empty())
            add(pair);
    }
}

void Parameters::allow_only(std::span<const std::string_view> names)
{
    for (const auto &parameter : parameters_) {
        if (std::ranges::find(names, parameter.name) == names.end()) {
            refuse(ControlRefusal{.message = "unknown parameter '" + parameter.name + "'",
                                  .known = {names.begin(), names.end()}});
        }
    }
}

std::optional<std::string> Parameters::text(std::string_view name) const
{
    const auto found = std::ranges::find(parameters_, name, &Parameter::name);
    if (found == parameters_.end())
        return std::nullopt;
    return found->value;
}

std::string Parameters::required_text(std::string_view name)
{
    auto value = text(name);
    if (!value)
        refuse("parameter '" + std::string(name) + "' is missing");
    return value.value_or("");
}

bool Parameters::flag(std::string_view name)
{
    const auto value = text(name);
    if (!value || *value == "false")
        return false;
    if (*value != "true")
        refuse({.message = "parameter '" + std::string(name) + "': expected true or false, not '" +
                           *value + "'",
                .known = {"true", "false"}});
    return *value == "true";
}

core::Monitor Parameters::required_monitor()
{
    return taken(core::Monitor::parse(required_text("monitor"))).value_or(core::Monitor{1, 1});
}

core::Counted Parameters::event()
{
    const auto value = text("event");
    const auto event =
        value ? core::parse_counted(*value) : Result<core::Counted>{core::Event::connections};
    if (event)
        return *event;
    refuse({.status = 404, .message = event.error().message, .known = core::counted_names()});
    return core::Event::connections;
}

core::Reported Parameters::reported(std::string_view name)
{
    const auto value = required_text(name);
    if (const auto event = core::parse_reported(value))
        return *event;
    ControlRefusal refusal{.status = 404, .message = "there is no event '" + value + "' to report"};
    for (std::size_t i = 0; i < core::reported_count; i++)
        refusal.known.emplace_back(core::reported_name(static_cast<core::Reported>(i)));
    refuse(std::move(refusal));
    return core::Reported::receptions;
}

std::optional<Block> Parameters::block(std::string_view name)
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

Block Parameters::required_block(std::string_view name)
{
    required_text(name);
    return block(name).value_or(Block::all(Family::ipv4));
}

AskedBlock Parameters::asked(std::string_view name) const
{
    const auto value = text(name).value_or("");
    return {value, Block::has_host_bits(value)};
}

std::optional<Endpoint> Parameters::listener()
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

core::TopBy Parameters::top_by()
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

std::optional<Address> Parameters::address(std::string_view name)
{
    const auto value = text(name);
    return value ? taken(Address::parse(*value)) : std::nullopt;
}

std::optional<std::chrono::seconds> Parameters::span(std::string_view name)
{
    const auto value = text(name);
    return value ? taken(core::parse_span(*value)) : std::nullopt;
}

std::string Parameters::reason()
{
    const auto value = text("reason").value_or("");
    if (const auto fits = core::check_reason(value); !fits)
        refuse(fits.error().message);
    return value;
}

void Parameters::add(std::string_view pair)
{
    const auto equals = pair.find('=');
    const auto name = percent_decoded(pair.substr(0, equals));
    const auto value = equals == std::string_view::npos ? std::optional<std::string>{""}
                                                        : percent_decoded(pair.substr(equals + 1));
    if (!name || !value || !is_allowed(*name, *value)) {
        refuse("the query has a bad percent escape, or a character that is not printable ASCII");
        return;
    }
    if (text(*name))
        refuse("parameter '" + *name + "' is given twice");
    parameters_.push_back({*name, *value});
}

void Parameters::refuse(ControlRefusal refusal)
{
    if (!refusal_)
        refusal_ = std::move(refusal);
}

} // namespace tallygate::frontend
