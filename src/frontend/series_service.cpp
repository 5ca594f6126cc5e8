// SPDX-License-Identifier: BSD-2-Clause
#include "frontend/series_service.hpp"

#include "frontend/control_json.hpp"
#include "frontend/json_text.hpp"

namespace tallygate::frontend {
namespace {

namespace json = boost::json;

json::object definition_object(const core::SeriesDefinition &definition)
{
    return {{"name", definition.name},
            {"type", core::series_type_name(definition.type)},
            {"monitor", definition.monitor.text()},
            {"persist", definition.persist}};
}

json::object item_object(const core::SeriesItem &item)
{
    return {{"key", item.key}, {"value", item.value}};
}

/// {"schema":1,<front>,"name":...,"type":...,"monitor":...,"persist":...}
json::object about(json::object front, const core::SeriesDefinition &definition)
{
    json::object object{{"schema", schema}};
    for (const auto &[key, value] : front)
        object[key] = value;
    for (const auto &[key, value] : definition_object(definition))
        object[key] = value;
    return object;
}

/// A value is exact: a series counts what it is told.
json::object answer_object(const core::SeriesAnswer &answer, core::UnixTime as_of)
{
    auto object = about({{"value", answer.value},
                         {"exact", true},
                         {"lower", answer.value},
                         {"upper", answer.value},
                         {"as_of", seconds(as_of)},
                         {"since", seconds(answer.since)}},
                        answer.definition);
    object["key"] = answer.key;
    object["start"] = answer.start;
    object["end"] = answer.end;
    return object;
}

net::Response response(const json::object &object)
{
    return {.body = line(object)};
}

} // namespace

net::Response SeriesService::answer(const SeriesRequest &request)
{
    return std::visit([this](const auto &each) { return answer_one(each); }, request);
}

net::Response SeriesService::answer_one(const SeriesDefineRequest &request)
{
    const auto defined = series_.define(request.definition, clock_.now());
    if (!defined)
        return refusal(defined.error(), {request.definition.name});
    return response(about({{"done", "defined"}}, request.definition));
}

net::Response SeriesService::answer_one(const SeriesUndefineRequest &request)
{
    const auto undefined = series_.undefine(request.which);
    if (!undefined)
        return refusal(undefined.error(), request.which);
    return response(about({{"done", "undefined"}}, *undefined));
}

net::Response SeriesService::answer_one(const SeriesListRequest &)
{
    return response(
        {{"schema", schema}, {"series", array_of(series_.definitions(), definition_object)}});
}

net::Response SeriesService::answer_one(const SeriesAddRequest &request)
{
    const auto now = clock_.now();
    const auto added = series_.add(request.which, request.key, request.amount, now);
    if (!added)
        return refusal(added.error(), request.which);
    auto object = answer_object(*added, now);
    object["amount"] = request.amount;
    return response(object);
}

net::Response SeriesService::answer_one(const SeriesCountRequest &request)
{
    const auto now = clock_.now();
    const auto answer = series_.count(request.which, request.key, request.start, request.end, now);
    if (!answer)
        return refusal(answer.error(), request.which);
    return response(answer_object(*answer, now));
}

net::Response SeriesService::answer_one(const SeriesItemRequest &request)
{
    const auto removed = series_.remove_item(request.which, request.key);
    if (!removed)
        return refusal(removed.error(), request.which);
    auto object = about({{"done", "removed"}}, removed->definition);
    object["key"] = removed->key;
    return response(object);
}

net::Response SeriesService::answer_one(const SeriesItemsRequest &request)
{
    const auto now = clock_.now();
    const auto page =
        series_.items(request.which, request.start, request.end, request.after, request.rows, now);
    if (!page)
        return refusal(page.error(), request.which);
    auto object =
        about({{"as_of", seconds(now)}, {"since", seconds(page->of.since)}}, page->of.definition);
    object["start"] = page->of.start;
    object["end"] = page->of.end;
    object["total"] = page->items.total;
    object["items"] = array_of(page->items.items, item_object);
    return response(object);
}

net::Response SeriesService::refusal(const Error &error, const core::SeriesName &which) const
{
    net::Response refused{.status = 500, .body = error_json(error.message, {})};

    switch (static_cast<core::Wrong>(error.code)) {
    case core::Wrong::malformed:
        refused.status = 400;
        break;
    case core::Wrong::unknown:
        refused.status = 404;
        refused.body = error_json(error.message, series_.known(which));
        break;
    case core::Wrong::conflict:
        refused.status = 409;
        break;
    }
    return refused;
}

} // namespace tallygate::frontend
