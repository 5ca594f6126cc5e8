// SPDX-License-Identifier: BSD-2-Clause
#include "cli/list_texts.hpp"
#include "cli/verb.hpp"

namespace tallygate::cli {
namespace {

constexpr Group group{"allow", "Never drop somebody"};

} // namespace

const Verb allow_add_verb = {
    .name = "add",
    .help = "Allow an address or a network: no block and no limit holds it",
    .method = Verb::Method::post,
    .path = "/v1/allow",
    .arguments = {{"CIDR", "cidr", "192.0.2.0/24, 2001:db8::/32, or one address",
                   Argument::Given::must, check_block},
                  {"--for SPAN", "for", "For so long: 90s, 10m, 1h, 7d; for good, if not given",
                   Argument::Given::may, check_span},
                  {"--reason TEXT", "reason", "For whoever reads the list; at most 200 bytes",
                   Argument::Given::may, check_reason}},
    .show = show_added,
    .group = &group,
};

const Verb allow_remove_verb = {
    .name = "remove",
    .help = "Take an allowance off again, if it was set with add",
    .method = Verb::Method::post,
    .path = "/v1/allow/remove",
    .arguments = {{"CIDR", "cidr", "As it was added", Argument::Given::must, check_block}},
    .show = show_removed,
    .group = &group,
};

const Verb allow_list_verb = {
    .name = "list",
    .help = "Who is allowed, by whom, why and until when",
    .method = Verb::Method::get,
    .path = "/v1/lists?kind=allow",
    .arguments = {{"--rows N", "rows", "At most so many, 1 to 10000; 1000 if not given",
                   Argument::Given::may, check_number}},
    .show = show_entries,
    .group = &group,
};

} // namespace tallygate::cli
