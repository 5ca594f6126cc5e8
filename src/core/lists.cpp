// SPDX-License-Identifier: BSD-2-Clause
#include "core/lists.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace tallygate::core {
namespace {

/// Those between whose addresses all the others are, by block. All of IPv4 is between those of
/// ::/0, and so goes with it.
std::vector<Block> outermost(std::vector<Block> blocks)
{
    std::vector<Block> outer;
    std::ranges::sort(blocks);
    for (const auto &block : blocks)
        if (outer.empty() || outer.back().last() < block.first())
            outer.push_back(block);
    return outer;
}

/// Both are by block.
Lists::Change difference(const std::vector<ListNode> &before, const std::vector<ListNode> &after)
{
    Lists::Change change;
    auto was = before.begin();

    for (const auto &node : after) {
        for (; was != before.end() && was->block < node.block; ++was)
            change.removed.push_back(was->block);
        const bool same = was != before.end() && *was == node;
        if (!same)
            change.put.push_back(node);
        if (was != before.end() && was->block == node.block)
            ++was;
    }
    for (; was != before.end(); ++was)
        change.removed.push_back(was->block);
    return change;
}

/// The shortest length that a block of this family can have.
unsigned shortest_of(Family family)
{
    return Block::all(family).length_bits();
}

} // namespace

std::string_view list_origin_name(ListOrigin origin)
{
    switch (origin) {
    case ListOrigin::protection:
        return "protected";
    case ListOrigin::control:
        return "control";
    case ListOrigin::configuration:
        return "configuration";
    case ListOrigin::file:
        return "file";
    }
    return "";
}

FixedLists::FixedLists(std::vector<Group> groups)
{
    for (auto &group : groups) {
        const auto number = static_cast<std::uint32_t>(grounds_.size());
        grounds_.push_back(std::move(group.grounds));
        for (const auto &block : group.blocks)
            items_.push_back({block, number});
    }
    std::ranges::sort(items_);
    items_.erase(std::unique(items_.begin(), items_.end()), items_.end());
    items_.shrink_to_fit();
    for (const auto &item : items_)
        counts_[{grounds_of(item).kind, grounds_of(item).origin}]++;
}

std::size_t FixedLists::count(ListKind kind, ListOrigin origin) const
{
    const auto found = counts_.find({kind, origin});
    return found == counts_.end() ? 0 : found->second;
}

struct Lists::Ends {
    UnixTime allow_until = ListNode::never;
    UnixTime block_until = ListNode::never;

    void take(const Grounds &grounds)
    {
        auto &until = grounds.kind == ListKind::allow ? allow_until : block_until;
        until = std::max(until, grounds.end());
    }
};

/// Takes entries by block, and makes the nodes: a stack of the blocks that are open, with what
/// they and all around them say.
///
/// An IPv6 block such as ::/0 has all of IPv4 between its addresses and does not hold it. It
/// stays on the stack meanwhile, and gives IPv4 nothing.
class Lists::Sweep {
public:
    /// `outside` is what holds for every block of the family of `within` from further out.
    Sweep(const Block &within, Ends outside) : family_(within.family()), outside_(outside) {}

    void take(const Block &block, const Grounds &grounds)
    {
        if (nodes_.empty() || nodes_.back().block != block)
            open(block);
        auto &ends = stack_.back().ends;
        ends.take(grounds);
        nodes_.back().allow_until = ends.allow_until;
        nodes_.back().block_until = ends.block_until;
    }

    std::vector<ListNode> nodes() && { return std::move(nodes_); }

private:
    struct Open {
        Block block;
        Address last;
        Ends ends;
    };

    void open(const Block &block)
    {
        while (!stack_.empty() && stack_.back().last < block.first())
            stack_.pop_back();
        Ends ends = block.family() == family_ ? outside_ : Ends{};
        if (!stack_.empty() && stack_.back().block.contains(block))
            ends = stack_.back().ends;
        stack_.push_back({block, block.last(), ends});
        nodes_.push_back({.block = block});
    }

    Family family_;
    Ends outside_;
    std::vector<Open> stack_;
    std::vector<ListNode> nodes_;
};

/// The entries whose block lies between the first and the last address of `block`, by block.
void Lists::visit(const Block &block,
                  const std::function<void(const Block &, const Grounds &)> &see) const
{
    const auto last = block.last();
    const auto &items = fixed_.items();
    auto fixed = std::ranges::lower_bound(items, block, {}, &FixedLists::Item::block);
    auto changing = changing_.lower_bound(block);
    const auto more = [&](const auto &at, const auto &end, auto &&block_of) {
        return at != end && block_of(*at).first() <= last;
    };
    const auto fixed_block = [](const FixedLists::Item &item) { return item.block; };
    const auto changing_block = [](const Changing::value_type &each) { return each.first; };

    for (;;) {
        const bool more_fixed = more(fixed, items.end(), fixed_block);
        const bool more_changing = more(changing, changing_.end(), changing_block);
        if (!more_fixed && !more_changing)
            return;
        if (more_fixed && (!more_changing || fixed->block <= changing->first)) {
            see(fixed->block, fixed_.grounds_of(*fixed));
            ++fixed;
        } else {
            see(changing->first, changing->second);
            ++changing;
        }
    }
}

void Lists::visit_exactly(const Block &block,
                          const std::function<void(const Block &, const Grounds &)> &see) const
{
    const auto &items = fixed_.items();
    for (auto item = std::ranges::lower_bound(items, block, {}, &FixedLists::Item::block);
         item != items.end() && item->block == block; ++item)
        see(item->block, fixed_.grounds_of(*item));
    const auto [first, last] = changing_.equal_range(block);
    for (auto each = first; each != last; ++each)
        see(each->first, each->second);
}

/// The entries around `block`, without its own, the shortest first.
void Lists::visit_wider(const Block &block,
                        const std::function<void(const Block &, const Grounds &)> &see) const
{
    for (unsigned bits = shortest_of(block.family()); bits < block.length_bits(); bits++)
        visit_exactly(Block{block.first(), bits}, see);
}

std::vector<ListNode> Lists::nodes_within(const Block &block) const
{
    Ends outside;
    visit_wider(block, [&](const Block &, const Grounds &grounds) { outside.take(grounds); });
    Sweep sweep{block, outside};
    visit(block, [&](const Block &each, const Grounds &grounds) { sweep.take(each, grounds); });
    return std::move(sweep).nodes();
}

std::vector<ListNode> Lists::resolve() const
{
    return nodes_within(Block::all(Family::ipv6)); // the addresses of IPv4 are among its own
}

Lists::Change Lists::changed(std::vector<Block> touched, const std::function<void()> &mutate)
{
    const auto outer = outermost(std::move(touched));
    const auto nodes = [&] {
        std::vector<ListNode> all;
        for (const auto &block : outer) {
            const auto within = nodes_within(block);
            all.insert(all.end(), within.begin(), within.end());
        }
        return all;
    };
    const auto before = nodes();
    mutate();
    return difference(before, nodes());
}

Lists::Change Lists::refresh(const std::vector<Block> &touched) const
{
    Change change;
    for (const auto &block : outermost(touched)) {
        const auto within = nodes_within(block);
        change.put.insert(change.put.end(), within.begin(), within.end());
    }
    for (const auto &block : touched) {
        bool is_there = false;
        visit_exactly(block, [&](const Block &, const Grounds &) { is_there = true; });
        if (!is_there)
            change.removed.push_back(block);
    }
    return change;
}

Lists::Changing::const_iterator Lists::find_changing(const ListEntry &entry) const
{
    const auto &wanted = entry.grounds;
    const auto [first, last] = changing_.equal_range(entry.block);
    const auto found = std::find_if(first, last, [&](const auto &each) {
        const Grounds &grounds = each.second;
        return grounds.kind == wanted.kind && grounds.origin == wanted.origin &&
               grounds.place == wanted.place;
    });
    return found == last ? changing_.end() : found;
}

void Lists::insert(const ListEntry &entry)
{
    if (const auto old = find_changing(entry); old != changing_.end())
        changing_.erase(old);
    changing_.emplace(entry.block, entry.grounds);
}

Lists::Change Lists::add(const ListEntry &entry)
{
    return changed({entry.block}, [&] { insert(entry); });
}

Lists::Change Lists::remove_control(const Block &block, ListKind kind)
{
    const ListEntry entry{block, {.kind = kind, .origin = ListOrigin::control}};
    return changed({block}, [&] {
        if (const auto found = find_changing(entry); found != changing_.end())
            changing_.erase(found);
    });
}

Lists::Change Lists::replace(ListOrigin origin, std::vector<ListEntry> entries)
{
    std::ranges::sort(entries);
    const auto old = of_origin(origin);
    if (old == entries)
        return {};
    std::vector<Block> touched;
    for (const auto &entry : old)
        touched.push_back(entry.block);
    for (const auto &entry : entries)
        touched.push_back(entry.block);
    return changed(std::move(touched), [&] {
        std::erase_if(changing_, [&](const auto &each) { return each.second.origin == origin; });
        for (const auto &entry : entries)
            insert(entry);
    });
}

Lists::Expiry Lists::expire(UnixTime now)
{
    Expiry expiry;
    std::vector<Block> touched;
    for (const auto &[block, grounds] : changing_) {
        if (grounds.in_force_at(now))
            continue;
        expiry.ended.push_back({block, grounds});
        touched.push_back(block);
    }
    if (!touched.empty())
        expiry.change = changed(std::move(touched), [&] {
            std::erase_if(changing_,
                          [&](const auto &each) { return !each.second.in_force_at(now); });
        });
    return expiry;
}

std::vector<ListEntry> Lists::find(const Address &address, UnixTime now) const
{
    std::vector<ListEntry> found;
    const Block whole{address, 128};
    const auto see = [&](const Block &block, const Grounds &grounds) {
        if (grounds.in_force_at(now))
            found.push_back({block, grounds});
    };
    visit_wider(whole, see);
    visit_exactly(whole, see);
    std::ranges::reverse(found);
    return found;
}

std::optional<ListEntry> Lists::find_control(const Block &block, ListKind kind) const
{
    const auto found = find_changing({block, {.kind = kind, .origin = ListOrigin::control}});
    if (found == changing_.end())
        return std::nullopt;
    return ListEntry{found->first, found->second};
}

std::optional<ListEntry> Lists::find_overlap(const Block &block, ListOrigin origin) const
{
    std::optional<ListEntry> found;
    const auto see = [&](const Block &each, const Grounds &grounds) {
        if (!found && grounds.origin == origin && each.family() == block.family())
            found = ListEntry{each, grounds};
    };
    visit_wider(block, see);
    // Of what is nested the fixed entries are many, and none of them is anybody's but theirs.
    const auto last = block.last();
    for (auto each = changing_.lower_bound(block);
         each != changing_.end() && each->first.first() <= last; ++each)
        see(each->first, each->second);
    return found;
}

std::optional<ListEntry> Lists::find_cover(const Block &block, ListKind kind, UnixTime now) const
{
    std::optional<ListEntry> found;
    const auto see = [&](const Block &each, const Grounds &grounds) {
        if (!found && grounds.kind == kind && grounds.in_force_at(now))
            found = ListEntry{each, grounds};
    };
    visit_wider(block, see);
    visit_exactly(block, see);
    return found;
}

std::vector<ListEntry> Lists::list(std::optional<ListKind> kind, std::size_t rows_max) const
{
    std::vector<ListEntry> rows;
    for (const auto origin : {ListOrigin::control, ListOrigin::protection})
        for (const auto &entry : of_origin(origin))
            if (rows.size() < rows_max && (!kind || entry.grounds.kind == *kind))
                rows.push_back(entry);
    for (const auto &item : fixed_.items()) {
        if (rows.size() >= rows_max)
            break;
        const auto &grounds = fixed_.grounds_of(item);
        if (!kind || grounds.kind == *kind)
            rows.push_back({item.block, grounds});
    }
    return rows;
}

std::vector<ListEntry> Lists::of_origin(ListOrigin origin) const
{
    std::vector<ListEntry> entries;
    for (const auto &[block, grounds] : changing_)
        if (grounds.origin == origin)
            entries.push_back({block, grounds});
    std::ranges::sort(entries);
    return entries;
}

std::vector<Block> Lists::blocks_of(ListKind kind, ListOrigin origin) const
{
    std::vector<Block> blocks;
    for (const auto &[block, grounds] : changing_)
        if (grounds.kind == kind && grounds.origin == origin)
            blocks.push_back(block);
    return blocks;
}

std::size_t Lists::count(ListKind kind) const
{
    std::size_t sum = 0;
    for (const auto origin :
         {ListOrigin::protection, ListOrigin::control, ListOrigin::configuration, ListOrigin::file})
        sum += count(kind, origin);
    return sum;
}

std::size_t Lists::count(ListKind kind, ListOrigin origin) const
{
    const auto changing = std::ranges::count_if(changing_, [&](const auto &each) {
        return each.second.kind == kind && each.second.origin == origin;
    });
    return fixed_.count(kind, origin) + static_cast<std::size_t>(changing);
}

} // namespace tallygate::core
