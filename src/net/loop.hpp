// SPDX-License-Identifier: BSD-2-Clause
//
// The one event loop, around boost::asio. Asio's own headers stay out of here: they cost a
// reader's compiler seconds, and only the .cpp files of this room need them.
#pragma once

#include <chrono>
#include <functional>
#include <initializer_list>
#include <memory>

namespace boost::asio {
class io_context;
}

namespace tallygate::net {

/// Runs everything given to it on the thread that calls run(). Outlives all that uses it.
class Loop {
public:
    Loop();
    ~Loop();

    /// Returns after stop(), also one that came before. May be called again.
    void run();
    /// From any thread, and from a handler.
    void stop();
    /// Runs `work` on the loop soon. From any thread.
    void post(std::function<void()> work);

    /// Runs `work` each `interval`, first after one interval. A run that comes late, because
    /// the loop was busy, does not make up for the ones it missed. For as long as the loop.
    void every(std::chrono::nanoseconds interval, std::function<void()> work);

    /// Calls `handle` with the signal's number whenever one of `signals` comes, on the loop.
    void on_signals(std::initializer_list<int> signals, std::function<void(int)> handle);

    /// Calls `handle` when `fd` can be read, and again as long as it can. The descriptor stays
    /// the caller's: the loop waits on a copy. For as long as the loop.
    void on_readable(int fd, std::function<void()> handle);

    boost::asio::io_context &context();

private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace tallygate::net
