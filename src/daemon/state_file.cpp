// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/state_file.hpp"

#include <chrono>
#include <system_error>
#include <utility>

#include "base/log.hpp"

namespace tallygate::daemon {

using namespace std::chrono_literals;

std::optional<std::string> StateFile::read()
{
    auto bytes = file_.read();
    if (bytes)
        return std::move(*bytes);
    spdlog::warn("{}; {} is lost", bytes.error().message, what_);
    return std::nullopt;
}

void StateFile::set_aside(const std::string &why)
{
    const auto moved = file_.set_aside();
    warning_ = path() + " is of no use: " + why + "; " + what_ + " is lost, and the file " +
               (moved ? "is now " + file_.damaged_path() : "stays: " + moved.error().message);
    spdlog::warn("{}", *warning_);
}

void StateFile::write(std::string bytes)
{
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
