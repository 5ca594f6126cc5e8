// SPDX-License-Identifier: BSD-2-Clause
//
// The command line of tallygated, as far as it needs neither rights nor a kernel.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace tallygate::test {
namespace {

using testing::HasSubstr;

struct Done {
    int exit_code = -1;
    std::string text; ///< of both outputs, unless they were led elsewhere
};

Done run(const std::string &arguments)
{
    Done done;
    FILE *const pipe = ::popen(("exec 2>&1; " TALLYGATED_PROGRAM " " + arguments).c_str(), "r");
    for (int each = std::fgetc(pipe); each != EOF; each = std::fgetc(pipe))
        done.text += static_cast<char>(each);
    const int status = ::pclose(pipe);
    if (WIFEXITED(status))
        done.exit_code = WEXITSTATUS(status);
    return done;
}

const struct {
    const char *name;
    const char *arguments;
    int exit_code;
    const char *says;
} rows[] = {
    {"help", "--help", 0, "Usage: tallygated"},
    {"help of a verb", "check --help", 0, "--config FILE [/etc/tallygate/tallygate.toml]"},
    {"its version", "--version", 0, "tallygated "},
    {"no verb", "", 2,
     "tallygated: a verb is missing: expected one of run, check, probe, detach, "
     "replay\nTry 'tallygated --help'.\n"},
    {"an unknown verb", "guard", 2,
     "tallygated: there is no verb 'guard': expected one of run, check, probe, detach, replay\n"},
    {"an unknown option", "--guard", 2, "tallygated: there is no option --guard\n"},
    {"an unknown option of a verb", "check --json", 2,
     "tallygated: check does not take '--json'\nTry 'tallygated check --help'.\n"},
    {"one word too many", "check a.toml", 2, "tallygated: check does not take 'a.toml'\n"},
    {"no capture", "replay", 2, "tallygated: capture is required\n"},
    {"an option without its value", "check --config", 2, "tallygated: --config: "},
    {"an empty name", "check --config ''", 2, "--config: expected a path, and not ''\n"},
    {"no file", "check --config /nonexistent", 78, "read /nonexistent: No such file or directory"},
    {"an option before the verb", "--config /nonexistent check", 78, "read /nonexistent: "},
    {"one with an equals sign", "--config=/nonexistent run", 78, "read /nonexistent: "},
    {"two of them", "--json --config /nonexistent replay x.pcap", 78, "read /nonexistent: "},
    {"one that the verb does not take", "--json check", 2, "check does not take '--json'"},
    // What was meant for another gate must not take off the usual one.
    {"to detach from nowhere", "detach --pin-dir ''", 2,
     "--pin-dir: expected an absolute path, and not ''\n"},
    {"to detach from somewhere", "detach --pin-dir pins", 2,
     "--pin-dir: expected an absolute path, and not 'pins'\n"},
    {"to detach by no file", "detach --config ''", 2, "--config: expected a path, and not ''\n"},
    {"to detach by a file and a place", "detach --config a --pin-dir /b", 2, "excludes"},
};

TEST(TallygatedProcess, ExitsAsItShould)
{
    for (const auto &row : rows) {
        SCOPED_TRACE(row.name);
        const auto done = run(row.arguments);
        EXPECT_EQ(done.exit_code, row.exit_code) << done.text;
        EXPECT_THAT(done.text, HasSubstr(row.says));
    }
}

TEST(TallygatedProcess, TellsOfAFullDisk)
{
    const auto done = run("--help >/dev/full");
    EXPECT_EQ(done.exit_code, 1);
    EXPECT_EQ(done.text, "tallygated: write to the standard output: No space left on device\n");
}

} // namespace
} // namespace tallygate::test
