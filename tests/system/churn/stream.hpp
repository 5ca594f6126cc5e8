// SPDX-License-Identifier: BSD-2-Clause
//
// One end of a connection, whose words are a request and filler that nobody reads.
#pragma once

#include "churn/plan.hpp"
#include "churn/sockets.hpp"

namespace churn {

class Stream {
public:
    Stream() = default;
    explicit Stream(Fd fd) : fd_(std::move(fd)) {}

    bool is_open() const { return static_cast<bool>(fd_); }
    /// Sends what waits and takes all that has come, as far as that goes without waiting.
    void pump();

    void say(const Request &request);
    void say_filler(std::uint64_t bytes) { unsent_bytes_ += bytes; }
    /// FIN, now.
    void end_talk();
    void close() { fd_ = Fd(); }
    void reset();

    bool has_said_all() const { return request_sent_ == request_size_ && unsent_bytes_ == 0; }
    bool has_ended_talk() const { return talk_ended_; }
    /// The other side's FIN has come, and all before it.
    bool is_at_end() const { return at_end_; }
    /// A RST has come, or a time-out; nothing more will.
    bool is_broken() const { return broken_; }
    std::uint64_t heard_bytes() const { return heard_bytes_; }
    /// The first words that were heard; complete once `heard_bytes` says so.
    const Request &heard_request() const { return heard_; }
    const Fd &fd() const { return fd_; }

private:
    void send_all();
    void take_all();
    /// Of send(): how many were taken, 0 if it cannot go on now.
    std::uint64_t taken(long result);

    Fd fd_;
    Request request_;
    Request heard_;
    std::uint32_t request_sent_ = 0;
    std::uint32_t request_size_ = 0;
    std::uint64_t unsent_bytes_ = 0;
    std::uint64_t heard_bytes_ = 0;
    bool talk_ended_ = false;
    bool at_end_ = false;
    bool broken_ = false;
};

} // namespace churn
