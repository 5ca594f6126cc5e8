// SPDX-License-Identifier: BSD-2-Clause
#include "cli/render.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <array>
#include <ctime>
#include <utility>

namespace tallygate::cli {
namespace {

namespace json = boost::json;

const json::array &array_at(const json::object &object, std::string_view key)
{
    static const json::array none;
    const auto *value = object.if_contains(key);
    return value != nullptr && value->is_array() ? value->get_array() : none;
}

} // namespace

std::string text_at(const json::object &object, std::string_view key)
{
    const auto *value = object.if_contains(key);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
}

double number_at(const json::object &object, std::string_view key)
{
    const auto *value = object.if_contains(key);
    return value != nullptr && value->is_number() ? value->to_number<double>() : 0;
}

bool is_set_at(const json::object &object, std::string_view key)
{
    const auto *value = object.if_contains(key);
    return value != nullptr && value->is_bool() && value->get_bool();
}

const json::object &object_at(const json::object &object, std::string_view key)
{
    static const json::object none;
    const auto *value = object.if_contains(key);
    return value != nullptr && value->is_object() ? value->get_object() : none;
}

std::vector<const json::object *> objects_at(const json::object &object, std::string_view key)
{
    std::vector<const json::object *> objects;
    for (const auto &value : array_at(object, key))
        if (value.is_object())
            objects.push_back(&value.get_object());
    return objects;
}

std::vector<std::string> texts_at(const json::object &object, std::string_view key)
{
    std::vector<std::string> texts;
    for (const auto &value : array_at(object, key))
        if (value.is_string())
            texts.emplace_back(value.get_string());
    return texts;
}

std::string plain_at(const json::object &object, std::string_view key)
{
    const auto *value = object.if_contains(key);
    if (value == nullptr || (!value->is_int64() && !value->is_uint64()))
        return "";
    return json::serialize(*value);
}

std::string grouped_at(const json::object &object, std::string_view key)
{
    std::string text = plain_at(object, key);
    const std::size_t first_digit = text.starts_with('-') ? 1 : 0;

    if (text.empty())
        return "-";
    for (std::size_t at = text.size(); at > first_digit + 3;) {
        at -= 3;
        text.insert(at, 1, ',');
    }
    return text;
}

std::string time_text(double unix_seconds)
{
    const auto time = static_cast<std::time_t>(unix_seconds);
    std::tm parts{};
    std::array<char, 64> buffer;

    ::gmtime_r(&time, &parts);
    return {buffer.data(),
            std::strftime(buffer.data(), buffer.size(), "%Y-%m-%d %H:%M:%S UTC", &parts)};
}

std::string span_text(double seconds)
{
    struct Unit {
        std::int64_t seconds;
        const char *name;
    };
    constexpr Unit units[] = {{86400, " d"}, {3600, " h"}, {60, " min"}, {1, " s"}};
    auto left = static_cast<std::int64_t>(std::max(seconds, 0.0));

    for (const auto &unit : units) {
        if (left < unit.seconds && unit.seconds > 1)
            continue;
        std::string text = std::to_string(left / unit.seconds) + unit.name;
        left %= unit.seconds;
        const auto *smaller = &unit + 1;
        if (smaller != std::end(units) && left / smaller->seconds > 0)
            text += " " + std::to_string(left / smaller->seconds) + smaller->name;
        return text;
    }
    return "";
}

std::string milliseconds_text(double seconds)
{
    return std::to_string(static_cast<std::int64_t>(seconds * 1000 + 0.5));
}

std::string end_at(const json::object &object, std::string_view key)
{
    const auto *value = object.if_contains(key);
    return value != nullptr && value->is_number() ? time_text(number_at(object, key)) : "for good";
}

std::string mode_origin_text(const json::object &mode)
{
    if (text_at(mode, "by") != "control")
        return "";
    std::string text = " (set by control";
    if (const auto user = text_at(mode, "user"); !user.empty())
        text += ", " + user;
    if (const auto *until = mode.if_contains("until"); until != nullptr && until->is_number())
        text += ", until " + end_at(mode, "until") + ", then " + text_at(mode, "then");
    return text + "; configured " + text_at(mode, "configured") + ")";
}

std::string grounds_text(const json::object &entry)
{
    const auto place = text_at(entry, "place");
    const auto reason = text_at(entry, "reason");
    return (place.empty() ? text_at(entry, "origin") : place) +
           (reason.empty() ? "" : ", \"" + reason + "\"");
}

std::string Table::text() const
{
    std::vector<std::size_t> widths(columns_.size());
    for (const auto &row : rows_)
        for (std::size_t i = 0; i < row.size(); i++)
            widths[i] = std::max(widths[i], row[i].size());

    std::string text;
    for (const auto &row : rows_) {
        std::string line;
        for (std::size_t i = 0; i < row.size(); i++) {
            const std::string padding(widths[i] - row[i].size(), ' ');
            line += i > 0 ? "  " : "";
            line += columns_[i] == Align::left ? row[i] + padding : padding + row[i];
        }
        line.erase(line.find_last_not_of(' ') + 1);
        text += line + "\n";
    }
    return text;
}

} // namespace tallygate::cli
