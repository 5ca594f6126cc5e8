// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/probe.hpp"

#include <linux/capability.h>
#include <linux/magic.h>
#include <sys/statfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <fstream>

#include "kernel/probe_parts.hpp"
#include "kernel/program.hpp"

namespace tallygate::kernel {
namespace {

ProbeLine probe_kernel()
{
    utsname name{};
    ::uname(&name);
    return {.what = "kernel", .detail = std::string(name.release) + " " + name.machine};
}

std::uint64_t effective_rights()
{
    std::ifstream status{"/proc/self/status"};
    std::string word;
    std::uint64_t mask = 0;

    while (status >> word)
        if (word == "CapEff:")
            status >> std::hex >> mask;
    return mask;
}

ProbeLine probe_btf()
{
    ProbeLine line{.what = "kernel types (BTF)",
                   .since = "5.4",
                   .stand_in = "nothing is needed: the gate reads no structure of the kernel"};
    line.here = ::access("/sys/kernel/btf/vmlinux", R_OK) == 0;
    line.detail = line.here ? "/sys/kernel/btf/vmlinux" : "not there: the gate does without";
    return line;
}

ProbeLine probe_bpffs()
{
    ProbeLine line{.what = "BPF file system", .since = "4.4"};
    struct statfs info {};

    line.here = ::statfs("/sys/fs/bpf", &info) == 0 && info.f_type == BPF_FS_MAGIC;
    line.detail = line.here ? "/sys/fs/bpf" : "none at /sys/fs/bpf";
    if (!line.here) {
        line.finding = Finding::fail;
        line.mend = "mount -t bpf bpf /sys/fs/bpf";
    }
    return line;
}

ProbeLine probe_jit()
{
    ProbeLine line{.what = "BPF compiler (JIT)",
                   .since = "3.16",
                   .stand_in = "the interpreter, which is slow"};
    std::ifstream setting{"/proc/sys/net/core/bpf_jit_enable"};
    int enabled = 0;

    // Only the first network namespace has the file.
    if (!(setting >> enabled)) {
        line.here = true;
        line.detail = "not told in this network namespace";
        return line;
    }
    line.here = enabled != 0;
    line.detail = line.here ? "on" : "off: programs are interpreted, and slow";
    if (!line.here) {
        line.finding = Finding::warn;
        line.mend = "sysctl -w net.core.bpf_jit_enable=1";
    }
    return line;
}

} // namespace

ProbeLine judge_rights(std::uint64_t effective)
{
    // Before 5.8 the first two were CAP_SYS_ADMIN, which still includes them. It is needed itself
    // to open by its number what an earlier daemon left: without it the second start fails.
    static constexpr std::pair<unsigned, const char *> needed[] = {
        {CAP_BPF, "CAP_BPF"},
        {CAP_PERFMON, "CAP_PERFMON"},
        {CAP_NET_ADMIN, "CAP_NET_ADMIN"},
        {CAP_SYS_ADMIN, "CAP_SYS_ADMIN"}};
    const auto has = [effective](unsigned number) { return (effective >> number & 1) != 0; };
    std::string here;
    std::string missing;

    for (const auto &[number, name] : needed) {
        const bool granted = has(number) || (number != CAP_NET_ADMIN && has(CAP_SYS_ADMIN));
        auto &names = granted ? here : missing;
        names += (names.empty() ? "" : ", ") + std::string(name);
    }
    if (missing.empty())
        return {.what = "rights", .detail = here};
    return {.finding = Finding::fail,
            .what = "rights",
            .detail = missing + " missing",
            .mend = "run as root, or grant CAP_NET_ADMIN and CAP_SYS_ADMIN"};
}

std::vector<ProbeLine> probe(const std::vector<std::string> &interfaces)
{
    capture_libbpf_log();
    std::vector<ProbeLine> lines{probe_kernel(), judge_rights(effective_rights()), probe_btf(),
                                 probe_bpffs(), probe_jit()};
    bool takes_fragments = false;

    for (auto &line : probe_features())
        lines.push_back(std::move(line));
    for (auto &line : probe_programs()) {
        if (line.what == large_frames)
            takes_fragments = line.here;
        lines.push_back(std::move(line));
    }
    for (auto &line : probe_interfaces(interfaces, takes_fragments))
        lines.push_back(std::move(line));
    return lines;
}

} // namespace tallygate::kernel
