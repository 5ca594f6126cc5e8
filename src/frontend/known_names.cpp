// SPDX-License-Identifier: BSD-2-Clause
#include "frontend/known_names.hpp"

#include <algorithm>
#include <iterator>

#include "core/reported_windows.hpp"
#include "core/text.hpp"

namespace tallygate::frontend {

std::vector<std::string> known_names(const core::Questions &questions, const Error &error,
                                     const std::optional<std::string> &service, core::Counted event)
{
    if (error.code != static_cast<int>(core::Wrong::unknown))
        return {};
    // The core looks for the service first.
    auto services = questions.services_of(event);
    if (service && std::ranges::find(services, core::lower_case(*service)) == services.end())
        return services;
    std::vector<std::string> monitors;
    std::ranges::transform(questions.ledger().monitors(), std::back_inserter(monitors),
                           [](const core::Monitor &monitor) { return monitor.text(); });
    return monitors;
}

std::optional<std::string> service_refusal(const core::Questions &questions,
                                           const std::string &service)
{
    using core::ReportedWindows;

    if (questions.ledger().reported().takes_service(service))
        return std::nullopt;
    return "'" + service + "' is no name for a service of reports: expected at most " +
           std::to_string(ReportedWindows::service_bytes_max) +
           " letters without a blank, or one of the " +
           std::to_string(ReportedWindows::services_max) + " that are known";
}

} // namespace tallygate::frontend
