// SPDX-License-Identifier: BSD-2-Clause
#include <boost/json.hpp>

#include "cli/render.hpp"
#include "cli/verb.hpp"

namespace tallygate::cli {
namespace {

std::string show(const boost::json::object &answer)
{
    return "reported " + plain_at(answer, "amount") + " " + text_at(answer, "event") + " of " +
           text_at(answer, "cidr") + " at " + text_at(answer, "service") + "\n";
}

} // namespace

const Verb event_verb = {
    .name = "event",
    .help = "Report what a mail server saw, as its front-end would",
    .method = Verb::Method::post,
    .path = "/v1/event",
    .arguments = {{"NAME", "name", "receptions, recipients, rejections, auth or tls",
                   Argument::Given::must},
                  {"ADDRESS", "address", "Whose: an address, or the block that stands for it",
                   Argument::Given::must, check_block},
                  {"--service S", "service", "At this service; smtp, if not given"},
                  {"--amount N", "amount", "So many; 1, if not given", Argument::Given::may,
                   check_number}},
    .show = show,
    .tells_operator = false,
};

} // namespace tallygate::cli
