// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/replay_networks.hpp"

#include <bpf/libbpf.h>
#include <tallygate/abi.h>

#include <map>

#include "kernel/convert.hpp"
#include "kernel/hints.hpp"
#include "kernel/map_view.hpp"

namespace tallygate::kernel {
namespace {

using Id = NetworkTable::Id;
using Trie = MapView<tg_prefix, tg_network>;

/// The smallest network around this block; 0 if there is none.
Id find_parent(const std::map<Block, Id> &ids, const Block &block)
{
    for (unsigned length = block.length_bits(); length-- > 0;) {
        const auto found = ids.find(Block{block.first(), length});
        if (found != ids.end())
            return found->first.family() == block.family() ? found->second : 0;
    }
    return 0;
}

Result<void> write_trie(const Trie &trie, const std::vector<NetworkTable::Node> &nodes)
{
    // As in NetworkTable: without it ::/0 and its like would take the clients of IPv4.
    if (const auto put = trie.put(from_block(Block::all(Family::ipv4)), {0, 0}); !put)
        return put;
    for (const auto &node : nodes)
        if (const auto put = trie.put(from_block(node.block), {node.id, node.parent}); !put)
            return put;
    return {};
}

} // namespace

ReplayNetworks::ReplayNetworks(const std::vector<NetworkOption> &networks)
{
    std::map<Block, Id> ids;

    for (const auto &network : networks) {
        const auto id = static_cast<Id>(nodes_.size() + 1);
        ids[network.block] = id;
        nodes_.push_back({.id = id, .parent = 0, .name = network.name, .block = network.block});
    }
    for (auto &node : nodes_)
        node.parent = find_parent(ids, node.block);
}

Result<void> ReplayNetworks::write(const bpf_object *object) const
{
    const auto fd = [object](const char *name) {
        return bpf_object__find_map_fd_by_name(object, name);
    };
    const auto trie = Trie::open(fd("networks"), "networks");
    if (!trie)
        return trie.error();
    const auto tree = MappedArray<tg_network_node>::open(fd("network_nodes"), "network_nodes");
    if (!tree)
        return tree.error();
    const auto hints = HintTable::open(fd("hints"), TG_HINT_NETWORKS);
    if (!hints)
        return hints.error();

    HintCounts counts;
    for (const auto &node : nodes_) {
        (*tree)[node.id].parent = node.parent;
        counts.add(node.block);
    }
    hints->replace(counts.words());
    return write_trie(*trie, nodes_);
}

} // namespace tallygate::kernel
