// SPDX-License-Identifier: BSD-2-Clause
#include <boost/json.hpp>

#include "cli/render.hpp"
#include "cli/verb.hpp"

namespace tallygate::cli {
namespace {

std::string show(const boost::json::object &answer)
{
    using enum Table::Align;
    const auto networks = objects_at(answer, "networks");
    if (networks.empty())
        return "no [[network]] is configured\n";

    Table table{{left, left, right, right, right, right, right}};
    table.add({"NETWORK", "CIDR", "LIVE", "OPENED", "CLOSED", "SYN", "DROPPED"});
    for (const auto *network : networks)
        table.add({text_at(*network, "name"), text_at(*network, "cidr"),
                   grouped_at(*network, "live"), grouped_at(*network, "opened"),
                   grouped_at(*network, "closed"), grouped_at(*network, "syn"),
                   grouped_at(*network, "dropped")});
    return table.text();
}

} // namespace

const Verb networks_verb = {
    .name = "networks",
    .help = "The configured networks and their totals",
    .method = Verb::Method::get,
    .path = "/v1/networks",
    .arguments = {},
    .show = show,
};

} // namespace tallygate::cli
