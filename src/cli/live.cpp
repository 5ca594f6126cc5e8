// SPDX-License-Identifier: BSD-2-Clause
#include <boost/json.hpp>

#include "cli/render.hpp"
#include "cli/verb.hpp"

namespace tallygate::cli {
namespace {

std::string show(const boost::json::object &answer)
{
    return plain_at(answer, "value") + "\n";
}

} // namespace

const Verb live_verb = {
    .name = "live",
    .help = "How many connections an address or a block has open now",
    .method = Verb::Method::get,
    .path = "/v1/live",
    .arguments = {{"CIDR", "cidr", "192.0.2.0/24, 2001:db8::/32, or one address",
                   Argument::Given::must, check_block},
                  {"--service S", "service", "At this service alone"},
                  {"--listener ADDR:PORT", "listener", "To this address and port alone",
                   Argument::Given::may, check_listener, "--service"}},
    .show = show,
};

} // namespace tallygate::cli
