// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/lists.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <ctime>
#include <iterator>
#include <limits>
#include <optional>
#include <thread>

#include "base/log.hpp"
#include "kernel/convert.hpp"

namespace tallygate::kernel {
namespace {

constexpr std::uint32_t in_force = 0; ///< the only place of `lists`

// Beside what the operator lists: the place of IPv4, and one that kernels before 6.13 ask for
// when an entry of a full trie is replaced.
constexpr std::uint32_t entries_beside = 2;

/// IPv4 lives in ::ffff:0:0/96, which ::/0 and its like would match: an entry that says nothing
/// stands there unless the operator lists all of IPv4.
const Block &all_ipv4()
{
    static const Block block = Block::all(Family::ipv4);
    return block;
}
constexpr tg_listed says_nothing{.allow_until_ns = 0, .block_until_ns = 0};

std::chrono::nanoseconds read_clock(clockid_t clock)
{
    timespec now{};
    ::clock_gettime(clock, &now);
    return std::chrono::seconds{now.tv_sec} + std::chrono::nanoseconds{now.tv_nsec};
}

/// 0 is never. What has ended is a time in the past, and never 0.
std::uint64_t to_gate_time(core::UnixTime end, ClockOffset offset)
{
    constexpr std::uint64_t for_good = ~std::uint64_t{0};
    constexpr std::uint64_t long_ago = 1;

    if (end == core::ListNode::never)
        return 0;
    if (end == core::ListNode::for_good)
        return for_good;
    const auto unix_ns = end.time_since_epoch().count();
    const auto offset_ns = offset.count();
    if (unix_ns < 0 || (offset_ns < 0 && unix_ns <= -offset_ns))
        return long_ago;
    // Both fit, and so does their sum, in what is unsigned.
    return static_cast<std::uint64_t>(unix_ns) + static_cast<std::uint64_t>(offset_ns);
}

tg_listed to_listed(const core::ListNode &node, ClockOffset offset)
{
    return {.allow_until_ns = to_gate_time(node.allow_until, offset),
            .block_until_ns = to_gate_time(node.block_until, offset)};
}

/// Entries of one trie. The kernel takes their memory from a small store that it fills again a
/// moment later (bpf_mem_alloc): whoever writes faster is told that there is none, with
/// gigabytes free.
class TrieWriter {
public:
    explicit TrieWriter(int fd) : fd_(fd) {}

    Result<void> put(const Block &block, const tg_listed &value)
    {
        constexpr int tries_max = 100;
        constexpr std::chrono::microseconds pause{200};
        const auto key = from_block(block);

        for (int i = 0; i < tries_max; i++) {
            if (bpf_map_update_elem(fd_, &key, &value, BPF_ANY) == 0)
                return {};
            if (errno != ENOMEM)
                break;
            retries_++;
            std::this_thread::sleep_for(pause * (i + 1));
        }
        return Error::system("write " + block.text() + " to the lists");
    }

    Result<void> remove(const Block &block) const
    {
        const auto key = from_block(block);
        if (bpf_map_delete_elem(fd_, &key) != 0 && errno != ENOENT)
            return Error::system("remove " + block.text() + " from the lists");
        return {};
    }

    /// Of a block that the trie holds: the longest match up to its own length is itself.
    std::optional<tg_listed> find(const Block &block) const
    {
        const auto key = from_block(block);
        tg_listed value{};
        if (bpf_map_lookup_elem(fd_, &key, &value) != 0)
            return std::nullopt;
        return value;
    }

    std::uint64_t retries() const { return retries_; }

private:
    int fd_;
    std::uint64_t retries_ = 0;
};

/// Changes of entries that can be taken back.
class TrieChange {
public:
    explicit TrieChange(int fd) : writer_(fd) {}

    Result<void> put(const Block &block, const tg_listed &value, bool is_held)
    {
        before_.emplace_back(block, is_held ? writer_.find(block) : std::nullopt);
        return writer_.put(block, value);
    }

    Result<void> remove(const Block &block)
    {
        before_.emplace_back(block, writer_.find(block));
        return writer_.remove(block);
    }

    void take_back()
    {
        for (auto each = before_.rbegin(); each != before_.rend(); ++each) {
            const auto &[block, value] = *each;
            const auto restored = value ? writer_.put(block, *value) : writer_.remove(block);
            if (!restored)
                spdlog::error("restore the lists as they were: {}", restored.error().message);
        }
    }

    std::uint64_t retries() const { return writer_.retries(); }

private:
    TrieWriter writer_;
    std::vector<std::pair<Block, std::optional<tg_listed>>> before_;
};

Result<Fd> make_trie(std::uint32_t entries_max)
{
    bpf_map_create_opts options{};
    options.sz = sizeof(options);
    options.map_flags = BPF_F_NO_PREALLOC;
    Fd fd{bpf_map_create(BPF_MAP_TYPE_LPM_TRIE, "listed", sizeof(tg_prefix), sizeof(tg_listed),
                         entries_max + entries_beside, &options)};
    if (!fd)
        return Error::system("make a trie for " + std::to_string(entries_max) + " listed blocks");
    if (const auto put = TrieWriter{fd.get()}.put(all_ipv4(), says_nothing); !put)
        return put.error();
    return fd;
}

Error too_many(std::size_t entries, std::uint32_t entries_max)
{
    return Error{std::to_string(entries) + " listed blocks are too many: gate.lists_max is " +
                 std::to_string(entries_max)};
}

/// Whether a trie has nothing but what make_trie() puts there.
bool is_new(int trie)
{
    tg_prefix first{};
    tg_prefix second{};
    const auto place_of_ipv4 = from_block(all_ipv4());

    if (bpf_map_get_next_key(trie, nullptr, &first) != 0)
        return errno == ENOENT;
    return std::memcmp(&first, &place_of_ipv4, sizeof(first)) == 0 &&
           TrieWriter{trie}.find(all_ipv4())->block_until_ns == 0 &&
           TrieWriter{trie}.find(all_ipv4())->allow_until_ns == 0 &&
           bpf_map_get_next_key(trie, &first, &second) != 0;
}

HintCounts count_hints(const std::vector<Block> &blocks)
{
    HintCounts counts;
    for (const auto &block : blocks)
        counts.add(block);
    return counts;
}

} // namespace

ClockOffset clock_offset()
{
    // Between two looks at one clock, so that an interruption shows: the closest of a few.
    ClockOffset best{0};
    auto closest = std::chrono::nanoseconds::max();

    for (int i = 0; i < 5; i++) {
        const auto before = read_clock(CLOCK_MONOTONIC);
        const auto real = read_clock(CLOCK_REALTIME);
        const auto after = read_clock(CLOCK_MONOTONIC);
        if (after - before >= closest)
            continue;
        closest = after - before;
        best = before + closest / 2 - real;
    }
    return best;
}

Result<ListTable> ListTable::open(const bpf_object *object, std::uint32_t entries_max)
{
    auto hints = HintTable::open(bpf_object__find_map_fd_by_name(object, "hints"), TG_HINT_LISTS);
    if (!hints)
        return hints.error();
    ListTable table{bpf_object__find_map_fd_by_name(object, "lists"), std::move(*hints),
                    entries_max};
    if (const auto found = table.find_trie(); !found)
        return found.error();
    return table;
}

/// The trie that an earlier daemon left, or an empty one.
Result<void> ListTable::find_trie()
{
    std::uint32_t id = 0;
    if (bpf_map_lookup_elem(lists_fd_, &in_force, &id) != 0) {
        auto built = build({}, entries_max_);
        return built ? publish(std::move(*built)) : built.error();
    }
    trie_ = Fd{bpf_map_get_fd_by_id(id)};
    if (!trie_)
        return Error::system("open the lists in force");
    is_known_ = is_new(trie_.get());
    return {};
}

Result<BuiltLists> ListTable::build(const std::vector<core::ListNode> &nodes,
                                    std::uint32_t entries_max, ClockOffset offset)
{
    if (nodes.size() > entries_max)
        return too_many(nodes.size(), entries_max);
    auto trie = make_trie(entries_max);
    if (!trie)
        return trie.error();

    BuiltLists built;
    TrieWriter writer{trie->get()};
    built.blocks.reserve(nodes.size());
    for (const auto &node : nodes) {
        if (const auto put = writer.put(node.block, to_listed(node, offset)); !put)
            return put.error();
        built.blocks.push_back(node.block);
    }
    std::ranges::sort(built.blocks);
    built.trie = std::move(*trie);
    built.hints = count_hints(built.blocks);
    built.retries = writer.retries();
    return built;
}

Result<void> ListTable::publish(BuiltLists built)
{
    const auto words = built.hints.words();
    const int fd = built.trie.get();

    // A bit too many costs a look in vain; one too few would let a blocked source in.
    hints_.add(words);
    if (bpf_map_update_elem(lists_fd_, &in_force, &fd, BPF_ANY) != 0) {
        const auto error = Error::system("put the new lists in force");
        if (is_known_)
            hints_.replace(counts_.words());
        return error;
    }
    hints_.replace(words);
    // The kernel has waited until no program was in the old one (since 5.0 it does so for each
    // element of a map of maps).
    if (is_known_ && trie_)
        remover_.remove(std::move(trie_), std::move(blocks_));
    trie_ = std::move(built.trie);
    blocks_ = std::move(built.blocks);
    counts_ = std::move(built.hints);
    retries_ += built.retries;
    is_known_ = true;
    return {};
}

bool ListTable::holds(const Block &block) const
{
    return std::ranges::binary_search(blocks_, block);
}

std::vector<Block> ListTable::added_by(const std::vector<core::ListNode> &put) const
{
    std::vector<Block> added;
    for (const auto &node : put)
        if (!holds(node.block))
            added.push_back(node.block);
    std::ranges::sort(added);
    added.erase(std::unique(added.begin(), added.end()), added.end());
    return added;
}

Result<void> ListTable::check_room(std::size_t added) const
{
    if (!is_known_)
        return Error{"the lists that the last daemon left are in force, and the configured ones "
                     "are not yet"};
    if (blocks_.size() + added > entries_max_)
        return too_many(blocks_.size() + added, entries_max_);
    return {};
}

Result<void> ListTable::change(const std::vector<core::ListNode> &put,
                               const std::vector<Block> &removed, ClockOffset offset)
{
    const auto added = added_by(put);
    if (const auto room = check_room(added.size()); !room)
        return room;

    TrieChange change{trie_.get()};
    const auto write = [&]() -> Result<void> {
        for (const auto &node : put)
            if (const auto done = change.put(node.block, to_listed(node, offset),
                                             holds(node.block) || node.block == all_ipv4());
                !done)
                return done;
        for (const auto &block : removed) {
            const auto done = block == all_ipv4() ? change.put(block, says_nothing, true)
                              : holds(block)      ? change.remove(block)
                                                  : Result<void>{};
            if (!done)
                return done;
        }
        return {};
    };

    hints_.add(count_hints(added).words());
    const auto written = write();
    if (written)
        take_over(added, removed);
    else
        change.take_back();
    retries_ += change.retries();
    hints_.replace(counts_.words());
    return written;
}

void ListTable::take_over(const std::vector<Block> &added, const std::vector<Block> &removed)
{
    for (const auto &block : added)
        counts_.add(block);
    if (!added.empty()) {
        std::vector<Block> with;
        with.reserve(blocks_.size() + added.size());
        std::ranges::merge(blocks_, added, std::back_inserter(with));
        blocks_ = std::move(with);
    }

    auto gone = removed;
    std::erase_if(gone, [this](const Block &block) { return !holds(block); });
    std::ranges::sort(gone);
    gone.erase(std::unique(gone.begin(), gone.end()), gone.end());
    if (gone.empty())
        return;
    for (const auto &block : gone)
        counts_.remove(block);
    std::vector<Block> kept;
    kept.reserve(blocks_.size());
    std::ranges::set_difference(blocks_, gone, std::back_inserter(kept));
    blocks_ = std::move(kept);
}

} // namespace tallygate::kernel
