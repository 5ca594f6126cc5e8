// SPDX-License-Identifier: BSD-2-Clause
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "cli/command_line.hpp"

namespace {

/// A program started with its standard output closed would get that number for its next
/// socket, and print into it. Whatever is closed is opened for the other direction instead.
void occupy_standard_descriptors()
{
    for (int fd = 0; fd <= 2; fd++)
        if (::fcntl(fd, F_GETFD) < 0)
            ::open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
}

/// Answers the errno, or 0.
int write_all(int fd, const std::string &text)
{
    for (std::size_t written = 0; written < text.size();) {
        const ssize_t bytes = ::write(fd, text.data() + written, text.size() - written);
        if (bytes >= 0)
            written += static_cast<std::size_t>(bytes);
        else if (errno != EINTR)
            return errno;
    }
    return 0;
}

/// sudo takes $SSH_CONNECTION away. Whoever called it, or called who called it, still has it.
void find_connection()
{
    constexpr int generations_max = 16;
    constexpr std::string_view name = "SSH_CONNECTION=";
    pid_t process = ::getppid();

    for (int i = 0; i < generations_max && process > 1; i++) {
        if (std::getenv("SSH_CONNECTION") != nullptr)
            return;
        const std::string folder = "/proc/" + std::to_string(process);
        std::ifstream environment{folder + "/environ"};
        for (std::string each; std::getline(environment, each, '\0');)
            if (each.starts_with(name))
                ::setenv("SSH_CONNECTION", each.substr(name.size()).c_str(), 1);
        // "PID (NAME) STATE PARENT ...", where a name may have blanks and brackets.
        std::string status;
        std::getline(std::ifstream{folder + "/stat"}, status);
        char state = 0;
        process = 0;
        std::istringstream{status.substr(status.rfind(')') + 1)} >> state >> process;
    }
}

} // namespace

int main(int argc, char **argv)
{
    occupy_standard_descriptors();
    std::signal(SIGPIPE, SIG_IGN);
    find_connection();

    const auto outcome =
        tallygate::cli::run(std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc));
    write_all(STDERR_FILENO, outcome.err);
    const int error = write_all(STDOUT_FILENO, outcome.out);
    if (error == 0)
        return static_cast<int>(outcome.exit_code);
    // A reader that has seen enough, `| head -1`, wants no word about it.
    if (error != EPIPE)
        write_all(STDERR_FILENO, std::string("tallygate: write to the standard output: ") +
                                     std::strerror(error) + "\n");
    return static_cast<int>(tallygate::cli::ExitCode::failed);
}
