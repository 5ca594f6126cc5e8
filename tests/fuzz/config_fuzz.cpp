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

void check_config(const config::Config &config)
{
    const auto &gate = config.gate;

    require(!gate.interfaces.empty());
    require(gate.interfaces.size() == gate.interface_positions.size());
    require(gate.lease.count() > 0);
    require(gate.ipv6_source_bits >= 64 && gate.ipv6_source_bits <= 128);
    require((gate.pending_max & (gate.pending_max - 1)) == 0);
    require(config.control.socket.starts_with('/') && config.control.socket.size() <= 107);
    require(!config.services.empty() && config.services.size() <= 255);
    for (const auto &service : config.services) {
        require(!service.name.empty() && service.name.size() <= 63);
        require(service.ports.empty() != service.listeners.empty());
    }
    require(!config.windows.monitors.empty());
    for (const auto &network : config.networks)
        require(!network.name.empty() && !network.cidrs.empty());
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
