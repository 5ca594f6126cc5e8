// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/state_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

#include "base/fd.hpp"
#include "base/log.hpp"

namespace tallygate::daemon {
namespace {

using namespace std::chrono_literals;

/// The first line of a draft: FNV-1a of the rest. Nobody brought a draft to the disk, so after a
/// power failure it may be empty, cut, or full of zeros.
std::string first_line(std::string_view bytes)
{
    std::uint64_t hash = 0xcbf29ce484222325ULL;
    for (const char each : bytes)
        hash = (hash ^ static_cast<unsigned char>(each)) * 0x100000001b3ULL;
    std::array<char, 24> text{};
    std::snprintf(text.data(), text.size(), "%016llx\n", static_cast<unsigned long long>(hash));
    return text.data();
}

bool write_whole(const std::string &path, const std::string &text)
{
    const Fd file{::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
                         S_IRUSR | S_IWUSR)};
    return file &&
           ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

} // namespace

/// Whole, or nothing.
std::optional<std::string> StateFile::read_draft()
{
    std::ifstream file(draft_path(), std::ios::binary);
    if (!file)
        return std::nullopt;
    std::string text{std::istreambuf_iterator<char>(file), {}};
    const auto end = text.find('\n');
    if (end == std::string::npos)
        return std::nullopt;
    auto bytes = text.substr(end + 1);
    if (text.substr(0, end + 1) != first_line(bytes))
        return std::nullopt;
    return bytes;
}

/// One that cannot be made must leave none behind, which would be older than the file.
void StateFile::leave_draft(const std::string &bytes) const
{
    ::mkdir(path().substr(0, path().rfind('/')).c_str(), 0700);
    const std::string half = draft_path() + ".new";
    if (write_whole(half, first_line(bytes) + bytes) &&
        ::rename(half.c_str(), draft_path().c_str()) == 0)
        return;
    ::unlink(half.c_str());
    ::unlink(draft_path().c_str());
}

std::optional<std::string> StateFile::read()
{
    if (auto draft = read_draft()) {
        is_from_draft_ = true;
        return draft;
    }
    auto bytes = file_.read();
    if (bytes)
        return std::move(*bytes);
    spdlog::warn("{}; {} is lost", bytes.error().message, what_);
    return std::nullopt;
}

void StateFile::set_aside(const std::string &why)
{
    if (std::exchange(is_from_draft_, false))
        ::rename(draft_path().c_str(), path().c_str());
    const auto moved = file_.set_aside();
    warning_ = path() + " is of no use: " + why + "; " + what_ + " is lost, and the file " +
               (moved ? "is now " + file_.damaged_path() : "stays: " + moved.error().message);
    spdlog::warn("{}", *warning_);
}

void StateFile::write(std::string bytes)
{
    leave_draft(bytes);
    waiting_ = std::move(bytes);
    tick();
}

void StateFile::tick()
{
    if (writing_.valid()) {
        if (writing_.wait_for(0s) != std::future_status::ready)
            return;
        note(writing_.get());
    }
    if (waiting_)
        begin();
}

void StateFile::finish()
{
    if (writing_.valid())
        note(writing_.get());
    if (waiting_)
        note(file_.write(*std::exchange(waiting_, std::nullopt)));
}

void StateFile::begin()
{
    try {
        writing_ = std::async(std::launch::async, [file = file_, bytes = std::move(*waiting_)] {
            return file.write(bytes);
        });
    } catch (const std::system_error &error) {
        note(Error{std::string("start a thread: ") + error.what()});
    }
    waiting_.reset();
}

/// A failure goes to the log once, however long it lasts.
void StateFile::note(const Result<void> &written)
{
    if (written) {
        if (!waiting_)
            ::unlink(draft_path().c_str());
        if (warning_)
            spdlog::info("{} is saved again in {}", what_, path());
        warning_.reset();
        return;
    }
    const std::string sentence =
        what_ + " is not saved, and would not survive a restart: " + written.error().message;
    if (warning_ != sentence)
        spdlog::warn("{}", sentence);
    warning_ = sentence;
}

} // namespace tallygate::daemon
