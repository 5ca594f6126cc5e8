// SPDX-License-Identifier: BSD-2-Clause
//
// [policy]: the socket that Postfix' check_policy_service asks on. What is answered are the
// checks'.
#include "config/draft.hpp"
#include "config/rules.hpp"

namespace tallygate::config {

void read_policy(TableReader &table, Draft &draft)
{
    PolicyProtocol &policy = draft.config.policy;

    policy.socket = read_socket(table, draft, "policy");
    policy.report_only = table.value("report_only", flag(), policy.report_only);
    policy.report = table.value("report", flag(), policy.report);
}

} // namespace tallygate::config
