// SPDX-License-Identifier: BSD-2-Clause
#include <boost/json.hpp>

#include "cli/render.hpp"
#include "cli/verb.hpp"

namespace tallygate::cli {
namespace {

/// What becomes of it. Whoever asked for a trial of what is in force for good must hear that none
/// has begun; the answer does not know who asked, and to the others it says nothing wrong.
std::string outlook_text(const boost::json::object &answer)
{
    const bool has_end = answer.contains("until") && answer.at("until").is_number();
    const auto mode = text_at(answer, "mode");
    if (has_end)
        return "confirm it with `tallygate mode " + mode + "`\n";
    if (mode == "enforce")
        return "in force for good: it is not on trial, and nothing takes it back by itself\n";
    return "";
}

std::string show(const boost::json::object &answer)
{
    return text_at(answer, "mode") + mode_origin_text(answer) + "\n" + outlook_text(answer);
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
                   "Go back after so long, 90s, 10m or 1h, unless `mode enforce` comes "
                   "until then",
                   Argument::Given::may, check_span}},
    .show = show,
};

} // namespace tallygate::cli
