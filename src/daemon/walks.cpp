// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/walks.hpp"

#include <set>

#include "daemon/rest.hpp"

namespace tallygate::daemon {
namespace {

using namespace std::chrono_literals;

constexpr auto sources_interval = 250ms;
constexpr std::uint32_t claims_slice = 16'384; ///< ways: less than a millisecond
/// Walks of sources take a fiftieth of the time, rounds another, or more of it where everything is
/// forged.
constexpr Rest rest{.factor = 49, .max = 3s};

} // namespace

Walks::Walks(net::Loop &loop, kernel::KernelGate &gate, core::Ledger &ledger,
             core::Questions &questions, const core::Clock &clock, frontend::DaemonFacts &facts)
    : loop_(loop), gate_(gate), ledger_(ledger), questions_(questions), clock_(clock), facts_(facts)
{
}

void Walks::begin()
{
    questions_.set_refresh_prefixes(
        [this](const Block &block) { return gate_.refresh_prefixes(block, prefix_sink()); });
    walk_sources();
    begin_round();
    // The lease also while walks rest, for longer than it may last.
    loop_.every(sources_interval, [this] {
        gate_.renew_lease();
        if (Steady::now() >= sources_due_)
            walk_sources();
        if (!round_begun_ && Steady::now() >= round_due_)
            begin_round();
    });
}

void Walks::walk_sources()
{
    const auto begin = Steady::now();
    gate_.walk();
    const auto end = Steady::now();
    facts_.walk_last = end - begin;
    sources_due_ = end + rest.after(end - begin);
    questions_.set_walked_at(clock_.now());
}

void Walks::finish()
{
    const auto walk_round = [this] {
        while (!gate_.walk_claims(claims_slice))
            ;
    };
    if (round_begun_)
        walk_round();
    questions_.begin_claims_round();
    walk_round();
    walk_sources();
    questions_.end_claims_round();
    walk_networks();
}

void Walks::begin_round()
{
    round_begun_ = Steady::now();
    questions_.begin_claims_round();
    walk_claims();
}

void Walks::walk_claims()
{
    if (gate_.walk_claims(claims_slice))
        end_claims();
    else
        loop_.post([this] { walk_claims(); });
}

void Walks::end_claims()
{
    // The proven sources again: one that proved itself meanwhile left the claims' count.
    walk_sources();
    questions_.end_claims_round();
    prefixes_begun_at_ = clock_.now();
    walk_prefixes();
}

void Walks::walk_prefixes()
{
    if (gate_.walk_prefixes(prefix_sink()))
        end_round();
    else
        loop_.post([this] { walk_prefixes(); });
}

/// Into the windows of now.
kernel::PrefixSink Walks::prefix_sink()
{
    const auto now = clock_.now();
    return {.ipv4 =
                [this, now](std::uint32_t first, std::span<const std::uint32_t> syn) {
                    ledger_.record_ipv4_prefixes(first, syn, now);
                },
            .ipv6 = [this, now](const Block &prefix,
                                std::uint64_t syn) { ledger_.record_prefix(prefix, syn, now); }};
}

void Walks::walk_networks()
{
    const auto now = clock_.now();
    for (const auto &network : gate_.networks()) {
        const auto *book = ledger_.networks().find(network.block);
        if (book == nullptr || network.tally.syn < book->told.syn ||
            network.tally.dropped < book->told.dropped)
            continue;
        ledger_.record_network(network.block,
                               {.syn = network.tally.syn - book->told.syn,
                                .dropped = network.tally.dropped - book->told.dropped},
                               now);
    }
}

void Walks::end_round()
{
    const auto now = Steady::now();

    walk_networks();
    questions_.set_prefixes_walked_at(prefixes_begun_at_);
    round_due_ = now + rest.after(now - *round_begun_);
    round_begun_.reset();
}

void Walks::take_networks()
{
    const bool is_fresh = !gate_.maps_adopted() && round_due_ == Steady::time_point{};
    std::set<Block> blocks;

    for (const auto &network : gate_.networks()) {
        blocks.insert(network.block);
        if (is_fresh)
            ledger_.networks().begin(network.block, {}, gate_.counting_since());
        else
            ledger_.networks().begin(network.block, network.tally, clock_.now());
    }
    ledger_.networks().keep_only(blocks);
}

} // namespace tallygate::daemon
