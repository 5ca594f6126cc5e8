// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace tallygate::frontend {

/// One value of a metric that a front-end has of its own, besides those of its server. Rows of
/// one name stand together, and agree about everything but labels and value. No label ever holds
/// a client's address.
struct MetricRow {
    std::string name; ///< "tallygate_policy_answers_total": one that only grows ends in _total
    std::string help;
    std::vector<std::pair<std::string, std::string>> labels = {};
    double value = 0;
};

/// Asked whenever somebody reads the metrics.
using MetricRows = std::function<std::vector<MetricRow>()>;

} // namespace tallygate::frontend
