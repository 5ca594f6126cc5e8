// SPDX-License-Identifier: BSD-2-Clause
//
// The line protocol: asks the core what line_codec read. docs/line.md is its contract.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/checks.hpp"
#include "core/question.hpp"
#include "core/reports.hpp"
#include "core/series.hpp"
#include "frontend/line_codec.hpp"
#include "net/stream_server.hpp"

namespace tallygate::frontend {

/// Borrows all that it is given, and is borrowed by its conversations. Not for several threads.
class LineService {
public:
    /// Clients ask once and go, or ask for ever, as policies do: the silent make room.
    static constexpr net::StreamLimits limits{.input_bytes_max = line_bytes_max,
                                              .output_bytes_max = 64 * 1024,
                                              .when_full = net::WhenFull::close_idle};

    LineService(core::Questions &questions, core::Reporter &reporter, core::Checks &checks,
                core::AuditSeries &series)
        : questions_(questions), reporter_(reporter), checks_(checks), series_(series)
    {
    }

    /// A line without its end for a line with it.
    std::string handle(std::string_view line);
    /// handle(), for a server.
    net::StreamServer::Open conversations();

private:
    std::string answer(const LineLive &request);
    std::string answer(const LineCount &request);
    std::string answer(const LineEvent &request);
    std::string answer(const LineCheck &request);
    std::string answer(const LineSeriesAdd &request);
    std::string answer(const LineSeriesCount &request);
    template <typename Request>
    std::vector<std::string> known_series(const Error &error, const Request &request) const;
    std::string wrong_question(const Error &error, const std::optional<std::string> &service,
                               core::Counted event = core::Event::connections) const;

    core::Questions &questions_;
    core::Reporter &reporter_;
    core::Checks &checks_;
    core::AuditSeries &series_;
};

} // namespace tallygate::frontend
