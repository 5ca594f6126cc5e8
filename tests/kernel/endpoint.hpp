// SPDX-License-Identifier: BSD-2-Clause
//
// A host's TCP, as far as it decides whether a connection is open: numbers, both FINs, resets
// and challenges, RFC 9293 and 5961 without timers or options, with one window of 64 KiB. It
// knows nothing of the gate: what it says is open is what the gate's counts are compared with.
#pragma once

#include <algorithm>
#include <cstdint>
#include <random>
#include <vector>

#include "kernel/packet.hpp"

namespace tallygate::test {

/// A segment with its absolute numbers.
struct Wire {
    std::uint16_t flags;
    std::uint32_t seq;
    std::uint32_t ack_seq;
    std::uint32_t payload_bytes;

    [[nodiscard]] std::uint32_t end() const
    {
        return seq + payload_bytes + (flags & syn ? 1 : 0) + (flags & fin ? 1 : 0);
    }
};
using Wires = std::vector<Wire>;

class Endpoint {
public:
    enum class Role { client, server };
    enum class State { idle, syn_sent, syn_received, open, done };

    Endpoint(Role role, std::uint32_t seed) : role_(role), random_(seed) {}

    /// To a server, a connection that it made itself is none of its service's.
    [[nodiscard]] bool is_open() const { return state_ == State::open && !outbound_; }
    [[nodiscard]] std::uint64_t established_total() const { return established_total_; }
    /// Opened from both sides at once: the client's SYN-ACK was the proof, and not an ACK.
    [[nodiscard]] bool is_crossed() const { return is_open() && crossed_; }

    /// The next connection between the same ends, whatever became of the last.
    Wires connect()
    {
        begin(State::syn_sent);
        return {{syn, start_, 0, 0}};
    }

    /// A server that connects, from the very port it serves: only if nothing else goes on there.
    Wires connect_if_idle() { return state_ == State::idle ? connect() : Wires{}; }

    Wires say(std::uint32_t bytes)
    {
        const auto room = static_cast<std::uint32_t>(window) - (send_next_ - send_unacked_);
        bytes = std::min(bytes, room);
        if (state_ != State::open || fin_sent_ || bytes == 0)
            return {};
        send_next_ += bytes;
        return {{ack | psh, send_next_ - bytes, receive_next_, bytes}};
    }

    Wires close()
    {
        if (state_ != State::open || fin_sent_)
            return {};
        fin_sent_ = true;
        return {{fin | ack, send_next_++, receive_next_, 0}};
    }

    /// The last bytes and the FIN in one packet.
    Wires say_and_close(std::uint32_t bytes)
    {
        auto last = say(bytes);
        if (last.empty())
            return close();
        fin_sent_ = true;
        send_next_++;
        last.back().flags |= fin;
        return last;
    }

    Wires abort()
    {
        if (state_ != State::open)
            return {};
        state_ = State::idle;
        return {{rst | ack, send_next_, receive_next_, 0}};
    }

    /// The socket goes and nobody is told.
    void vanish() { state_ = State::idle; }

    Wires retransmit()
    {
        if (state_ == State::syn_sent)
            return {{syn, start_, 0, 0}};
        if (state_ == State::syn_received)
            return {{syn | ack, start_, receive_next_, 0}};
        if (state_ != State::open || send_unacked_ == send_next_)
            return {};
        const std::uint16_t flags = ack | (fin_sent_ ? fin : 0);
        return {{flags, send_unacked_, receive_next_,
                 send_next_ - send_unacked_ - (fin_sent_ ? 1 : 0)}};
    }

    Wires keep_alive()
    {
        if (state_ != State::open || send_unacked_ != send_next_)
            return {};
        return {{ack, send_next_ - 1, receive_next_, 0}};
    }

    /// What it answers at once.
    Wires receive(const Wire &in)
    {
        switch (state_) {
        case State::idle:
            return receive_idle(in);
        case State::syn_sent:
            return receive_syn_sent(in);
        case State::syn_received:
            return receive_syn_received(in);
        case State::open:
            return in.flags & rst ? receive_reset(in) : receive_open(in);
        case State::done:
            if (role_ == Role::server && in.flags == syn)
                return receive_idle(in);
            return in.flags & fin ? acknowledge() : Wires{};
        }
        return {};
    }

private:
    static constexpr std::int32_t window = 1 << 16;

    static std::int32_t distance(std::uint32_t from, std::uint32_t to)
    {
        return static_cast<std::int32_t>(to - from);
    }

    /// Numbers wrap in every second connection, and no host begins with the same one twice in a
    /// row (RFC 9293, 3.4.1).
    void begin(State state)
    {
        const auto last = start_;
        state_ = state;
        do {
            start_ = static_cast<std::uint32_t>(random_());
            if (random_() % 2)
                start_ |= 0xffffff00;
        } while (start_ == last);
        send_unacked_ = start_ + 1;
        send_next_ = start_ + 1;
        crossed_ = false;
        outbound_ = false;
        fin_sent_ = false;
        fin_received_ = false;
        early_.clear();
    }

    [[nodiscard]] Wires acknowledge() const { return {{ack, send_next_, receive_next_, 0}}; }

    static Wires refuse(const Wire &in)
    {
        if (in.flags & rst)
            return {};
        if (in.flags & ack)
            return {{rst, in.ack_seq, 0, 0}};
        return {{rst | ack, 0, in.end(), 0}};
    }

    Wires receive_idle(const Wire &in)
    {
        if (role_ == Role::client || in.flags != syn)
            return refuse(in);
        begin(State::syn_received);
        receive_next_ = in.end();
        return {{syn | ack, start_, receive_next_, 0}};
    }

    Wires receive_syn_sent(const Wire &in)
    {
        if (in.flags == syn) { /* both at once */
            state_ = State::syn_received;
            crossed_ = true;
            receive_next_ = in.end();
            return {{syn | ack, start_, receive_next_, 0}};
        }
        if (!(in.flags & ack) || in.ack_seq != start_ + 1)
            return refuse(in);
        if (in.flags & rst)
            state_ = State::idle;
        if (in.flags != (syn | ack))
            return {};
        state_ = State::open;
        outbound_ = role_ == Role::server;
        receive_next_ = in.end();
        return acknowledge();
    }

    Wires receive_syn_received(const Wire &in)
    {
        if (in.flags & rst) {
            if (in.seq == receive_next_)
                state_ = State::idle;
            return {};
        }
        if (in.flags == syn)
            return in.end() == receive_next_ ? retransmit() : receive_idle(in);
        const bool crosses = crossed_ && in.flags == (syn | ack) && in.end() == receive_next_;
        if ((in.flags & syn && !crosses) || !(in.flags & ack))
            return {};
        if (in.ack_seq != start_ + 1)
            return refuse(in);
        state_ = State::open;
        established_total_++;
        return crosses ? acknowledge() : receive_open(in);
    }

    Wires receive_reset(const Wire &in)
    {
        const auto ahead = distance(receive_next_, in.seq);
        if (ahead == 0 || (fin_received_ && ahead == -1)) {
            state_ = State::idle;
            return {};
        }
        return ahead > 0 && ahead < window ? acknowledge() : Wires{};
    }

    Wires receive_open(const Wire &in)
    {
        if (in.flags & syn)
            return acknowledge();
        if (!(in.flags & ack) || distance(send_unacked_ - window, in.ack_seq) < 0)
            return {};
        if (distance(send_next_, in.ack_seq) > 0 || distance(receive_next_, in.end()) < 0 ||
            distance(receive_next_, in.seq) > window)
            return acknowledge();

        if (distance(send_unacked_, in.ack_seq) > 0)
            send_unacked_ = in.ack_seq;
        early_.push_back(in);
        absorb();
        const auto answer = in.end() == in.seq ? Wires{} : acknowledge();
        if (fin_sent_ && fin_received_ && send_unacked_ == send_next_)
            state_ = State::done;
        return answer;
    }

    /// Takes what is now in order, also what came early.
    void absorb()
    {
        for (std::size_t i = 0; i < early_.size();) {
            const auto held = early_[i];
            if (distance(held.seq, receive_next_) < 0) {
                i++;
                continue;
            }
            early_.erase(early_.begin() + static_cast<long>(i));
            if (distance(receive_next_, held.end()) > 0) {
                receive_next_ = held.end();
                fin_received_ = fin_received_ || held.flags & fin;
            }
            i = 0;
        }
    }

    Role role_;
    State state_ = State::idle;
    std::mt19937 random_;
    std::uint32_t start_ = 0;
    std::uint32_t send_unacked_ = 0;
    std::uint32_t send_next_ = 0;
    std::uint32_t receive_next_ = 0;
    bool crossed_ = false;
    bool outbound_ = false;
    bool fin_sent_ = false;
    bool fin_received_ = false;
    std::uint64_t established_total_ = 0;
    Wires early_; ///< past a gap
};

} // namespace tallygate::test
