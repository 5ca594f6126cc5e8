// SPDX-License-Identifier: BSD-2-Clause
#include "cli/program.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

#include "base/fd.hpp"

namespace tallygate::cli {
namespace {

struct Pipe {
    Fd read;
    Fd write;
};

Result<Pipe> make_pipe()
{
    std::array<int, 2> ends{};

    if (::pipe2(ends.data(), O_CLOEXEC) != 0)
        return Error::system("make a pipe");
    return Pipe{Fd{ends[0]}, Fd{ends[1]}};
}

/// Of an unprivileged user it often has no sbin, where mail servers keep their tools.
std::string path_of(const std::string &program)
{
    const char *const path = std::getenv("PATH");
    std::string places = std::string(path != nullptr ? path : "/usr/bin:/bin") + ":/usr/sbin:/sbin";

    for (std::size_t begin = 0; begin <= places.size();) {
        const auto end = std::min(places.find(':', begin), places.size());
        const auto file = places.substr(begin, end - begin) + "/" + program;
        if (::access(file.c_str(), X_OK) == 0)
            return file;
        begin = end + 1;
    }
    return {};
}

/// Both at once: a program that fills one pipe while we read the other would wait for ever.
void read_both(const Pipe &out, const Pipe &err, ProgramEnd &end)
{
    std::array<pollfd, 2> ends{{{out.read.get(), POLLIN, 0}, {err.read.get(), POLLIN, 0}}};
    std::array<std::string *, 2> texts{&end.out, &end.err};
    std::array<char, 4096> part{};

    while (ends[0].fd >= 0 || ends[1].fd >= 0) {
        if (::poll(ends.data(), ends.size(), -1) < 0)
            continue;
        for (std::size_t i = 0; i < ends.size(); i++) {
            if (ends[i].fd < 0 || ends[i].revents == 0)
                continue;
            const auto size = ::read(ends[i].fd, part.data(), part.size());
            if (size > 0)
                texts[i]->append(part.data(), static_cast<std::size_t>(size));
            else
                ends[i].fd = -1;
        }
    }
}

} // namespace

Result<ProgramEnd> run_program(const std::vector<std::string> &words)
{
    const auto file = path_of(words.front());
    if (file.empty())
        return Error{"there is no program " + words.front(), ENOENT};
    auto out = make_pipe();
    auto err = make_pipe();
    if (!out || !err)
        return out ? err.error() : out.error();

    std::vector<char *> arguments;
    for (const auto &word : words)
        arguments.push_back(const_cast<char *>(word.c_str()));
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_adddup2(&actions, out->write.get(), 1);
    ::posix_spawn_file_actions_adddup2(&actions, err->write.get(), 2);
    pid_t child = 0;
    const int failed =
        ::posix_spawn(&child, file.c_str(), &actions, nullptr, arguments.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    if (failed != 0)
        return Error::system("run " + file, failed);
    out->write = Fd{};
    err->write = Fd{};

    ProgramEnd end;
    read_both(*out, *err, end);
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    end.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return end;
}

} // namespace tallygate::cli
