// SPDX-License-Identifier: BSD-2-Clause
#include "net/loop.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fcntl.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace tallygate::net {
namespace {

namespace asio = boost::asio;
using Steady = std::chrono::steady_clock;

class Ticker {
public:
    Ticker(asio::io_context &context, std::chrono::nanoseconds interval, std::function<void()> work)
        : timer_(context), interval_(interval), work_(std::move(work)), due_(Steady::now())
    {
        wait();
    }

private:
    void wait()
    {
        due_ = std::max(due_ + interval_, Steady::now());
        timer_.expires_at(due_);
        timer_.async_wait([this](const boost::system::error_code &error) {
            if (error)
                return;
            work_();
            wait();
        });
    }

    asio::steady_timer timer_;
    std::chrono::nanoseconds interval_;
    std::function<void()> work_;
    Steady::time_point due_;
};

class Signals {
public:
    Signals(asio::io_context &context, std::initializer_list<int> signals,
            std::function<void(int)> handle)
        : set_(context), handle_(std::move(handle))
    {
        for (const int signal : signals)
            set_.add(signal);
        wait();
    }

private:
    void wait()
    {
        set_.async_wait([this](const boost::system::error_code &error, int signal) {
            if (error)
                return;
            handle_(signal);
            wait();
        });
    }

    asio::signal_set set_;
    std::function<void(int)> handle_;
};

class Reader {
public:
    Reader(asio::io_context &context, int fd, std::function<void()> handle)
        : copy_(context, ::fcntl(fd, F_DUPFD_CLOEXEC, 0)), handle_(std::move(handle))
    {
        wait();
    }

private:
    void wait()
    {
        copy_.async_wait(asio::posix::descriptor_base::wait_read,
                         [this](const boost::system::error_code &error) {
                             if (error)
                                 return;
                             handle_();
                             wait();
                         });
    }

    asio::posix::stream_descriptor copy_;
    std::function<void()> handle_;
};

} // namespace

struct Loop::State {
    asio::io_context context{1}; // one thread runs it
    asio::executor_work_guard<asio::io_context::executor_type> work{context.get_executor()};
    std::vector<std::unique_ptr<Ticker>> tickers;
    std::vector<std::unique_ptr<Signals>> signals;
    std::vector<std::unique_ptr<Reader>> readers;
};

Loop::Loop() : state_(std::make_unique<State>()) {}
Loop::~Loop() = default;

void Loop::run()
{
    state_->context.run();
    state_->context.restart();
}

void Loop::stop()
{
    state_->context.stop();
}

void Loop::post(std::function<void()> work)
{
    asio::post(state_->context, std::move(work));
}

void Loop::every(std::chrono::nanoseconds interval, std::function<void()> work)
{
    state_->tickers.push_back(std::make_unique<Ticker>(state_->context, interval, std::move(work)));
}

void Loop::on_signals(std::initializer_list<int> signals, std::function<void(int)> handle)
{
    state_->signals.push_back(
        std::make_unique<Signals>(state_->context, signals, std::move(handle)));
}

void Loop::on_readable(int fd, std::function<void()> handle)
{
    state_->readers.push_back(std::make_unique<Reader>(state_->context, fd, std::move(handle)));
}

asio::io_context &Loop::context()
{
    return state_->context;
}

} // namespace tallygate::net
