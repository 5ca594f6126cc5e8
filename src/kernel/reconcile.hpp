// SPDX-License-Identifier: BSD-2-Clause
//
// Reconcile: rounds that compare the flows with the sockets of this network namespace, and mend
// what differs. A difference is mended when two rounds in a row have found it, and no packet has
// passed meanwhile: what is on its way looks like a difference for a moment.
//
// A flow is closed
//   - because its socket is gone, if it was ever seen to have one;
//   - because it was idle, if not: then nothing says that it ends on this host, and not in a
//     container or, as on a gateway, behind it.
// A flow that has a socket is never closed for being idle. A connection is adopted if its packets
// come in by our interfaces and something listens where it goes to.
#pragma once

#include <tallygate/abi.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/address.hpp"
#include "base/fd.hpp"
#include "base/result.hpp"
#include "core/seams.hpp"
#include "kernel/options.hpp"
#include "kernel/program.hpp"
#include "kernel/socket_table.hpp"

// The generated skeleton.
struct reconcile;

namespace tallygate::kernel {

class Reconcile {
public:
    /// Are there sockets to compare with? On a gateway there are none.
    enum class Sockets : std::uint8_t { here, elsewhere };
    /// When is a connection without a flow adopted? At once is for tables that were made just now.
    enum class Adopt : std::uint8_t { after_two_rounds, at_once };

    /// Loads its programs, over the maps of `program`, which must outlive this.
    static Result<Reconcile> load(const Program &program);

    Reconcile(Reconcile &&) noexcept;
    Reconcile &operator=(Reconcile &&) = delete;
    ~Reconcile();

    void configure(const ReconcileOptions &options, Sockets sockets);
    /// By which interfaces the packets of a connection must come in for it to be adopted. Others,
    /// such as the host's own over lo, never pass the gate. At most 64 are taken.
    void take_arrivals(const std::set<std::uint32_t> &interfaces);

    /// Begins a round; one that was under way is given up. Flows that opened later than `now`, on
    /// CLOCK_MONOTONIC, do not age in it.
    Result<void> begin(std::chrono::nanoseconds now, Adopt adopt = Adopt::after_two_rounds);
    /// Goes on with the round by a few hundred sockets or flows, and says whether it is complete.
    Result<bool> step();

    /// Since this was loaded.
    std::uint64_t rounds() const { return rounds_; }
    /// Flows with one FIN in the last complete round.
    std::uint64_t half_closed() const { return half_closed_; }
    /// Connections that found no room for a flow in the last complete round.
    std::uint64_t unadopted() const { return unadopted_; }
    /// Differences that the last complete round was the first to find: another one mends them.
    std::uint64_t doubts() const { return doubts_; }
    /// Flows in the last complete round that are long quiet, and end nobody knows where.
    std::uint64_t elsewhere() const { return elsewhere_; }

private:
    enum class Phase : std::uint8_t { idle, sockets, flows };

    struct Destroy {
        void operator()(reconcile *skeleton) const;
    };
    struct EndsOrder {
        bool operator()(const tg_flow_key &one, const tg_flow_key &other) const;
    };

    Reconcile() = default;
    Result<void> attach_iterator();
    std::uint32_t seconds_since_last(std::chrono::nanoseconds now);
    Result<void> open_sockets();
    Result<void> open_flows();
    Result<bool> step_sockets();
    Result<void> look_at(const Socket &socket);
    Result<void> adopt(const Socket &socket);
    bool is_listened_to(const tg_flow_key &ends) const;
    Result<void> read_guarded_ports();
    Result<void> look_at(const tg_flow_age &age);
    std::optional<tg_closing_reason> reason_to_close(const tg_flow_age &age) const;
    bool is_idle(const tg_flow_age &age) const;
    void finish_round();

    std::unique_ptr<reconcile, Destroy> skeleton_;
    const Program *program_ = nullptr;
    std::optional<SocketTable> socket_table_;
    Fd flow_iterator_; ///< a link, which opens any number of passes
    Fd pass_;          ///< the one under way
    Phase phase_ = Phase::idle;
    std::optional<std::chrono::nanoseconds> last_begun_;
    Adopt adopt_ = Adopt::after_two_rounds;
    ReconcileOptions options_;
    Sockets sockets_ = Sockets::here;
    std::set<std::uint32_t> arrivals_;              ///< indices
    std::set<tg_flow_key, EndsOrder> without_flow_; ///< sockets in this round
    std::set<tg_flow_key, EndsOrder> without_flow_before_;
    std::vector<bool> guarded_ports_; ///< by port, in this round
    std::set<Endpoint> listened_to_;  ///< in this round
    std::uint64_t rounds_ = 0;
    std::uint64_t half_closed_ = 0;
    std::uint64_t unadopted_ = 0;
    std::uint64_t elsewhere_ = 0;
    std::uint64_t doubts_ = 0;
    struct {
        std::uint64_t half_closed, unadopted, elsewhere, doubts;
    } so_far_{}; ///< in this round
};

} // namespace tallygate::kernel
