// SPDX-License-Identifier: BSD-2-Clause
//
// What only a process can show: exit codes, and an output that nobody takes.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

namespace tallygate::test {
namespace {

int exit_code_of(const std::string &command)
{
    const int status = std::system(command.c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

const struct {
    const char *name;
    const char *arguments;
    int exit_code;
} rows[] = {
    {"help", "--help >/dev/null", 0},
    {"a mistake", "frobnicate 2>/dev/null", 2},
    {"no daemon", "--socket /nonexistent/control.sock status 2>/dev/null", 3},
    {"an output that is closed", "--help >&- 2>/dev/null", 1},
    {"everything closed", "--help <&- >&- 2>&-", 1},
    {"a full disk", "--help >/dev/full 2>/dev/null", 1},
    {"a view of no daemon", "--socket /nonexistent/control.sock watch 2>/dev/null", 3},
};

TEST(Process, ExitsAsItShould)
{
    for (const auto &row : rows) {
        SCOPED_TRACE(row.name);
        EXPECT_EQ(exit_code_of(std::string(TALLYGATE_PROGRAM " ") + row.arguments), row.exit_code);
    }
}

TEST(Process, IsNotKilledByAReaderWhoLeft)
{
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    ::close(ends[0]);
    const pid_t child = ::fork();
    if (child == 0) {
        ::dup2(ends[1], STDOUT_FILENO);
        ::execl(TALLYGATE_PROGRAM, TALLYGATE_PROGRAM, "--help", nullptr);
        ::_exit(127);
    }
    ::close(ends[1]);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status)) << "killed by signal " << WTERMSIG(status);
    EXPECT_EQ(WEXITSTATUS(status), 1);
}

} // namespace
} // namespace tallygate::test
