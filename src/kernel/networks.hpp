// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "core/seams.hpp"
#include "kernel/options.hpp"
#include "kernel/program.hpp"

namespace tallygate::kernel {

/// The operator's networks in the kernel's trie. A packet counts at its longest match only, so
/// a network's count is its own total and those of all networks nested in it.
///
/// A network that is taken out leaves its total to the one around it: that one's count never
/// goes back. Named again, it goes on from its own total.
class NetworkTable {
public:
    static Result<NetworkTable> open(const Program &program);

    /// Makes the trie hold exactly these blocks, which must differ from each other. After an
    /// error the old ones stand.
    Result<void> apply(const std::vector<NetworkOption> &networks);

    /// The configured networks in the order of their addresses, nested ones included.
    std::vector<core::NetworkCounts> counts() const;

    std::size_t configured() const;

private:
    struct Record {
        std::string name;
        std::uint32_t parent = 0;
        bool retired = false;
    };
    using Id = std::uint32_t;

    explicit NetworkTable(const Program &program) : program_(&program) {}

    Result<void> choose(const std::vector<NetworkOption> &networks);
    Result<Id> number_for(const Block &block);
    Id find_parent(const Block &block) const;
    Result<void> write() const;
    Result<void> write_records() const;
    Result<void> write_trie() const;
    void write_over(const NetworkTable &half_written) const;

    const Program *program_;
    std::uint32_t entries_max_ = 0; ///< with the place of number 0, which is no network
    std::map<Block, Id> ids_;       ///< also of retired ones
    std::map<Id, Record> records_;
};

} // namespace tallygate::kernel
