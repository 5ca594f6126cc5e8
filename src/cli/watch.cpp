// SPDX-License-Identifier: BSD-2-Clause
//
// `watch`: what happens now, by service and by source, again and again until somebody ends it.
#include <boost/json.hpp>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "cli/render.hpp"
#include "cli/talk.hpp"
#include "cli/verb.hpp"
#include "client/query.hpp"

namespace tallygate::cli {
namespace {

using boost::json::object;

/// What is told of a service by the second.
struct Rate {
    const char *total; ///< in the status
    const char *name;  ///< in JSON
    const char *label;
};

constexpr std::array<Rate, 5> rates = {{
    {"opened", "opened_per_second", "OPENED/s"},
    {"closed", "closed_per_second", "CLOSED/s"},
    {"syn", "syn_per_second", "SYN/s"},
    {"dropped", "dropped_per_second", "DROPPED/s"},
    {"would_drop", "would_drop_per_second", "WOULD DROP/s"},
}};

std::string decimal(double number, int digits)
{
    std::array<char, 64> buffer{};
    const int length = std::snprintf(buffer.data(), buffer.size(), "%.*f", digits, number);
    return {buffer.data(), static_cast<std::size_t>(length)};
}

/// Seconds of "90", "90s", "10m", "1h" or "7d".
std::uint64_t span_seconds(const std::string &text)
{
    const std::map<char, std::uint64_t> units = {{'m', 60}, {'h', 3600}, {'d', 86400}};
    const auto unit = units.find(text.back());
    return std::strtoull(text.c_str(), nullptr, 10) * (unit != units.end() ? unit->second : 1);
}

class Watch : public std::enable_shared_from_this<Watch> {
public:
    Watch(const Talk &talk, const Values &values, std::chrono::milliseconds pause, bool as_json)
        : talk_(talk.socket_path(), talk.verb()), pause_(pause), as_json_(as_json)
    {
        client::Query top{"/v1/top"};
        for (const auto &[name, value] : values)
            if (name != "every" && name != "times")
                top.with(name, value);
        top_ = top.text();
        if (const auto times = values.find("times"); times != values.end())
            left_ = std::strtoull(times->second.c_str(), nullptr, 10);
    }

    /// One view, and how it goes on.
    Outcome look()
    {
        auto outcome = view();
        outcome.is_view = !as_json_ && outcome.exit_code == ExitCode::ok;
        const bool is_last = left_ && --*left_ == 0;
        const bool is_away =
            outcome.exit_code == ExitCode::unreachable || outcome.exit_code == ExitCode::failed;

        // A daemon that was there comes back, after a restart for instance.
        if (is_last || (outcome.exit_code != ExitCode::ok && !(was_there_ && is_away)))
            return outcome;
        if (outcome.exit_code == ExitCode::ok) {
            was_there_ = true;
        } else {
            last_.clear();
            outcome.exit_code = ExitCode::ok;
            outcome.is_view = !as_json_;
            if (!as_json_)
                outcome.out = std::exchange(outcome.err, "");
        }
        outcome.pause = pause_;
        outcome.next = [self = shared_from_this()] { return self->look(); };
        return outcome;
    }

private:
    using Totals = std::map<std::string, double>; ///< by service and total
    using PerSecond = std::map<std::string, double>;

    Outcome view()
    {
        auto status = talk_.ask("GET", "/v1/status");
        if (auto *const outcome = std::get_if<Outcome>(&status))
            return std::move(*outcome);
        auto top = talk_.ask("GET", top_);
        if (auto *const outcome = std::get_if<Outcome>(&top))
            return std::move(*outcome);
        const auto &now = std::get<Talk::Answer>(status).object;
        const auto &sources = std::get<Talk::Answer>(top).object;
        const auto per_second = take_rates(now);
        return {ExitCode::ok,
                as_json_ ? json_text(now, sources, per_second)
                         : view_text(now, sources, per_second),
                ""};
    }

    /// By how much each total has grown since the last view, and nothing where it has not been
    /// seen twice, or began anew.
    PerSecond take_rates(const object &status)
    {
        const double now = number_at(status, "as_of");
        const double seconds = now - std::exchange(last_as_of_, now);
        Totals totals;
        PerSecond per_second;

        for (const auto *service : objects_at(status, "services")) {
            for (const auto &rate : rates) {
                const auto key = text_at(*service, "name") + " " + rate.total;
                const auto before = last_.find(key);
                const double total = totals[key] = number_at(*service, rate.total);
                if (before != last_.end() && total >= before->second && seconds > 0)
                    per_second[key] = (total - before->second) / seconds;
            }
        }
        last_ = std::move(totals);
        return per_second;
    }

    static std::string rate_text(const PerSecond &per_second, const std::string &service,
                                 const Rate &rate, int digits, const char *unknown)
    {
        const auto found = per_second.find(service + " " + rate.total);
        return found == per_second.end() ? unknown : decimal(found->second, digits);
    }

    static std::string view_text(const object &status, const object &sources,
                                 const PerSecond &per_second)
    {
        using enum Table::Align;
        std::string text =
            time_text(number_at(status, "as_of")) + "  mode " + text_at(status, "mode") + "\n";
        for (const auto &warning : texts_at(status, "warnings"))
            text += "WARNING: " + warning + "\n";

        Table table{{left, right, right, right, right, right, right}};
        std::vector<std::string> head = {"SERVICE", "LIVE"};
        for (const auto &rate : rates)
            head.emplace_back(rate.label);
        table.add(std::move(head));
        for (const auto *service : objects_at(status, "services")) {
            const auto name = text_at(*service, "name");
            std::vector<std::string> cells = {name, grouped_at(*service, "live")};
            for (const auto &rate : rates)
                cells.push_back(rate_text(per_second, name, rate, 1, "-"));
            table.add(std::move(cells));
        }
        return text + "\n" + table.text() + "\n" + top_verb.show(sources);
    }

    /// One object on one line, without exponents.
    static std::string json_text(const object &status, const object &sources,
                                 const PerSecond &per_second)
    {
        const auto quoted = [](const std::string &text) {
            return boost::json::serialize(boost::json::string(text));
        };
        std::string text = "{\"schema\":1,\"as_of\":" + decimal(number_at(status, "as_of"), 6) +
                           ",\"mode\":" + quoted(text_at(status, "mode")) + ",\"services\":[";
        const char *comma = "";
        for (const auto *service : objects_at(status, "services")) {
            const auto name = text_at(*service, "name");
            text += std::exchange(comma, ",") + ("{\"name\":" + quoted(name)) +
                    ",\"live\":" + plain_at(*service, "live");
            for (const auto &rate : rates)
                text += ",\"" + std::string(rate.name) +
                        "\":" + rate_text(per_second, name, rate, 3, "null");
            text += "}";
        }
        const auto *rows = sources.if_contains("rows");
        return text + "],\"by\":" + quoted(text_at(sources, "by")) +
               ",\"monitor\":" + quoted(text_at(sources, "monitor")) +
               ",\"rows\":" + (rows != nullptr ? boost::json::serialize(*rows) : "[]") + "}\n";
    }

    Talk talk_;
    std::string top_; ///< the question for the sources
    std::chrono::milliseconds pause_;
    bool as_json_;
    std::optional<std::uint64_t> left_; ///< views, unless it goes on for ever
    bool was_there_ = false;
    double last_as_of_ = 0;
    Totals last_;
};

Outcome watch(Talk &talk, const Values &values, bool as_json)
{
    constexpr std::uint64_t seconds_max = 86400;
    const auto every = values.find("every");
    const auto seconds = every != values.end() ? span_seconds(every->second) : 1;
    const auto times = values.find("times");

    if (seconds < 1 || seconds > seconds_max)
        return usage("--every: expected 1s to 1d, and not '" + every->second + "'", talk.verb());
    if (times != values.end() && std::strtoull(times->second.c_str(), nullptr, 10) == 0)
        return usage("--times: expected 1 or more, and not '" + times->second + "'", talk.verb());
    return std::make_shared<Watch>(talk, values, std::chrono::seconds(seconds), as_json)->look();
}

} // namespace

const Verb watch_verb = {
    .name = "watch",
    .help = "Rates by service and the busiest sources, again and again until you end it",
    .method = Verb::Method::get,
    .path = "",
    .arguments =
        {{"CIDR", "cidr", "Sources of this block alone", Argument::Given::may, check_block},
         {"--every SPAN", "every", "How long between two views: 1s if not given",
          Argument::Given::may, check_span},
         {"--times N", "times", "End after so many views", Argument::Given::may, check_number},
         {"--by WHAT", "by", "Sources by connections (the default), live or syn"},
         {"--rows N", "rows", "At most so many sources, 1 to 1000; 10 if not given",
          Argument::Given::may, check_number},
         {"--service S", "service", "Sources at this service alone"},
         {"--monitor M", "monitor", "Whose windows to add up; the first configured, if not given"}},
    .show = nullptr,
    .act = watch,
};

} // namespace tallygate::cli
