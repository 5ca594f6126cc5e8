// SPDX-License-Identifier: BSD-2-Clause
#include <boost/json.hpp>

#include "cli/render.hpp"
#include "cli/verb.hpp"

namespace tallygate::cli {
namespace {

std::string show(const boost::json::object &answer)
{
    const bool has_end = answer.contains("until") && answer.at("until").is_number();
    return text_at(answer, "mode") + mode_origin_text(answer) + "\n" +
           (has_end ? "confirm it with `tallygate mode " + text_at(answer, "mode") + "`\n" : "");
}

} // namespace

const Verb mode_verb = {
    .name = "mode",
    .help = "Drop what blocks and limits say, or only count it",
    .method = Verb::Method::post,
    .path = "/v1/mode",
    .arguments = {{"MODE", "mode", "observe: count alone; enforce: drop", Argument::Given::must,
                   check_mode},
                  {"--confirm SPAN", "confirm",
                   "Go back to the mode before after 90s, 10m, 1h, unless `mode enforce` comes "
                   "until then",
                   Argument::Given::may, check_span}},
    .show = show,
};

} // namespace tallygate::cli
