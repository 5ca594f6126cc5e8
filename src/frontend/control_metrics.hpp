// SPDX-License-Identifier: BSD-2-Clause
//
// `/metrics`, in Prometheus' text form. No label ever holds a client's address: a flood would
// make a series of every forger.
#pragma once

#include <string>
#include <vector>

#include "frontend/control_json.hpp"
#include "frontend/metric_rows.hpp"
#include "net/http_server.hpp"
#include "net/stream_server.hpp"

namespace tallygate::frontend {

/// A server's counts under its listener's name.
struct ServerCounts {
    std::string listener;
    net::HttpCounts counts;
};

/// The same for a front-end of another protocol: "line".
struct StreamServerCounts {
    std::string protocol;
    std::string listener;
    net::StreamCounts counts;
};

std::string metrics_text(const StatusReport &report, const std::vector<ServerCounts> &servers,
                         const std::vector<StreamServerCounts> &stream_servers,
                         const std::vector<MetricRow> &rows);

} // namespace tallygate::frontend
