// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/background_file.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <ctime>
#include <new>
#include <system_error>
#include <utility>

#include "base/log.hpp"

namespace tallygate::daemon {
namespace {

using namespace std::chrono_literals;

constexpr int thread_nice = 10; ///< beside the daemon's own: a tenth of its share of a busy CPU

void let_others_go_first()
{
    const auto thread = static_cast<id_t>(::gettid());

    // Where that is forbidden it goes on as it is.
    static_cast<void>(
        ::setpriority(PRIO_PROCESS, thread, ::getpriority(PRIO_PROCESS, thread) + thread_nice));
}

std::chrono::nanoseconds cpu_time_of_thread()
{
    timespec time{};

    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return std::chrono::seconds{time.tv_sec} + std::chrono::nanoseconds{time.tv_nsec};
}

} // namespace

bool BackgroundFile::is_busy()
{
    return writing_.valid() && writing_.wait_for(0s) != std::future_status::ready;
}

void BackgroundFile::write_aside(Make make)
{
    finish();
    try {
        writing_ = std::async(std::launch::async, [file = file_, make = std::move(make)]() mutable {
            let_others_go_first();
            Result<void> result = Error{"there is no memory for it"};
            try {
                // What it holds is let go before the disk is waited for.
                const auto bytes = std::exchange(make, nullptr)();
                result = file.write(bytes);
            } catch (const std::bad_alloc &) {
            }
            return Written{std::move(result), cpu_time_of_thread()};
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
    if (!writing_.valid())
        return;
    const auto written = writing_.get();
    cost_ = written.cost;
    note(written.result);
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
