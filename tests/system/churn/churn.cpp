// SPDX-License-Identifier: BSD-2-Clause
//
// Real connections at full speed, which end in every way there is.
//
//     churn server ADDRESS... [--port N] [--hasty PERCENT] [--park N] [--seed N]
//     churn client --from ADDRESS... --to ADDRESS... [--ports N] [--park N] [--seed N] ...
//
// Commands come as lines on standard input: client.cpp and server.cpp say which (obey).
#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>
#include <vector>

#include "churn/client.hpp"
#include "churn/server.hpp"

namespace churn {
namespace {

Result<std::vector<Address>> parse_all(const std::vector<std::string> &texts)
{
    std::vector<Address> addresses;

    for (const auto &text : texts) {
        auto address = Address::parse(text);
        if (!address)
            return address.error();
        addresses.push_back(*address);
    }
    return addresses;
}

Result<void> run_server(ServerOptions options, const std::vector<std::string> &addresses)
{
    auto parsed = parse_all(addresses);

    if (!parsed)
        return parsed.error();
    options.addresses = *parsed;
    auto server = Server::make(options);
    return server ? server->serve() : server.error();
}

Result<void> run_client(ClientOptions options, const std::vector<std::string> &from,
                        const std::vector<std::string> &to)
{
    auto sources = parse_all(from);
    auto servers = parse_all(to);

    if (!sources)
        return sources.error();
    if (!servers)
        return servers.error();
    options.sources = *sources;
    options.servers = *servers;
    auto client = Client::make(options);
    return client ? client->serve() : client.error();
}

int run(int count, char **words)
{
    CLI::App app("Real connections at full speed.");
    ServerOptions server;
    ClientOptions client;
    std::vector<std::string> addresses;
    std::vector<std::string> from;
    std::vector<std::string> to;

    auto *serving = app.add_subcommand("server");
    serving->add_option("address", addresses)->required();
    serving->add_option("--port", server.port);
    serving->add_option("--hasty", server.hasty_percent);
    serving->add_option("--park", server.parked_max);
    serving->add_option("--seed", server.seed);
    auto *visiting = app.add_subcommand("client");
    visiting->add_option("--from", from)->required();
    visiting->add_option("--to", to)->required();
    visiting->add_option("--port", client.server_port);
    visiting->add_option("--first-port", client.first_port);
    visiting->add_option("--ports", client.ports);
    visiting->add_option("--at-once", client.at_once_max);
    visiting->add_option("--breath", client.breath_max);
    visiting->add_option("--park", client.parked_max);
    visiting->add_option("--seed", client.seed);
    app.require_subcommand(1);
    CLI11_PARSE(app, count, words);

    const auto done =
        serving->parsed() ? run_server(server, addresses) : run_client(client, from, to);
    if (done)
        return 0;
    std::fprintf(stderr, "churn: %s\n", done.error().message.c_str());
    return 1;
}

} // namespace
} // namespace churn

int main(int count, char **words)
{
    return churn::run(count, words);
}
