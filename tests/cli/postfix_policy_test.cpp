// SPDX-License-Identifier: BSD-2-Clause
#include "cli/postfix_policy.hpp"

#include <gtest/gtest.h>

namespace tallygate::test {
namespace {

using namespace cli;

const std::string question = "check_policy_service { unix:tallygate/policy, timeout=5s, "
                             "try_limit=1, default_action=DUNNO }";

const struct {
    const char *name;
    std::string before;
    std::string with;
} rows[] = {
    {"nothing", "", "permit_mynetworks, " + question},
    {"one restriction", "reject_unknown_client_hostname",
     "reject_unknown_client_hostname, " + question},
    {"several", "permit_sasl_authenticated, reject",
     "permit_sasl_authenticated, reject, " + question},
    {"another policy server", "check_policy_service unix:private/policyd",
     "check_policy_service unix:private/policyd, " + question},
};

TEST(PostfixPolicy, IsAddedAndTakenOut)
{
    for (const auto &row : rows) {
        SCOPED_TRACE(row.name);
        EXPECT_FALSE(asks_policy(row.before));
        EXPECT_EQ(with_policy(row.before), row.with);
        EXPECT_TRUE(asks_policy(row.with));
        EXPECT_EQ(with_policy(row.with), row.with);
        EXPECT_EQ(without_policy(row.with), row.before);
        EXPECT_EQ(without_policy(row.before), row.before);
    }
}

TEST(PostfixPolicy, IsTakenOutFromBetweenOthers)
{
    EXPECT_EQ(without_policy("a, " + question + ",\n b"), "a, b");
    EXPECT_EQ(without_policy(question + ", b"), "b");
    EXPECT_EQ(without_policy(question), "");
    EXPECT_EQ(with_policy("a,\n"), "a, " + question);
}

} // namespace
} // namespace tallygate::test
