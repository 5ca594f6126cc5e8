// SPDX-License-Identifier: BSD-2-Clause
#include "frontend/line_service.hpp"

#include <algorithm>
#include <variant>

#include "core/text.hpp"
#include "frontend/known_names.hpp"

namespace tallygate::frontend {
namespace {

class LineConversation : public net::Conversation {
public:
    explicit LineConversation(LineService &service) : service_(service) {}

    Step receive(std::string_view input, bool ended, std::string &output) override
    {
        const auto first = first_line(input, ended);
        if (!first)
            return {};
        output += service_.handle(first->line);
        return {.taken = first->taken};
    }

    std::string oversized() override
    {
        return refusal_line(
            {.message = "the line is longer than " + std::to_string(line_bytes_max) + " bytes"});
    }

private:
    LineService &service_;
};

} // namespace

net::StreamServer::Open LineService::conversations()
{
    return [this](const auto &) { return std::make_unique<LineConversation>(*this); };
}

std::string LineService::handle(std::string_view line)
{
    const auto parsed = parse_line(line);
    if (const auto *refusal = std::get_if<LineRefusal>(&parsed))
        return refusal_line(*refusal);
    return std::visit([&](const auto &each) { return answer(each); },
                      std::get<LineRequest>(parsed));
}

std::string LineService::answer(const LineLive &request)
{
    const auto answer = questions_.live(request.question);
    if (!answer)
        return wrong_question(answer.error(), request.question.service);
    return answer_line(*answer, request.question.block);
}

std::string LineService::answer(const LineCount &request)
{
    const auto answer = questions_.count(request.question);
    if (!answer)
        return wrong_question(answer.error(), request.question.service, request.question.event);
    return answer_line(*answer, request.question.block);
}

std::string LineService::answer(const LineEvent &request)
{
    if (const auto refused = service_refusal(questions_, request.report.service))
        return refusal_line(
            {.message = *refused, .known = questions_.services_of(request.report.event)});
    reporter_.report(request.report);
    return event_line(request.report);
}

std::string LineService::answer(const LineCheck &request)
{
    const auto &service = request.subject.service;
    const auto known = questions_.services_of(core::Reported::receptions);

    if (service && std::ranges::find(known, core::lower_case(*service)) == known.end())
        return refusal_line({.message = "there is no service '" + *service + "'", .known = known});
    return check_line(checks_.decide(request.subject));
}

template <typename Request>
std::vector<std::string> LineService::known_series(const Error &error, const Request &request) const
{
    if (error.code != static_cast<int>(core::Wrong::unknown))
        return {};
    return series_.known(request.series);
}

std::string LineService::answer(const LineSeriesAdd &request)
{
    const auto added =
        series_.add(request.series, request.key, request.amount, questions_.clock().now());
    if (!added)
        return refusal_line(
            {.message = added.error().message, .known = known_series(added.error(), request)});
    return series_line(*added);
}

std::string LineService::answer(const LineSeriesCount &request)
{
    const auto count = series_.count(request.series, request.key, request.start, request.end,
                                     questions_.clock().now());
    if (!count)
        return refusal_line(
            {.message = count.error().message, .known = known_series(count.error(), request)});
    return series_line(*count);
}

/// The core's errors name what is known in their sentence; programs get it as a list.
std::string LineService::wrong_question(const Error &error,
                                        const std::optional<std::string> &service,
                                        core::Counted event) const
{
    return refusal_line(
        {.message = error.message, .known = known_names(questions_, error, service, event)});
}

} // namespace tallygate::frontend
