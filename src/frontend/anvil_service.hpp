// SPDX-License-Identifier: BSD-2-Clause
//
// anvil(8), answered: each stream of Postfix is a conversation over one table. Sockets and threads
// are the daemon's business.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "core/reports.hpp"
#include "core/seams.hpp"
#include "frontend/anvil_codec.hpp"
#include "frontend/anvil_table.hpp"
#include "net/stream_server.hpp"

namespace tallygate::frontend {

struct AnvilTotals {
    std::uint64_t requests = 0;
    std::uint64_t unrecognized = 0; ///< answered, but for nothing we know
    std::uint64_t malformed = 0;    ///< streams closed for what they said
    std::uint64_t opaque = 0;       ///< events of idents without an address: not reported
    std::uint64_t counted_by_gate = 0;
};

/// Serves while it lives, and outlives its conversations. Borrows all.
class AnvilService {
public:
    /// How many connections the gate sees of a client that has `own` sessions here; nothing if
    /// that cannot be told at once.
    using Live =
        std::function<std::optional<std::uint32_t>(const Block &client, std::uint32_t own)>;
    /// A sentence about a client of the socket that misbehaves. May come often.
    using Warn = std::function<void(const std::string &sentence)>;

    struct Options {
        bool greet = true; ///< Postfix before 3.6 wants none
        Live live = {};    ///< count_from = "gate"
        Warn warn = {};
    };

    AnvilService(AnvilTable &table, core::Reporter &reporter, const core::Clock &clock,
                 Options options);

    std::unique_ptr<net::Conversation> open();

    const AnvilTotals &totals() const { return totals_; }

private:
    class Talk;

    std::string answer(AnvilLink &link, const AnvilRequest &request);
    std::string act(AnvilLink &link, const AnvilAction &action, std::string_view ident);
    void report(AnvilRate rate, std::string_view ident);
    AnvilCounts as_gate_sees(AnvilCounts counts, std::string_view ident);
    void warn(const std::string &sentence) const;
    AnvilTable::Time now() const;

    AnvilTable &table_;
    core::Reporter &reporter_;
    const core::Clock &clock_;
    Options options_;
    AnvilTotals totals_;
};

} // namespace tallygate::frontend
