// SPDX-License-Identifier: BSD-2-Clause
//
// What a connection of the churn does: how much is said, who ends it and how, and where it
// stops for a while. Drawn by a seeded generator, so that a run can be made again.
#pragma once

#include <cstdint>
#include <random>

namespace churn {

enum class Ending : std::uint8_t {
    client_fin,
    client_rst,
    server_fin,
    server_rst,
    client_half_close, ///< the client says FIN, and the server goes on talking
    server_half_close,
    both_fins,          ///< each as soon as it has spoken, without waiting for the other
    client_fin_at_once, ///< without a word
    client_rst_at_once, ///< with the handshake's last segment, or right behind it
    count,
};

/// Where a connection is parked until its process is told to go on.
enum class Stop : std::uint8_t { nowhere, at_start, after_words, at_end, count };

/// What the client tells the server about its connection, before any other word.
struct Request {
    std::uint32_t payload_bytes = 0; ///< that follow, and that come back
    Ending ending = Ending::client_fin;
    std::uint8_t reserved[3] = {};
};
static_assert(sizeof(Request) == 8);

struct Plan {
    Request request{};
    Stop stop = Stop::nowhere;
};

class Planner {
public:
    explicit Planner(std::uint64_t seed) : random_(seed) {}

    Plan next();
    Stop next_stop();
    bool chance(unsigned percent);

private:
    std::uint32_t below(std::uint32_t bound);
    std::uint32_t payload_bytes();

    std::mt19937_64 random_;
};

} // namespace churn
