// SPDX-License-Identifier: BSD-2-Clause
//
// `/metrics`, in Prometheus' text form. No label ever holds a client's address: a flood would
// make a series of every forger.
#pragma once

#include <string>
#include <vector>

#include "frontend/control_json.hpp"
#include "net/http_server.hpp"

namespace tallygate::frontend {

/// A server's counts under its listener's name.
struct ServerCounts {
    std::string listener;
    net::HttpCounts counts;
};

std::string metrics_text(const StatusReport &report, const std::vector<ServerCounts> &servers);

} // namespace tallygate::frontend
