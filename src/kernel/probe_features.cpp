// SPDX-License-Identifier: BSD-2-Clause
//
// Instructions, tables and helpers that bpf/ and this room use, each by a map or a program that
// does nothing else.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "base/fd.hpp"
#include "kernel/probe_parts.hpp"

namespace tallygate::kernel {
namespace {

struct Helper {
    const char *name;
    bpf_func_id id;
    bpf_prog_type program;
    const char *since;
    const char *stand_in;
};

constexpr Helper helpers[] = {
    {"bpf_ktime_get_coarse_ns", BPF_FUNC_ktime_get_coarse_ns, BPF_PROG_TYPE_XDP, "5.11", ""},
    {"bpf_get_prandom_u32", BPF_FUNC_get_prandom_u32, BPF_PROG_TYPE_XDP, "4.1", ""},
    {"bpf_map_push_elem", BPF_FUNC_map_push_elem, BPF_PROG_TYPE_XDP, "4.20", ""},
    {"bpf_map_pop_elem", BPF_FUNC_map_pop_elem, BPF_PROG_TYPE_XDP, "4.20", ""},
    {"bpf_skb_pull_data", BPF_FUNC_skb_pull_data, BPF_PROG_TYPE_SCHED_CLS, "4.9", ""},
    {"bpf_xdp_get_buff_len", BPF_FUNC_xdp_get_buff_len, BPF_PROG_TYPE_XDP, "5.18",
     "the length of the one buffer that a frame has"},
};

struct Table {
    const char *what;
    bpf_map_type type;
    std::uint32_t key_bytes;
    std::uint32_t flags;
    const char *since;
};

constexpr Table tables[] = {
    {"per-CPU arrays", BPF_MAP_TYPE_PERCPU_ARRAY, 4, 0, "4.6"},
    {"longest-prefix tries", BPF_MAP_TYPE_LPM_TRIE, 8, BPF_F_NO_PREALLOC, "4.11"},
    {"stacks", BPF_MAP_TYPE_STACK, 0, 0, "4.20"},
};

ProbeLine judged(ProbeLine line, bool here)
{
    line.here = here;
    line.detail = here ? "here" : "not here";
    if (!here && !line.stand_in.empty())
        line.detail += "; instead: " + line.stand_in;
    if (!here && line.stand_in.empty()) {
        line.finding = Finding::fail;
        line.mend = "use Linux " + line.since + " or later, as root";
    }
    return line;
}

Fd make_map(bpf_map_type type, std::uint32_t key_bytes, std::uint32_t flags)
{
    bpf_map_create_opts options{};
    options.sz = sizeof(options);
    options.map_flags = flags;
    return Fd{bpf_map_create(type, "probe", key_bytes, sizeof(std::uint64_t), 4, &options)};
}

bool maps_into_memory()
{
    const auto map = make_map(BPF_MAP_TYPE_ARRAY, 4, BPF_F_MMAPABLE);
    const auto length = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    if (!map)
        return false;
    void *const view = ::mmap(nullptr, length, PROT_READ, MAP_SHARED, map.get(), 0);
    if (view == MAP_FAILED)
        return false;
    ::munmap(view, length);
    return true;
}

bool reads_in_batches()
{
    const auto map = make_map(BPF_MAP_TYPE_HASH, 4, 0);
    std::array<std::uint32_t, 4> keys{};
    std::array<std::uint64_t, 4> values{};
    std::uint32_t position = 0;
    std::uint32_t count = keys.size();

    // An empty table answers that there is no more of it.
    const int failed = bpf_map_lookup_batch(map.get(), nullptr, &position, keys.data(),
                                            values.data(), &count, nullptr);
    return map && (failed == 0 || errno == ENOENT);
}

/// The lists are replaced as a whole: a table in a table.
bool holds_tables()
{
    const auto inner = make_map(BPF_MAP_TYPE_LPM_TRIE, 8, BPF_F_NO_PREALLOC);
    bpf_map_create_opts options{};
    options.sz = sizeof(options);
    options.inner_map_fd = static_cast<std::uint32_t>(inner.get());
    return inner && Fd{bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "probe", sizeof(std::uint32_t),
                                      sizeof(std::uint32_t), 1, &options)};
}

/// A compare-and-swap on the stack: how a flow closes exactly once.
bool swaps_atomically()
{
    constexpr std::uint8_t atomic = BPF_STX | BPF_ATOMIC | BPF_DW;
    const std::array<bpf_insn, 6> program{{
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
        {.code = BPF_ST | BPF_MEM | BPF_DW, .dst_reg = 10, .src_reg = 0, .off = -8, .imm = 0},
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 1, .src_reg = 0, .off = 0, .imm = 1},
        {.code = atomic, .dst_reg = 10, .src_reg = 1, .off = -8, .imm = BPF_CMPXCHG},
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 2},
        {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
    }};
    const Fd loaded{bpf_prog_load(BPF_PROG_TYPE_XDP, "probe", "Dual BSD/GPL", program.data(),
                                  program.size(), nullptr)};
    return static_cast<bool>(loaded);
}

} // namespace

std::vector<ProbeLine> probe_features()
{
    std::vector<ProbeLine> lines;

    for (const auto &table : tables)
        lines.push_back(judged({.what = table.what, .since = table.since},
                               bool(make_map(table.type, table.key_bytes, table.flags))));
    lines.push_back(judged({.what = "tables of tables", .since = "4.12"}, holds_tables()));
    lines.push_back(
        judged({.what = "arrays mapped into memory", .since = "5.5"}, maps_into_memory()));
    lines.push_back(judged({.what = "reading in batches", .since = "5.6"}, reads_in_batches()));
    lines.push_back(
        judged({.what = "atomic compare-and-swap", .since = "5.12"}, swaps_atomically()));
    for (const auto &helper : helpers)
        lines.push_back(judged({.what = std::string("helper ") + helper.name,
                                .since = helper.since,
                                .stand_in = helper.stand_in},
                               libbpf_probe_bpf_helper(helper.program, helper.id, nullptr) == 1));
    return lines;
}

} // namespace tallygate::kernel
