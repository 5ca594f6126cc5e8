// SPDX-License-Identifier: BSD-2-Clause
#include "churn/stream.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace churn {
namespace {

constexpr std::size_t piece_bytes = 65'536;
constexpr std::array<char, piece_bytes> filler{};

} // namespace

void Stream::say(const Request &request)
{
    request_ = request;
    request_size_ = sizeof(request_);
}

void Stream::end_talk()
{
    talk_ended_ = true;
    ::shutdown(fd_.get(), SHUT_WR);
}

void Stream::reset()
{
    reset_on_close(fd_);
    close();
}

std::uint64_t Stream::taken(long result)
{
    if (result > 0)
        return static_cast<std::uint64_t>(result);
    if (errno != EAGAIN)
        broken_ = true;
    return 0;
}

void Stream::send_all()
{
    while (!broken_ && request_sent_ < request_size_) {
        const char *rest = reinterpret_cast<const char *>(&request_) + request_sent_;
        const auto sent =
            taken(::send(fd_.get(), rest, request_size_ - request_sent_, MSG_NOSIGNAL));
        if (sent == 0)
            return;
        request_sent_ += static_cast<std::uint32_t>(sent);
    }
    while (!broken_ && unsent_bytes_ > 0) {
        const auto piece = std::min<std::uint64_t>(unsent_bytes_, filler.size());
        const auto sent = taken(::send(fd_.get(), filler.data(), piece, MSG_NOSIGNAL));
        if (sent == 0)
            return;
        unsent_bytes_ -= sent;
    }
}

void Stream::take_all()
{
    std::array<char, piece_bytes> piece;

    while (!broken_ && !at_end_) {
        const auto got = ::recv(fd_.get(), piece.data(), piece.size(), 0);
        if (got == 0) {
            at_end_ = true;
            return;
        }
        const auto bytes = taken(got);
        if (bytes == 0)
            return;
        if (heard_bytes_ < sizeof(heard_))
            std::memcpy(reinterpret_cast<char *>(&heard_) + heard_bytes_, piece.data(),
                        std::min<std::uint64_t>(bytes, sizeof(heard_) - heard_bytes_));
        heard_bytes_ += bytes;
    }
}

void Stream::pump()
{
    send_all();
    take_all();
}

} // namespace churn
