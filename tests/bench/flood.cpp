// SPDX-License-Identifier: BSD-2-Clause
//
// A flood of SYNs with forged senders, out by one interface of the network namespace that this
// runs in, as fast as one CPU can or at a rate. The frames are made in the kernel
// (flood.bpf.c), by BPF_PROG_TEST_RUN with live frames: Linux 5.18 and later.
//
//     flood --interface NAME --mac MAC --destination ADDR:PORT [--distribution random|hot|64k]
//           [--seconds S] [--rate PER_SECOND]
//
// Prints one line of JSON when it is over. `sent` is what was handed to the interface; what was
// lost there, the receiver knows.
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <net/if.h>
#include <sys/time.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <map>
#include <memory>
#include <string>

#include "base/address.hpp"
#include "base/result.hpp"
#include "bench/distribution.h"
#include "flood.skel.h"

namespace tallygate::bench {
namespace {

constexpr std::size_t frame_bytes = 60;    // the least that Ethernet carries, without its checksum
constexpr std::uint32_t batch_frames = 64; // what veth takes in one poll: its ring never fills

struct Settings {
    std::string interface;
    std::string mac;
    std::string destination;
    std::uint32_t distribution = DISTRIBUTION_RANDOM;
    double seconds = 1;
    std::uint64_t rate = 0; ///< frames a second; 0: as many as there can be
    std::uint64_t seed = 0;
};

using Frame = std::array<std::uint8_t, frame_bytes>;

struct Destroy {
    void operator()(flood *skeleton) const { flood::destroy(skeleton); }
};

/// The sum of RFC 1071 over words as they lie in memory, not folded.
std::uint32_t sum_of(const void *data, std::size_t bytes)
{
    std::uint32_t sum = 0;

    for (std::size_t at = 0; at < bytes; at += 2) {
        std::uint16_t word = 0;
        std::memcpy(&word, static_cast<const std::uint8_t *>(data) + at, sizeof(word));
        sum += word;
    }
    return sum;
}

Result<std::array<std::uint8_t, ETH_ALEN>> parse_mac(const std::string &text)
{
    std::array<unsigned, ETH_ALEN> parts{};
    std::array<std::uint8_t, ETH_ALEN> mac{};
    char rest = 0;

    if (std::sscanf(text.c_str(), "%2x:%2x:%2x:%2x:%2x:%2x%c", &parts[0], &parts[1], &parts[2],
                    &parts[3], &parts[4], &parts[5], &rest) != ETH_ALEN)
        return Error{"expected a MAC address, not '" + text + "'"};
    std::copy(parts.begin(), parts.end(), mac.begin());
    return mac;
}

/// A SYN from nobody, port 0, with no checksum yet.
struct Template {
    ethhdr ethernet{};
    iphdr ip{};
    tcphdr tcp{};

    Template(const std::array<std::uint8_t, ETH_ALEN> &mac, const Endpoint &to)
    {
        std::memcpy(ethernet.h_dest, mac.data(), mac.size());
        ethernet.h_source[0] = 0x02; // locally administered
        ethernet.h_proto = htons(ETH_P_IP);
        ip.version = 4;
        ip.ihl = sizeof(ip) / 4;
        ip.tot_len = htons(sizeof(ip) + sizeof(tcp));
        ip.ttl = 64;
        ip.protocol = IPPROTO_TCP;
        std::memcpy(&ip.daddr, &to.address.bytes[12], sizeof(ip.daddr));
        tcp.dest = htons(to.port);
        tcp.seq = htonl(1000);
        tcp.doff = sizeof(tcp) / 4;
        tcp.syn = 1;
        tcp.window = htons(64'240);
    }
    Frame frame() const
    {
        Frame bytes{};
        std::memcpy(bytes.data(), &ethernet, sizeof(ethernet));
        std::memcpy(bytes.data() + sizeof(ethernet), &ip, sizeof(ip));
        std::memcpy(bytes.data() + sizeof(ethernet) + sizeof(ip), &tcp, sizeof(tcp));
        return bytes;
    }
    std::uint32_t ip_sum() const { return sum_of(&ip, sizeof(ip)); }
    /// With the pseudo-header.
    std::uint32_t tcp_sum() const
    {
        return sum_of(&tcp, sizeof(tcp)) + sum_of(&ip.daddr, sizeof(ip.daddr)) +
               htons(IPPROTO_TCP) + htons(sizeof(tcp));
    }
};

Result<Endpoint> parse_destination(const std::string &text)
{
    auto to = Endpoint::parse(text);

    if (to && !to->address.is_ipv4())
        return Error{"expected an IPv4 address and a port, not '" + text + "'"};
    return to;
}

class Flood {
public:
    static Result<Flood> load(const Settings &settings)
    {
        const auto mac = parse_mac(settings.mac);
        const auto to = parse_destination(settings.destination);
        const auto index = if_nametoindex(settings.interface.c_str());
        std::unique_ptr<flood, Destroy> skeleton(flood::open());

        if (!mac || !to)
            return mac ? to.error() : mac.error();
        if (index == 0)
            return Error::system("find the interface " + settings.interface);
        if (!skeleton)
            return Error::system("open the generator");
        const Template syn(*mac, *to);
        skeleton->rodata->distribution = settings.distribution;
        skeleton->rodata->interface_index = index;
        skeleton->rodata->ip_sum = syn.ip_sum();
        skeleton->rodata->tcp_sum = syn.tcp_sum();
        if (settings.rate != 0)
            skeleton->rodata->interval_ns = 1'000'000'000 / settings.rate;
        skeleton->data->random_state = settings.seed * 0x9e3779b97f4a7c15ULL | 1;
        if (flood::load(skeleton.get()) != 0)
            return Error::system("load the generator");
        return Flood(std::move(skeleton), syn.frame());
    }

    std::uint64_t sent() const { return skeleton_->bss->sent; }

    Result<void> send_until_signal()
    {
        bpf_test_run_opts options{};
        options.sz = sizeof(options);
        options.data_in = frame_.data();
        options.data_size_in = frame_.size();
        options.repeat = std::numeric_limits<int>::max();
        options.flags = BPF_F_TEST_XDP_LIVE_FRAMES;
        options.batch_size = batch_frames;
        while (bpf_prog_test_run_opts(bpf_program__fd(skeleton_->progs.send_syn), &options) == 0)
            continue;
        if (errno != EINTR)
            return Error::system("send frames");
        return {};
    }

private:
    Flood(std::unique_ptr<flood, Destroy> skeleton, const Frame &frame)
        : skeleton_(std::move(skeleton)), frame_(frame)
    {
    }

    std::unique_ptr<flood, Destroy> skeleton_;
    Frame frame_;
};

void take_note(int) {}

/// A signal at the end of the time, which ends the call that sends.
Result<void> set_alarm(double seconds)
{
    struct sigaction action {};
    itimerval timer{};
    double whole = 0;

    action.sa_handler = take_note; // and no SA_RESTART
    timer.it_value.tv_usec = static_cast<suseconds_t>(std::modf(seconds, &whole) * 1e6);
    timer.it_value.tv_sec = static_cast<time_t>(whole);
    if (sigaction(SIGALRM, &action, nullptr) != 0 || setitimer(ITIMER_REAL, &timer, nullptr) != 0)
        return Error::system("set an alarm");
    return {};
}

Result<std::uint64_t> run(const Settings &settings)
{
    auto flood = Flood::load(settings);
    if (!flood)
        return flood.error();
    if (auto set = set_alarm(settings.seconds); !set)
        return set.error();
    if (auto done = flood->send_until_signal(); !done)
        return done.error();
    return flood->sent();
}

} // namespace
} // namespace tallygate::bench

int main(int argc, char **argv)
{
    using namespace tallygate::bench;
    Settings settings;
    const std::map<std::string, std::uint32_t> distributions{
        {"random", DISTRIBUTION_RANDOM}, {"hot", DISTRIBUTION_HOT}, {"64k", DISTRIBUTION_64K}};
    CLI::App app("Sends SYNs with forged senders out by an interface. Needs root.");
    app.add_option("--interface", settings.interface, "where they leave; a veth's end")->required();
    app.add_option("--mac", settings.mac, "whom the frames are for")->required();
    app.add_option("--destination", settings.destination, "ADDR:PORT, IPv4")->required();
    app.add_option("--distribution", settings.distribution, "random, hot (3 senders) or 64k")
        ->transform(CLI::CheckedTransformer(distributions));
    app.add_option("--seconds", settings.seconds, "how long")->check(CLI::PositiveNumber);
    app.add_option("--rate", settings.rate, "frames a second; 0: as many as there can be");
    app.add_option("--seed", settings.seed, "of the senders");
    CLI11_PARSE(app, argc, argv);

    const auto sent = run(settings);
    if (!sent) {
        std::fprintf(stderr, "flood: %s\n", sent.error().message.c_str());
        return 1;
    }
    std::printf("{\"sent\": %llu, \"seconds\": %.6f}\n", static_cast<unsigned long long>(*sent),
                settings.seconds);
    return 0;
}
