// SPDX-License-Identifier: BSD-2-Clause
//
// Puts one of the receivers of sink.bpf.c on an interface, natively, until standard input ends.
//
//     sink --interface NAME --program drop_all|parse_and_drop|drop_all_but_clients
//          [--clients CIDR]
//
// Prints a line of JSON once it is there, and one for each line of its standard input.
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <net/if.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <memory>
#include <string>

#include "base/address.hpp"
#include "base/fd.hpp"
#include "base/result.hpp"
#include "sink.skel.h"

namespace tallygate::bench {
namespace {

struct Settings {
    std::string interface;
    std::string program = "drop_all";
    std::string clients = "0.0.0.0/32";
};

struct Destroy {
    void operator()(sink *skeleton) const { sink::destroy(skeleton); }
};

using Sink = std::unique_ptr<sink, Destroy>;

void print_counts(const sink &skeleton)
{
    std::printf("{\"received\": %llu, \"dropped\": %llu}\n",
                static_cast<unsigned long long>(skeleton.bss->received),
                static_cast<unsigned long long>(skeleton.bss->dropped));
    std::fflush(stdout);
}

Result<Sink> load(const Settings &settings)
{
    const auto clients = Block::parse(settings.clients);
    Sink skeleton(sink::open());

    if (!clients)
        return clients.error();
    if (!skeleton)
        return Error::system("open the programs");
    const auto bits = clients->text_length_bits();
    std::memcpy(const_cast<std::uint32_t *>(&skeleton->rodata->clients),
                &clients->first().bytes[12], sizeof(std::uint32_t));
    skeleton->rodata->clients_mask = bits == 0 ? 0 : htonl(~std::uint32_t{0} << (32 - bits));
    if (sink::load(skeleton.get()) != 0)
        return Error::system("load the programs");
    return skeleton;
}

Result<void> run(const Settings &settings)
{
    auto skeleton = load(settings);
    if (!skeleton)
        return skeleton.error();
    const auto *program =
        bpf_object__find_program_by_name((*skeleton)->obj, settings.program.c_str());
    if (!program)
        return Error{"there is no program " + settings.program};
    const auto index = if_nametoindex(settings.interface.c_str());
    if (index == 0)
        return Error::system("find the interface " + settings.interface);

    bpf_link_create_opts options{};
    options.sz = sizeof(options);
    options.flags = XDP_FLAGS_DRV_MODE;
    const Fd link(
        bpf_link_create(bpf_program__fd(program), static_cast<int>(index), BPF_XDP, &options));
    if (!link)
        return Error::system("attach " + settings.program + " to " + settings.interface);
    print_counts(**skeleton);
    for (std::string line; std::getline(std::cin, line);)
        print_counts(**skeleton);
    return {};
}

} // namespace
} // namespace tallygate::bench

int main(int argc, char **argv)
{
    tallygate::bench::Settings settings;
    CLI::App app("Receives the frames of an interface, and counts them. Needs root.");
    app.add_option("--interface", settings.interface, "whose frames")->required();
    app.add_option("--program", settings.program, "what becomes of them");
    app.add_option("--clients", settings.clients, "an IPv4 CIDR, for drop_all_but_clients");
    CLI11_PARSE(app, argc, argv);

    const auto done = tallygate::bench::run(settings);
    if (done)
        return 0;
    std::fprintf(stderr, "sink: %s\n", done.error().message.c_str());
    return 1;
}
