// SPDX-License-Identifier: BSD-2-Clause
//
// The gate's programs, and the ways onto an interface. They are tried by a thread in a network
// namespace of its own, on a veth pair; all of that ends with the thread.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>

#include <array>
#include <cstring>
#include <memory>
#include <thread>

#include "base/fd.hpp"
#include "base/result.hpp"
#include "gate.skel.h"
#include "kernel/attachment.hpp"
#include "kernel/clsact.hpp"
#include "kernel/probe_parts.hpp"
#include "kernel/program.hpp"
#include "kernel/tcx.hpp"

namespace tallygate::kernel {
namespace {

struct DestroyGate {
    void operator()(gate *skeleton) const { gate::destroy(skeleton); }
};
using Skeleton = std::unique_ptr<gate, DestroyGate>;

constexpr auto pair_name = "probe0";
constexpr auto peer_name = "probe1";

/// Tables of a few entries: made in no time. The error is the verifier's, in its own words.
Result<Skeleton> load_gate(bool fragments)
{
    Skeleton skeleton{gate::open()};
    if (!skeleton)
        return Error::system("open the gate's programs");

    auto &maps = skeleton->maps;
    for (auto *map : {maps.sources, maps.source_index, maps.freed_slots, maps.claims, maps.flows,
                      maps.networks, maps.network_tallies, maps.network_records, maps.network_nodes,
                      maps.prefixes, maps.ipv6_prefixes, maps.rates, maps.proven_filter,
                      maps.dirty_sources, maps.dirty_claims, maps.pending})
        bpf_map__set_max_entries(map, 1024);
    skeleton->rodata->has_fragments = fragments;
    if (fragments)
        bpf_program__set_flags(skeleton->progs.gate_xdp, xdp_has_fragments);
    const int loaded = gate::load(skeleton.get());
    if (loaded != 0)
        return Error{std::string(std::strerror(-loaded)) + ": " + last_libbpf_words(), -loaded};
    return skeleton;
}

/// Sends one request to this namespace's rtnetlink, and answers its outcome.
Result<void> ask_kernel(const nlmsghdr *request, const char *doing)
{
    std::array<char, 8192> answer{};
    const std::unique_ptr<mnl_socket, int (*)(mnl_socket *)> socket{
        mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC), mnl_socket_close};

    if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0 ||
        mnl_socket_sendto(socket.get(), request, request->nlmsg_len) < 0)
        return Error::system(doing);
    const auto length = mnl_socket_recvfrom(socket.get(), answer.data(), answer.size());
    if (length < 0 ||
        mnl_cb_run(answer.data(), static_cast<std::size_t>(length), request->nlmsg_seq,
                   mnl_socket_get_portid(socket.get()), nullptr, nullptr) < 0)
        return Error::system(doing);
    return {};
}

/// Answers the index of one end of a new veth pair.
Result<int> make_pair()
{
    std::array<char, 1024> buffer{};
    auto *const request = mnl_nlmsg_put_header(buffer.data());
    request->nlmsg_type = RTM_NEWLINK;
    request->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
    request->nlmsg_seq = 1;
    mnl_nlmsg_put_extra_header(request, sizeof(ifinfomsg));
    mnl_attr_put_strz(request, IFLA_IFNAME, pair_name);

    auto *const info = mnl_attr_nest_start(request, IFLA_LINKINFO);
    mnl_attr_put_strz(request, IFLA_INFO_KIND, "veth");
    auto *const data = mnl_attr_nest_start(request, IFLA_INFO_DATA);
    auto *const peer = mnl_attr_nest_start(request, VETH_INFO_PEER);
    mnl_nlmsg_put_extra_header(request, sizeof(ifinfomsg));
    mnl_attr_put_strz(request, IFLA_IFNAME, peer_name);
    mnl_attr_nest_end(request, peer);
    mnl_attr_nest_end(request, data);
    mnl_attr_nest_end(request, info);

    if (const auto made = ask_kernel(request, "make a veth pair"); !made)
        return made.error();
    return static_cast<int>(::if_nametoindex(pair_name));
}

Result<Fd> link(int program_fd, int ifindex, int type, unsigned flags)
{
    bpf_link_create_opts options{};
    options.sz = sizeof(options);
    options.flags = flags;
    Fd created{bpf_link_create(program_fd, ifindex, static_cast<bpf_attach_type>(type), &options)};
    if (!created)
        return Error::system("attach");
    return created;
}

Result<void> try_xdp(const gate &skeleton, int ifindex, unsigned flags)
{
    const auto attached = link(bpf_program__fd(skeleton.progs.gate_xdp), ifindex, BPF_XDP, flags);
    return attached ? Result<void>{} : attached.error();
}

/// What a daemon does that takes over from another, and what `tallygated detach` does.
Result<void> try_taking_over(const gate &skeleton, int ifindex)
{
    const int program = bpf_program__fd(skeleton.progs.gate_xdp);
    const auto attached = link(program, ifindex, BPF_XDP, XDP_FLAGS_DRV_MODE);
    if (!attached)
        return attached.error();
    if (bpf_link_update(attached->get(), program, nullptr) != 0)
        return Error::system("replace the program");
    if (bpf_link_detach(attached->get()) != 0)
        return Error::system("detach the link");
    return {};
}

Result<void> try_tcx(const gate &skeleton, int ifindex)
{
    const int in = bpf_program__fd(skeleton.progs.gate_tc_ingress);
    const int out = bpf_program__fd(skeleton.progs.gate_tc_egress);
    for (const auto &[program, type] :
         {std::pair{in, attach_tcx_ingress}, std::pair{out, attach_tcx_egress}})
        if (const auto attached = link(program, ifindex, type, 0); !attached)
            return attached.error();
    return {};
}

Result<void> try_clsact(const gate &skeleton, int ifindex)
{
    const LinkName in{.netns = 0, .ifindex = ifindex, .kind = "clsact_ingress"};
    const LinkName out{.netns = 0, .ifindex = ifindex, .kind = "clsact_egress"};
    auto put = put_clsact(in, bpf_program__fd(skeleton.progs.gate_tc_ingress));
    if (put)
        put = put_clsact(out, bpf_program__fd(skeleton.progs.gate_tc_egress));
    return put;
}

ProbeLine judged(ProbeLine line, const Result<void> &tried)
{
    line.here = static_cast<bool>(tried);
    line.detail = line.here ? "works" : "not here (" + tried.error().message + ")";
    if (line.here)
        return line;
    if (!line.stand_in.empty()) {
        line.detail += "; instead: " + line.stand_in;
        return line;
    }
    line.finding = Finding::fail;
    line.mend = "use Linux " + line.since + " or later, as root";
    return line;
}

std::vector<ProbeLine> try_every_way(const gate &skeleton)
{
    const auto ifindex = ::unshare(CLONE_NEWNET) == 0
                             ? make_pair()
                             : Result<int>{Error::system("make a network namespace")};
    if (!ifindex)
        return {{.finding = Finding::warn,
                 .what = "ways onto an interface",
                 .detail = "not tried: " + ifindex.error().message,
                 .mend = "run as root, where the module veth can be loaded"}};
    return {
        judged({.what = "native XDP (on veth)", .since = "5.9", .stand_in = "generic XDP"},
               try_xdp(skeleton, *ifindex, XDP_FLAGS_DRV_MODE)),
        judged({.what = "generic XDP", .since = "5.9", .stand_in = "tc"},
               try_xdp(skeleton, *ifindex, XDP_FLAGS_SKB_MODE)),
        judged({.what = "links that are taken over", .since = "5.9"},
               try_taking_over(skeleton, *ifindex)),
        judged({.what = "tcx", .since = "6.6", .stand_in = "clsact"}, try_tcx(skeleton, *ifindex)),
        judged({.what = "clsact", .since = "4.5", .stand_in = "tcx"},
               try_clsact(skeleton, *ifindex)),
    };
}

} // namespace

std::vector<ProbeLine> probe_programs()
{
    auto large = load_gate(true);
    auto plain = load_gate(false);
    auto large_line =
        judged({.what = large_frames,
                .since = "5.18",
                .stand_in = "programs for frames of one page: an MTU of at most 3,498"},
               large ? Result<void>{} : Result<void>{large.error()});
    auto plain_line = judged({.what = "programs", .since = "5.15"},
                             plain ? Result<void>{} : Result<void>{plain.error()});
    std::vector<ProbeLine> lines{std::move(plain_line), std::move(large_line)};

    const gate *const skeleton = large ? large->get() : plain ? plain->get() : nullptr;
    if (skeleton == nullptr)
        return lines;
    // A thread that dies takes its namespace with it, and comes back to none of ours by mistake.
    std::thread{[&] {
        for (auto &line : try_every_way(*skeleton))
            lines.push_back(std::move(line));
    }}.join();
    return lines;
}

} // namespace tallygate::kernel
