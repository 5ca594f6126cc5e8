// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/background_file.hpp"

#include <chrono>
#include <system_error>
#include <utility>

#include "base/log.hpp"

namespace tallygate::daemon {

using namespace std::chrono_literals;

bool BackgroundFile::is_busy()
{
    return writing_.valid() && writing_.wait_for(0s) != std::future_status::ready;
}

void BackgroundFile::write_aside(Make make)
{
    finish();
    try {
        writing_ = std::async(std::launch::async, [file = file_, make = std::move(make)] {
            return file.write(make());
        });
    } catch (const std::system_error &error) {
        note(Error{std::string("start a thread: ") + error.what()});
    }
}

void BackgroundFile::write(const std::string &bytes)
{
    finish();
    note(file_.write(bytes));
}

void BackgroundFile::finish()
{
    if (writing_.valid())
        note(writing_.get());
}

/// A failure goes to the log once, however long it lasts.
void BackgroundFile::note(const Result<void> &written)
{
    if (written) {
        if (warning_)
            spdlog::info("{} saved again in {}", what_, file_.path());
        warning_.reset();
        return;
    }
    const std::string sentence =
        what_ + " not saved, and would not survive a restart: " + written.error().message;
    if (warning_ != sentence)
        spdlog::warn("{}", sentence);
    warning_ = sentence;
}

} // namespace tallygate::daemon
