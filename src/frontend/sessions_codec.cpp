// SPDX-License-Identifier: BSD-2-Clause
#include "frontend/sessions_codec.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <array>
#include <utility>

#include "frontend/json_text.hpp"

namespace tallygate::frontend {
namespace {

namespace json = boost::json;
using Code = SessionsRefusal::Code;

constexpr std::size_t session_bytes_max = 128;
constexpr std::size_t domain_bytes_max = 255;
constexpr std::size_t client_bytes_max = 128;
constexpr std::size_t id_bytes_max = 64;
constexpr std::size_t service_bytes_max = 63;
constexpr std::size_t blocks_max = 16;
constexpr std::size_t nesting_max = 4;
/// Ids beyond it are not the same after a round through JavaScript.
constexpr std::uint64_t integer_max = (std::uint64_t{1} << 53) - 1;

/// The fields of one request, each asked for once. The first mistake stays, and what is asked
/// for afterwards is empty: look at the end.
class Fields {
public:
    explicit Fields(const json::object &object) : object_(object) {}

    const json::value *find(std::string_view name)
    {
        asked_.push_back(name);
        return object_.if_contains(name);
    }

    std::optional<std::string> find_text(std::string_view name, std::size_t bytes_max)
    {
        const auto *value = find(name);
        if (value == nullptr)
            return std::nullopt;
        const auto *text = value->if_string();
        if (text == nullptr || text->empty() || text->size() > bytes_max) {
            wrong(name, "a text of 1 to " + std::to_string(bytes_max) + " bytes");
            return std::nullopt;
        }
        return std::string(text->begin(), text->end());
    }

    std::string text(std::string_view name, std::size_t bytes_max)
    {
        auto found = find_text(name, bytes_max);
        if (!found)
            wrong(name, "a text of 1 to " + std::to_string(bytes_max) + " bytes");
        return std::move(found).value_or(std::string{});
    }

    /// A word: text() of letters, digits and - _ . alone.
    std::string word(std::string_view name, std::size_t bytes_max)
    {
        auto found = text(name, bytes_max);
        const auto is_right = [](unsigned char byte) {
            return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
                   (byte >= 'A' && byte <= 'Z') || byte == '-' || byte == '_' || byte == '.';
        };
        if (!std::all_of(found.begin(), found.end(), is_right))
            wrong(name, "a word of letters, digits and - _ .");
        return found;
    }

    std::optional<std::uint64_t> find_number(std::string_view name, std::uint64_t min,
                                             std::uint64_t max)
    {
        const auto *value = find(name);
        if (value == nullptr)
            return std::nullopt;
        const auto number = value->is_int64() && value->get_int64() >= 0
                                ? std::optional{static_cast<std::uint64_t>(value->get_int64())}
                                : std::nullopt;
        if (number && *number >= min && *number <= max)
            return number;
        wrong(name, "a whole number from " + std::to_string(min) + " to " + std::to_string(max));
        return std::nullopt;
    }

    std::uint64_t number(std::string_view name, std::uint64_t min, std::uint64_t max)
    {
        const auto found = find_number(name, min, max);
        if (!found)
            wrong(name,
                  "a whole number from " + std::to_string(min) + " to " + std::to_string(max));
        return found.value_or(min);
    }

    Address address(std::string_view name)
    {
        const auto text = this->text(name, 64);
        const auto parsed = Address::parse(text);
        if (!parsed)
            wrong(name, "an IPv4 or IPv6 address");
        return parsed ? *parsed : Address{};
    }

    /// The elements of an array of at most blocks_max; none if it is absent.
    const json::array &list(std::string_view name, std::string_view expected)
    {
        static const json::array none;
        const auto *value = find(name);
        if (value == nullptr)
            return none;
        const auto *array = value->if_array();
        if (array != nullptr && !array->empty() && array->size() <= blocks_max)
            return *array;
        wrong(name, "1 to " + std::to_string(blocks_max) + " " + std::string(expected));
        return none;
    }

    void wrong(std::string_view name, const std::string &expected)
    {
        if (mistake_.empty())
            mistake_ = "\"" + std::string(name) + "\": expected " + expected;
    }

    /// What is wrong, also with names that nobody asked for; empty if nothing is.
    std::string finish()
    {
        for (const auto &member : object_) {
            if (!mistake_.empty())
                break;
            if (std::find(asked_.begin(), asked_.end(), member.key()) == asked_.end())
                mistake_ = "it has a field that is not known here";
        }
        return std::move(mistake_);
    }

private:
    const json::object &object_;
    std::vector<std::string_view> asked_;
    std::string mistake_;
};

std::string lower_case(std::string text)
{
    for (char &byte : text)
        if (byte >= 'A' && byte <= 'Z')
            byte = static_cast<char>(byte - 'A' + 'a');
    return text;
}

RequestId read_id(Fields &fields)
{
    const auto *id = fields.find("id");

    if (id == nullptr)
        return {};
    if (id->is_int64() && id->get_int64() >= 0 &&
        static_cast<std::uint64_t>(id->get_int64()) <= integer_max)
        return std::to_string(id->get_int64());
    if (const auto *text = id->if_string(); text != nullptr && text->size() <= id_bytes_max)
        return json::serialize(*text);
    fields.wrong("id", "a whole number, or a text of at most 64 bytes");
    return {};
}

std::vector<Block> read_prefixes(Fields &fields, const Address &address)
{
    const std::int64_t bits = address.is_ipv4() ? 32 : 128;
    std::vector<Block> blocks;

    for (const auto &each : fields.list("prefixes", "prefix lengths")) {
        if (!each.is_int64() || each.get_int64() < 0 || each.get_int64() > bits)
            fields.wrong("prefixes", "lengths from 0 to " + std::to_string(bits));
        else
            blocks.emplace_back(address, static_cast<unsigned>(each.get_int64() + 128 - bits));
    }
    return blocks;
}

std::vector<Block> read_blocks(Fields &fields)
{
    std::vector<Block> blocks;

    for (const auto &each : fields.list("blocks", "CIDR blocks")) {
        const auto *text = each.if_string();
        const auto block = Block::parse(text != nullptr ? std::string_view(*text) : "");
        if (block)
            blocks.push_back(*block);
        else
            fields.wrong("blocks", "CIDR blocks such as \"192.0.2.0/24\"");
    }
    return blocks;
}

/// Those of the address by its prefixes, and then any others; if none are given, the address.
std::vector<Block> read_blocks_around(Fields &fields, const Address &address)
{
    auto blocks = read_prefixes(fields, address);
    const auto others = read_blocks(fields);

    blocks.insert(blocks.end(), others.begin(), others.end());
    if (blocks.empty())
        blocks.emplace_back(address, 128U);
    return blocks;
}

OpenRequest read_open(Fields &fields)
{
    OpenRequest open;

    open.session = fields.text("session", session_bytes_max);
    open.address = fields.address("address");
    open.blocks = read_blocks_around(fields, open.address);
    return open;
}

DeliverRequest read_deliver(Fields &fields)
{
    DeliverRequest deliver;

    deliver.session = fields.text("session", session_bytes_max);
    deliver.domain = lower_case(fields.text("domain", domain_bytes_max));
    deliver.max = fields.find_number("max", 0, Rates::limit_max);
    return deliver;
}

RateRequest read_rate(Fields &fields)
{
    constexpr auto span_max = static_cast<std::uint64_t>(Rates::span_max.count());
    Rates::Wanted wanted;

    wanted.rate = fields.word("rate", Rates::rate_bytes_max);
    wanted.key = fields.text("key", Rates::key_bytes_max);
    wanted.limit = fields.number("limit", 1, Rates::limit_max);
    wanted.span = std::chrono::seconds{fields.number("span", 1, span_max)};
    wanted.amount = fields.find_number("amount", 0, Rates::amount_max).value_or(1);
    if (const auto charge = fields.find_text("charge", 16)) {
        if (*charge == "conforming")
            wanted.charge = Rates::Charge::conforming;
        else if (*charge != "always")
            fields.wrong("charge", "\"always\" or \"conforming\"");
    }
    return {std::move(wanted)};
}

ReportRequest read_report(Fields &fields)
{
    ReportRequest report;

    const auto event = core::parse_reported(fields.text("event", 32));
    if (!event)
        fields.wrong("event",
                     "\"receptions\", \"recipients\", \"rejections\", \"auth\" or \"tls\"");
    report.event = event.value_or(core::Reported::receptions);
    report.address = fields.address("address");
    if (fields.find("service") != nullptr)
        report.service = fields.word("service", service_bytes_max);
    report.amount = fields.find_number("amount", 1, Rates::amount_max).value_or(1);
    return report;
}

HelloRequest read_hello(Fields &fields)
{
    HelloRequest hello;

    hello.version = static_cast<unsigned>(fields.number("version", 1, 1'000'000));
    hello.client = fields.find_text("client", client_bytes_max).value_or("");
    for (char &byte : hello.client)
        if (byte < 0x20 || byte > 0x7e)
            byte = '?';
    return hello;
}

CloseRequest read_close(Fields &fields)
{
    return {fields.text("session", session_bytes_max)};
}

BlocksRequest read_live(Fields &fields)
{
    if (fields.find("address") != nullptr)
        return {read_blocks_around(fields, fields.address("address"))};
    auto blocks = read_blocks(fields);
    if (blocks.empty())
        fields.wrong("address", "an address, or blocks");
    return {std::move(blocks)};
}

using What = decltype(SessionsRequest::what);

template <typename T, T (*read)(Fields &)>
What read_as(Fields &fields)
{
    return read(fields);
}

struct Verb {
    std::string_view name;
    What (*read)(Fields &);
};

constexpr std::array verbs{
    Verb{"hello", read_as<HelloRequest, read_hello>},
    Verb{"open", read_as<OpenRequest, read_open>},
    Verb{"deliver", read_as<DeliverRequest, read_deliver>},
    Verb{"close", read_as<CloseRequest, read_close>},
    Verb{"live", read_as<BlocksRequest, read_live>},
    Verb{"rate", read_as<RateRequest, read_rate>},
    Verb{"report", read_as<ReportRequest, read_report>},
};

/// The beginning of an answer. An error may belong to a request that had no id.
json::object answer(const RequestId &id)
{
    json::object object;

    if (!id.empty())
        object["id"] = json::parse(id);
    return object;
}

json::array numbers_of(const std::vector<std::uint64_t> &numbers)
{
    return json::array(numbers.begin(), numbers.end());
}

json::object answer_with(const RequestId &id, const SessionsLive &counts)
{
    auto object = answer(id);
    object["live"] = numbers_of(counts.live);
    if (!counts.told.empty())
        object["told"] = numbers_of(counts.told);
    return object;
}

} // namespace

std::string_view sessions_code_name(Code code)
{
    constexpr std::array<std::string_view, 5> names{"malformed", "wrong", "version", "full",
                                                    "failed"};
    return names.at(static_cast<std::size_t>(code));
}

std::variant<SessionsRequest, SessionsRefusal> parse_sessions_line(std::string_view line)
{
    json::error_code error;
    json::parse_options options;

    options.max_depth = nesting_max;
    const auto value = json::parse(line, error, {}, options);
    if (error || !value.is_object())
        return SessionsRefusal{Code::malformed, "this is no line with one JSON object"};

    Fields fields{value.get_object()};
    auto id = read_id(fields);
    const auto name = fields.text("do", 32);
    const auto verb = std::find_if(verbs.begin(), verbs.end(),
                                   [&](const Verb &each) { return each.name == name; });
    if (verb == verbs.end()) {
        fields.wrong("do", "hello, open, deliver, close, live, rate or report");
        return SessionsRefusal{Code::wrong, fields.finish(), std::move(id)};
    }
    auto what = verb->read(fields);
    if (auto mistake = fields.finish(); !mistake.empty())
        return SessionsRefusal{Code::wrong, std::move(mistake), std::move(id)};
    return SessionsRequest{std::move(id), std::move(what)};
}

std::string sessions_greeting(std::string_view daemon_version, std::string_view count_from)
{
    return line({{"hello", "tallygate-sessions"},
                 {"version", sessions_version},
                 {"daemon", daemon_version},
                 {"count_from", count_from}});
}

std::string sessions_done(const RequestId &id)
{
    auto object = answer(id);
    object["done"] = true;
    return line(object);
}

std::string sessions_live(const RequestId &id, const SessionsLive &counts)
{
    return line(answer_with(id, counts));
}

std::string sessions_opened(const RequestId &id, const SessionsLive &counts, bool is_allowed)
{
    auto object = answer_with(id, counts);
    object["allowed"] = is_allowed;
    return line(object);
}

std::string sessions_delivery(const RequestId &id, std::uint64_t live, bool opened)
{
    auto object = answer(id);
    object["live"] = json::array{live};
    object["opened"] = opened;
    return line(object);
}

std::string sessions_rate(const RequestId &id, const Rates::Taken &taken)
{
    auto object = answer(id);
    object["count"] = taken.count;
    object["over"] = taken.over;
    object["retry_ms"] = taken.retry.count();
    return line(object);
}

std::string sessions_refused(const SessionsRefusal &refusal)
{
    auto object = answer(refusal.id);
    object["error"] = refusal.message;
    object["code"] = sessions_code_name(refusal.code);
    return line(object);
}

} // namespace tallygate::frontend
