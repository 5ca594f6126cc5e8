// SPDX-License-Identifier: BSD-2-Clause
#include <boost/json.hpp>

#include "cli/render.hpp"
#include "cli/verb.hpp"

namespace tallygate::cli {
namespace {

using boost::json::object;

std::string joined(const std::vector<std::string> &texts)
{
    std::string joined;
    for (const auto &text : texts)
        joined += (joined.empty() ? "" : ",") + text;
    return joined;
}

/// Whom it holds: each of a length, or networks by name.
std::string holders(const object &limit)
{
    const auto per = texts_at(limit, "per");
    return per.empty() ? joined(texts_at(limit, "networks")) : joined(per);
}

/// "10/s burst 20, live 50"
std::string allowance(const object &limit)
{
    const auto rate = text_at(limit, "syn_rate");
    const auto live = plain_at(limit, "live_max");
    std::string text = rate.empty() ? "" : rate + " burst " + plain_at(limit, "syn_burst");
    if (!live.empty())
        text += (text.empty() ? "live " : ", live ") + live;
    return text;
}

std::string show(const object &answer)
{
    using enum Table::Align;
    const auto limits = objects_at(answer, "limits");
    if (limits.empty())
        return "no [[limit]] is configured\n";

    Table table{{left, left, left, left, left, left, right, right, left}};
    table.add(
        {"LIMIT", "SERVICES", "PER", "WHO", "AT MOST", "ACTION", "DROPPED", "WOULD DROP", "LINE"});
    for (const auto *limit : limits)
        table.add({text_at(*limit, "name"), joined(texts_at(*limit, "services")), holders(*limit),
                   text_at(*limit, "who"), allowance(*limit), text_at(*limit, "action"),
                   grouped_at(*limit, "dropped"), grouped_at(*limit, "would_drop"),
                   text_at(*limit, "place")});
    return table.text() + "\nmode " + text_at(answer, "mode") + "\n";
}

} // namespace

const Verb limits_verb = {
    .name = "limits",
    .help = "The configured limits, and what they dropped or would have",
    .method = Verb::Method::get,
    .path = "/v1/limits",
    .arguments = {},
    .show = show,
};

} // namespace tallygate::cli
