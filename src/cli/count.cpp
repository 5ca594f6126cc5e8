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

const Verb count_verb = {
    .name = "count",
    .help = "How many connections an address or a block had, by window",
    .method = Verb::Method::get,
    .path = "/v1/count",
    .arguments = {{"CIDR", "cidr", "192.0.2.0/24, 2001:db8::/32, or one address",
                   Argument::Given::must, check_block},
                  {"--monitor M", "monitor", "A configured one: 60,10 is ten windows of 60 s",
                   Argument::Given::must},
                  {"--start N", "start", "The newest window; 0, the default, is now",
                   Argument::Given::may, check_number},
                  {"--end N", "end", "The oldest window; the newest, if not given",
                   Argument::Given::may, check_number},
                  {"--event E", "event",
                   "connections (the default), syn, dropped, receptions, recipients, rejections, "
                   "auth or tls"},
                  {"--service S", "service", "At this service alone"}},
    .show = show,
};

} // namespace tallygate::cli
