// SPDX-License-Identifier: BSD-2-Clause
//
// The part of the HTTP interface that is about named series. docs/control.md is its contract.
#pragma once

#include "core/seams.hpp"
#include "core/series.hpp"
#include "frontend/control_codec.hpp"
#include "net/http.hpp"

namespace tallygate::frontend {

/// Borrows all that it is given.
class SeriesService {
public:
    SeriesService(core::AuditSeries &series, const core::Clock &clock)
        : series_(series), clock_(clock)
    {
    }

    net::Response answer(const SeriesRequest &request);
    const core::AuditSeries &series() const { return series_; }

private:
    net::Response answer_one(const SeriesDefineRequest &request);
    net::Response answer_one(const SeriesUndefineRequest &request);
    net::Response answer_one(const SeriesListRequest &);
    net::Response answer_one(const SeriesAddRequest &request);
    net::Response answer_one(const SeriesCountRequest &request);
    net::Response answer_one(const SeriesItemRequest &request);
    net::Response answer_one(const SeriesItemsRequest &request);
    net::Response refusal(const Error &error, const core::SeriesName &which) const;

    core::AuditSeries &series_;
    const core::Clock &clock_;
};

} // namespace tallygate::frontend
