// SPDX-License-Identifier: BSD-2-Clause
#include "cli/postfix.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <utility>

#include "base/fd.hpp"
#include "cli/postfix_files.hpp"
#include "cli/program.hpp"

namespace tallygate::cli {
namespace {

namespace fs = std::filesystem;

struct Guard {
    const char *service;
    const char *line;
};

// `postfix upgrade-configuration` adds anvil unless some line begins and ends so. Debian's package
// does, whenever it is updated, unless a line's first word is anvil: a FIFO of that name in the
// public directory, which nobody writes to, leaves the path of the socket alone.
constexpr Guard guards[] = {
    {"anvilguard/unix", "anvilguard unix - - n - 1 anvil"},
    {"anvil/fifo", "anvil fifo n - n - 1 anvil"},
};
constexpr auto default_line = "anvil unix - - y - 1 anvil";
constexpr int answer_patience_ms = 2'000;

std::string before_path(const PostfixFacts &facts)
{
    return facts.master_cf() + ".before-tallygate";
}

/// What enabling made of it: as long as master.cf is this, the one before can be put back.
std::string after_path(const PostfixFacts &facts)
{
    return facts.master_cf() + ".with-tallygate";
}

std::string trimmed(std::string text)
{
    while (!text.empty() && (text.back() == '\n' || text.back() == ' '))
        text.pop_back();
    return text;
}

std::string first_line(const std::string &text)
{
    return text.substr(0, text.find('\n'));
}

/// Whether nobody has changed master.cf since it was enabled, and the copy is there still.
bool is_as_we_left_it(const PostfixFacts &facts)
{
    const auto after = text_of(after_path(facts));
    return !after.empty() && fs::exists(before_path(facts)) && after == text_of(facts.master_cf());
}

std::string shell_text(const std::vector<std::string> &words)
{
    std::string text;

    for (const auto &word : words) {
        const bool is_plain = word.find_first_of(" '") == std::string::npos;
        text += (text.empty() ? "" : " ") + (is_plain ? word : "'" + word + "'");
    }
    return text;
}

/// The line of anvil in a master.cf, with one blank between fields.
std::string anvil_line_of(const std::string &text)
{
    for (std::size_t begin = 0; begin < text.size();) {
        const auto end = std::min(text.find('\n', begin), text.size());
        const auto line = text.substr(begin, end - begin);
        if (line.starts_with("anvil ") || line.starts_with("anvil\t")) {
            std::string fields;
            for (const char each : line)
                if (each != ' ' && each != '\t')
                    fields += each;
                else if (!fields.ends_with(' '))
                    fields += ' ';
            return trimmed(fields);
        }
        begin = end + 1;
    }
    return {};
}

/// What comes up to an empty line, or as much of it as comes in time.
std::string next_list(const Fd &socket)
{
    std::string text;
    std::array<char, 256> part{};
    pollfd readable{socket.get(), POLLIN, 0};

    while (!text.ends_with("\n\n") && text.size() < 1000) {
        if (::poll(&readable, 1, answer_patience_ms) <= 0)
            break;
        const auto size = ::read(socket.get(), part.data(), part.size());
        if (size <= 0)
            break;
        text.append(part.data(), static_cast<std::size_t>(size));
    }
    return text;
}

} // namespace

bool PostfixFacts::has_guards() const
{
    return guards.size() == std::size(cli::guards);
}

bool PostfixFacts::waits_for_greeting() const
{
    char *rest = nullptr;
    const long major = std::strtol(version.c_str(), &rest, 10);
    const long minor = *rest == '.' ? std::strtol(rest + 1, nullptr, 10) : 0;
    return major > 3 || (major == 3 && minor >= 6);
}

/// What a tool of Postfix's says; its own words are the error.
Result<std::string> Postfix::ask(std::vector<std::string> words) const
{
    if (!config_directory_.empty())
        words.insert(words.begin() + 1, {"-c", config_directory_});
    const auto end = run_program(words);
    if (!end)
        return end.error().code == ENOENT
                   ? Error{"there is no Postfix here: " + end.error().message, ENOENT}
                   : end.error();
    if (end->exit_code != 0)
        return Error{words.front() + ": " + first_line(end->err.empty() ? end->out : end->err)};
    return trimmed(end->out);
}

Result<PostfixFacts> Postfix::look() const
{
    PostfixFacts facts;
    const std::pair<const char *, std::string *> settings[] = {
        {"mail_version", &facts.version},
        {"config_directory", &facts.config_directory},
        {"queue_directory", &facts.queue_directory},
        {"anvil_rate_time_unit", &facts.time_unit},
    };
    for (const auto &[name, place] : settings) {
        const auto value = ask({"postconf", "-h", name});
        if (!value)
            return value.error();
        *place = *value;
    }
    // postconf has a warning and no line for a service that there is not.
    const auto line = ask({"postconf", "-M", "anvil/unix"});
    if (!line)
        return line.error();
    facts.anvil_line = *line;
    for (const auto &guard : guards) {
        const auto found = ask({"postconf", "-M", guard.service});
        if (!found)
            return found.error();
        if (!found->empty())
            facts.guards.emplace_back(guard.service);
    }
    facts.is_running = static_cast<bool>(ask({"postfix", "status"}));
    return facts;
}

std::vector<Postfix::Words> Postfix::edits_to_enable(const PostfixFacts &facts) const
{
    std::vector<Words> edits;

    if (!facts.anvil_line.empty())
        edits.push_back({"postconf", "-M#", "anvil/unix"});
    for (const auto &guard : guards)
        if (std::ranges::find(facts.guards, guard.service) == facts.guards.end())
            edits.push_back({"postconf", "-M", std::string(guard.service) + "=" + guard.line});
    return edits;
}

std::vector<Postfix::Words> Postfix::edits_to_disable(const PostfixFacts &facts) const
{
    std::vector<Words> edits;

    if (facts.anvil_line.empty()) {
        const auto line = anvil_line_of(text_of(before_path(facts)));
        edits.push_back({"postconf", "-M", "anvil/unix=" + (line.empty() ? default_line : line)});
    }
    for (const auto &guard : facts.guards)
        edits.push_back({"postconf", "-MX", guard});
    return edits;
}

std::vector<std::string> Postfix::steps_to_enable(const PostfixFacts &facts) const
{
    std::vector<std::string> steps;

    if (facts.is_enabled())
        return steps;
    if (facts.is_stock())
        steps.push_back("cp -p " + facts.master_cf() + " " + before_path(facts));
    for (const auto &edit : edits_to_enable(facts))
        steps.push_back(shell_text(edit));
    if (facts.is_running)
        steps.push_back("postfix reload");
    return steps;
}

std::vector<std::string> Postfix::steps_to_disable(const PostfixFacts &facts) const
{
    std::vector<std::string> steps;

    if (facts.is_stock())
        return steps;
    if (is_as_we_left_it(facts))
        steps.push_back("cp -p " + before_path(facts) + " " + facts.master_cf());
    else
        for (const auto &edit : edits_to_disable(facts))
            steps.push_back(shell_text(edit));
    if (facts.is_running)
        steps.push_back("postfix reload");
    return steps;
}

Result<void> Postfix::make_edits(const std::vector<Words> &edits) const
{
    for (const auto &edit : edits)
        if (const auto done = ask(edit); !done)
            return done.error();
    return {};
}

/// The copy that is kept is of a master.cf that nothing of ours is in. Where there is something, as
/// after an upgrade that put anvil back, an earlier copy stays, and master.cf does not become that
/// copy again: what was changed meanwhile is somebody's.
Result<void> Postfix::enable(const PostfixFacts &facts) const
{
    if (facts.is_enabled())
        return {};
    const auto draft = facts.master_cf() + ".tallygate-draft";
    const auto undo = facts.is_stock() ? before_path(facts) : draft;
    if (auto copied = copy_file(facts.master_cf(), undo); !copied)
        return copied;
    auto edited = make_edits(edits_to_enable(facts));
    if (edited && facts.is_stock())
        edited = copy_file(facts.master_cf(), after_path(facts));
    if (!edited) {
        const auto undone = move_file(undo, facts.master_cf());
        return Error{edited.error().message +
                         (undone ? "; master.cf is as it was" : "; " + undone.error().message),
                     edited.error().code};
    }
    if (!facts.is_stock()) {
        ::unlink(draft.c_str());
        ::unlink(after_path(facts).c_str());
    }
    return reload(facts);
}

Result<void> Postfix::disable(const PostfixFacts &facts) const
{
    if (facts.is_stock())
        return {};
    const auto done = is_as_we_left_it(facts) ? move_file(before_path(facts), facts.master_cf())
                                              : make_edits(edits_to_disable(facts));
    if (!done)
        return done;
    ::unlink(before_path(facts).c_str());
    ::unlink(after_path(facts).c_str());
    return reload(facts);
}

Result<void> Postfix::reload(const PostfixFacts &facts) const
{
    if (!facts.is_running)
        return {};
    const auto done = ask({"postfix", "reload"});
    return done ? Result<void>{} : done.error();
}

AnvilSocket look_at_socket(const PostfixFacts &facts, Claimed claimed)
{
    const auto path = facts.socket();
    sockaddr_un address{};
    struct stat file = {};

    if (::lstat(path.c_str(), &file) != 0 || path.size() >= sizeof(address.sun_path))
        return AnvilSocket::missing;
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    const Fd socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    if (::connect(socket.get(), reinterpret_cast<const sockaddr *>(&address), sizeof(address)) != 0)
        return AnvilSocket::nobody;
    if (next_list(socket) != "protocol=anvil_protocol\n\n")
        return AnvilSocket::silent;
    if (facts.has_own_anvil() && claimed == Claimed::no)
        return AnvilSocket::other_anvil;
    constexpr std::string_view question = "request=newtls_report\nident=\n\n";
    if (::send(socket.get(), question.data(), question.size(), MSG_NOSIGNAL) < 0)
        return AnvilSocket::silent;
    return next_list(socket).starts_with("status=0\n") ? AnvilSocket::tallygate
                                                       : AnvilSocket::other_anvil;
}

} // namespace tallygate::cli
