// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/saved_lists.hpp"

#include <boost/json.hpp>

#include <optional>
#include <utility>

#include "core/policy.hpp"

namespace tallygate::daemon {
namespace {

namespace json = boost::json;

constexpr int schema = 1;

std::int64_t nanoseconds(core::UnixTime time)
{
    return time.time_since_epoch().count();
}

std::optional<std::string> text_at(const json::object &object, std::string_view key)
{
    const auto *value = object.if_contains(key);
    if (value == nullptr || !value->is_string())
        return std::nullopt;
    return std::string(value->get_string());
}

std::optional<core::UnixTime> time_at(const json::object &object, std::string_view key)
{
    const auto *value = object.if_contains(key);
    if (value == nullptr || !value->is_int64())
        return std::nullopt;
    return core::UnixTime{std::chrono::nanoseconds{value->get_int64()}};
}

json::object to_object(const core::ListEntry &entry)
{
    const auto &grounds = entry.grounds;
    json::object object{{"kind", core::list_kind_name(grounds.kind)},
                        {"cidr", entry.block.text()},
                        {"reason", grounds.reason},
                        {"added_ns", nanoseconds(grounds.added)}};
    if (grounds.until)
        object["until_ns"] = nanoseconds(*grounds.until);
    return object;
}

/// Nothing for what to_object() does not make. A block without an end is not ours.
std::optional<core::ListEntry> from_value(const json::value &value)
{
    const auto *object = value.if_object();
    if (object == nullptr)
        return std::nullopt;
    const auto kind = text_at(*object, "kind");
    const auto cidr = text_at(*object, "cidr");
    const auto block = Block::parse(cidr.value_or(""));
    const auto added = time_at(*object, "added_ns");
    const bool is_allow = kind == core::list_kind_name(core::ListKind::allow);
    const bool is_block = kind == core::list_kind_name(core::ListKind::block);
    core::ListEntry entry{Block::all(Family::ipv4),
                          {.kind = is_allow ? core::ListKind::allow : core::ListKind::block,
                           .origin = core::ListOrigin::control,
                           .reason = text_at(*object, "reason").value_or(""),
                           .added = added.value_or(core::UnixTime{}),
                           .until = time_at(*object, "until_ns")}};

    if (!(is_allow || is_block) || !block || !added || (is_block && !entry.grounds.until) ||
        !core::check_reason(entry.grounds.reason))
        return std::nullopt;
    entry.block = *block;
    return entry;
}

} // namespace

std::string encode_entries(const std::vector<core::ListEntry> &entries)
{
    std::string text = "{\"schema\":" + std::to_string(schema) + ",\"entries\":[";
    bool is_first = true;
    for (const auto &entry : entries) {
        text += std::exchange(is_first, false) ? "\n" : ",\n";
        text += json::serialize(to_object(entry));
    }
    return text + "\n]}\n";
}

Result<std::vector<core::ListEntry>> decode_entries(std::string_view bytes)
{
    boost::system::error_code error;
    const auto value = json::parse({bytes.data(), bytes.size()}, error);
    if (error)
        return Error{"it is not JSON"};
    const auto *object = value.if_object();
    const auto *version = object != nullptr ? object->if_contains("schema") : nullptr;
    const auto *list = object != nullptr ? object->if_contains("entries") : nullptr;
    if (version == nullptr || *version != schema || list == nullptr || !list->is_array())
        return Error{"it is not what this daemon writes"};

    std::vector<core::ListEntry> entries;
    for (const auto &each : list->get_array()) {
        auto entry = from_value(each);
        if (!entry)
            return Error{"entry " + std::to_string(entries.size() + 1) +
                         " is not what this daemon writes"};
        entries.push_back(std::move(*entry));
    }
    return entries;
}

} // namespace tallygate::daemon
