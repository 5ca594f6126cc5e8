// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/networks.hpp"

#include <tallygate/abi.h>

#include <cstring>

#include "base/log.hpp"
#include "kernel/convert.hpp"
#include "kernel/map_view.hpp"

namespace tallygate::kernel {
namespace {

using Records = MapView<std::uint32_t, tg_network_record>;
using Trie = MapView<tg_prefix, tg_network>;

} // namespace

Result<NetworkTable> NetworkTable::open(const Program &program)
{
    const auto records = Records::open(program.map_fd("network_records"), "network_records");
    if (!records)
        return records.error();

    auto hints = HintTable::open(program.map_fd("hints"), TG_HINT_NETWORKS);
    if (!hints)
        return hints.error();
    auto nodes =
        MappedArray<tg_network_node>::open(program.map_fd("network_nodes"), "network_nodes");
    if (!nodes)
        return nodes.error();

    auto totals = Totals::open(program.object());
    if (!totals)
        return totals.error();

    NetworkTable table{program, std::move(*hints), std::move(*nodes), std::move(*totals)};
    table.entries_max_ = records->entries_max();
    const auto read = records->for_each([&](Id id, const tg_network_record &record) {
        const std::string name{record.name, ::strnlen(record.name, sizeof(record.name))};
        if (id == 0 || name.empty())
            return;
        table.ids_[to_block(record.prefix)] = id;
        table.records_[id] = {name, record.parent, record.retired != 0};
    });
    if (!read)
        return read.error();
    return table;
}

Result<NetworkTable::Id> NetworkTable::number_for(const Block &block)
{
    if (const auto found = ids_.find(block); found != ids_.end())
        return found->second;
    const Id id = records_.empty() ? 1 : records_.rbegin()->first + 1;
    if (id >= entries_max_)
        return Error{"no room for network " + block.text() + ": gate.networks_max is " +
                     std::to_string(entries_max_ - 1) +
                     ", and networks that were taken out keep their place until " +
                     "`tallygated detach`"};
    ids_[block] = id;
    records_[id] = {};
    return id;
}

/// The id of the smallest configured network around a block; 0 if there is none.
NetworkTable::Id NetworkTable::find_parent(const Block &block) const
{
    for (unsigned length = block.length_bits(); length-- > 0;) {
        const auto found = ids_.find(Block{block.first(), length});
        if (found == ids_.end() || records_.at(found->second).retired)
            continue;
        return found->first.family() == block.family() ? found->second : 0;
    }
    return 0;
}

Result<void> NetworkTable::write_records() const
{
    const auto view = Records::open(program_->map_fd("network_records"), "network_records");
    if (!view)
        return view.error();

    for (const auto &[block, id] : ids_) {
        const auto &record = records_.at(id);
        tg_network_record value{};
        record.name.copy(value.name, sizeof(value.name) - 1);
        value.prefix = from_block(block);
        value.parent = record.parent;
        value.retired = record.retired ? 1 : 0;
        if (const auto written = view->put(id, value); !written)
            return written;
    }
    return {};
}

Result<void> NetworkTable::write_trie() const
{
    const auto trie = Trie::open(program_->map_fd("networks"), "networks");
    if (!trie)
        return trie.error();

    // IPv4 lives in ::ffff:0:0/96, which ::/0 and its like would match: a network of no number
    // stands there unless the operator has one for all of IPv4.
    const auto all_ipv4 = ids_.find(Block::all(Family::ipv4));
    if (all_ipv4 == ids_.end() || records_.at(all_ipv4->second).retired)
        if (const auto put = trie->put(from_block(Block::all(Family::ipv4)), {0, 0}); !put)
            return put;

    for (const auto &[block, id] : ids_) {
        const auto &record = records_.at(id);
        if (record.retired && block == Block::all(Family::ipv4))
            continue;
        const auto written = record.retired ? trie->remove(from_block(block))
                                            : trie->put(from_block(block), {id, record.parent});
        if (!written)
            return written;
    }
    return {};
}

/// Limits and live counts go up these; also from a network that was taken out, whose flows are
/// still open. What is not ours in them is left alone: the programs write there.
void NetworkTable::write_nodes() const
{
    for (const auto &[id, record] : records_)
        (*kernel_nodes_)[id].parent = record.parent;
}

std::vector<std::uint64_t> NetworkTable::hint_words() const
{
    HintCounts counts;
    for (const auto &[block, id] : ids_)
        if (!records_.at(id).retired)
            counts.add(block);
    return counts.words();
}

/// The hints before the trie that they lead to, and none taken away until it is whole.
Result<void> NetworkTable::write() const
{
    const auto words = hint_words();

    if (const auto written = write_records(); !written)
        return written;
    write_nodes();
    hints_->add(words);
    if (const auto written = write_trie(); !written)
        return written;
    hints_->replace(words);
    return {};
}

/// Puts this table in the place of one that was refused half-way, as far as the kernel lets us.
void NetworkTable::write_over(const NetworkTable &half_written) const
{
    const auto records = Records::open(program_->map_fd("network_records"), "network_records");
    const auto trie = Trie::open(program_->map_fd("networks"), "networks");

    // Room first, for what was taken out and comes back.
    for (const auto &[block, id] : half_written.ids_) {
        if (!records || !trie || ids_.contains(block))
            continue;
        if (const auto freed = records->put(id, {}); !freed)
            spdlog::error("{}", freed.error().message);
        if (block == Block::all(Family::ipv4))
            continue;
        if (const auto removed = trie->remove(from_block(block)); !removed)
            spdlog::error("{}", removed.error().message);
    }
    if (const auto restored = write(); !restored)
        spdlog::error("restore the networks as they were: {}", restored.error().message);
}

/// Numbers, names and parents for these networks; nothing is written yet.
Result<void> NetworkTable::choose(const std::vector<NetworkOption> &networks)
{
    std::map<Id, std::string> wanted;
    for (const auto &network : networks) {
        const auto id = number_for(network.block);
        if (!id)
            return id.error();
        wanted[*id] = network.name;
    }

    for (auto &[id, record] : records_) {
        const auto found = wanted.find(id);
        record.retired = found == wanted.end();
        if (!record.retired)
            record.name = found->second;
    }
    for (const auto &[block, id] : ids_)
        records_[id].parent = find_parent(block);
    return {};
}

Result<void> NetworkTable::apply(const std::vector<NetworkOption> &networks)
{
    NetworkTable next = *this;
    if (const auto chosen = next.choose(networks); !chosen)
        return chosen;
    if (const auto written = next.write(); !written) {
        write_over(next);
        return written;
    }
    *this = std::move(next);
    // What moved is known at this moment; what opened meanwhile shows in the next rounds.
    for (const auto &[id, difference] : live_differences())
        add_live(id, difference);
    seen_once_.clear();
    return {};
}

/// What each network counted, with all that is nested in it.
NetworkTable::Sums NetworkTable::sums() const
{
    std::vector<Id> ids;
    Sums sums;
    for (const auto &[id, record] : records_)
        ids.push_back(id);
    // At most 128 steps up: parents are shorter prefixes.
    for (const auto &[id, own] : totals_->networks(ids))
        for (Id at = id; at != 0; at = records_.at(at).parent)
            sums[at] += own;
    return sums;
}

std::vector<core::NetworkCounts> NetworkTable::counts() const
{
    auto sums = this->sums();
    std::vector<core::NetworkCounts> rows;
    for (const auto &[block, id] : ids_)
        if (!records_.at(id).retired)
            rows.push_back({records_.at(id).name, block, sums[id]});
    return rows;
}

std::vector<NetworkTable::Node> NetworkTable::nodes() const
{
    std::vector<Node> nodes;
    for (const auto &[block, id] : ids_)
        if (const auto &record = records_.at(id); !record.retired)
            nodes.push_back({id, record.parent, record.name, block});
    return nodes;
}

std::string NetworkTable::name_of(Id id) const
{
    const auto found = records_.find(id);
    return found == records_.end() ? "" : found->second.name;
}

/// What is missing from each node, where nothing moved while we looked.
NetworkTable::Differences NetworkTable::live_differences() const
{
    Differences before;
    Differences differences;

    for (const auto &[id, record] : records_)
        before[id] = static_cast<std::int64_t>((*kernel_nodes_)[id].live);
    for (const auto &[id, sum] : sums()) {
        const auto live = static_cast<std::int64_t>((*kernel_nodes_)[id].live);
        const auto difference = static_cast<std::int64_t>(sum.opened - sum.closed) - live;
        if (live == before[id] && difference != 0)
            differences[id] = difference;
    }
    return differences;
}

void NetworkTable::add_live(Id id, std::int64_t amount) const
{
    volatile __u64 &live = (*kernel_nodes_)[id].live;
    __atomic_fetch_add(&live, static_cast<__u64>(amount), __ATOMIC_RELAXED);
}

void NetworkTable::settle_live()
{
    auto differences = live_differences();

    std::erase_if(differences, [this](const auto &entry) {
        const auto [id, difference] = entry;
        const auto seen = seen_once_.find(id);
        if (seen == seen_once_.end() || seen->second != difference)
            return false;
        add_live(id, difference);
        return true;
    });
    seen_once_ = std::move(differences);
}

std::size_t NetworkTable::configured() const
{
    std::size_t count = 0;
    for (const auto &[id, record] : records_)
        count += record.retired ? 0 : 1;
    return count;
}

} // namespace tallygate::kernel
