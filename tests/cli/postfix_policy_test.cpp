// SPDX-License-Identifier: BSD-2-Clause
#include "cli/postfix_policy.hpp"

#include <gtest/gtest.h>

namespace tallygate::test {
namespace {

using namespace cli;

const std::string name = "smtpd_client_restrictions";
const std::string question = "check_policy_service { unix:tallygate/policy, timeout=5s, "
                             "try_limit=1, default_action=DUNNO }";
const std::string before = "# main.cf\nmyhostname = mail.example.com\n";
const std::string after = "\n# the rest\nsmtpd_client_restrictions_x = permit\n";

const struct {
    const char *what;
    std::string setting;
    std::string with;
} rows[] = {
    {"one restriction", "= reject_unknown_client_hostname\n",
     "= reject_unknown_client_hostname, " + question + "\n"},
    {"several", "= permit_sasl_authenticated, reject_x\n",
     "= permit_sasl_authenticated, reject_x, " + question + "\n"},
    {"in lines", "=\n    permit_mynetworks,\n\treject_x\n",
     "=\n    permit_mynetworks,\n\treject_x, " + question + "\n"},
    {"without commas", "=permit_mynetworks reject_x\n",
     "=permit_mynetworks reject_x, " + question + "\n"},
    {"a comma at the end", "= a,\n   b,\n", "= a,\n   b, " + question + ",\n"},
    {"comments between and behind", "= a,\n# why, b\n\n   b # c\n# d\n",
     "= a,\n# why, b\n\n   b # c, " + question + "\n# d\n"},
    {"another policy server", "= check_policy_service unix:private/policyd\n",
     "= check_policy_service unix:private/policyd, " + question + "\n"},
    {"another one in braces", "= check_policy_service { unix:a, timeout=5s }\n",
     "= check_policy_service { unix:a, timeout=5s }, " + question + "\n"},
    {"permits all others", "= reject_x,\n    permit\n",
     "= reject_x,\n    " + question + ", permit\n"},
    {"rejects all others", "= permit_mynetworks, reject\n",
     "= permit_mynetworks, " + question + ", reject\n"},
    {"our networks alone", "= permit_mynetworks\n", "= permit_mynetworks, " + question + "\n"},
    {"empty", "=\n", "= permit_mynetworks  " + question + "\n"},
    {"empty, with a blank", "= \n", "= permit_mynetworks  " + question + " \n"},
    {"empty, with comments and a blank line", "=\n# none yet\n  \n",
     "= permit_mynetworks  " + question + "\n# none yet\n  \n"},
};

TEST(PostfixPolicy, IsAddedAndTakenOutToTheByte)
{
    for (const auto &row : rows) {
        SCOPED_TRACE(row.what);
        const auto text = before + name + " " + row.setting + after;
        EXPECT_FALSE(asks_policy(row.setting.substr(1)));
        EXPECT_EQ(without_policy(text, name), text);
        const auto with = with_policy(text, name);
        EXPECT_EQ(with, before + name + " " + row.with + after);
        EXPECT_TRUE(asks_policy(row.with.substr(1)));
        EXPECT_EQ(without_policy(*with, name), text);
    }
}

TEST(PostfixPolicy, WhereNothingStoodNothingIsLeft)
{
    const std::string empty[] = {before + after, "#" + name + " = a\n", ""};
    for (const auto &text : empty)
        EXPECT_FALSE(with_policy(text, name)) << text;
    EXPECT_TRUE(asks_policy(restrictions_alone()));
    EXPECT_FALSE(without_policy(before + name + " = " + restrictions_alone() + "\n", name));
    EXPECT_FALSE(without_policy(before + name + " = " + question + "\n", name));
}

TEST(PostfixPolicy, IsTakenOutAsItsOperatorLeftIt)
{
    const auto without = [](const std::string &value) {
        return *without_policy(name + " =" + value + "\n", name);
    };
    const auto expected = [](const std::string &value) { return name + " =" + value + "\n"; };
    const std::string other = "check_policy_service { unix:tallygate/policy , timeout=9s }";

    EXPECT_EQ(without(" a, " + question + ",\n b"), expected(" a,\n b"));
    EXPECT_EQ(without(" " + question + ", b"), expected(" b"));
    EXPECT_EQ(without("\n  a,\n  " + other), expected("\n  a"));
    EXPECT_EQ(without("\n  a,\n# ask\n  " + other + "\n  b"), expected("\n  a,\n# ask\n  \n  b"));
    EXPECT_EQ(without(" a check_policy_service unix:tallygate/policy b"), expected(" a b"));
    EXPECT_EQ(without(" check_policy_service unix:tallygate/policy2 b"),
              expected(" check_policy_service unix:tallygate/policy2 b"));
}

TEST(PostfixPolicy, TheLastOfTwoSettingsCounts)
{
    const auto text = name + " = a\n" + name + " = b\n  c\nmyhostname = x\n  y\n";
    EXPECT_EQ(setting_in(text, name), name + " = b\n  c\n");
    EXPECT_EQ(with_policy(text, name),
              name + " = a\n" + name + " = b\n  c, " + question + "\nmyhostname = x\n  y\n");
}

} // namespace
} // namespace tallygate::test
