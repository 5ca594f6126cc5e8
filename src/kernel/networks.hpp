// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "core/seams.hpp"
#include "kernel/hints.hpp"
#include "kernel/map_view.hpp"
#include "kernel/options.hpp"
#include "kernel/program.hpp"
#include "kernel/totals.hpp"

namespace tallygate::kernel {

/// The operator's networks in the kernel's trie. A packet counts at its longest match only, so
/// a network's count is its own total and those of all networks nested in it.
///
/// A network that is taken out leaves its total to the one around it: that one's count never
/// goes back. Named again, it goes on from its own total.
class NetworkTable {
public:
    using Id = std::uint32_t;

    /// A configured network as limits see it.
    struct Node {
        Id id = 0;
        Id parent = 0; ///< the next wider configured network; 0: none
        std::string name;
        Block block = Block::all(Family::ipv4);
    };

    static Result<NetworkTable> open(const Program &program);

    /// Makes the trie hold exactly these blocks, which must differ from each other. After an
    /// error the old ones stand.
    Result<void> apply(const std::vector<NetworkOption> &networks);

    /// The configured networks in the order of their addresses, nested ones included.
    std::vector<core::NetworkCounts> counts() const;

    std::size_t configured() const;
    /// The configured networks in the order of their addresses.
    std::vector<Node> nodes() const;
    /// The name of a network that is or was configured; "" if there was none.
    std::string name_of(Id id) const;

    /// Sets right what limits on open flows compare with, after networks have moved: the flows
    /// that are open inside of each. A difference is mended when it shows a second time, because
    /// a connection that opens at this moment looks like one.
    void settle_live();

private:
    struct Record {
        std::string name;
        std::uint32_t parent = 0;
        bool retired = false;
    };
    using Sums = std::map<Id, core::Tally>;
    using Differences = std::map<Id, std::int64_t>;

    NetworkTable(const Program &program, HintTable hints, MappedArray<tg_network_node> kernel_nodes,
                 Totals totals)
        : program_(&program), hints_(std::make_shared<HintTable>(std::move(hints))),
          kernel_nodes_(std::make_shared<MappedArray<tg_network_node>>(std::move(kernel_nodes))),
          totals_(std::make_shared<const Totals>(std::move(totals)))
    {
    }

    Result<void> choose(const std::vector<NetworkOption> &networks);
    Result<Id> number_for(const Block &block);
    Id find_parent(const Block &block) const;
    Result<void> write() const;
    Result<void> write_records() const;
    Result<void> write_trie() const;
    void write_over(const NetworkTable &half_written) const;
    void write_nodes() const;
    std::vector<std::uint64_t> hint_words() const;
    Sums sums() const;
    Differences live_differences() const;
    void add_live(Id id, std::int64_t amount) const;

    const Program *program_;
    /// Shared with the copies that apply() makes to try things out.
    std::shared_ptr<const HintTable> hints_;
    std::shared_ptr<const MappedArray<tg_network_node>> kernel_nodes_;
    std::shared_ptr<const Totals> totals_;
    Differences seen_once_;
    std::uint32_t entries_max_ = 0; ///< with the place of number 0, which is no network
    std::map<Block, Id> ids_;       ///< also of retired ones
    std::map<Id, Record> records_;
};

} // namespace tallygate::kernel
