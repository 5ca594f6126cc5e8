// SPDX-License-Identifier: BSD-2-Clause
#include "cli/list_texts.hpp"
#include "cli/verb.hpp"

namespace tallygate::cli {
namespace {

constexpr Group group{"block", "Keep somebody out for a time"};

} // namespace

const Verb block_add_verb = {
    .name = "add",
    .help = "Block an address or a network; it ends by itself",
    .method = Verb::Method::post,
    .path = "/v1/block",
    .arguments = {{"CIDR", "cidr", "192.0.2.0/24, 2001:db8::/32, or one address",
                   Argument::Given::must, check_block},
                  {"--for SPAN", "for", "For so long: 90s, 10m, 1h (the default), 7d",
                   Argument::Given::may, check_span},
                  {"--reason TEXT", "reason", "For whoever reads the list; at most 200 bytes",
                   Argument::Given::may, check_reason}},
    .show = show_added,
    .group = &group,
};

const Verb block_remove_verb = {
    .name = "remove",
    .help = "Take a block off again, if it was set with add",
    .method = Verb::Method::post,
    .path = "/v1/block/remove",
    .arguments = {{"CIDR", "cidr", "As it was added", Argument::Given::must, check_block}},
    .show = show_removed,
    .group = &group,
};

const Verb block_list_verb = {
    .name = "list",
    .help = "Who is blocked, by whom, why and until when",
    .method = Verb::Method::get,
    .path = "/v1/lists?kind=block",
    .arguments = {{"--rows N", "rows", "At most so many, 1 to 10000; 1000 if not given",
                   Argument::Given::may, check_number}},
    .show = show_entries,
    .group = &group,
};

} // namespace tallygate::cli
