// SPDX-License-Identifier: BSD-2-Clause
//
// What stands in the way of XDP on an interface. The questions are ioctls, not files of /sys:
// those are of the namespace that mounted it.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <memory>

#include "base/fd.hpp"
#include "kernel/probe_parts.hpp"

namespace tallygate::kernel {
namespace {

// A page, less the headroom and the tail that a driver keeps in it, and Ethernet with a VLAN tag.
constexpr unsigned mtu_of_one_page = 3498;

/// Asks the kernel about one interface, of the namespace that this thread is in.
class Interface {
public:
    explicit Interface(const std::string &name)
        : socket_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0))
    {
        std::strncpy(request_.ifr_name, name.c_str(), IFNAMSIZ - 1);
    }

    /// Whether the kernel answered; the answer stands in `request()`.
    bool ask(unsigned long question) { return ::ioctl(socket_.get(), question, &request_) == 0; }

    template <typename Command>
    bool ask_driver(Command &command)
    {
        request_.ifr_data = reinterpret_cast<char *>(&command);
        return ask(SIOCETHTOOL);
    }

    const ifreq &request() const { return request_; }

private:
    Fd socket_;
    ifreq request_{};
};

/// An ethtool command with an array at its end.
template <typename Command, typename Element>
struct WithArray {
    explicit WithArray(std::size_t count) : memory(sizeof(Command) + count * sizeof(Element)) {}

    Command &command() { return *reinterpret_cast<Command *>(memory.data()); }
    const Element *elements() const
    {
        return reinterpret_cast<const Element *>(memory.data() + sizeof(Command));
    }

    std::vector<std::byte> memory;
};

std::uint32_t count_features(Interface &interface)
{
    WithArray<ethtool_sset_info, std::uint32_t> info{1};
    info.command().cmd = ETHTOOL_GSSET_INFO;
    info.command().sset_mask = 1ULL << ETH_SS_FEATURES;
    return interface.ask_driver(info.command()) && info.command().sset_mask != 0
               ? info.elements()[0]
               : 0;
}

/// The names of what is switched on, such as "rx-lro".
std::vector<std::string> active_features(Interface &interface)
{
    using Name = std::array<char, ETH_GSTRING_LEN>;
    constexpr std::uint32_t bits = 32;
    const auto count = count_features(interface);
    WithArray<ethtool_gstrings, Name> names{count};
    names.command().cmd = ETHTOOL_GSTRINGS;
    names.command().string_set = ETH_SS_FEATURES;
    names.command().len = count;
    WithArray<ethtool_gfeatures, ethtool_get_features_block> blocks{(count + bits - 1) / bits};
    blocks.command().cmd = ETHTOOL_GFEATURES;
    blocks.command().size = (count + bits - 1) / bits;
    std::vector<std::string> active;

    if (count == 0 || !interface.ask_driver(names.command()) ||
        !interface.ask_driver(blocks.command()))
        return active;
    for (std::uint32_t each = 0; each < count; each++)
        if ((blocks.elements()[each / bits].active >> (each % bits) & 1) != 0)
            active.emplace_back(names.elements()[each].data());
    return active;
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

InterfaceFacts facts_of(const std::string &name, int ifindex)
{
    Interface interface {
        name
    };
    InterfaceFacts facts{.name = name};
    ethtool_drvinfo driver{};
    ethtool_channels channels{};

    driver.cmd = ETHTOOL_GDRVINFO;
    channels.cmd = ETHTOOL_GCHANNELS;
    if (interface.ask(SIOCGIFMTU))
        facts.mtu = static_cast<unsigned>(interface.request().ifr_mtu);
    if (interface.ask_driver(driver))
        facts.driver = driver.driver;
    if (interface.ask_driver(channels)) {
        facts.queues = channels.rx_count + channels.combined_count;
        facts.queues_max = channels.max_rx + channels.max_combined;
    }
    for (const auto &feature : active_features(interface)) {
        facts.lro |= feature == "rx-lro";
        facts.gro_hw |= feature == "rx-gro-hw";
    }
    facts.xdp_program = xdp_of(ifindex);
    return facts;
}

std::string describe(const InterfaceFacts &facts)
{
    auto text = (facts.driver.empty() ? "unknown driver" : facts.driver) + ", ";
    if (facts.queues != 0)
        text +=
            std::to_string(facts.queues) + " of " + std::to_string(facts.queues_max) + " queues, ";
    text += "MTU " + std::to_string(facts.mtu);
    if (facts.xdp_program == "gate_xdp")
        text += ", guarded by tallygate";
    return text;
}

/// All that are up, but the loopback: no mail comes in there.
std::vector<std::string> interfaces_up()
{
    const std::unique_ptr<struct if_nameindex[], decltype(&::if_freenameindex)> all{
        ::if_nameindex(), ::if_freenameindex};
    std::vector<std::string> names;

    for (const auto *each = all.get(); each != nullptr && each->if_index != 0; each++) {
        Interface interface {
            each->if_name
        };
        if (!interface.ask(SIOCGIFFLAGS))
            continue;
        const auto flags = static_cast<unsigned short>(interface.request().ifr_flags);
        if ((flags & IFF_UP) != 0 && (flags & IFF_LOOPBACK) == 0)
            names.emplace_back(each->if_name);
    }
    return names;
}

} // namespace

std::vector<ProbeLine> judge_interface(const InterfaceFacts &facts, bool takes_fragments)
{
    const auto what = "interface " + facts.name;
    const auto ethtool = "ethtool -K " + facts.name;
    std::vector<ProbeLine> lines{{.what = what, .detail = describe(facts)}};
    const auto warn = [&](std::string detail, std::string mend) {
        lines.push_back({.finding = Finding::warn,
                         .what = what,
                         .detail = std::move(detail),
                         .mend = std::move(mend)});
    };

    if (!facts.xdp_program.empty() && facts.xdp_program != "gate_xdp")
        warn("has the XDP program '" + facts.xdp_program + "' of somebody else's",
             "ip link set dev " + facts.name + " xdp off, or set gate.attach = \"tc\"");
    if (facts.lro)
        warn("LRO is on: with it, some drivers refuse native XDP", ethtool + " lro off");
    if (facts.gro_hw)
        warn("GRO by hardware is on: with it, some drivers refuse native XDP",
             ethtool + " rx-gro-hw off");
    if (!takes_fragments && facts.mtu > mtu_of_one_page)
        warn("an MTU of more than 3,498 needs programs for large frames (Linux 5.18) for native "
             "XDP",
             "ip link set dev " + facts.name + " mtu 3498");
    return lines;
}

std::vector<ProbeLine> probe_interfaces(const std::vector<std::string> &interfaces,
                                        bool takes_fragments)
{
    std::vector<ProbeLine> lines;

    for (const auto &name : interfaces.empty() ? interfaces_up() : interfaces) {
        const auto ifindex = static_cast<int>(::if_nametoindex(name.c_str()));
        if (ifindex == 0) {
            lines.push_back({.finding = Finding::fail,
                             .what = "interface " + name,
                             .detail = "does not exist",
                             .mend = "ip link shows which do"});
            continue;
        }
        for (auto &line : judge_interface(facts_of(name, ifindex), takes_fragments))
            lines.push_back(std::move(line));
    }
    return lines;
}

} // namespace tallygate::kernel
