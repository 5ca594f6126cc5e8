// SPDX-License-Identifier: BSD-2-Clause
//
// Any bytes as a configuration: a Config that keeps its promises, or lines with a place.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <string>
#include <string_view>

#include "config/config_toml.hpp"

namespace {

using namespace tallygate;

void require(bool holds)
{
    if (!holds)
        std::abort();
}

void check_limit(const config::Limit &limit, const config::Gate &gate)
{
    require(!limit.name.empty() && limit.per.empty() != limit.networks.empty());
    require(limit.per.size() <= 2 && (limit.syn_rate || limit.live_max));
    for (const auto &block : limit.per) {
        require(block.first() == Block::all(block.family()).first());
        require(block.family() == Family::ipv4 ||
                block.text_length_bits() <= gate.ipv6_source_bits);
    }
    require(limit.syn_burst >= 1 && limit.syn_burst <= 1'000'000);
    if (limit.syn_rate) {
        // So much is far from overflowing 64 bits of nanoseconds.
        const auto seconds = static_cast<std::uint64_t>(limit.syn_rate->span.count());
        require(limit.syn_rate->count >= 1 && limit.syn_rate->count <= 1'000'000 * seconds);
        require(limit.syn_burst * seconds / limit.syn_rate->count <= 31ULL * 86400);
    }
    require(!limit.live_max || (*limit.live_max >= 1 && limit.who != config::Limit::Who::claimed));
}

void check_lists(const config::Config &config)
{
    for (const auto &sources : {config.blocks, config.allows})
        for (const auto &source : sources) {
            require(!source.cidrs.empty() || source.file);
            require(source.reason.size() <= 200);
            require(!source.until || source.until->time_since_epoch().count() >= 0);
        }
    for (const auto &source : config.blocks)
        for (const auto &block : source.cidrs)
            require(!config.lists.is_too_wide(block));
}

void check_config(const config::Config &config)
{
    const auto &gate = config.gate;

    require(!gate.interfaces.empty());
    require(gate.interfaces.size() == gate.interface_positions.size());
    require(gate.lease.count() > 0);
    require(gate.ipv6_source_bits >= 64 && gate.ipv6_source_bits <= 128);
    for (const auto size : {gate.pending_max, gate.claims_max, gate.rates_max})
        require(size >= 16 && (size & (size - 1)) == 0);
    require(config.control.socket.starts_with('/') && config.control.socket.size() <= 107);
    require(!config.services.empty() && config.services.size() <= 255);
    for (const auto &service : config.services) {
        require(!service.name.empty() && service.name.size() <= 63);
        require(service.ports.empty() != service.listeners.empty());
    }
    require(!config.windows.monitors.empty());
    for (const auto &network : config.networks)
        require(!network.name.empty() && !network.cidrs.empty());
    require(config.limits.size() <= 63);
    for (const auto &limit : config.limits)
        check_limit(limit, gate);
    check_lists(config);
}

/// Each line begins with the file and a position, and is fit for a terminal.
void check_message(const std::string &message)
{
    constexpr std::string_view prefix = "t.toml:";
    std::istringstream lines{message};
    std::string line;
    std::size_t count = 0;

    for (; std::getline(lines, line); count++) {
        std::uint32_t line_number = 0;
        std::uint32_t column = 0;
        int end = 0;
        require(line.starts_with(prefix));
        require(std::sscanf(line.c_str() + prefix.size(), "%u:%u: %n", &line_number, &column,
                            &end) == 2);
        require(line_number > 0 && column > 0 && line.size() > prefix.size() + end);
        for (const char c : line)
            require(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
    }
    require(count > 0 && count <= 21);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size)
{
    const std::string_view text{reinterpret_cast<const char *>(data), size};
    const auto parsed = config::parse_config(text, "t.toml");

    if (parsed)
        check_config(*parsed);
    else
        check_message(parsed.error().message);
    return 0;
}
