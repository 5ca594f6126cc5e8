// SPDX-License-Identifier: BSD-2-Clause
#include "client/answers.hpp"

#include <cstddef>
#include <utility>

// All of Boost.JSON, compiled into this file: libtallygate links no Boost, and shows none.
#include <boost/json/src.hpp>

namespace tallygate::client {
namespace {

namespace json = boost::json;

/// Nothing for what is not one JSON object.
std::optional<json::object> read_object(std::string_view text)
{
    boost::system::error_code error;
    json::value value = json::parse(json::string_view{text.data(), text.size()}, error);
    if (error || !value.is_object())
        return std::nullopt;
    return std::move(value.get_object());
}

std::optional<std::int64_t> integer(const json::object &object, std::string_view name)
{
    const auto *const value = object.if_contains({name.data(), name.size()});
    if (value == nullptr)
        return std::nullopt;
    if (const auto *const number = value->if_int64())
        return *number;
    return std::nullopt;
}

double number_or_zero(const json::object &object, std::string_view name)
{
    const auto *const value = object.if_contains({name.data(), name.size()});
    if (value == nullptr || !value->is_number())
        return 0;
    return value->to_number<double>();
}

std::string text_or_empty(const json::object &object, std::string_view name)
{
    const auto *const value = object.if_contains({name.data(), name.size()});
    const auto *const text = value != nullptr ? value->if_string() : nullptr;
    return text != nullptr ? std::string{text->data(), text->size()} : std::string{};
}

bool is_true(const json::object &object, std::string_view name)
{
    const auto *const value = object.if_contains({name.data(), name.size()});
    const auto *const flag = value != nullptr ? value->if_bool() : nullptr;
    return flag != nullptr && *flag;
}

/// The rows of the array `name`; nothing if it is no array of objects.
template <typename Row, typename Read>
std::optional<std::vector<Row>> rows(const json::object &object, std::string_view name, Read read)
{
    const auto *const value = object.if_contains({name.data(), name.size()});
    const auto *const array = value != nullptr ? value->if_array() : nullptr;
    std::vector<Row> all;
    if (array == nullptr)
        return std::nullopt;
    for (const auto &each : *array) {
        if (!each.is_object())
            return std::nullopt;
        all.push_back(read(each.get_object()));
    }
    return all;
}

std::optional<tallygate_action> read_action(const json::object &object)
{
    constexpr std::pair<std::string_view, tallygate_action> words[] = {
        {"pass", TALLYGATE_PASS},
        {"warn", TALLYGATE_WARN},
        {"mark", TALLYGATE_MARK},
        {"defer", TALLYGATE_DEFER},
        {"disconnect", TALLYGATE_DISCONNECT},
    };
    const auto word = text_or_empty(object, "action");
    for (const auto &[name, action] : words)
        if (word == name)
            return action;
    return std::nullopt;
}

/// With its NUL, and cut if it is too long.
template <std::size_t Bytes>
void copy_text(char (&place)[Bytes], const std::string &text)
{
    place[text.copy(place, Bytes - 1)] = '\0';
}

SeriesItem read_item(const json::object &row)
{
    return {text_or_empty(row, "key"), integer(row, "value").value_or(0)};
}

SeriesDefinition read_definition(const json::object &row)
{
    return {text_or_empty(row, "name"), text_or_empty(row, "type"), text_or_empty(row, "monitor"),
            is_true(row, "persist")};
}

} // namespace

std::optional<tallygate_answer> read_answer(std::string_view text)
{
    const auto object = read_object(text);
    const auto value = object ? integer(*object, "value") : std::nullopt;
    if (!value)
        return std::nullopt;
    tallygate_answer answer{};
    answer.value = *value;
    answer.lower = integer(*object, "lower").value_or(*value);
    answer.upper = integer(*object, "upper").value_or(*value);
    answer.exact = is_true(*object, "exact") ? 1 : 0;
    answer.rate_per_second = number_or_zero(*object, "rate_per_second");
    answer.as_of = number_or_zero(*object, "as_of");
    return answer;
}

std::optional<tallygate_advice> read_advice(std::string_view text)
{
    const auto object = read_object(text);
    const auto action = object ? read_action(*object) : std::nullopt;
    if (!action)
        return std::nullopt;
    tallygate_advice advice{};
    advice.action = *action;
    advice.code = static_cast<unsigned>(integer(*object, "code").value_or(0));
    advice.delay_seconds = static_cast<unsigned>(integer(*object, "delay_seconds").value_or(0));
    const auto *const value = object->if_contains("exceeded");
    const auto *const exceeded = value != nullptr ? value->if_object() : nullptr;
    if (exceeded == nullptr)
        return advice;
    copy_text(advice.check, text_or_empty(*exceeded, "check"));
    copy_text(advice.of, text_or_empty(*exceeded, "of"));
    advice.count = integer(*exceeded, "count").value_or(0);
    advice.max = integer(*exceeded, "max").value_or(0);
    copy_text(advice.text, text_or_empty(*exceeded, "text"));
    return advice;
}

std::optional<SeriesItems> read_items(std::string_view text)
{
    const auto object = read_object(text);
    auto items = object ? rows<SeriesItem>(*object, "items", read_item) : std::nullopt;
    if (!items)
        return std::nullopt;
    const auto total = integer(*object, "total").value_or(0);
    return SeriesItems{std::move(*items), total > 0 ? static_cast<std::uint64_t>(total) : 0};
}

std::optional<std::vector<SeriesDefinition>> read_definitions(std::string_view text)
{
    const auto object = read_object(text);
    return object ? rows<SeriesDefinition>(*object, "series", read_definition) : std::nullopt;
}

std::string read_error(std::string_view text)
{
    const auto object = read_object(text);
    return object ? text_or_empty(*object, "error") : std::string{};
}

} // namespace tallygate::client
