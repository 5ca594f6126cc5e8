// SPDX-License-Identifier: BSD-2-Clause
//
// The block and allow lists: who is on them, why and until when, and what the gate's trie must
// hold for that. The gate takes the longest entry alone, so every node carries what wider ones
// say as well.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/address.hpp"
#include "core/seams.hpp"

namespace tallygate::core {

enum class ListKind : std::uint8_t { allow, block };

/// "allow" or "block".
constexpr std::string_view list_kind_name(ListKind kind)
{
    return kind == ListKind::allow ? "allow" : "block";
}

/// Who put an entry there.
enum class ListOrigin : std::uint8_t { protection, control, configuration, file };

/// "protected", "control", "configuration" or "file".
std::string_view list_origin_name(ListOrigin origin);

/// Why an entry stands on a list. One for all blocks of a place of the configuration.
struct Grounds {
    ListKind kind = ListKind::block;
    ListOrigin origin = ListOrigin::control;
    std::string place = {};  ///< "tallygate.toml:31:1", a file's path; empty for control
    std::string reason = {}; ///< may be empty
    UnixTime added = {};
    std::optional<UnixTime> until = {}; ///< none: for good

    UnixTime end() const { return until.value_or(ListNode::for_good); }
    bool in_force_at(UnixTime now) const { return end() > now; }

    auto operator<=>(const Grounds &) const = default;
};

struct ListEntry {
    Block block = Block::all(Family::ipv4);
    Grounds grounds = {};

    auto operator<=>(const ListEntry &) const = default;
};

/// The lists of the configuration: many blocks, which change all at once. Sorting them is the
/// work of the constructor, so that a thread can do it.
class FixedLists {
public:
    struct Group {
        Grounds grounds;
        std::vector<Block> blocks = {};
    };
    struct Item {
        Block block;
        std::uint32_t group;

        auto operator<=>(const Item &) const = default;
    };

    FixedLists() = default;
    explicit FixedLists(std::vector<Group> groups);

    /// By block: a wider one before those it holds.
    const std::vector<Item> &items() const { return items_; }
    const Grounds &grounds_of(const Item &item) const { return grounds_[item.group]; }
    std::size_t count(ListKind kind, ListOrigin origin) const;

private:
    std::vector<Grounds> grounds_;
    std::vector<Item> items_;
    std::map<std::pair<ListKind, ListOrigin>, std::size_t> counts_;
};

/// All entries. Those that come and go one by one, of control and of protection, beside the
/// fixed ones. Two entries of one block and kind may stand beside each other if their origin or
/// place differs.
class Lists {
public:
    /// What to do to the gate's trie.
    struct Change {
        std::vector<ListNode> put;
        std::vector<Block> removed;

        bool empty() const { return put.empty() && removed.empty(); }
    };
    struct Expiry {
        Change change;
        std::vector<ListEntry> ended;
    };

    /// Takes the place of the fixed entries. The trie is to be made anew, of resolve().
    void set_fixed(FixedLists fixed) { fixed_ = std::move(fixed); }
    FixedLists release_fixed() { return std::exchange(fixed_, {}); }

    /// Replaces an entry with the same block, kind, origin and place.
    Change add(const ListEntry &entry);
    /// Takes control's entry away, if there is one: see find_control().
    Change remove_control(const Block &block, ListKind kind);
    /// Puts `entries`, all of one origin, in the place of that origin's.
    Change replace(ListOrigin origin, std::vector<ListEntry> entries);
    /// Takes away what has ended. Fixed entries stay, and do no more.
    Expiry expire(UnixTime now);

    /// Every node that the trie is to hold, by block.
    std::vector<ListNode> resolve() const;
    /// What a trie lacks that was made of older entries, while those at `touched` changed.
    Change refresh(const std::vector<Block> &touched) const;

    /// The entries that hold `address` and have not ended, the longest first.
    std::vector<ListEntry> find(const Address &address, UnixTime now) const;
    std::optional<ListEntry> find_control(const Block &block, ListKind kind) const;
    /// An entry of this origin that has an address in common with `block`.
    std::optional<ListEntry> find_overlap(const Block &block, ListOrigin origin) const;
    /// An entry of this kind that holds all of `block`, and has not ended.
    std::optional<ListEntry> find_cover(const Block &block, ListKind kind, UnixTime now) const;

    /// At most `rows_max` of one kind, or of both: those of control first, then protection's,
    /// then the fixed ones; by block.
    std::vector<ListEntry> list(std::optional<ListKind> kind, std::size_t rows_max) const;
    std::vector<ListEntry> of_origin(ListOrigin origin) const;
    /// Of control or protection, by block.
    std::vector<Block> blocks_of(ListKind kind, ListOrigin origin) const;
    std::size_t count(ListKind kind) const;
    std::size_t count(ListKind kind, ListOrigin origin) const;
    std::size_t size() const { return fixed_.items().size() + changing_.size(); }

private:
    using Changing = std::multimap<Block, Grounds>;
    struct Ends;
    class Sweep;

    Change changed(std::vector<Block> touched, const std::function<void()> &mutate);
    std::vector<ListNode> nodes_within(const Block &block) const;
    void visit(const Block &block,
               const std::function<void(const Block &, const Grounds &)> &see) const;
    void visit_exactly(const Block &block,
                       const std::function<void(const Block &, const Grounds &)> &see) const;
    void visit_wider(const Block &block,
                     const std::function<void(const Block &, const Grounds &)> &see) const;
    Changing::const_iterator find_changing(const ListEntry &entry) const;
    void insert(const ListEntry &entry);

    FixedLists fixed_;
    Changing changing_;
};

} // namespace tallygate::core
