// SPDX-License-Identifier: BSD-2-Clause
#include "frontend/line_codec.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <span>
#include <utility>

#include "core/monitor.hpp"
#include "core/reported_windows.hpp"
#include "core/series.hpp"
#include "frontend/logfmt.hpp"

namespace tallygate::frontend {
namespace {

constexpr const char *default_service = "smtp";
constexpr std::uint32_t window_max = core::Monitor::windows_max - 1;

using Words = std::vector<std::string_view>;
using Parsed = std::variant<LineRequest, LineRefusal>;

bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t';
}

Words words_of(std::string_view line)
{
    Words words;

    while (!line.empty()) {
        const auto begin = std::ranges::find_if_not(line, is_blank);
        const auto end = std::find_if(begin, line.end(), is_blank);
        if (begin != end)
            words.emplace_back(begin, end);
        line = {end, line.end()};
    }
    return words;
}

/// Also "-1" and "1.5": who writes those means a number, and not a service of that name.
bool is_number(std::string_view word)
{
    if (word.starts_with('-') || word.starts_with('+'))
        word.remove_prefix(1);
    return !word.empty() && word.front() != '.' && std::ranges::count(word, '.') <= 1 &&
           std::ranges::all_of(
               word, [](char each) { return (each >= '0' && each <= '9') || each == '.'; });
}

/// The words after a request's name, taken one by one. Remembers the first thing that was
/// wrong, so that a parser reads straight through.
class Arguments {
public:
    Arguments(std::span<const std::string_view> words, const char *usage)
        : words_(words), usage_(usage)
    {
    }

    bool empty() const { return words_.empty(); }
    std::size_t size() const { return words_.size(); }
    /// There must be one.
    std::string_view next() const { return words_.front(); }
    bool next_is_number() const { return !words_.empty() && is_number(words_.front()); }

    std::string_view word()
    {
        if (words_.empty()) {
            refuse(LineRefusal{.message = std::string("expected ") + usage_});
            return {};
        }
        const auto word = words_.front();
        words_ = words_.subspan(1);
        return word;
    }

    template <typename T>
    T number(const char *what, T min, T max)
    {
        const auto text = word();
        T number = min;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
        if (error != std::errc{} || end != text.data() + text.size() || number < min ||
            number > max) {
            refuse(LineRefusal{.message = "expected " + std::string(what) + " from " +
                                          std::to_string(min) + " to " + std::to_string(max) +
                                          ", not '" + std::string(text) + "'"});
            return min;
        }
        return number;
    }

    Block block() { return taken(Block::parse(word())).value_or(Block::all(Family::ipv4)); }
    Address address() { return taken(Address::parse(word())).value_or(Address{}); }

    core::Counted counted()
    {
        return taken(core::parse_counted(word()), {.known = core::counted_names()})
            .value_or(core::Event::connections);
    }

    core::Reported reported()
    {
        const auto name = word();
        if (const auto event = core::parse_reported(name))
            return *event;
        LineRefusal refusal{.message = "there is no event '" + std::string(name) + "' to report"};
        for (std::size_t i = 0; i < core::reported_count; i++)
            refusal.known.emplace_back(core::reported_name(static_cast<core::Reported>(i)));
        refuse(std::move(refusal));
        return core::Reported::receptions;
    }

    void refuse(LineRefusal refusal)
    {
        if (!refusal_)
            refusal_ = std::move(refusal);
    }

    Parsed finish(LineRequest request)
    {
        if (!words_.empty())
            refuse(LineRefusal{.message = "'" + std::string(words_.front()) +
                                          "' is one word too many: expected " + usage_});
        if (refusal_)
            return std::move(*refusal_);
        return request;
    }

private:
    template <typename T>
    std::optional<T> taken(const Result<T> &read, LineRefusal refusal = {})
    {
        if (read)
            return *read;
        refusal.message = read.error().message;
        refuse(std::move(refusal));
        return std::nullopt;
    }

    std::span<const std::string_view> words_;
    const char *usage_;
    std::optional<LineRefusal> refusal_;
};

Parsed parse_live(Arguments &arguments)
{
    LineLive request;

    request.question.block = arguments.block();
    if (!arguments.empty())
        request.question.service = arguments.word();
    return arguments.finish(request);
}

/// Windows are numbers and events are not, so either may be left out.
Parsed parse_count(Arguments &arguments)
{
    LineCount request;
    auto &question = request.question;

    question.block = arguments.block();
    question.monitor = arguments.word();
    if (arguments.next_is_number())
        question.start = arguments.number("a window", 0U, window_max);
    if (arguments.next_is_number())
        question.end = arguments.number("a window", 0U, window_max);
    if (!arguments.empty())
        question.event = arguments.counted();
    if (!arguments.empty())
        question.service = arguments.word();
    return arguments.finish(request);
}

/// What Momentum's Sieve function of that name counts.
Parsed parse_audit(Arguments &arguments)
{
    LineLive request;

    request.question.block = arguments.block();
    request.question.service = default_service;
    return arguments.finish(request);
}

Parsed parse_event(Arguments &arguments)
{
    LineEvent request;

    request.report.event = arguments.reported();
    request.report.client = Block{arguments.address(), 128};
    if (arguments.next_is_number())
        request.report.amount =
            arguments.number("an amount", std::uint64_t{1}, core::ReportedWindows::amount_max);
    request.report.service = arguments.empty() ? default_service : arguments.word();
    return arguments.finish(request);
}

Parsed parse_check(Arguments &arguments)
{
    LineCheck request;

    request.subject.address = arguments.address();
    if (!arguments.empty())
        request.subject.service = arguments.word();
    return arguments.finish(request);
}

/// A monitor may stand before the key: two numbers and a comma, with something behind it.
core::SeriesName series_name(Arguments &arguments)
{
    core::SeriesName series{.name = std::string(arguments.word())};

    if (arguments.size() > 1 && core::Monitor::parse(arguments.next()))
        series.monitor = arguments.word();
    return series;
}

Parsed parse_series_add(Arguments &arguments)
{
    constexpr auto amount_max = core::AuditSeries::amount_max;
    LineSeriesAdd request;

    request.series = series_name(arguments);
    request.key = arguments.word();
    if (!arguments.empty())
        request.amount = arguments.number("an amount", -amount_max, amount_max);
    return arguments.finish(request);
}

Parsed parse_series_count(Arguments &arguments)
{
    LineSeriesCount request;

    request.series = series_name(arguments);
    request.key = arguments.word();
    if (!arguments.empty())
        request.start = arguments.number("a window", 0U, window_max);
    if (!arguments.empty())
        request.end = arguments.number("a window", 0U, window_max);
    return arguments.finish(request);
}

struct Kind {
    std::string_view name;
    const char *usage;
    Parsed (*parse)(Arguments &arguments);
};

constexpr Kind kinds[] = {
    {"live", "live CIDR [service]", parse_live},
    {"count", "count CIDR monitor [start [end]] [event [service]]", parse_count},
    {"check", "check ADDRESS [service]", parse_check},
    {"event", "event NAME ADDRESS [amount] [service]", parse_event},
    {"series_add", "series_add NAME [monitor] KEY [amount]", parse_series_add},
    {"series_count", "series_count NAME [monitor] KEY [start [end]]", parse_series_count},
    {"audit_connections_on_service", "audit_connections_on_service ADDRESS/MASK", parse_audit},
};

LineRefusal unknown_request(std::string_view name)
{
    LineRefusal refusal{.message = "there is no request '" + std::string(name) + "'"};

    for (const auto &kind : kinds)
        refusal.known.emplace_back(kind.name);
    return refusal;
}

double seconds(core::UnixTime time)
{
    const auto whole =
        std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch());
    return static_cast<double>(whole.count()) / 1e6;
}

} // namespace

Parsed parse_line(std::string_view line)
{
    if (line.ends_with('\r'))
        line.remove_suffix(1);
    // Every name and value of ours is printable ASCII, and what is not must not be echoed.
    if (!std::ranges::all_of(
            line, [](char each) { return each == '\t' || (each >= 0x20 && each < 0x7f); }))
        return LineRefusal{.message = "the line has a character that is not printable ASCII"};
    const auto words = words_of(line);
    if (words.empty())
        return LineRefusal{.message = "the line is empty: expected a request"};
    const auto kind = std::ranges::find(kinds, words.front(), &Kind::name);
    if (kind == std::end(kinds))
        return unknown_request(words.front());
    Arguments arguments{std::span{words}.subspan(1), kind->usage};
    return kind->parse(arguments);
}

std::optional<FirstLine> first_line(std::string_view input, bool ended)
{
    const auto length = input.find('\n');

    if (length != std::string_view::npos)
        return FirstLine{input.substr(0, length), length + 1};
    if (ended && !input.empty())
        return FirstLine{input, input.size()};
    return std::nullopt;
}

std::string answer_line(const core::Answer &answer, const Block &block)
{
    return Logfmt{}
        .add("value", answer.value)
        .add("exact", answer.exact)
        .add("lower", answer.lower)
        .add("upper", answer.upper)
        .add("rate_per_second", answer.rate_per_second)
        .add("as_of", seconds(answer.as_of))
        .add("since", seconds(answer.since))
        .add("cidr", block.text())
        .line();
}

std::string check_line(const core::CheckDecision &decision)
{
    const auto &finding = decision.finding;
    Logfmt line;

    line.add("action", core::check_action_name(finding.action))
        .add("code", std::int64_t{core::smtp_code(finding.action)})
        .add("delay", std::int64_t{finding.delay.count()});
    if (finding.is_exceeded())
        line.add("check", finding.check)
            .add("of", finding.of)
            .add("count", finding.count)
            .add("max", finding.max)
            .add("text", finding.text);
    if (decision.reported.is_exceeded())
        line.add("would", core::check_action_name(decision.reported.action))
            .add("would_check", decision.reported.check)
            .add("would_text", decision.reported.text);
    return line.line();
}

std::string event_line(const core::Report &report)
{
    return Logfmt{}
        .add("recorded", report.amount)
        .add("event", core::reported_name(report.event))
        .add("address", report.client.first().text())
        .add("service", report.service)
        .line();
}

std::string series_line(const core::SeriesAnswer &answer)
{
    return Logfmt{}
        .add("value", answer.value)
        .add("series", answer.definition.name)
        .add("monitor", answer.definition.monitor.text())
        .add("key", answer.key)
        .add("start", std::uint64_t{answer.start})
        .add("end", std::uint64_t{answer.end})
        .add("since", seconds(answer.since))
        .line();
}

std::string refusal_line(const LineRefusal &refusal)
{
    std::string known;

    for (const auto &each : refusal.known)
        known += (known.empty() ? "" : " ") + each;
    Logfmt line;
    line.add("error", refusal.message);
    if (!known.empty())
        line.add("known", known);
    return line.line();
}

} // namespace tallygate::frontend
