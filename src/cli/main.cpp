// SPDX-License-Identifier: BSD-2-Clause
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
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
#include "cli/screen.hpp"

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

volatile std::sig_atomic_t told_to_end = 0;

/// Ctrl-C is how a verb that goes on ends well.
void end_when_told()
{
    struct sigaction action {};
    action.sa_handler = [](int) { told_to_end = 1; };
    ::sigaction(SIGINT, &action, nullptr);
    ::sigaction(SIGTERM, &action, nullptr);
}

/// What to write for an outcome: a view takes the place of the one before, and where there is no
/// terminal an empty line stands between them.
std::string shown(const tallygate::cli::Outcome &outcome, bool is_first)
{
    if (!outcome.is_view)
        return outcome.out;
    winsize size{};
    if (::isatty(STDOUT_FILENO) == 0 || ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0)
        return (is_first ? "" : "\n") + outcome.out;
    if (size.ws_col == 0 || size.ws_row == 0)
        return tallygate::cli::on_screen(outcome.out, {});
    return tallygate::cli::on_screen(outcome.out, {.columns = size.ws_col, .rows = size.ws_row});
}

/// Answers the errno of the standard output, or 0.
int write_outcome(const tallygate::cli::Outcome &outcome, bool is_first)
{
    write_all(STDERR_FILENO, outcome.err);
    return write_all(STDOUT_FILENO, shown(outcome, is_first));
}

} // namespace

int main(int argc, char **argv)
{
    occupy_standard_descriptors();
    std::signal(SIGPIPE, SIG_IGN);
    find_connection();

    auto outcome =
        tallygate::cli::run(std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc));
    if (outcome.next)
        end_when_told();
    int error = write_outcome(outcome, true);
    while (error == 0 && outcome.next) {
        ::poll(nullptr, 0, static_cast<int>(outcome.pause.count()));
        if (told_to_end != 0)
            return static_cast<int>(tallygate::cli::ExitCode::ok);
        outcome = outcome.next();
        error = write_outcome(outcome, false);
    }
    if (error == 0)
        return static_cast<int>(outcome.exit_code);
    // A reader that has seen enough, `| head -1`, wants no word about it.
    if (error != EPIPE)
        write_all(STDERR_FILENO, std::string("tallygate: write to the standard output: ") +
                                     std::strerror(error) + "\n");
    return static_cast<int>(tallygate::cli::ExitCode::failed);
}
