// SPDX-License-Identifier: BSD-2-Clause
#include <boost/json.hpp>

#include "cli/render.hpp"
#include "cli/verb.hpp"

namespace tallygate::cli {
namespace {

std::string show(const boost::json::object &answer)
{
    return "reloaded " + text_at(answer, "config") + "\n";
}

} // namespace

const Verb reload_verb = {
    .name = "reload",
    .help = "Make the daemon read its configuration again",
    .method = Verb::Method::post,
    .path = "/v1/reload",
    .arguments = {},
    .show = show,
};

} // namespace tallygate::cli
