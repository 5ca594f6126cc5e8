// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/probe.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/magic.h>
#include <net/if.h>
#include <sys/statfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstring>
#include <fstream>

#include "base/fd.hpp"
#include "gate.skel.h"
#include "kernel/pins.hpp"
#include "kernel/program.hpp"

namespace tallygate::kernel {
namespace {

ProbeLine probe_kernel()
{
    utsname name{};
    ::uname(&name);
    return {Finding::ok, "kernel", std::string(name.release) + " " + name.machine, ""};
}

ProbeLine probe_rights()
{
    if (::geteuid() == 0)
        return {Finding::ok, "rights", "root", ""};
    return {Finding::fail, "rights", "not root",
            "run as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON"};
}

ProbeLine probe_btf()
{
    if (::access("/sys/kernel/btf/vmlinux", R_OK) == 0)
        return {Finding::ok, "kernel types (BTF)", "/sys/kernel/btf/vmlinux", ""};
    return {Finding::warn, "kernel types (BTF)", "not there",
            "the gate does without; use a kernel built with CONFIG_DEBUG_INFO_BTF"};
}

ProbeLine probe_bpffs()
{
    struct statfs info {};
    if (::statfs("/sys/fs/bpf", &info) == 0 && info.f_type == BPF_FS_MAGIC)
        return {Finding::ok, "BPF file system", "/sys/fs/bpf", ""};
    return {Finding::fail, "BPF file system", "none at /sys/fs/bpf",
            "mount -t bpf bpf /sys/fs/bpf"};
}

ProbeLine probe_jit()
{
    int enabled = 0;
    std::ifstream{"/proc/sys/net/core/bpf_jit_enable"} >> enabled;
    if (enabled != 0)
        return {Finding::ok, "BPF compiler (JIT)", "on", ""};
    return {Finding::warn, "BPF compiler (JIT)", "off: programs are interpreted, and slow",
            "sysctl net.core.bpf_jit_enable=1"};
}

/// Loads the gate with tables of a few entries.
ProbeLine probe_loading(bool fragments)
{
    const std::string what = fragments ? "programs for large frames" : "programs";
    gate *const skeleton = gate::open();
    if (skeleton == nullptr)
        return {Finding::fail, what, "cannot be opened", ""};

    for (auto *map :
         {skeleton->maps.sources, skeleton->maps.source_index, skeleton->maps.freed_slots,
          skeleton->maps.claims, skeleton->maps.flows, skeleton->maps.networks,
          skeleton->maps.network_tallies, skeleton->maps.network_records, skeleton->maps.pending})
        bpf_map__set_max_entries(map, 1024);
    skeleton->rodata->has_fragments = fragments;
    if (fragments)
        bpf_program__set_flags(skeleton->progs.gate_xdp, xdp_has_fragments);
    const int loaded = gate::load(skeleton);
    gate::destroy(skeleton);

    if (loaded == 0)
        return {Finding::ok, what, "load", ""};
    const auto why = std::string(std::strerror(-loaded)) + ": " + last_libbpf_words();
    if (fragments)
        return {Finding::warn, what, why, "keep the card's MTU below 3,500 bytes, or use 5.18"};
    return {Finding::fail, what, why, "use Linux 5.15 or later, as root"};
}

std::string xdp_of(int ifindex)
{
    bpf_xdp_query_opts query{};
    query.sz = sizeof(query);
    if (bpf_xdp_query(ifindex, 0, &query) != 0 || query.prog_id == 0)
        return "";
    const Fd fd{bpf_prog_get_fd_by_id(query.prog_id)};
    bpf_prog_info info{};
    std::uint32_t size = sizeof(info);
    if (!fd || bpf_obj_get_info_by_fd(fd.get(), &info, &size) != 0)
        return "program " + std::to_string(query.prog_id);
    return info.name;
}

ProbeLine probe_interface(const std::string &interface)
{
    const auto ifindex = static_cast<int>(::if_nametoindex(interface.c_str()));
    const auto what = "interface " + interface;
    if (ifindex == 0)
        return {Finding::fail, what, "does not exist", "ip link"};

    int mtu = 0;
    std::ifstream{"/sys/class/net/" + interface + "/mtu"} >> mtu;
    const auto queues = list_directory("/sys/class/net/" + interface + "/queues").size();
    auto detail = "MTU " + std::to_string(mtu) + ", " + std::to_string(queues) + " queues";
    const auto program = xdp_of(ifindex);
    if (!program.empty() && program != "gate_xdp")
        return {Finding::warn, what, detail + ", XDP program '" + program + "' of somebody else's",
                "take it off (ip link set dev " + interface +
                    " xdp off), or set gate.attach = \"tc\""};
    if (!program.empty())
        detail += ", guarded by tallygate";
    return {Finding::ok, what, detail, ""};
}

} // namespace

std::vector<ProbeLine> probe(const std::vector<std::string> &interfaces)
{
    capture_libbpf_log();
    std::vector<ProbeLine> lines{probe_kernel(),     probe_rights(), probe_btf(),
                                 probe_bpffs(),      probe_jit(),    probe_loading(false),
                                 probe_loading(true)};
    for (const auto &interface : interfaces.empty() ? list_directory("/sys/class/net") : interfaces)
        lines.push_back(probe_interface(interface));
    return lines;
}

} // namespace tallygate::kernel
